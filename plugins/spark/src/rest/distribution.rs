//! How the tasks of a stage differ: quantiles over its tasks, which show the one that is slow.
//!
//! Spark computes them on request, `withSummaries=true&quantiles=…`, over the tasks that succeeded.

use kiln_plugin::lenient;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::telemetry as t;

/// What is asked for, as Spark wants it and as the attribute `quantile` has it.
pub(crate) const QUERY: &str = "&withSummaries=true&quantiles=0.0,0.5,0.95,1.0";
const QUANTILES: [&str; 4] = ["0", "0.5", "0.95", "1"];

/// Quantiles over the tasks of a stage. Times are milliseconds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Distributions {
    #[serde(deserialize_with = "numbers")]
    duration: Vec<f64>,
    #[serde(deserialize_with = "numbers")]
    jvm_gc_time: Vec<f64>,
    #[serde(deserialize_with = "numbers")]
    scheduler_delay: Vec<f64>,
    #[serde(deserialize_with = "numbers")]
    peak_execution_memory: Vec<f64>,
    #[serde(deserialize_with = "numbers")]
    memory_bytes_spilled: Vec<f64>,
    #[serde(deserialize_with = "numbers")]
    disk_bytes_spilled: Vec<f64>,
    #[serde(deserialize_with = "lenient::object")]
    input_metrics: Option<Input>,
    #[serde(deserialize_with = "lenient::object")]
    shuffle_read_metrics: Option<ShuffleRead>,
    #[serde(deserialize_with = "lenient::object")]
    shuffle_write_metrics: Option<ShuffleWrite>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Input {
    #[serde(deserialize_with = "numbers")]
    bytes_read: Vec<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ShuffleRead {
    #[serde(deserialize_with = "numbers")]
    read_bytes: Vec<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ShuffleWrite {
    #[serde(deserialize_with = "numbers")]
    write_bytes: Vec<f64>,
}

impl Distributions {
    /// Adds the quantiles of an attempt at a stage.
    pub(crate) fn add_to(&self, metrics: &mut t::Metrics, spark_stage_id: i64, spark_stage_attempt_id: i64) {
        macro_rules! add {
            ($values:expr, $scale:expr, $method:ident, $attributes:ident) => {
                for (quantile, value) in QUANTILES.into_iter().zip($values) {
                    let attributes = t::$attributes { spark_stage_id, spark_stage_attempt_id, quantile };
                    metrics.$method(&attributes, value.max(0.0) / $scale);
                }
            };
        }
        add!(&self.duration, 1e3, spark_stage_task_duration, SparkStageTaskDuration);
        add!(&self.jvm_gc_time, 1e3, spark_stage_task_jvm_gc_time, SparkStageTaskJvmGcTime);
        add!(&self.scheduler_delay, 1e3, spark_stage_task_scheduler_delay, SparkStageTaskSchedulerDelay);
        add!(&self.peak_execution_memory, 1.0, spark_stage_task_memory_peak, SparkStageTaskMemoryPeak);
        add!(&self.memory_bytes_spilled, 1.0, spark_stage_task_memory_spilled, SparkStageTaskMemorySpilled);
        add!(&self.disk_bytes_spilled, 1.0, spark_stage_task_disk_spilled, SparkStageTaskDiskSpilled);
        if let Some(input) = &self.input_metrics {
            add!(&input.bytes_read, 1.0, spark_stage_task_input_size, SparkStageTaskInputSize);
        }
        if let Some(read) = &self.shuffle_read_metrics {
            add!(&read.read_bytes, 1.0, spark_stage_task_shuffle_read_size, SparkStageTaskShuffleReadSize);
        }
        if let Some(write) = &self.shuffle_write_metrics {
            add!(&write.write_bytes, 1.0, spark_stage_task_shuffle_write_size, SparkStageTaskShuffleWriteSize);
        }
    }
}

/// For `deserialize_with`: as many finite numbers as there are quantiles, or none.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Numbers(Vec<f64>),
        Other(IgnoredAny),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Numbers(numbers) if numbers.len() == QUANTILES.len() && numbers.iter().all(|n| n.is_finite()) => {
            numbers
        }
        Written::Numbers(_) | Written::Other(_) => Vec::new(),
    })
}
