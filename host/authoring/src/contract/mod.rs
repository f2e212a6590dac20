//! The contract as others depend on it: every name of it on a line, and a page for people.
//!
//! Both are made from what the WIT means once it is parsed, so that they cannot say anything else.

mod names;
mod page;
mod surface;

pub use page::page;
pub use surface::{Incompatible, Surface};
