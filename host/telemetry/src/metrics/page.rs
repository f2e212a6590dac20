//! What the page of a Prometheus exporter shows, and how often it was read.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::declare::{Declarations, Labelled};

#[derive(Debug)]
pub(super) struct Families {
    series: Labelled<Gauge, 1>,
    capacity: Labelled<Gauge, 1>,
    scrapes: Labelled<Counter, 1>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            series: declare.gauge(
                "kiln_exporter_page_series",
                "Lines of the page that was read last, every bucket one",
                ["exporter"],
            ),
            capacity: declare.gauge(
                "kiln_exporter_page_capacity_series",
                "Lines the page may have before what is new is dropped",
                ["exporter"],
            ),
            scrapes: declare.counter("kiln_exporter_page_reads_total", "Times the page was read", ["exporter"]),
        }
    }

    pub(super) fn handles(&self, id: &str) -> PageMetrics {
        PageMetrics {
            series: self.series.with([id]),
            capacity: self.capacity.with([id]),
            scrapes: self.scrapes.with([id]),
        }
    }
}

/// The metrics of one page.
#[derive(Clone, Debug)]
pub struct PageMetrics {
    series: Gauge,
    capacity: Gauge,
    scrapes: Counter,
}

impl PageMetrics {
    /// The page was read and had so many lines, of so many at the most.
    pub fn scraped(&self, series: usize, capacity: usize) {
        let gauge = |value| i64::try_from(value).unwrap_or(i64::MAX);
        self.series.set(gauge(series));
        self.capacity.set(gauge(capacity));
        self.scrapes.inc();
    }
}
