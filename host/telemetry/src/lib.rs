//!
//! The bottom layer. It knows neither plugins nor pipelines; every other crate is handed a typed handle from here and
//! reports through it. Nothing a guest or a server says becomes a label: label values are component ids from the
//! operator's configuration or words written in Kiln's source, so the number of series is bounded by the
//! configuration.

mod health;
pub mod metrics;
mod server;

pub use health::{Component, ComponentKind, Health, Status};
pub use metrics::{Descriptor, Metrics, catalogue};
pub use server::{BindError, Server};
