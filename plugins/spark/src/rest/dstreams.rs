//! The streaming context of the older streaming API, by `/streaming/statistics`. An application without one answers 404,
//! and nearly all do.

use kiln_plugin::{UnixNanos, lenient, moment};
use serde::Deserialize;

use super::api::{Api, Unread};
use super::job::count;
use crate::telemetry as t;

/// Statistics of a streaming context. Means are over the batches Spark retains.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Statistics {
    #[serde(deserialize_with = "moment::deserialize")]
    start_time: Option<u64>,
    #[serde(deserialize_with = "lenient::number")]
    batch_duration: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_active_receivers: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_inactive_receivers: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_total_completed_batches: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_active_batches: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_processed_records: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_received_records: Option<i64>,
    avg_input_rate: Option<Mean>,
    avg_scheduling_delay: Option<Mean>,
    avg_processing_time: Option<Mean>,
    avg_total_delay: Option<Mean>,
}

/// A number that Spark computes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Mean {
    Number(f64),
    Other(serde::de::IgnoredAny),
}

/// Reads the statistics, if there is a streaming context.
pub(crate) fn read(api: &mut Api<'_>) -> Result<Option<Statistics>, Unread> {
    api.get("/streaming/statistics")
}

impl Statistics {
    pub(crate) fn add_to(&self, start: UnixNanos, metrics: &mut t::Metrics) {
        let start = self.start_time.map_or(start, UnixNanos::from_millis);
        metrics.spark_dstream_batch_interval(count(self.batch_duration) as f64 / 1e3);
        for (state, receivers) in [("active", self.num_active_receivers), ("inactive", self.num_inactive_receivers)] {
            metrics.spark_dstream_receivers(&t::SparkDstreamReceivers { state }, count(receivers));
        }
        metrics.spark_dstream_batch_active(count(self.num_active_batches));
        metrics.spark_dstream_batch_completed(start, count(self.num_total_completed_batches));
        metrics.spark_dstream_records_received(start, count(self.num_received_records));
        metrics.spark_dstream_records_processed(start, count(self.num_processed_records));
        if let Some(rate) = number(self.avg_input_rate) {
            metrics.spark_dstream_input_rate(rate);
        }
        if let Some(millis) = number(self.avg_scheduling_delay) {
            metrics.spark_dstream_scheduling_delay(millis / 1e3);
        }
        if let Some(millis) = number(self.avg_processing_time) {
            metrics.spark_dstream_processing_time(millis / 1e3);
        }
        if let Some(millis) = number(self.avg_total_delay) {
            metrics.spark_dstream_total_delay(millis / 1e3);
        }
    }
}

fn number(mean: Option<Mean>) -> Option<f64> {
    match mean? {
        Mean::Number(number) => Some(number).filter(|number| number.is_finite() && *number >= 0.0),
        Mean::Other(_) => None,
    }
}
