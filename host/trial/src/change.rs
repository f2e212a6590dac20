//! What a processor made of a batch: rows that went, and rows that came.
//!
//! Rows are compared as they are shown. One that was only moved has not changed.

use std::collections::HashMap;

use crate::emission::{Emission, Row};
use crate::table::{shown, table};

/// The rows by which a batch differs from what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Rows that are there no more, in the order of the batch.
    pub gone: Vec<Row>,
    /// Rows that were not there before, in the order of the new batch.
    pub come: Vec<Row>,
    /// How many are the same.
    pub same: usize,
    header: &'static [&'static str],
}

/// Compares a batch with what became of it; `None` if nothing of it is left.
#[must_use]
pub fn change(before: &Emission, after: Option<&Emission>) -> Changes {
    let after: &[Row] = after.map(|after| after.rows.as_slice()).unwrap_or_default();
    let mut left: HashMap<&Row, usize> = HashMap::new();
    for row in after {
        *left.entry(row).or_default() += 1;
    }
    let mut take = |row: &Row| match left.get_mut(row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    let gone: Vec<Row> = before.rows.iter().filter(|row| !take(row)).cloned().collect();
    let mut new = left;
    let mut come: Vec<Row> = Vec::new();
    // The last ones of several alike are the new ones, which nobody can tell anyway.
    for row in after.iter().rev() {
        if let Some(count) = new.get_mut(row).filter(|count| **count > 0) {
            *count -= 1;
            come.push(row.clone());
        }
    }
    come.reverse();
    let same = before.rows.len() - gone.len();
    Changes { gone, come, same, header: Emission::header(before.signal) }
}

impl Changes {
    /// Whether nothing is different.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty()
    }

    /// The first `most` rows that went, marked `-`, and that came, marked `+`, below where they are from.
    #[must_use]
    pub fn to_text(&self, most: usize) -> String {
        let mut text = format!("{} the same, {} gone, {} new\n", self.same, self.gone.len(), self.come.len());
        let marked = |rows: &[Row], mark: &'static str| {
            rows.iter().take(most).map(|row| (row.origin.clone(), mark, row.cells.clone())).collect::<Vec<_>>()
        };
        let mut rows = marked(&self.gone, "-");
        rows.extend(marked(&self.come, "+"));
        // What went and what came in its place stand together: same name first, then where it is from.
        rows.sort_by(|one, other| {
            let key = |row: &(String, &'static str, Vec<String>)| (row.2.first().cloned(), row.1 == "+");
            key(one).cmp(&key(other))
        });
        for group in rows.chunk_by(|one, next| one.0 == next.0) {
            let origin = group.first().map(|row| row.0.as_str()).unwrap_or_default();
            let cells: Vec<Vec<String>> = group
                .iter()
                .map(|(_, mark, cells)| std::iter::once((*mark).to_owned()).chain(cells.iter().cloned()).collect())
                .collect();
            let header: Vec<&str> = std::iter::once("").chain(self.header.iter().copied()).collect();
            text += &format!("\nfrom {}\n{}", shown(origin), table(&header, &cells));
        }
        let left = self.gone.len().saturating_sub(most) + self.come.len().saturating_sub(most);
        if left > 0 {
            text += &format!("  … and {left} more; `--rows {}` shows them\n", self.gone.len().max(self.come.len()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use kiln_otlp::Signal;
    use proptest::prelude::*;

    use super::*;

    fn emission(names: &[u8]) -> Emission {
        let row = |name: &u8| Row { origin: "o".to_owned(), cells: vec![name.to_string()] };
        Emission { signal: Signal::Logs, rows: names.iter().map(row).collect() }
    }

    #[test]
    fn what_is_gone_and_what_is_new_stand_together() {
        let changes = change(&emission(&[1, 2, 3, 3]), Some(&emission(&[3, 1, 4])));
        assert_eq!((changes.gone.len(), changes.come.len(), changes.same), (2, 1, 2));
        assert_eq!(
            changes.to_text(9),
            "2 the same, 2 gone, 1 new\n\nfrom o\n     SEVERITY  EVENT  BODY  ATTRIBUTES\n  -  2\n  -  3\n  +  4\n"
        );
        assert!(change(&emission(&[1]), Some(&emission(&[1]))).is_empty());
        assert_eq!(change(&emission(&[1]), None).gone.len(), 1);
    }

    proptest! {
        /// Taking away what went and adding what came makes one of the other.
        #[test]
        fn changes_lead_from_one_to_the_other(
            before in proptest::collection::vec(0_u8..5, 0..20), after in proptest::collection::vec(0_u8..5, 0..20)
        ) {
            let (before, after) = (emission(&before), emission(&after));
            let changes = change(&before, Some(&after));
            prop_assert_eq!(changes.same + changes.gone.len(), before.rows.len());
            prop_assert_eq!(changes.same + changes.come.len(), after.rows.len());
            let mut made = before.rows;
            for row in &changes.gone {
                let at = made.iter().position(|it| it == row);
                prop_assert!(at.is_some());
                at.map(|at| made.remove(at));
            }
            made.extend(changes.come);
            let mut wanted = after.rows;
            made.sort();
            wanted.sort();
            prop_assert_eq!(made, wanted);
        }
    }
}
