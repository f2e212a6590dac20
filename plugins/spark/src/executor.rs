//! The executors' page: one line for every metric of every executor that is alive, the driver among them.
//!
//! Memory behind the names of `peakMemoryMetrics` is the greatest there was, not what there is. Before its first
//! heartbeat an executor does not have them, and an executor that is gone is gone from the page: its series end.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::UnixNanos;
use kiln_plugin::metrics::{Instrument, Undeclared};
use kiln_plugin::telemetry::{Attribute, Number};
use kiln_prometheus_text::{Sample, Value, samples};

use crate::driver_metrics::collector;
use crate::names::dotted;
use crate::tally::Tally;
use crate::telemetry as t;

const PREFIX: &str = "metrics_executor_";

/// Whose page it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner<'a> {
    /// Id and name of the application, from the labels.
    pub(crate) application: Option<(&'a str, &'a str)>,
    /// Version of Spark.
    pub(crate) version: Option<&'a str>,
}

impl<'a> Owner<'a> {
    /// Looks at the lines up to the first executor's.
    pub(crate) fn find(text: &'a str) -> Self {
        let mut owner = Self::default();
        for sample in samples(text).filter_map(Result::ok) {
            if sample.name == "spark_info" {
                owner.version = sample.labels.get("version").filter(|version| !version.is_empty());
            } else if let Some(id) = sample.labels.get("application_id").filter(|id| !id.is_empty()) {
                owner.application = Some((id, sample.labels.get("application_name").unwrap_or("")));
                break;
            }
        }
        owner
    }
}

/// Storage memory, of which Spark says what there is and what is used.
#[derive(Debug, Default)]
struct Storage {
    on_heap: Place,
    off_heap: Place,
}

#[derive(Debug, Default)]
struct Place {
    used: Option<i64>,
    total: Option<i64>,
}

/// Reads the page into `metrics`. What is cumulative counts from `start`.
pub(crate) fn read(text: &str, start: UnixNanos, metrics: &mut t::Metrics) -> Tally {
    let mut tally = Tally::default();
    let mut seen = BTreeSet::new();
    let mut passed = BTreeSet::new();
    let mut storage: BTreeMap<&str, Storage> = BTreeMap::new();
    for sample in samples(text) {
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                tally.skip(error);
                continue;
            }
        };
        if sample.name == "spark_info" {
            continue;
        }
        let Some((name, executor)) = identify(&sample) else {
            tally.skip(format_args!("`{}` is not a metric of an executor", sample.name));
            continue;
        };
        if !seen.insert((name, executor)) {
            tally.skip(format_args!("`{}` is there twice for executor `{executor}`", sample.name));
            continue;
        }
        tally.take();
        if !sample.value.is_finite() {
            continue;
        }
        let figure = Figure { name, executor, value: sample.value, start };
        if figure.storage(&mut storage) || figure.declared(metrics) || figure.collector(metrics) || figure.peak(metrics)
        {
            continue;
        }
        if let Err(reason) = figure.pass_through(&mut passed, metrics) {
            tally.skip(reason);
        }
    }
    for (executor, storage) in storage {
        storage.on_heap.emit(executor, "on_heap", metrics);
        storage.off_heap.emit(executor, "off_heap", metrics);
    }
    tally
}

/// The name without what all names have, and the executor: its label is the last one, and what an application is
/// called may look like it.
fn identify<'a>(sample: &Sample<'a>) -> Option<(&'a str, &'a str)> {
    let name = sample.name.strip_prefix(PREFIX)?;
    let executor = sample.labels.get_last("executor_id").filter(|id| !id.is_empty())?;
    Some((name, executor))
}

impl Place {
    fn emit(&self, executor: &str, location: &str, metrics: &mut t::Metrics) {
        let mut add = |state, bytes| {
            let attributes = t::SparkExecutorStorageMemoryUsage { spark_executor_id: executor, location, state };
            metrics.spark_executor_storage_memory_usage(&attributes, bytes);
        };
        if let Some(used) = self.used {
            add("used", used);
        }
        if let (Some(used), Some(total)) = (self.used, self.total) {
            add("free", total.saturating_sub(used).max(0));
        }
    }
}

/// One number of one executor on its way to its metric.
struct Figure<'a> {
    name: &'a str,
    executor: &'a str,
    value: Value,
    start: UnixNanos,
}

impl<'a> Figure<'a> {
    /// As a whole number. Nothing here can be negative.
    fn count(&self) -> i64 {
        self.value.as_i64().max(0)
    }

    fn seconds(&self) -> f64 {
        self.value.as_f64().max(0.0)
    }

    fn storage(&self, storage: &mut BTreeMap<&'a str, Storage>) -> bool {
        let place = match self.name {
            "usedOnHeapStorageMemory_bytes" => |storage: &mut Storage, bytes| storage.on_heap.used = Some(bytes),
            "usedOffHeapStorageMemory_bytes" => |storage: &mut Storage, bytes| storage.off_heap.used = Some(bytes),
            "totalOnHeapStorageMemory_bytes" => |storage: &mut Storage, bytes| storage.on_heap.total = Some(bytes),
            "totalOffHeapStorageMemory_bytes" => |storage: &mut Storage, bytes| storage.off_heap.total = Some(bytes),
            _ => return false,
        };
        place(storage.entry(self.executor).or_default(), self.count());
        true
    }

    fn declared(&self, metrics: &mut t::Metrics) -> bool {
        let (start, count, spark_executor_id) = (self.start, self.count(), self.executor);
        let result = |result| t::SparkExecutorTaskResult { spark_executor_id, result };
        let shuffle = |direction| t::SparkExecutorShuffleIoSize { spark_executor_id, direction };
        match self.name {
            "rddBlocks" => metrics.spark_executor_rdd_blocks(&t::SparkExecutorRddBlocks { spark_executor_id }, count),
            "memoryUsed_bytes" => {
                metrics.spark_executor_memory_usage(&t::SparkExecutorMemoryUsage { spark_executor_id }, count);
            }
            "diskUsed_bytes" => {
                metrics.spark_executor_disk_usage(&t::SparkExecutorDiskUsage { spark_executor_id }, count);
            }
            "maxMemory_bytes" => {
                metrics.spark_executor_memory_limit(&t::SparkExecutorMemoryLimit { spark_executor_id }, count);
            }
            "totalCores" => metrics.spark_executor_cores(&t::SparkExecutorCores { spark_executor_id }, count),
            "maxTasks" => metrics.spark_executor_task_limit(&t::SparkExecutorTaskLimit { spark_executor_id }, count),
            "activeTasks" => {
                metrics.spark_executor_task_active(&t::SparkExecutorTaskActive { spark_executor_id }, count);
            }
            "totalTasks_total" => {
                metrics.spark_executor_task_count(start, &t::SparkExecutorTaskCount { spark_executor_id }, count);
            }
            "completedTasks_total" => metrics.spark_executor_task_result(start, &result("completed"), count),
            "failedTasks_total" => metrics.spark_executor_task_result(start, &result("failed"), count),
            "totalDuration_seconds_total" => {
                metrics.spark_executor_time(start, &t::SparkExecutorTime { spark_executor_id }, self.seconds());
            }
            "totalGCTime_seconds_total" => {
                metrics.spark_executor_gc_time(start, &t::SparkExecutorGcTime { spark_executor_id }, self.seconds());
            }
            "totalInputBytes_bytes_total" => {
                metrics.spark_executor_input_size(start, &t::SparkExecutorInputSize { spark_executor_id }, count);
            }
            "totalShuffleRead_bytes_total" => metrics.spark_executor_shuffle_io_size(start, &shuffle("in"), count),
            "totalShuffleWrite_bytes_total" => metrics.spark_executor_shuffle_io_size(start, &shuffle("out"), count),
            _ => return false,
        }
        true
    }

    fn collector(&self, metrics: &mut t::Metrics) -> bool {
        let Some((gc_type, figure)) = collector(self.name) else { return false };
        let (start, spark_executor_id) = (self.start, self.executor);
        match figure {
            "GCCount_total" => {
                let attributes = t::SparkExecutorGcOperations { spark_executor_id, gc_type };
                metrics.spark_executor_gc_operations(start, &attributes, self.count());
            }
            "GCTime_seconds_total" => {
                let attributes = t::SparkExecutorGcDuration { spark_executor_id, gc_type };
                metrics.spark_executor_gc_duration(start, &attributes, self.seconds());
            }
            _ => return false,
        }
        true
    }

    fn peak(&self, metrics: &mut t::Metrics) -> bool {
        let r#type = match self.name {
            "JVMHeapMemory_bytes" => "jvm_heap",
            "JVMOffHeapMemory_bytes" => "jvm_off_heap",
            "OnHeapExecutionMemory_bytes" => "on_heap_execution",
            "OffHeapExecutionMemory_bytes" => "off_heap_execution",
            "OnHeapStorageMemory_bytes" => "on_heap_storage",
            "OffHeapStorageMemory_bytes" => "off_heap_storage",
            "OnHeapUnifiedMemory_bytes" => "on_heap_unified",
            "OffHeapUnifiedMemory_bytes" => "off_heap_unified",
            "DirectPoolMemory_bytes" => "direct_pool",
            "MappedPoolMemory_bytes" => "mapped_pool",
            "ProcessTreeJVMVMemory_bytes" => "process_tree_jvm_virtual",
            "ProcessTreeJVMRSSMemory_bytes" => "process_tree_jvm_resident",
            "ProcessTreePythonVMemory_bytes" => "process_tree_python_virtual",
            "ProcessTreePythonRSSMemory_bytes" => "process_tree_python_resident",
            "ProcessTreeOtherVMemory_bytes" => "process_tree_other_virtual",
            "ProcessTreeOtherRSSMemory_bytes" => "process_tree_other_resident",
            _ => return false,
        };
        let attributes = t::SparkExecutorMemoryPeak { spark_executor_id: self.executor, r#type };
        metrics.spark_executor_memory_peak(&attributes, self.count());
        true
    }

    /// Names here say unit and kind. What is in `passed` is not sent again: two names can become one.
    fn pass_through(&self, passed: &mut BTreeSet<(String, &'a str)>, metrics: &mut t::Metrics) -> Result<(), String> {
        let (name, counter) = match self.name.strip_suffix("_total") {
            Some(name) => (name, true),
            None => (self.name, false),
        };
        let (name, unit) = match (name.strip_suffix("_bytes"), name.strip_suffix("_seconds")) {
            (Some(name), _) => (name, "By"),
            (None, Some(name)) => (name, "s"),
            (None, None) => (name, ""),
        };
        let no_name = || format!("`{}` makes no name for a metric", self.name);
        let name = dotted("spark.executor.", name).ok_or_else(no_name)?;
        if !passed.insert((name.clone(), self.executor)) {
            return Err(format!(
                "`{}` has the same name as another metric, but for case, unit and underscores",
                self.name
            ));
        }
        let number = match (self.value, unit) {
            (Value::Integer(value), "s") => Number::Float(value as f64),
            (Value::Integer(value), _) => Number::Integer(value),
            (Value::Float(value), _) => Number::Float(value),
        };
        let instrument = if counter { Instrument::Counter { start: self.start } } else { Instrument::Gauge };
        let metric = Undeclared { name: &name, unit, description: "", instrument };
        let attributes = vec![Attribute::new("spark.executor.id", self.executor)];
        metrics.undeclared(&metric, attributes, number).map_err(|error| error.to_string())
    }
}
