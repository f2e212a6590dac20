//! Text as it was before it was written into a line.

use alloc::borrow::Cow;
use alloc::string::String;

use memchr::memchr;

/// `\\` and `\n`, and `\"` where a quote would end the text. Any other backslash stands for itself.
pub(crate) fn unescape(written: &str, has_quotes: bool) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', written.as_bytes()) else { return Cow::Borrowed(written) };
    let (before, mut rest) = written.split_at_checked(first).unwrap_or((written, ""));
    let mut text = String::with_capacity(written.len());
    text.push_str(before);
    while let Some(escaped) = rest.strip_prefix('\\') {
        let (plain, after) = match escaped.as_bytes().first() {
            Some(b'\\') => ('\\', escaped.get(1..)),
            Some(b'n') => ('\n', escaped.get(1..)),
            Some(b'"') if has_quotes => ('"', escaped.get(1..)),
            _ => ('\\', Some(escaped)),
        };
        text.push(plain);
        rest = after.unwrap_or("");
        let next = memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        let (before, escapes) = rest.split_at_checked(next).unwrap_or((rest, ""));
        text.push_str(before);
        rest = escapes;
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_back_as_it_was_before_it_was_written() {
        for (written, read) in [
            ("plain", "plain"),
            ("", ""),
            (r"C:\\x", r"C:\x"),
            (r#"a \"b\""#, "a \"b\""),
            (r"a\nb", "a\nb"),
            (r"\\n\\\n", "\\n\\\n"),
            (r"\d\é\", r"\d\é\"),
        ] {
            assert_eq!(unescape(written, true), read);
        }
        assert_eq!(unescape(r#"\"\\\n"#, false), "\\\"\\\n");
    }
}
