//! Columns of text.

use kiln_policy::Visible;

/// A longer cell is cut, in characters: one long value must not push all others off the screen.
const MAX_CELL: usize = 160;

/// Lines with the cells of each row below one another, each line indented; the last column is as wide as it is. Empty if
/// there are no rows. Cells beyond those of the header are left out.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let all = || std::iter::once(&header).chain(&rows);
    let widths: Vec<usize> = (0..header.len())
        .map(|column| all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in all() {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str("  ");
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// What can be seen of a cell, cut to length.
pub(crate) fn shown(cell: &str) -> String {
    let visible = Visible(cell).to_string();
    if visible.chars().count() <= MAX_CELL {
        return visible;
    }
    let cut: String = visible.chars().take(MAX_CELL - 1).collect();
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_one_another_and_show_what_hides() {
        let rows = [vec!["a".to_owned(), "größe".to_owned(), "x".to_owned()], vec!["b\x1b[2J".to_owned()]];
        assert_eq!(
            table(&["ONE", "TWO", "THREE"], &rows),
            "  ONE         TWO    THREE\n  a           größe  x\n  b\\u{1b}[2J\n"
        );
        assert_eq!(table(&["ONE"], &[]), "");
    }

    #[test]
    fn a_long_cell_is_cut() {
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), MAX_CELL);
        assert_eq!(shown("short"), "short");
    }
}
