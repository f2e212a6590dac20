//! How many bytes there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kiln_telemetry::metrics::MemoryMetrics;
use tokio::sync::Notify;

/// The sum of what is held.
#[derive(Debug)]
pub(crate) struct Account {
    held: AtomicU64,
    /// Something was let go.
    pub(crate) room: Notify,
    metrics: MemoryMetrics,
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub struct Held {
    account: Arc<Account>,
    bytes: u64,
}

/// Bytes and their count, which end together.
struct Counted {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Account {
    pub(crate) fn new(metrics: MemoryMetrics) -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0), room: Notify::new(), metrics })
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }

    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Held {
        self.held.fetch_add(bytes, Ordering::AcqRel);
        self.metrics.held(bytes);
        Held { account: Arc::clone(self), bytes }
    }

    /// Holds so many more if together they are no more than `limit`, or if nothing is held.
    pub(crate) fn try_hold(self: &Arc<Self>, bytes: u64, limit: u64) -> Option<Held> {
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| held == 0 || *sum <= limit);
        self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).ok()?;
        self.metrics.held(bytes);
        Some(Held { account: Arc::clone(self), bytes })
    }

    pub(crate) fn count(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let held = self.hold(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Bytes::from_owner(Counted { bytes, _held: held })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.account.metrics.let_go(self.bytes);
        self.account.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use kiln_telemetry::Metrics;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_counted_is_what_is_there(
            sizes in prop::collection::vec(0_usize..100, 1..20),
            dropped in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let account = Account::new(Metrics::new("").memory());
            let mut there: Vec<Bytes> = Vec::new();
            for size in &sizes {
                let bytes = account.count(Bytes::from(vec![0; *size]));
                // As exporters share a batch, and as a reader looks at a part of it.
                there.extend([bytes.clone(), bytes.slice(size / 2..)]);
            }
            let total: usize = sizes.iter().sum();
            prop_assert_eq!(account.held(), total as u64);
            for index in dropped {
                if !there.is_empty() {
                    there.swap_remove(index.index(there.len()));
                }
            }
            prop_assert!(account.held() <= total as u64);
            drop(there);
            prop_assert_eq!(account.held(), 0);
        }
    }

    #[test]
    fn what_does_not_fit_passes_alone() {
        let account = Account::new(Metrics::new("").memory());
        let large = account.try_hold(100, 10);
        assert!(large.is_some());
        assert!(account.try_hold(1, 10).is_none());
        drop(large);
        let small = account.try_hold(6, 10);
        assert!(small.is_some() && account.try_hold(5, 10).is_none() && account.try_hold(4, 10).is_some());
        assert!(account.try_hold(u64::MAX, u64::MAX).is_none());
    }
}
