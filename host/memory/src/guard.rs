//! When the process has as much as it may have, and when it has little enough again.

/// Of the limit, what the process has to fall below before collections go on: else it would be shut and opened all the
/// time.
const RESUME_PERCENT: u64 = 95;

/// Shut at the limit, open again below it.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    is_shut: bool,
}

impl Guard {
    /// Whether a collection may begin, now that the process takes `used` of at most `limit` bytes.
    pub(crate) fn lets_in(&mut self, used: u64, limit: u64) -> bool {
        let bound = if self.is_shut { limit / 100 * RESUME_PERCENT } else { limit };
        self.is_shut = used >= bound;
        !self.is_shut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shut_at_the_limit_opens_well_below_it() {
        let mut guard = Guard::default();
        let seen: Vec<_> = [999, 1000, 999, 951, 950, 949, 999, 1000].map(|used| guard.lets_in(used, 1000)).to_vec();
        assert_eq!(seen, [true, false, false, false, false, true, true, false]);
    }
}
