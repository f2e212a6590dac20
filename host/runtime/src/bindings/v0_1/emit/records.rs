//! The contract's records as cursors into guest memory.
//!
//! The macro's bindings lift whole trees, which is why the types are spelled out here once more; the linker checks them
//! against the component's own.

use wasmtime::component::{ComponentType, Lift, WasmList, WasmStr};

use super::super::receiver::kiln::plugin::telemetry::{Severity, SpanKind, Temporality};

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(in crate::bindings::v0_1) enum AttributeValue {
    #[component(name = "text")]
    Text(WasmStr),
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "bytes")]
    Bytes(WasmList<u8>),
    #[component(name = "text-list")]
    TextList(WasmList<WasmStr>),
    #[component(name = "boolean-list")]
    BooleanList(WasmList<bool>),
    #[component(name = "integer-list")]
    IntegerList(WasmList<i64>),
    #[component(name = "float-list")]
    FloatList(WasmList<f64>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::bindings::v0_1) struct Attribute {
    pub(in crate::bindings::v0_1) key: WasmStr,
    pub(in crate::bindings::v0_1) value: AttributeValue,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Resource {
    pub(super) attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Scope {
    pub(super) name: WasmStr,
    pub(super) version: WasmStr,
    pub(super) attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Number {
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Exemplar {
    pub(super) attributes: WasmList<Attribute>,
    pub(super) time: u64,
    pub(super) value: Number,
    #[component(name = "trace-id")]
    pub(super) trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    pub(super) span_id: WasmList<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct NumberPoint {
    pub(super) attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    pub(super) start_time: u64,
    pub(super) time: u64,
    pub(super) value: Option<Number>,
    pub(super) exemplars: WasmList<Exemplar>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct HistogramPoint {
    pub(super) attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    pub(super) start_time: u64,
    pub(super) time: u64,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) bounds: WasmList<f64>,
    #[component(name = "bucket-counts")]
    pub(super) bucket_counts: WasmList<u64>,
    pub(super) exemplars: WasmList<Exemplar>,
    #[component(name = "no-recorded-value")]
    pub(super) no_recorded_value: bool,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ExponentialBuckets {
    pub(super) offset: i32,
    pub(super) counts: WasmList<u64>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ExponentialHistogramPoint {
    pub(super) attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    pub(super) start_time: u64,
    pub(super) time: u64,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) scale: i32,
    #[component(name = "zero-count")]
    pub(super) zero_count: u64,
    #[component(name = "zero-threshold")]
    pub(super) zero_threshold: f64,
    pub(super) positive: ExponentialBuckets,
    pub(super) negative: ExponentialBuckets,
    pub(super) exemplars: WasmList<Exemplar>,
    #[component(name = "no-recorded-value")]
    pub(super) no_recorded_value: bool,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Quantile {
    pub(super) quantile: f64,
    pub(super) value: f64,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct SummaryPoint {
    pub(super) attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    pub(super) start_time: u64,
    pub(super) time: u64,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) quantiles: WasmList<Quantile>,
    #[component(name = "no-recorded-value")]
    pub(super) no_recorded_value: bool,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Sum {
    pub(super) temporality: Temporality,
    pub(super) monotonic: bool,
    pub(super) points: WasmList<NumberPoint>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Histogram {
    pub(super) temporality: Temporality,
    pub(super) points: WasmList<HistogramPoint>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ExponentialHistogram {
    pub(super) temporality: Temporality,
    pub(super) points: WasmList<ExponentialHistogramPoint>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum MetricData {
    #[component(name = "gauge")]
    Gauge(WasmList<NumberPoint>),
    #[component(name = "sum")]
    Sum(Sum),
    #[component(name = "histogram")]
    Histogram(Histogram),
    #[component(name = "exponential-histogram")]
    ExponentialHistogram(ExponentialHistogram),
    #[component(name = "summary")]
    Summary(WasmList<SummaryPoint>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Metric {
    pub(super) name: WasmStr,
    pub(super) description: WasmStr,
    pub(super) unit: WasmStr,
    pub(super) metadata: WasmList<Attribute>,
    pub(super) data: MetricData,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ResourceMetrics {
    pub(super) resource: Resource,
    pub(super) scope: Scope,
    pub(super) metrics: WasmList<Metric>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum SpanStatus {
    #[component(name = "unset")]
    Unset,
    #[component(name = "ok")]
    Ok,
    #[component(name = "error")]
    Error(WasmStr),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct SpanEvent {
    pub(super) name: WasmStr,
    pub(super) time: u64,
    pub(super) attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct SpanLink {
    #[component(name = "trace-id")]
    pub(super) trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    pub(super) span_id: WasmList<u8>,
    pub(super) attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Span {
    #[component(name = "trace-id")]
    pub(super) trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    pub(super) span_id: WasmList<u8>,
    #[component(name = "parent-span-id")]
    pub(super) parent_span_id: WasmList<u8>,
    pub(super) name: WasmStr,
    pub(super) kind: SpanKind,
    #[component(name = "start-time")]
    pub(super) start_time: u64,
    #[component(name = "end-time")]
    pub(super) end_time: u64,
    pub(super) attributes: WasmList<Attribute>,
    pub(super) events: WasmList<SpanEvent>,
    pub(super) links: WasmList<SpanLink>,
    pub(super) status: SpanStatus,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ResourceSpans {
    pub(super) resource: Resource,
    pub(super) scope: Scope,
    pub(super) spans: WasmList<Span>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct LogRecord {
    pub(super) time: u64,
    #[component(name = "observed-time")]
    pub(super) observed_time: u64,
    pub(super) severity: Severity,
    #[component(name = "severity-text")]
    pub(super) severity_text: WasmStr,
    #[component(name = "event-name")]
    pub(super) event_name: WasmStr,
    pub(super) body: AttributeValue,
    pub(super) attributes: WasmList<Attribute>,
    #[component(name = "trace-id")]
    pub(super) trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    pub(super) span_id: WasmList<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct ResourceLogs {
    pub(super) resource: Resource,
    pub(super) scope: Scope,
    pub(super) records: WasmList<LogRecord>,
}
