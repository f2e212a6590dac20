//! What Kiln says about itself: logs for people, metrics for dashboards, health for orchestrators, and for
//! whoever answers for security what plugins were denied.
//!
//! The bottom layer. It knows neither plugins nor pipelines; every other crate is handed a typed handle from here and
//! reports through it. Nothing a guest or a server says becomes a label: label values are component ids from the
//! operator's configuration or words written in Kiln's source, so the number of series is bounded by the
//! configuration.

mod activity;
mod denials;
mod health;
mod logs;
pub mod metrics;
mod redaction;
mod reload_door;
mod serve;
mod server;

pub use activity::{Activity, Seen, SeenCall, SeenMessage, SeenRequest};
pub use denials::{DenialRecord, DenialRecorder, Denials, Denied, DeniedCapability, MAX_RECORDS, Subject};
pub use health::{Component, ComponentKind, Health, Status};
pub use logs::{LogError, LogFormat, LogSettings};
pub use metrics::{Descriptor, Metrics, catalogue};
pub use redaction::{MIN_BYTES, Protected, REDACTED, Redaction};
pub use reload_door::{ReloadAnswer, ReloadDoor, ReloadRequests};
pub use serve::serve;
pub use server::{BindError, Server};
