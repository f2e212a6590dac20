//! How much a collection is likely to bring, so that it begins when there is room for that.
//!
//! The most it may bring is known, but to ask for that would let a handful of receivers begin at a time, each of which
//! brings a hundredth of it. So a receiver is expected to bring what it brought. When it brings more that is counted all
//! the same, and the next collection waits for it.

/// What nobody knows anything of yet.
const FIRST: u64 = 1 << 20;
/// Below this it is not worth the arithmetic.
const LEAST: u64 = 64 << 10;

/// The bytes a receiver's next collection is expected to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected(u64);

impl Expected {
    pub(crate) const fn first() -> Self {
        Self(FIRST)
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }

    /// A collection has brought so much. What was much once is forgotten by and by.
    pub(crate) fn learn(&mut self, brought: u64) {
        self.0 = brought.max(self.0 - self.0 / 8).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_brought_is_expected_and_forgotten_by_and_by() {
        let mut expected = Expected::first();
        expected.learn(80 << 20);
        assert_eq!(expected.bytes(), 80 << 20);
        expected.learn(0);
        assert_eq!(expected.bytes(), 70 << 20);
        for _ in 0..100 {
            expected.learn(1);
        }
        assert_eq!(expected.bytes(), LEAST);
        expected.learn(u64::MAX);
        assert_eq!(expected.bytes(), u64::MAX);
    }
}
