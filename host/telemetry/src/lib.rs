//!
//! The bottom layer. It knows neither plugins nor pipelines; every other crate is handed a typed handle from here and
//! operator's configuration or words written in Kiln's source, so the number of series is bounded by the
//! configuration.

pub mod metrics;

pub use metrics::{Descriptor, Metrics, catalogue};
