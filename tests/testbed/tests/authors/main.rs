//! What an author tries a plugin with: `kiln plugin dev` and `kiln plugin check`, the real binary on real plugins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod check;
mod command;
mod dev;
