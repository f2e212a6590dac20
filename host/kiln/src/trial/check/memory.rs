//! Memory over many collections.

use kiln_trial::Outcome;

use super::{Entries, Suite, Went};

/// The part of the collections after which what grows is not warming up any more.
const WARM: usize = 5;

/// Growth of one collection that is within what an allocator does.
const NEGLIGIBLE: u64 = 64;

impl Suite<'_> {
    /// It collects over and over, within its memory. One whose memory grows is started afresh now and then, which is allowed.
    pub(super) async fn memory(&mut self) {
        const RULES: &[u8] = &[7, 8, 9];
        let count = self.collections;
        if count == 0 {
            self.noted("memory", RULES, Outcome::Skipped, "no collections were asked for");
            return;
        }
        if let Err(error) = self.fresh(Entries::new()).await {
            self.found("memory", RULES, vec![error.to_string()], "");
            return;
        }
        let mut sizes = Vec::new();
        for number in 1..=count {
            let went = self.act().await;
            if let Some(breach) = went.breach() {
                self.found("memory", RULES, vec![format!("in collection {number} of {count}: {breach}")], "");
                return;
            }
            sizes.push(held(&went));
        }
        let warm: &[u64] = sizes.get(count / WARM..).unwrap_or(&sizes);
        // Where it was started afresh memory falls, which is no growth.
        let grown: u64 = warm
            .windows(2)
            .map(|two| two.last().zip(two.first()).map_or(0, |(now, before)| now.saturating_sub(*before)))
            .sum();
        let restarts = warm.windows(2).filter(|two| two.last() < two.first()).count();
        let each = grown / u64::try_from(warm.len()).unwrap_or(1).max(1);
        let (most, limit) = (sizes.iter().copied().max().unwrap_or(0), self.prepared.instance.limits.memory);
        let held = format!("{} KiB at most in {count} collections, of {} KiB it may have", most >> 10, limit >> 10);
        if each <= NEGLIGIBLE {
            self.found("memory", RULES, Vec::new(), held);
        } else {
            let why = format!(
                "{held}; grows by {each} bytes a collection, and was started afresh {restarts} times: what is not in its state \
                 is lost then"
            );
            self.noted("memory", RULES, Outcome::Warned, why);
        }
    }
}

/// Memory after a collection, in bytes.
fn held(went: &Went) -> u64 {
    let calls = went.attempts.iter().flat_map(|attempt| &attempt.seen.calls);
    calls.last().map_or(0, |call| call.memory)
}
