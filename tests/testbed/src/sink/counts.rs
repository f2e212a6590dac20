//! How much a sink has accepted.
//!
//! Invariant: unlike the list of requests, which is bounded, no request is ever left out.

use super::Received;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// Since the start, or since everything was last forgotten.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Totals {
    requests: u64,
    items: u64,
    wire_bytes: u64,
    /// Before compression.
    bytes: u64,
}

#[derive(Default)]
pub(super) struct Counts(Mutex<Totals>);

impl Counts {
    pub(super) fn add(&self, received: &Received) {
        if received.answer == Some(200) {
            let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            totals.requests += 1;
            totals.items += received.items as u64;
            totals.wire_bytes += received.wire_bytes as u64;
            totals.bytes += received.body.len() as u64;
        }
    }

    pub(super) fn totals(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Totals::default();
    }
}

pub(super) fn points(request: &ExportMetricsServiceRequest) -> usize {
    let scopes = request.resource_metrics.iter().flat_map(|block| &block.scope_metrics);
    let metrics = scopes.flat_map(|scoped| &scoped.metrics).filter_map(|metric| metric.data.as_ref());
    let points = metrics.map(|data| match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    });
    points.sum()
}

pub(super) fn spans(request: &ExportTraceServiceRequest) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|block| &block.scope_spans);
    scopes.map(|scoped| scoped.spans.len()).sum()
}

pub(super) fn logs(request: &ExportLogsServiceRequest) -> usize {
    let scopes = request.resource_logs.iter().flat_map(|block| &block.scope_logs);
    scopes.map(|scoped| scoped.log_records.len()).sum()
}
