//! What became of every entry of the ledger, as the backend saw it.
//!
//! The plugin `ledger` tells each entry once in each signal, and remembers in its state how many it has told. The backend
//! keeps every request with what it answered. So between the two there is nothing to believe: an entry was accepted, or it
//! was refused for good, or nobody has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use kiln_testbed::sink::{Received, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use prost::Message;

/// An entry as one of the signals tells it, or the sum that counts them, by what it had come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Point(i64),
    Sum(i64),
    Span(i64),
    Record(i64),
}

/// What a backend made of everything it was sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// How often each item was accepted.
    pub(crate) accepted: BTreeMap<Item, usize>,
    /// Items that a success said were rejected.
    pub(crate) partially_rejected: BTreeSet<Item>,
    /// How many of those there were, each time counted.
    pub(crate) partial_rejections: usize,
    /// Items in requests that were refused with a status that is final.
    pub(crate) rejected: BTreeSet<Item>,
    /// How many of those there were, each time counted.
    pub(crate) rejections: usize,
    starts: BTreeSet<u64>,
}

impl Ledger {
    pub(crate) fn of(requests: &[Received]) -> Self {
        let mut ledger = Self::default();
        for request in requests {
            let items = ledger.items(request);
            match request.answer {
                Some(200) => {
                    // The backend of the tests keeps what it says it rejects; let it be the first ones.
                    let (rejected, accepted) = items.split_at(request.rejected.min(items.len()));
                    ledger.partially_rejected.extend(rejected);
                    ledger.partial_rejections += rejected.len();
                    accepted.iter().for_each(|item| *ledger.accepted.entry(*item).or_default() += 1);
                }
                Some(429 | 502..=504) | None => {}
                // What is too large comes again in halves.
                Some(413) if items.len() > 1 => {}
                Some(_) => {
                    ledger.rejections += items.len();
                    ledger.rejected.extend(items);
                }
            }
        }
        ledger
    }

    /// How often something was accepted that had been before.
    pub(crate) fn duplicates(&self) -> usize {
        self.accepted.values().map(|times| times - 1).sum()
    }

    /// What nobody accepted of the first `told` entries, by the reason there is for it.
    pub(crate) fn missing(&self, told: i64, page: i64) -> Missing {
        let entries = (0..told).flat_map(|entry| [Item::Point(entry), Item::Span(entry), Item::Record(entry)]);
        let sums = (1..=told).filter(|sum| sum % page == 0 || *sum == told).map(Item::Sum);
        let mut missing = Missing::default();
        for item in entries.chain(sums).filter(|item| !self.accepted.contains_key(item)) {
            if self.rejected.contains(&item) {
                missing.rejected += 1;
            } else if self.partially_rejected.contains(&item) {
                missing.partially_rejected += 1;
            } else {
                missing.unseen.push(item);
            }
        }
        missing
    }

    /// The items of a request; what it says of the sum is checked on the way.
    fn items(&mut self, request: &Received) -> Vec<Item> {
        let body = &*request.body;
        match request.signal {
            None => Vec::new(),
            Some(Signal::Metrics) => {
                let request = ExportMetricsServiceRequest::decode(body).unwrap();
                let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
                scopes.flat_map(|scope| scope.metrics).flat_map(|metric| self.points(metric)).collect()
            }
            Some(Signal::Traces) => {
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                let spans = scopes.flat_map(|scope| scope.spans);
                spans.map(|span| Item::Span(entry(&span.attributes))).collect()
            }
            Some(Signal::Logs) => {
                let request = ExportLogsServiceRequest::decode(body).unwrap();
                let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
                let records = scopes.flat_map(|scope| scope.log_records);
                records.map(|record| Item::Record(entry(&record.attributes))).collect()
            }
        }
    }

    fn points(&mut self, metric: Metric) -> Vec<Item> {
        match metric.data {
            Some(metric::Data::Gauge(gauge)) => {
                let check = |point: &NumberDataPoint| assert_eq!(number(point), entry(&point.attributes));
                gauge.data_points.iter().inspect(|point| check(point)).map(|point| Item::Point(number(point))).collect()
            }
            Some(metric::Data::Sum(sum)) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{sum:?}");
                self.starts.extend(sum.data_points.iter().map(|point| point.start_time_unix_nano));
                sum.data_points.iter().map(|point| Item::Sum(number(point))).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Every value the sum was ever sent with is one it had when a page had been told: an entry counted twice, or a page of
    /// entries that was not counted, would make it another. And its start never moved.
    pub(crate) fn assert_counted_once(&self, page: i64, entries: i64) {
        let seen = self.accepted.keys().chain(&self.rejected).chain(&self.partially_rejected);
        let sums = seen.filter_map(|item| if let Item::Sum(sum) = item { Some(*sum) } else { None });
        let wrong: Vec<i64> = sums.filter(|sum| sum % page != 0 && *sum != entries).collect();
        assert!(wrong.is_empty(), "the sum was {wrong:?}, and never can have been");
        assert!(self.starts.len() <= 1, "the sum has several starts: {:?}", self.starts);
    }
}

/// What was not accepted.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    pub(crate) rejected: usize,
    pub(crate) partially_rejected: usize,
    /// The backend has had no say in these.
    pub(crate) unseen: Vec<Item>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rejected, partially_rejected, unseen } = self;
        let first = unseen.get(..unseen.len().min(10)).unwrap_or_default();
        write!(f, "{rejected} rejected, {partially_rejected} in part, {} without a trace: {first:?}...", unseen.len())
    }
}

fn number(point: &NumberDataPoint) -> i64 {
    match point.value {
        Some(number_data_point::Value::AsInt(number)) => number,
        ref other => panic!("{other:?}"),
    }
}

fn entry(attributes: &[KeyValue]) -> i64 {
    let entry = attributes.iter().find(|pair| pair.key == "entry").and_then(|pair| pair.value.as_ref()?.value.as_ref());
    match entry {
        Some(any_value::Value::IntValue(entry)) => *entry,
        other => panic!("{other:?}"),
    }
}

/// How many entries have been told, as the state on disk has it.
pub(crate) fn told(folder: &Path) -> i64 {
    let state = std::fs::read(folder.join("data/state/ledger.state")).unwrap_or_default();
    let text = String::from_utf8_lossy(&state);
    let told = text.split("\"told\":").nth(1).unwrap_or_default();
    told.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}
