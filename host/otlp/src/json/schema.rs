//! What the fields of OTLP's messages are called in JSON, and how each is written.
//!
//! Names are those of opentelemetry-proto 1.x in lower camel case, in the order of that file. What is not listed here
//! cannot be written, because JSON has names where protobuf has numbers.

/// One kind of message: its fields, in the order they are written.
pub(super) struct Message(pub(super) &'static [Field]);

/// A field of a message.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_repeated: bool,
    /// Whether it is written even if it is empty, since some readers want to see it.
    pub(super) is_always: bool,
}

/// How the value of a field is written.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Boolean,
    /// 32 bits or an enumeration: a number.
    Small,
    /// 32 bits, zigzag: a number.
    Signed,
    /// 32 bits, always four bytes: a number.
    Fixed32,
    /// 64 bits: text, since JSON's numbers are doubles to many.
    Unsigned64,
    /// 64 bits, signed: text.
    Signed64,
    /// Always eight bytes: text.
    Fixed64,
    /// Always eight bytes, signed: text.
    SignedFixed64,
    Double,
    /// An id, which OTLP writes in hexadecimal.
    Id,
    /// Other bytes, in base64.
    Bytes,
    Message(&'static Message),
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_repeated: false, is_always: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_repeated: true, is_always: false }
}

const fn always(field: Field) -> Field {
    Field { is_always: true, ..field }
}

use Kind::{
    Boolean, Bytes, Double, Fixed32, Fixed64, Id, Message as Of, Signed, Signed64, SignedFixed64, Small, Text,
    Unsigned64,
};

static ANY_VALUE: Message = Message(&[
    one(1, "stringValue", Text),
    one(2, "boolValue", Boolean),
    one(3, "intValue", Signed64),
    one(4, "doubleValue", Double),
    one(5, "arrayValue", Of(&ARRAY)),
    one(6, "kvlistValue", Of(&LIST)),
    one(7, "bytesValue", Bytes),
    one(8, "stringValueStrindex", Small),
]);
static ARRAY: Message = Message(&[always(many(1, "values", Of(&ANY_VALUE)))]);
static LIST: Message = Message(&[always(many(1, "values", Of(&KEY_VALUE)))]);
static KEY_VALUE: Message =
    Message(&[always(one(1, "key", Text)), one(2, "value", Of(&ANY_VALUE)), one(3, "keyStrindex", Small)]);
static SCOPE: Message = Message(&[
    one(1, "name", Text),
    one(2, "version", Text),
    many(3, "attributes", Of(&KEY_VALUE)),
    one(4, "droppedAttributesCount", Small),
]);
static ENTITY: Message = Message(&[
    one(1, "schemaUrl", Text),
    one(2, "type", Text),
    many(3, "idKeys", Text),
    many(4, "descriptionKeys", Text),
]);
static RESOURCE: Message = Message(&[
    many(1, "attributes", Of(&KEY_VALUE)),
    one(2, "droppedAttributesCount", Small),
    many(3, "entityRefs", Of(&ENTITY)),
]);

/// `ExportMetricsServiceRequest`.
pub(super) static METRICS: Message = Message(&[many(1, "resourceMetrics", Of(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = Message(&[
    one(1, "resource", Of(&RESOURCE)),
    many(2, "scopeMetrics", Of(&SCOPE_METRICS)),
    one(3, "schemaUrl", Text),
]);
static SCOPE_METRICS: Message =
    Message(&[one(1, "scope", Of(&SCOPE)), many(2, "metrics", Of(&METRIC)), one(3, "schemaUrl", Text)]);
static METRIC: Message = Message(&[
    one(1, "name", Text),
    one(2, "description", Text),
    one(3, "unit", Text),
    one(5, "gauge", Of(&GAUGE)),
    one(7, "sum", Of(&SUM)),
    one(9, "histogram", Of(&HISTOGRAM)),
    one(10, "exponentialHistogram", Of(&EXPONENTIAL_HISTOGRAM)),
    one(11, "summary", Of(&SUMMARY)),
    many(12, "metadata", Of(&KEY_VALUE)),
]);
static GAUGE: Message = Message(&[many(1, "dataPoints", Of(&NUMBER_POINT))]);
static SUM: Message = Message(&[
    many(1, "dataPoints", Of(&NUMBER_POINT)),
    one(2, "aggregationTemporality", Small),
    one(3, "isMonotonic", Boolean),
]);
static HISTOGRAM: Message =
    Message(&[many(1, "dataPoints", Of(&HISTOGRAM_POINT)), one(2, "aggregationTemporality", Small)]);
static EXPONENTIAL_HISTOGRAM: Message =
    Message(&[many(1, "dataPoints", Of(&EXPONENTIAL_POINT)), one(2, "aggregationTemporality", Small)]);
static SUMMARY: Message = Message(&[many(1, "dataPoints", Of(&SUMMARY_POINT))]);
static NUMBER_POINT: Message = Message(&[
    many(7, "attributes", Of(&KEY_VALUE)),
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "asDouble", Double),
    one(6, "asInt", SignedFixed64),
    many(5, "exemplars", Of(&EXEMPLAR)),
    one(8, "flags", Small),
]);
static HISTOGRAM_POINT: Message = Message(&[
    many(9, "attributes", Of(&KEY_VALUE)),
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    many(6, "bucketCounts", Fixed64),
    many(7, "explicitBounds", Double),
    many(8, "exemplars", Of(&EXEMPLAR)),
    one(10, "flags", Small),
    one(11, "min", Double),
    one(12, "max", Double),
]);
static EXPONENTIAL_POINT: Message = Message(&[
    many(1, "attributes", Of(&KEY_VALUE)),
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    one(6, "scale", Signed),
    one(7, "zeroCount", Fixed64),
    one(8, "positive", Of(&BUCKETS)),
    one(9, "negative", Of(&BUCKETS)),
    one(10, "flags", Small),
    many(11, "exemplars", Of(&EXEMPLAR)),
    one(12, "min", Double),
    one(13, "max", Double),
    one(14, "zeroThreshold", Double),
]);
static BUCKETS: Message = Message(&[one(1, "offset", Signed), many(2, "bucketCounts", Unsigned64)]);
static SUMMARY_POINT: Message = Message(&[
    many(7, "attributes", Of(&KEY_VALUE)),
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    many(6, "quantileValues", Of(&QUANTILE)),
    one(8, "flags", Small),
]);
static QUANTILE: Message = Message(&[one(1, "quantile", Double), one(2, "value", Double)]);
static EXEMPLAR: Message = Message(&[
    many(7, "filteredAttributes", Of(&KEY_VALUE)),
    one(2, "timeUnixNano", Fixed64),
    one(3, "asDouble", Double),
    one(6, "asInt", SignedFixed64),
    one(4, "spanId", Id),
    one(5, "traceId", Id),
]);

/// `ExportTraceServiceRequest`.
pub(super) static TRACES: Message = Message(&[many(1, "resourceSpans", Of(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message =
    Message(&[one(1, "resource", Of(&RESOURCE)), many(2, "scopeSpans", Of(&SCOPE_SPANS)), one(3, "schemaUrl", Text)]);
static SCOPE_SPANS: Message =
    Message(&[one(1, "scope", Of(&SCOPE)), many(2, "spans", Of(&SPAN)), one(3, "schemaUrl", Text)]);
static SPAN: Message = Message(&[
    one(1, "traceId", Id),
    one(2, "spanId", Id),
    one(3, "traceState", Text),
    one(4, "parentSpanId", Id),
    one(16, "flags", Fixed32),
    one(5, "name", Text),
    one(6, "kind", Small),
    one(7, "startTimeUnixNano", Fixed64),
    one(8, "endTimeUnixNano", Fixed64),
    many(9, "attributes", Of(&KEY_VALUE)),
    one(10, "droppedAttributesCount", Small),
    many(11, "events", Of(&EVENT)),
    one(12, "droppedEventsCount", Small),
    many(13, "links", Of(&LINK)),
    one(14, "droppedLinksCount", Small),
    one(15, "status", Of(&STATUS)),
]);
static EVENT: Message = Message(&[
    one(1, "timeUnixNano", Fixed64),
    one(2, "name", Text),
    many(3, "attributes", Of(&KEY_VALUE)),
    one(4, "droppedAttributesCount", Small),
]);
static LINK: Message = Message(&[
    one(1, "traceId", Id),
    one(2, "spanId", Id),
    one(3, "traceState", Text),
    many(4, "attributes", Of(&KEY_VALUE)),
    one(5, "droppedAttributesCount", Small),
    one(6, "flags", Fixed32),
]);
static STATUS: Message = Message(&[one(2, "message", Text), one(3, "code", Small)]);

/// `ExportLogsServiceRequest`.
pub(super) static LOGS: Message = Message(&[many(1, "resourceLogs", Of(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message =
    Message(&[one(1, "resource", Of(&RESOURCE)), many(2, "scopeLogs", Of(&SCOPE_LOGS)), one(3, "schemaUrl", Text)]);
static SCOPE_LOGS: Message =
    Message(&[one(1, "scope", Of(&SCOPE)), many(2, "logRecords", Of(&LOG_RECORD)), one(3, "schemaUrl", Text)]);
static LOG_RECORD: Message = Message(&[
    one(1, "timeUnixNano", Fixed64),
    one(11, "observedTimeUnixNano", Fixed64),
    one(2, "severityNumber", Small),
    one(3, "severityText", Text),
    one(5, "body", Of(&ANY_VALUE)),
    many(6, "attributes", Of(&KEY_VALUE)),
    one(7, "droppedAttributesCount", Small),
    one(8, "flags", Fixed32),
    one(9, "traceId", Id),
    one(10, "spanId", Id),
    one(12, "eventName", Text),
]);
