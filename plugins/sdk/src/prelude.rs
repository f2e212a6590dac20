//! What every module has of `std` without asking, for plugins that do without it.
//!
//! The feature `std` is on unless a plugin turns it off. One that does begins with
//!
//! ```
//! #![cfg_attr(target_arch = "wasm32", no_std)]
//!
//! use kiln_plugin::prelude::*;
//! # fn main() {}
//! ```
//!
//! and takes `serde` and whatever else it depends on without their `std`. It is to be `Send`, and what it can do with the
//! host is the same but for files and the reader of bodies. It is small for three reasons: a panic formats no message, which `std` has nowhere to
//! write on this target either; JSON is read by [`json`](crate::json)'s own reader; and memory comes from an allocator of 1 KB.

pub use alloc::borrow::ToOwned;
pub use alloc::boxed::Box;
pub use alloc::format;
pub use alloc::string::{String, ToString};
pub use alloc::vec;
pub use alloc::vec::Vec;
