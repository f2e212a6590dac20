//! Requests of OTLP, read from what the sink keeps and from the Collector's two kinds of file, in a form that can be compared.
//!
//! Two requests are equal if they encode to the same bytes, so -0.0 is not 0.0. One NaN is as good as another, since JSON has but
//! one, and a message that is not there is taken for an empty one, which is how the Collector writes it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use prost::Message;
use serde_json::{Value, json};

use kiln_testbed::sink::{Received, Signal};

/// Requests, sorted, since nobody promises an order between batches.
#[derive(Default, PartialEq)]
pub(crate) struct Messages {
    encoded: Vec<Vec<u8>>,
    shown: Vec<String>,
}

impl Messages {
    pub(crate) fn len(&self) -> usize {
        self.encoded.len()
    }

    /// For the message of a comparison that failed.
    pub(crate) fn shown(&self) -> String {
        self.shown.join("\n")
    }

    fn of(requests: impl Iterator<Item = Request>) -> Self {
        let requests = requests.map(|mut request| {
            if let Request::Metrics(metrics) = &mut request {
                make_alike(metrics);
            }
            request
        });
        let mut encoded: Vec<(Vec<u8>, String)> =
            requests.map(|request| (request.encoded(), request.shown())).collect();
        encoded.sort();
        let (encoded, shown) = encoded.into_iter().unzip();
        Self { encoded, shown }
    }
}

enum Request {
    Metrics(ExportMetricsServiceRequest),
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Request {
    fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Traces(request) => request.encode_to_vec(),
            Self::Logs(request) => request.encode_to_vec(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Metrics(request) => format!("{request:#?}"),
            Self::Traces(request) => format!("{request:#?}"),
            Self::Logs(request) => format!("{request:#?}"),
        }
    }
}

/// What the sink was sent.
pub(crate) fn from_sink(received: &[Received]) -> Messages {
    Messages::of(received.iter().filter_map(|received| {
        Some(match received.signal? {
            Signal::Metrics => Request::Metrics(ExportMetricsServiceRequest::decode(&*received.body).unwrap()),
            Signal::Traces => Request::Traces(ExportTraceServiceRequest::decode(&*received.body).unwrap()),
            Signal::Logs => Request::Logs(ExportLogsServiceRequest::decode(&*received.body).unwrap()),
        })
    }))
}

/// A line for each request. The last one may be under way, and is left out until it is whole.
pub(crate) fn from_json(text: &[u8]) -> Messages {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = std::str::from_utf8(&text[..whole]).unwrap().lines();
    Messages::of(lines.map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line.get("resourceSpans").is_some() {
            Request::Traces(serde_json::from_value(line).unwrap())
        } else if line.get("resourceLogs").is_some() {
            Request::Logs(serde_json::from_value(line).unwrap())
        } else {
            stand_in(&mut line);
            let mut request: ExportMetricsServiceRequest = serde_json::from_value(line).unwrap();
            put_back(&mut request);
            Request::Metrics(request)
        }
    }))
}

/// Four bytes of length, big-endian, before each request. The last one may be under way.
pub(crate) fn from_protobuf([metrics, traces, logs]: [&[u8]; 3]) -> Messages {
    let metrics = framed(metrics).map(|bytes| Request::Metrics(ExportMetricsServiceRequest::decode(bytes).unwrap()));
    let traces = framed(traces).map(|bytes| Request::Traces(ExportTraceServiceRequest::decode(bytes).unwrap()));
    let logs = framed(logs).map(|bytes| Request::Logs(ExportLogsServiceRequest::decode(bytes).unwrap()));
    Messages::of(metrics.chain(traces).chain(logs))
}

fn framed(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (message, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = rest;
        Some(message)
    })
}

/// JSON has no number for these, so OTLP writes them as text, and the library that reads it here takes numbers alone.
const STAND_INS: [(&str, f64, f64); 3] = [
    ("NaN", f64::NAN, 1.0625e-301),
    ("Infinity", f64::INFINITY, 1.125e-301),
    ("-Infinity", f64::NEG_INFINITY, 1.25e-301),
];

fn stand_in(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(stand_in),
        Value::Object(fields) => {
            for (name, value) in fields {
                let stand_in_for =
                    STAND_INS.iter().find(|(text, ..)| name == "asDouble" && value.as_str() == Some(text));
                match stand_in_for {
                    Some((_, _, number)) => *value = json!(number),
                    None => stand_in(value),
                }
            }
        }
        _ => {}
    }
}

fn metrics_of(request: &mut ExportMetricsServiceRequest) -> impl Iterator<Item = &mut Metric> {
    let scopes = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
    scopes.flat_map(|scope| &mut scope.metrics)
}

fn make_alike(request: &mut ExportMetricsServiceRequest) {
    for metric in metrics_of(request) {
        match &mut metric.data {
            Some(metric::Data::ExponentialHistogram(histogram)) => {
                for point in &mut histogram.data_points {
                    point.positive.get_or_insert_default();
                    point.negative.get_or_insert_default();
                }
            }
            Some(metric::Data::Summary(summary)) => {
                let quantiles = summary.data_points.iter_mut().flat_map(|point| &mut point.quantile_values);
                quantiles.filter(|quantile| quantile.value.is_nan()).for_each(|quantile| quantile.value = f64::NAN);
            }
            other => {
                let numbers = doubles_of(other);
                numbers.filter(|number| number.is_nan()).for_each(|number| *number = f64::NAN);
            }
        }
    }
}

/// The values of gauges and sums.
fn doubles_of(data: &mut Option<metric::Data>) -> impl Iterator<Item = &mut f64> {
    let points = match data {
        Some(metric::Data::Gauge(gauge)) => &mut gauge.data_points[..],
        Some(metric::Data::Sum(sum)) => &mut sum.data_points[..],
        _ => &mut [],
    };
    points.iter_mut().filter_map(|point| match &mut point.value {
        Some(number_data_point::Value::AsDouble(number)) => Some(number),
        _ => None,
    })
}

fn put_back(request: &mut ExportMetricsServiceRequest) {
    for value in metrics_of(request).flat_map(|metric| doubles_of(&mut metric.data)) {
        if let Some((_, number, _)) = STAND_INS.iter().find(|(_, _, stand_in)| stand_in == value) {
            *value = *number;
        }
    }
}
