//! What a plugin can do to the host that runs it: nothing, and each of these tests tries.
//!
//! The plugins are written as WebAssembly text, because no compiler would let anyone write them. Every one is asked to
//! collect beside a well-behaved one on the same thread, which must go on collecting while the other is at it; every
//! one must come to the class of error, and the counter, that `docs/limits.md` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod component;
mod computing;
mod floods;
mod guest;
mod handing_over;
mod life;
mod memory_image;
mod world;
