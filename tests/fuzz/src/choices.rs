//! Bytes as a row of choices: what a fuzzer changes is what something is made of.

/// Choices that are left. When there are none, every choice is the first.
pub(crate) struct Choices<'b>(pub(crate) &'b [u8]);

impl<'b> Choices<'b> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound.max(1)
    }

    pub(crate) fn word(&mut self) -> u64 {
        // Edges more often than chance would have them.
        match self.below(4) {
            0 => u64::from(self.byte()),
            1 => u64::MAX - u64::from(self.byte()),
            _ => (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte())),
        }
    }

    pub(crate) fn float(&mut self) -> f64 {
        match self.below(4) {
            0 => f64::from(self.byte()),
            _ => f64::from_bits(self.word()),
        }
    }

    pub(crate) fn bytes(&mut self) -> &'b [u8] {
        // Lengths around 127 are where the length of a length changes.
        let length = usize::from(match self.below(8) {
            0 => 120_u8.saturating_add(self.below(16)),
            _ => self.below(12),
        });
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(crate) fn several<T>(&mut self, most: u8, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most)).map(|_| one(self)).collect()
    }

    pub(crate) fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| one(self))
    }
}
