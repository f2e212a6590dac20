//! From schedule to queue: when a receiver collects, what processors change, and when a checkpoint holds.
//!
//! One collection is one unit. All its batches pass their processors, then all of them enter the queues of their
//! exporters, then its checkpoint is committed, then queues on disk let them go. Whatever fails before the checkpoint
//! fails the unit: nothing is committed, what is on disk is taken back, and the next collection reads the same again. A full
//! queue makes the receiver wait, and so does memory that is short, before it collects; nothing is dropped. What a receiver collects with and where that goes is a [`Route`], which
//! changes between two collections and never within one.

mod delivery;
mod expected;
mod pipeline;
mod processor;
mod route;
mod schedule;
mod source;

pub use pipeline::Pipeline;
pub use processor::{Processor, ProcessorError, ProcessorSpec};
pub use route::{Hold, Order, Released, Route};
pub use schedule::Schedule;
pub use source::Source;
