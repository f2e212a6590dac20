//! `emit`: records in the plugin's memory become OTLP in one pass.
//!
//! Arguments of an import stay where they are for the length of the call, so nothing is lifted before it is written:
//! lists and strings are cursors into guest memory. The macro's bindings lift whole trees, which is why the types are
//! spelled out here once more; the linker checks them against the component's own.

use std::borrow::Cow;

use kiln_otlp as otlp;
use kiln_otlp::{Attributes, Invalid, ListItem};
use wasmtime::component::{ComponentType, Lift, Linker, WasmList, WasmStr};
use wasmtime::{AsContext as _, StoreContextMut};

use super::receiver::kiln::plugin::emit::EmitError;
use super::receiver::kiln::plugin::telemetry::{Severity, SpanKind, Temporality};
use crate::store_data::{StoreData, unix_nanos};

type Store<'s> = StoreContextMut<'s, StoreData>;

#[derive(ComponentType, Lift)]
#[component(variant)]
enum AttributeValue {
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
struct Attribute {
    key: WasmStr,
    value: AttributeValue,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Resource {
    attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Scope {
    name: WasmStr,
    version: WasmStr,
    attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
enum Number {
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct NumberPoint {
    attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    start_time: u64,
    time: u64,
    value: Option<Number>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct HistogramPoint {
    attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    start_time: u64,
    time: u64,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    bounds: WasmList<f64>,
    #[component(name = "bucket-counts")]
    bucket_counts: WasmList<u64>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Quantile {
    quantile: f64,
    value: f64,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct SummaryPoint {
    attributes: WasmList<Attribute>,
    #[component(name = "start-time")]
    start_time: u64,
    time: u64,
    count: u64,
    sum: f64,
    quantiles: WasmList<Quantile>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Sum {
    temporality: Temporality,
    monotonic: bool,
    points: WasmList<NumberPoint>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Histogram {
    temporality: Temporality,
    points: WasmList<HistogramPoint>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
enum MetricData {
    #[component(name = "gauge")]
    Gauge(WasmList<NumberPoint>),
    #[component(name = "sum")]
    Sum(Sum),
    #[component(name = "histogram")]
    Histogram(Histogram),
    #[component(name = "summary")]
    Summary(WasmList<SummaryPoint>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Metric {
    name: WasmStr,
    description: WasmStr,
    unit: WasmStr,
    metadata: WasmList<Attribute>,
    data: MetricData,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct ResourceMetrics {
    resource: Resource,
    scope: Scope,
    metrics: WasmList<Metric>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
enum SpanStatus {
    #[component(name = "unset")]
    Unset,
    #[component(name = "ok")]
    Ok,
    #[component(name = "error")]
    Error(WasmStr),
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct SpanEvent {
    name: WasmStr,
    time: u64,
    attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct SpanLink {
    #[component(name = "trace-id")]
    trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    span_id: WasmList<u8>,
    attributes: WasmList<Attribute>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Span {
    #[component(name = "trace-id")]
    trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    span_id: WasmList<u8>,
    #[component(name = "parent-span-id")]
    parent_span_id: WasmList<u8>,
    name: WasmStr,
    kind: SpanKind,
    #[component(name = "start-time")]
    start_time: u64,
    #[component(name = "end-time")]
    end_time: u64,
    attributes: WasmList<Attribute>,
    events: WasmList<SpanEvent>,
    links: WasmList<SpanLink>,
    status: SpanStatus,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct ResourceSpans {
    resource: Resource,
    scope: Scope,
    spans: WasmList<Span>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct LogRecord {
    time: u64,
    #[component(name = "observed-time")]
    observed_time: u64,
    severity: Severity,
    #[component(name = "severity-text")]
    severity_text: WasmStr,
    #[component(name = "event-name")]
    event_name: WasmStr,
    body: AttributeValue,
    attributes: WasmList<Attribute>,
    #[component(name = "trace-id")]
    trace_id: WasmList<u8>,
    #[component(name = "span-id")]
    span_id: WasmList<u8>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct ResourceLogs {
    resource: Resource,
    scope: Scope,
    records: WasmList<LogRecord>,
}

/// Why a call fails: the telemetry is wrong, which the plugin is told, or its memory is, which traps.
enum Failure {
    Invalid(Invalid),
    Undeclared(String),
    Trap(wasmtime::Error),
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// Adds the interface to the linker.
pub(super) fn link(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    let mut emit = linker.instance("kiln:plugin/emit@0.1.0")?;
    emit.func_wrap("metrics", |store, (batch,): (WasmList<ResourceMetrics>,)| {
        answer(store, |store| metrics(store, &batch))
    })?;
    emit.func_wrap("spans", |store, (batch,): (WasmList<ResourceSpans>,)| answer(store, |store| spans(store, &batch)))?;
    emit.func_wrap("logs", |store, (batch,): (WasmList<ResourceLogs>,)| answer(store, |store| logs(store, &batch)))
}

type Answer = (Result<(), EmitError>,);

fn answer(
    mut store: Store<'_>,
    write: impl FnOnce(&mut Store<'_>) -> Result<Option<otlp::Batch>, Failure>,
) -> wasmtime::Result<Answer> {
    let error = match write(&mut store) {
        Ok(batch) => {
            store.data_mut().emitted.push(batch);
            return Ok((Ok(()),));
        }
        Err(Failure::Trap(error)) => return Err(error),
        Err(Failure::Undeclared(text)) => EmitError::Invalid(text),
        Err(Failure::Invalid(invalid)) if invalid.is_limit() => {
            let limit = if matches!(invalid, Invalid::TooManyBytes(_)) { "output_bytes" } else { "output_points" };
            store.data().metrics.limit_hit(limit);
            EmitError::Limit(invalid.to_string())
        }
        Err(Failure::Invalid(invalid)) => EmitError::Invalid(invalid.to_string()),
    };
    Ok((Err(error),))
}

fn metrics(store: &mut Store<'_>, batch: &WasmList<ResourceMetrics>) -> Result<Option<otlp::Batch>, Failure> {
    let emitted = &store.data().emitted;
    let mut payload = otlp::MetricsPayload::new(unix_nanos(), emitted.limit(), emitted.spent());
    for index in 0..batch.len() {
        let group = get(batch, store, index)?;
        let head = Head::read(store, &group.resource, &group.scope)?;
        payload.group(
            |resource| head.resource(resource),
            head.scope(),
            |scope| head.scope_attributes(scope),
            |items| {
                for index in 0..group.metrics.len() {
                    let metric = get(&group.metrics, store, index)?;
                    write_metric(store, items, &metric)?;
                }
                Ok::<_, Failure>(())
            },
        )?;
    }
    Ok(payload.finish())
}

fn write_metric(store: &mut Store<'_>, items: &mut otlp::MetricItems<'_>, metric: &Metric) -> Result<(), Failure> {
    let name = text(&metric.name, store)?.into_owned();
    if !store.data().emitted.declared.allows_metric(&name) {
        return Err(Failure::Undeclared(format!("metric `{name}` is not declared in the plugin's manifest")));
    }
    let description = text(&metric.description, store)?.into_owned();
    let unit = text(&metric.unit, store)?.into_owned();
    let metadata = read_attributes(store, &metric.metadata)?;
    items.metric(
        otlp::Metric { name: &name, description: &description, unit: &unit },
        |attributes| write_owned(attributes, &metadata),
        |body| match &metric.data {
            MetricData::Gauge(list) => body.gauge(|points| write_numbers(store, points, list)),
            MetricData::Sum(sum) => {
                body.sum(sum.temporality.into(), sum.monotonic, |points| write_numbers(store, points, &sum.points))
            }
            MetricData::Histogram(histogram) => body
                .histogram(histogram.temporality.into(), |points| write_histograms(store, points, &histogram.points)),
            MetricData::Summary(list) => body.summary(|points| write_summaries(store, points, list)),
        },
    )
}

fn write_numbers(
    store: &mut Store<'_>,
    points: &mut otlp::NumberPoints<'_>,
    list: &WasmList<NumberPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let value = point.value.map(|value| match value {
            Number::Integer(value) => otlp::Number::Integer(value),
            Number::Float(value) => otlp::Number::Float(value),
        });
        points.point(otlp::NumberPoint { start_time: point.start_time, time: point.time, value }, |attributes| {
            write_attributes(store, attributes, &point.attributes)
        })?;
    }
    Ok(())
}

fn write_histograms(
    store: &mut Store<'_>,
    points: &mut otlp::HistogramPoints<'_>,
    list: &WasmList<HistogramPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let bounds = collect(&point.bounds, store)?;
        let bucket_counts = collect(&point.bucket_counts, store)?;
        let plain = otlp::HistogramPoint {
            start_time: point.start_time,
            time: point.time,
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            bounds: &bounds,
            bucket_counts: &bucket_counts,
        };
        points.point(plain, |attributes| write_attributes(store, attributes, &point.attributes))?;
    }
    Ok(())
}

fn write_summaries(
    store: &mut Store<'_>,
    points: &mut otlp::SummaryPoints<'_>,
    list: &WasmList<SummaryPoint>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let point = get(list, store, index)?;
        let quantiles: Vec<_> =
            collect(&point.quantiles, store)?.iter().map(|pair| (pair.quantile, pair.value)).collect();
        let plain = otlp::SummaryPoint {
            start_time: point.start_time,
            time: point.time,
            count: point.count,
            sum: point.sum,
            quantiles: &quantiles,
        };
        points.point(plain, |attributes| write_attributes(store, attributes, &point.attributes))?;
    }
    Ok(())
}

fn spans(store: &mut Store<'_>, batch: &WasmList<ResourceSpans>) -> Result<Option<otlp::Batch>, Failure> {
    if batch.len() > 0 && store.data().emitted.declared.spans.is_empty() {
        return Err(Failure::Undeclared("spans are not declared in the plugin's manifest".to_owned()));
    }
    let emitted = &store.data().emitted;
    let mut payload = otlp::SpansPayload::new(unix_nanos(), emitted.limit(), emitted.spent());
    for index in 0..batch.len() {
        let group = get(batch, store, index)?;
        let head = Head::read(store, &group.resource, &group.scope)?;
        payload.group(
            |resource| head.resource(resource),
            head.scope(),
            |scope| head.scope_attributes(scope),
            |items| {
                for index in 0..group.spans.len() {
                    let span = get(&group.spans, store, index)?;
                    write_span(store, items, &span)?;
                }
                Ok::<_, Failure>(())
            },
        )?;
    }
    Ok(payload.finish())
}

fn write_span(store: &mut Store<'_>, items: &mut otlp::SpanItems<'_>, span: &Span) -> Result<(), Failure> {
    let name = text(&span.name, store)?.into_owned();
    let trace_id = bytes(&span.trace_id, store).to_vec();
    let span_id = bytes(&span.span_id, store).to_vec();
    let parent_span_id = bytes(&span.parent_span_id, store).to_vec();
    let message = match &span.status {
        SpanStatus::Error(message) => text(message, store)?.into_owned(),
        SpanStatus::Unset | SpanStatus::Ok => String::new(),
    };
    let plain = otlp::Span {
        trace_id: &trace_id,
        span_id: &span_id,
        parent_span_id: &parent_span_id,
        name: &name,
        kind: span.kind.into(),
        start_time: span.start_time,
        end_time: span.end_time,
        status: match span.status {
            SpanStatus::Unset => otlp::SpanStatus::Unset,
            SpanStatus::Ok => otlp::SpanStatus::Ok,
            SpanStatus::Error(_) => otlp::SpanStatus::Error(&message),
        },
    };
    items.span(plain, |body| {
        body.attributes(|attributes| write_attributes(store, attributes, &span.attributes))?;
        for index in 0..span.events.len() {
            let event = get(&span.events, store, index)?;
            let name = text(&event.name, store)?.into_owned();
            body.event(&name, event.time, |attributes| write_attributes(store, attributes, &event.attributes))?;
        }
        for index in 0..span.links.len() {
            let link = get(&span.links, store, index)?;
            let trace_id = bytes(&link.trace_id, store).to_vec();
            let span_id = bytes(&link.span_id, store).to_vec();
            body.link(&trace_id, &span_id, |attributes| write_attributes(store, attributes, &link.attributes))?;
        }
        Ok(())
    })
}

fn logs(store: &mut Store<'_>, batch: &WasmList<ResourceLogs>) -> Result<Option<otlp::Batch>, Failure> {
    if batch.len() > 0 && store.data().emitted.declared.logs.is_empty() {
        return Err(Failure::Undeclared("logs are not declared in the plugin's manifest".to_owned()));
    }
    let emitted = &store.data().emitted;
    let mut payload = otlp::LogsPayload::new(unix_nanos(), emitted.limit(), emitted.spent());
    for index in 0..batch.len() {
        let group = get(batch, store, index)?;
        let head = Head::read(store, &group.resource, &group.scope)?;
        payload.group(
            |resource| head.resource(resource),
            head.scope(),
            |scope| head.scope_attributes(scope),
            |items| {
                for index in 0..group.records.len() {
                    let record = get(&group.records, store, index)?;
                    write_record(store, items, &record)?;
                }
                Ok::<_, Failure>(())
            },
        )?;
    }
    Ok(payload.finish())
}

fn write_record(store: &mut Store<'_>, items: &mut otlp::LogItems<'_>, record: &LogRecord) -> Result<(), Failure> {
    let severity_text = text(&record.severity_text, store)?.into_owned();
    let event_name = text(&record.event_name, store)?.into_owned();
    let body = read_value(store, &record.body)?;
    let trace_id = bytes(&record.trace_id, store).to_vec();
    let span_id = bytes(&record.span_id, store).to_vec();
    let plain = otlp::LogRecord {
        time: record.time,
        observed_time: record.observed_time,
        severity: record.severity.into(),
        severity_text: &severity_text,
        event_name: &event_name,
        body: &body,
        trace_id: &trace_id,
        span_id: &span_id,
    };
    items.record(plain, |attributes| write_attributes(store, attributes, &record.attributes))
}

/// Resource and scope of a group: few and small, so they are read whole.
struct Head {
    resource: Vec<otlp::Attribute>,
    name: String,
    version: String,
    scope: Vec<otlp::Attribute>,
}

impl Head {
    fn read(store: &mut Store<'_>, resource: &Resource, scope: &Scope) -> Result<Self, Failure> {
        Ok(Self {
            resource: read_attributes(store, &resource.attributes)?,
            name: text(&scope.name, store)?.into_owned(),
            version: text(&scope.version, store)?.into_owned(),
            scope: read_attributes(store, &scope.attributes)?,
        })
    }

    fn resource(&self, attributes: &mut Attributes<'_>) -> Result<(), Failure> {
        write_owned(attributes, &self.resource)
    }

    fn scope(&self) -> otlp::Scope<'_> {
        otlp::Scope { name: &self.name, version: &self.version }
    }

    fn scope_attributes(&self, attributes: &mut Attributes<'_>) -> Result<(), Failure> {
        write_owned(attributes, &self.scope)
    }
}

fn write_owned(attributes: &mut Attributes<'_>, owned: &[otlp::Attribute]) -> Result<(), Failure> {
    Ok(owned.iter().try_for_each(|attribute| attributes.attribute(attribute))?)
}

fn write_attributes(
    store: &mut Store<'_>,
    attributes: &mut Attributes<'_>,
    list: &WasmList<Attribute>,
) -> Result<(), Failure> {
    for index in 0..list.len() {
        let attribute = get(list, store, index)?;
        let key = text(&attribute.key, store)?;
        match &attribute.value {
            AttributeValue::Text(value) => attributes.value(&key, ListItem::Text(&text(value, store)?))?,
            AttributeValue::Boolean(value) => attributes.value(&key, ListItem::Boolean(*value))?,
            AttributeValue::Integer(value) => attributes.value(&key, ListItem::Integer(*value))?,
            AttributeValue::Float(value) => attributes.value(&key, ListItem::Float(*value))?,
            AttributeValue::Bytes(value) => attributes.bytes(&key, bytes(value, store))?,
            AttributeValue::TextList(_)
            | AttributeValue::BooleanList(_)
            | AttributeValue::IntegerList(_)
            | AttributeValue::FloatList(_) => {
                attributes.attribute(&read_attribute(store, &attribute)?)?;
            }
        }
    }
    Ok(())
}

fn read_attributes(store: &mut Store<'_>, list: &WasmList<Attribute>) -> Result<Vec<otlp::Attribute>, Failure> {
    (0..list.len())
        .map(|index| {
            let attribute = get(list, store, index)?;
            read_attribute(store, &attribute)
        })
        .collect()
}

fn read_attribute(store: &mut Store<'_>, attribute: &Attribute) -> Result<otlp::Attribute, Failure> {
    let key = text(&attribute.key, store)?.into_owned();
    Ok(otlp::Attribute { key, value: read_value(store, &attribute.value)? })
}

fn read_value(store: &mut Store<'_>, value: &AttributeValue) -> Result<otlp::AttributeValue, Failure> {
    Ok(match value {
        AttributeValue::Text(value) => otlp::AttributeValue::Text(text(value, store)?.into_owned()),
        AttributeValue::Boolean(value) => otlp::AttributeValue::Boolean(*value),
        AttributeValue::Integer(value) => otlp::AttributeValue::Integer(*value),
        AttributeValue::Float(value) => otlp::AttributeValue::Float(*value),
        AttributeValue::Bytes(value) => otlp::AttributeValue::Bytes(bytes(value, store).to_vec()),
        AttributeValue::TextList(value) => {
            let items = collect(value, store)?;
            let texts: Result<_, Failure> = items.iter().map(|item| Ok(text(item, store)?.into_owned())).collect();
            otlp::AttributeValue::TextList(texts?)
        }
        AttributeValue::BooleanList(value) => otlp::AttributeValue::BooleanList(collect(value, store)?),
        AttributeValue::IntegerList(value) => otlp::AttributeValue::IntegerList(collect(value, store)?),
        AttributeValue::FloatList(value) => otlp::AttributeValue::FloatList(collect(value, store)?),
    })
}

fn get<T: Lift>(list: &WasmList<T>, store: &mut Store<'_>, index: usize) -> Result<T, Failure> {
    match list.get(store, index) {
        Some(item) => Ok(item?),
        None => Err(Failure::Trap(wasmtime::Error::msg("a list ended before its length"))),
    }
}

fn collect<T: Lift>(list: &WasmList<T>, store: &mut Store<'_>) -> Result<Vec<T>, Failure> {
    (0..list.len()).map(|index| get(list, store, index)).collect()
}

fn text<'s>(text: &WasmStr, store: &'s Store<'_>) -> Result<Cow<'s, str>, Failure> {
    Ok(text.to_str(store.as_context())?)
}

fn bytes<'s>(list: &WasmList<u8>, store: &'s Store<'_>) -> &'s [u8] {
    list.as_le_slice(store.as_context())
}

impl From<Temporality> for otlp::Temporality {
    fn from(temporality: Temporality) -> Self {
        match temporality {
            Temporality::Delta => Self::Delta,
            Temporality::Cumulative => Self::Cumulative,
        }
    }
}

impl From<SpanKind> for otlp::SpanKind {
    fn from(kind: SpanKind) -> Self {
        match kind {
            SpanKind::Internal => Self::Internal,
            SpanKind::Server => Self::Server,
            SpanKind::Client => Self::Client,
            SpanKind::Producer => Self::Producer,
            SpanKind::Consumer => Self::Consumer,
        }
    }
}

impl From<Severity> for otlp::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Trace => Self::Trace,
            Severity::Debug => Self::Debug,
            Severity::Info => Self::Info,
            Severity::Warn => Self::Warn,
            Severity::Error => Self::Error,
            Severity::Fatal => Self::Fatal,
        }
    }
}
