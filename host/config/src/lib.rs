//! Kiln's configuration: YAML text in, valid values out.
//!
//! Data goes one way. Text becomes a located tree (`document`), references to the environment and to files are replaced
//! in it (`substitution`), small readers turn it into the types below, and everything that is wrong is reported at
//! once ([`Errors`]). The keys of a plugin wait in a [`PluginBody`] until its manifest is known, and become
//! [`PluginSettings`]. A [`Config`] that exists is valid: ids in pipelines are defined, durations and sizes are within
//! their bounds, URLs are final.

mod batching;
mod component_id;
mod config;
mod destination;
mod document;
mod error;
mod exporter;
mod file;
mod grants;
mod instance;
mod limits;
mod loading_limits;
mod memory_limit;
mod otel_environment;
mod otlp_grpc;
mod otlp_http;
mod pipeline;
mod plugin_reference;
mod policy_settings;
mod prometheus;
mod reader;
mod reloading;
mod retry;
mod schema;
mod schema_error;
mod secret;
mod sending_queue;
mod settings;
mod substitution;
mod suggestion;
mod telemetry;
mod tls;
mod units;

pub use batching::Batching;
pub use component_id::{ComponentId, InvalidComponentId};
pub use config::{Config, DEFAULT_SHUTDOWN_TIMEOUT, Examined};
pub use destination::{Compression, Destination, Encoding};
pub use error::{ConfigError, Errors, Location, Warning};
pub use exporter::{Debug, Exporter, ExporterKind, Verbosity};
pub use file::{DEFAULT_BACKUPS, DEFAULT_FILE_BYTES, File};
pub use instance::{
    DEFAULT_COLLECTION_INTERVAL, DEFAULT_INITIAL_DELAY, DEFAULT_PROCESSOR_TIMEOUT, DEFAULT_RECEIVER_TIMEOUT, Instance,
    PluginBody, Role,
};
pub use limits::{
    DEFAULT_CONCURRENCY, DEFAULT_CPU, DEFAULT_EDIT_BYTES, DEFAULT_EDITS, DEFAULT_HOST_CALL_BYTES,
    DEFAULT_HOST_CALL_TOTAL_BYTES, DEFAULT_HTTP_REQUESTS, DEFAULT_HTTP_REQUESTS_PER_SECOND, DEFAULT_HTTP_STREAM_BYTES,
    DEFAULT_LOG_BYTES, DEFAULT_LOG_MESSAGES, DEFAULT_MEMORY, DEFAULT_OUTPUT_BYTES, DEFAULT_OUTPUT_POINTS,
    DEFAULT_QUARANTINE_AFTER, DEFAULT_QUARANTINE_PERIOD, DEFAULT_RESPONSE_BYTES, DEFAULT_STATE_BYTES,
    DEFAULT_STATE_ENTRIES, DEFAULT_STRING_BYTES, Limits,
};
pub use loading_limits::{DEFAULT_CACHE_BYTES, DEFAULT_COMPILE_MEMORY, DEFAULT_COMPILE_TIME, LoadingLimits};
pub use memory_limit::MemoryLimit;
pub use otlp_grpc::{DEFAULT_GRPC_TIMEOUT, OtlpGrpc};
pub use otlp_http::{DEFAULT_TIMEOUT, OtlpHttp};
pub use pipeline::Pipeline;
pub use plugin_reference::{InvalidReference, PluginReference};
pub use policy_settings::PolicySettings;
pub use prometheus::{DEFAULT_MAX_SERIES, DEFAULT_METRIC_EXPIRATION, Prometheus};
pub use reloading::Reloading;
pub use retry::Retry;
pub use secret::Secret;
pub use sending_queue::{DEFAULT_MAX_BYTES, Fsync, OnFull, Queue, Sizer, Storage};
pub use settings::PluginSettings;
pub use telemetry::{DEFAULT_ENDPOINT, LogEncoding, Logs, Telemetry};
pub use tls::{Tls, TlsVersion};
pub use units::{Share, parse_size};
