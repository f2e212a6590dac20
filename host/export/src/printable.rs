//! Text of strangers, made harmless for logs and terminals.

use std::fmt::{Display, Formatter, Result, Write};

/// Escapes whatever could forge a line, steer a terminal or reorder what is read; everything else stays readable.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for character in self.0.chars() {
            // Which do no harm where nothing is quoted.
            if matches!(character, '"' | '\'' | '\\') {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_debug())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_readable_and_controls_do_not_stay() {
        assert_eq!(
            Printable("größe 'a' \"b\" \\ \r\n\x1b[2J\u{202e}").to_string(),
            "größe 'a' \"b\" \\ \\r\\n\\u{1b}[2J\\u{202e}"
        );
    }
}
