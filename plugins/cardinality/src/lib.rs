//! Keeps the number of series in bounds.
//!
//! Four steps, each on what the one before left: metrics are kept or dropped by name; attributes are summed away; of an
//! attribute the values with the most series are kept and the others called `other`; and a metric that still has too
//! many series has the rest of them folded into one, as the OpenTelemetry SDK does. The plugin only says what is alike.
//! The host joins it, so no value ever comes here.
//!
//! What is remembered is bounded: hashes of series up to [`series::MAX_SERIES`], and forgotten with time.

mod config;
mod fold;
mod pattern;
mod report;
mod series;
mod top;

use std::collections::BTreeMap;

use kiln_plugin::processor::{Edit, ProcessError, ShownPoint, Signal, View};
use kiln_plugin::{ConfigError, Processor, ProcessorHost, UnixNanos};

pub use config::Config;
use fold::Fold;
use report::Report;
use series::Streams;
use top::Tops;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(Cardinality);

/// The key of the state that holds the values that are kept.
const KEPT: &str = "kept";

/// The processor.
#[derive(Debug)]
pub struct Cardinality {
    config: Config,
    streams: Streams,
    tops: Tops,
    report: Report,
    /// When what was not seen is next forgotten; `None` before the first batch.
    forgets_at: Option<UnixNanos>,
}

impl Processor for Cardinality {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let report = Report::new(config.report_interval());
        Ok(Self { config, streams: Streams::default(), tops: Tops::default(), report, forgets_at: None })
    }

    fn process(&mut self, host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        if view.signal != Signal::Metrics {
            return Ok(Vec::new());
        }
        let failed = |error: kiln_plugin::state::StateError| ProcessError::Failed(error.to_string());
        self.keep_time(host).map_err(failed)?;
        let mut points: BTreeMap<u32, Vec<ShownPoint<'_>>> = BTreeMap::new();
        for point in view.each_point() {
            if let Some(metric) = point.metric() {
                points.entry(metric.index()).or_default().push(point);
            }
        }
        let mut edits = Vec::new();
        for metric in view.each_metric() {
            let points = points.remove(&metric.index()).unwrap_or_default();
            if !self.config.keeps(metric.name()) {
                self.report.dropped_metric(points.len());
                edits.push(metric.drop());
                continue;
            }
            let mut fold = Fold::new(&self.config, metric);
            fold.drop_attributes(&points);
            fold.keep_the_largest(&points, &mut self.tops, &mut self.report);
            fold.limit(&points, &mut self.streams, &mut self.report);
            fold.finish(&mut edits);
        }
        if self.tops.take_changed() {
            host.state().set(KEPT, &self.tops.kept()).map_err(failed)?;
        }
        self.report.tell(host).map_err(failed)?;
        Ok(edits)
    }
}

impl Cardinality {
    fn keep_time(&mut self, host: &ProcessorHost) -> Result<(), kiln_plugin::state::StateError> {
        let now = host.now();
        let Some(forgets_at) = self.forgets_at else {
            self.tops.restore(host.state().get(KEPT)?.unwrap_or_default());
            self.report.begin(host)?;
            self.forgets_at = Some(now.after(self.config.forget_after()));
            return Ok(());
        };
        if now >= forgets_at {
            self.streams.forget();
            self.tops.choose(&self.config.top);
            self.forgets_at = Some(now.after(self.config.forget_after()));
        }
        Ok(())
    }
}
