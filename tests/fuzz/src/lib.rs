//! What holds for any bytes an attacker may bring.
//!
//! Each function is one promise about arbitrary bytes, and panics where it does not hold. The fuzzer of `libfuzzer/` and
//! the tests of this crate look for such bytes: one for as long as it is let, the other for seconds with every run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a promise that is broken is a panic"
)]

mod choices;
mod configuration;
mod loader;
mod manifest;
mod origins;
mod records;
mod redaction;

pub use configuration::configuration;
pub use loader::loader;
pub use manifest::manifest;
pub use origins::origins;
pub use records::records;
pub use redaction::redaction;

/// A promise about arbitrary bytes.
pub type Promise = fn(&[u8]);

/// Every promise by the name of its corpus.
pub const PROMISES: [(&str, Promise); 6] = [
    ("loader", loader),
    ("manifest", manifest),
    ("configuration", configuration),
    ("origins", origins),
    ("records", records),
    ("redaction", redaction),
];
