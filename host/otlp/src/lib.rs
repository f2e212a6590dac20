//! OTLP payloads: how they are written, looked at and changed, without ever becoming a tree of objects.
//!
//! A payload stays bytes from the moment a plugin emits it to the moment an exporter sends it. What nobody touches
//! survives byte for byte, unknown fields included. This crate knows neither wasmtime nor tokio.
//!
//! Field numbers are those of opentelemetry-proto 1.x.

mod attribute;
mod batch;
mod edit;
mod encode;
mod join;
mod json;
mod logs;
mod metrics;
mod per_signal;
mod point_body;
mod points;
mod shape;
mod spans;
mod split;
mod view;
mod wire;

pub use attribute::{Attribute, AttributeValue, Attributes, ListItem, MAX_ATTRIBUTES};
pub use batch::{Batch, IN_PLACE, Signal, UnknownSignal};
pub use edit::{Edit, EditError, Edits, GaugeAggregation};
pub use encode::{Amount, Invalid, Scope};
pub use json::{JsonError, Misfit, all_from_json, from_json, to_json};
pub use logs::{LogItems, LogRecord, LogsPayload, Severity};
pub use metrics::{Metric, MetricBody, MetricItems, MetricsPayload, Temporality};
pub use per_signal::PerSignal;
pub use point_body::{Exemplar, PointBody};
pub use points::{
    ExponentialBuckets, ExponentialHistogramPoint, ExponentialHistogramPoints, HistogramPoint, HistogramPoints, Number,
    NumberPoint, NumberPoints, SummaryPoint, SummaryPoints,
};
pub use shape::MetricKind;
pub use spans::{Span, SpanBody, SpanItems, SpanKind, SpanStatus, SpansPayload};
pub use view::{Extent, Level, MAX_VIEW_ITEMS, MetricView, PointView, Sight, View, Views};
pub use wire::Malformed;
