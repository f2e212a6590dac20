//! Lines of a page that arrives in pieces.
//!
//! What is kept is the line that is not complete yet, and of it no more than can be a line at all: the rest of one that
//! is longer is passed over.

use kiln_prometheus_text::MAX_LINE_BYTES;

/// What has arrived and is not handed out yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
    /// Whether bytes were left out of the line that is not complete.
    is_overlong: bool,
}

impl Lines {
    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// Whether what was not handed out yet is so long, or holds a whole line.
    pub(crate) fn starts_with_enough(&self, bytes: usize) -> bool {
        self.held.len() >= bytes || self.held.contains(&b'\n')
    }

    /// What was not handed out yet.
    pub(crate) fn start(&self) -> &[u8] {
        &self.held
    }

    /// Hands out every complete line, with its line break.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&str)) {
        let complete = self.held.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in self.held.get(..complete).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            if !core::mem::take(&mut self.is_overlong) {
                take(&String::from_utf8_lossy(line));
            } else {
                take(OVERLONG);
            }
        }
        self.held.drain(..complete);
        if self.held.len() > MAX_LINE_BYTES {
            self.held.clear();
            self.is_overlong = true;
        }
    }

    /// Whether the page ended within a line.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_overlong || !self.held.trim_ascii().is_empty()
    }
}

/// What stands for a line that is too long: no reader takes it for a metric.
const OVERLONG: &str = "!the line is too long";

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece);
            lines.drain(|line| out.push(line.to_owned()));
        }
        (out, lines.is_cut())
    }

    #[test]
    fn a_line_without_an_end_is_not_handed_out() {
        assert_eq!(lines(&[b"a 1\nb", b" 2\nc 3"]), (vec!["a 1\n".to_owned(), "b 2\n".to_owned()], true));
        assert_eq!(lines(&[b"a 1\n", b" \t"]), (vec!["a 1\n".to_owned()], false));
    }

    #[test]
    fn a_line_that_never_ends_is_not_kept() {
        let long = vec![b'x'; MAX_LINE_BYTES + 1];
        let mut held = Lines::default();
        for _ in 0..10 {
            held.push(&long);
            held.drain(|_| {});
            assert!(held.start().len() <= MAX_LINE_BYTES);
        }
        let (out, is_cut) = lines(&[&long, &long, b"\na 1\n"]);
        assert_eq!(out, [OVERLONG, "a 1\n"]);
        assert!(!is_cut);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_lines_are_the_same(
            text in "([a-zé]{0,4}\n){0,6}[a-z]{0,3}",
            cuts in proptest::collection::vec(0..40_usize, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(lines(&pieces), lines(&[bytes]));
        }
    }
}
