//! How much a plugin has handed over to the host.
//!
//! A list in a plugin's memory may point at the same megabyte a hundred thousand times, so what the host reads is not
//! bounded by what the plugin holds. wasmtime bounds what it lifts by itself, for each call of a host function
//! (`Store::set_hostcall_fuel`); what the host walks through lazily is lifted piece by piece, each with fuel of its
//! own, and has to be counted here. So has the sum over all calls.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::breach::Breach;

/// What reading one item of a list counts for, beside the texts in it: about what its record takes in guest memory.
/// An item always counts, or lists of nothing nested in one another would keep the host busy for free.
pub(crate) const ITEM_BYTES: usize = 32;

/// Counts bytes read from one plugin's memory.
#[derive(Debug)]
pub(crate) struct HostCalls {
    limit: usize,
    total_limit: usize,
    // Counted while texts are borrowed from the store, by one thread at a time.
    read: AtomicUsize,
    total: AtomicUsize,
}

impl HostCalls {
    /// Limits in bytes, for one host call and for all host calls within one call of the plugin.
    pub(crate) const fn new(limit: usize, total_limit: usize) -> Self {
        Self { limit, total_limit, read: AtomicUsize::new(0), total: AtomicUsize::new(0) }
    }

    /// What one host call may hand over.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// A call of the plugin begins.
    pub(crate) fn begin(&self) {
        self.read.store(0, Relaxed);
        self.total.store(0, Relaxed);
    }

    /// The plugin calls the host.
    pub(crate) fn next(&self) {
        self.read.store(0, Relaxed);
    }

    /// Counts what is read.
    ///
    /// # Errors
    /// It is more than the plugin may hand over, which must stop it.
    pub(crate) fn read(&self, bytes: usize) -> Result<(), Breach> {
        let read = self.read.load(Relaxed).saturating_add(bytes);
        let total = self.total.load(Relaxed).saturating_add(bytes);
        self.read.store(read, Relaxed);
        self.total.store(total, Relaxed);
        if read > self.limit {
            return Err(Breach::HostCallBytes(self.limit));
        }
        if total > self.total_limit {
            return Err(Breach::HostCallTotalBytes(self.total_limit));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_call_and_all_of_them_have_their_limit() {
        let calls = HostCalls::new(10, 25);
        calls.begin();
        for _ in 0..2 {
            calls.next();
            assert_eq!(calls.read(4).and_then(|()| calls.read(6)), Ok(()));
        }
        assert_eq!(calls.read(1), Err(Breach::HostCallBytes(10)));
        calls.begin();
        for _ in 0..2 {
            calls.next();
            assert_eq!(calls.read(10), Ok(()));
        }
        calls.next();
        assert_eq!(calls.read(6), Err(Breach::HostCallTotalBytes(25)));
        assert_eq!(calls.read(usize::MAX), Err(Breach::HostCallBytes(10)), "and does not overflow");
    }
}
