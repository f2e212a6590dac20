//! How much a queue may hold, and how hard it holds on to it.

/// Settings of a queue. They may differ from one start to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes after which a new segment is begun; a longer record has one to itself. Disk space is given back by segment.
    pub segment_bytes: u32,
    /// Bytes the directory may take, but for damaged files.
    pub max_bytes: u64,
    /// Records that may wait. Those that are appended together may be more when nothing else waits.
    pub max_records: usize,
    /// What happens to a record for which there is no room.
    pub on_full: OnFull,
    /// When records are safe from a power cut; they are safe from the process's own end at once.
    pub fsync: Fsync,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            max_bytes: 1 << 30,
            max_records: 100_000,
            on_full: OnFull::Block,
            fsync: Fsync::Always,
        }
    }
}

/// What happens to a record for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// It is turned away, for its owner to wait.
    Block,
    /// The oldest segment makes room, whatever waits in it.
    DropOldest,
}

/// When what was written is made to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Records before [`Queue::append`](crate::Queue::append) returns, acknowledgements with the next
    /// [`Queue::sync`](crate::Queue::sync).
    Always,
    /// Both with the next [`Queue::sync`](crate::Queue::sync), which is for the owner to call at intervals.
    Interval,
    /// When the operating system sees fit.
    Never,
}
