//! One plugin by itself, for its author: the file as it lies there, one instance of it, and nothing that outlives the
//! process but what the compiler has made.
//!
//! There is no second way to run a plugin. The file passes the same checks, the instance is prepared and started by what
//! prepares and starts those of a running Kiln, and what it asks goes through its door. What is left out is what comes
//! afterwards: queues, exporters, checkpoints on disk.

mod bench;
mod check;
mod source;

pub(crate) use self::bench::Bench;
pub(crate) use self::check::{Suite, read_answers, samples};
pub(crate) use self::source::{Settings, Source, Tried, is_processor};
