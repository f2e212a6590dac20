//! Text of strangers with nothing in it that cannot be seen.

use std::fmt::{Display, Formatter, Result, Write};

/// Whether a character steers, reorders or hides text instead of showing: controls, marks of direction, what has no
/// width, variation selectors, tags, private and unassigned-by-design ones.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

/// A text on one line in which every hidden character is written out, as `\u{202e}`.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a>(pub &'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if is_hidden(c) => write!(f, "{}", c.escape_unicode())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_all_languages_stay_and_what_hides_is_written_out() {
        let text = "größe 日本 \"a\" \x1b[31m\r\n\u{202e}evil\u{200b}\u{feff}\u{9b}\u{e0041}";
        assert_eq!(
            Visible(text).to_string(),
            "größe 日本 \"a\" \\u{1b}[31m\\r\\n\\u{202e}evil\\u{200b}\\u{feff}\\u{9b}\\u{e0041}"
        );
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            prop_assert!(!Visible(&text).to_string().chars().any(is_hidden));
        }
    }
}
