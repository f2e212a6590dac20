//! What telemetry on its way may take of the memory there is, and when nothing further is collected.
//!
//! There is one door, at the beginning of a collection: [`Memory::room`]. Two limits keep it shut, what batches take
//! (`service.memory_limit.batches`, counted to the byte) and what the process takes (`service.memory_limit.process`, as the
//! kernel counts). Whoever waits there has nothing in hand that anybody else waits for, and what is past the door is never
//! made to wait for memory again, only counted: so nothing can wait for itself, and what is under way always comes to its
//! end.
//!
//! What is counted is what exists: [`Memory::count`] ties the count to the bytes themselves, and it ends with the last
//! handle to them, wherever that is. A batch in the queues of three exporters is one batch, its compressed copies are three.

mod account;
mod door;
mod guard;
mod system;

pub use account::Held;
pub use door::{Memory, Reservation};
