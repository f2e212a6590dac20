//! Text from a plugin on its way into a log or a report.

/// Longer texts are cut.
pub(crate) const MAX_BYTES: usize = 4096;

/// Cut to length, and without control characters that could forge lines or move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    let end = (0..=MAX_BYTES.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let mut printable: String = text
        .get(..end)
        .unwrap_or_default()
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if end < text.len() {
        printable.push('…');
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_stay_on_one_line() {
        assert_eq!(printable("a\nb\u{1b}[31mc"), "a b [31mc");
        let cut = printable(&"é".repeat(MAX_BYTES));
        assert!(cut.len() <= MAX_BYTES + '…'.len_utf8() && cut.ends_with('…'));
    }
}
