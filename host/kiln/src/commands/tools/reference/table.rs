//! Tables of Markdown.
//!
//! Invariant: nothing a manifest says ends its cell, its row or the table, and no markup but code comes from it.

use std::fmt;

/// Rows under a header. A column that has a title and in no row anything to say is left out, but for the first.
pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(header: [&'static str; N]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// With these cells, which are Markdown already.
    pub(super) fn rows<const N: usize>(mut self, rows: impl IntoIterator<Item = [String; N]>) -> Self {
        self.rows.extend(rows.into_iter().map(Vec::from));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a column says anything.
    fn is_used(&self, column: usize) -> bool {
        self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used: Vec<usize> = (0..self.header.len()).filter(|column| self.is_used(*column)).collect();
        let mut line = |cells: Vec<&str>| writeln!(f, "| {} |", cells.join(" | "));
        line(used.iter().filter_map(|column| self.header.get(*column).copied()).collect())?;
        line(used.iter().map(|_| "---").collect())?;
        for row in &self.rows {
            line(used.iter().map(|column| row.get(*column).map_or("", String::as_str)).collect())?;
        }
        Ok(())
    }
}

/// A sentence in a cell. Code in it stays code; `<` begins no tag.
pub(super) fn text(sentence: &str) -> String {
    let mut cell = String::with_capacity(sentence.len());
    let mut in_code = false;
    // An odd backtick would turn the rest of the row into code.
    let has_code = sentence.matches('`').count().is_multiple_of(2);
    for character in sentence.chars() {
        match character {
            '`' if has_code => {
                in_code = !in_code;
                cell.push('`');
            }
            '`' => cell.push_str("\\`"),
            '|' => cell.push_str("\\|"),
            '<' if !in_code => cell.push_str("&lt;"),
            character if character.is_whitespace() || character.is_control() => cell.push(' '),
            character => cell.push(character),
        }
    }
    cell.trim().to_owned()
}

/// A name in a cell; nothing for an empty one.
pub(super) fn code(name: &str) -> String {
    let name = text(&name.replace('`', "'")).replace("&lt;", "<");
    if name.is_empty() { name } else { format!("`{name}`") }
}

pub(super) fn codes(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| code(name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_says_nothing_is_left_out() {
        let rows = [["a".to_owned(), String::new(), "c".to_owned()], ["d".to_owned(), String::new(), String::new()]];
        let table = Table::new(["x", "y", ""]).rows(rows).to_string();
        assert_eq!(table, "| x |  |\n| --- | --- |\n| a | c |\n| d |  |\n");
    }

    #[test]
    fn a_sentence_cannot_leave_its_cell() {
        assert_eq!(text("a|b\nc <d> `<e>`"), "a\\|b c &lt;d> `<e>`");
        assert_eq!(text("an odd ` one"), "an odd \\` one");
        assert_eq!(code("a`|b\n"), "`a'\\|b`");
        assert_eq!(code(""), "");
    }
}
