//! The numbers Spark has of an executor: what they are called on the page, and how those of several are put together.

use kiln_plugin::UnixNanos;
use kiln_prometheus_text::Value;

use crate::driver::collector;
use crate::telemetry as t;

/// How many numbers there are.
pub(super) const COUNT: usize = NAMES.len();

/// What they are called on the page, behind `metrics_executor_`.
const NAMES: [&str; 41] = [
    "rddBlocks",
    "memoryUsed_bytes",
    "diskUsed_bytes",
    "totalCores",
    "maxTasks",
    "activeTasks",
    "failedTasks_total",
    "completedTasks_total",
    "totalTasks_total",
    "totalDuration_seconds_total",
    "totalGCTime_seconds_total",
    "totalInputBytes_bytes_total",
    "totalShuffleRead_bytes_total",
    "totalShuffleWrite_bytes_total",
    "maxMemory_bytes",
    "usedOnHeapStorageMemory_bytes",
    "usedOffHeapStorageMemory_bytes",
    "totalOnHeapStorageMemory_bytes",
    "totalOffHeapStorageMemory_bytes",
    "JVMHeapMemory_bytes",
    "JVMOffHeapMemory_bytes",
    "OnHeapExecutionMemory_bytes",
    "OffHeapExecutionMemory_bytes",
    "OnHeapStorageMemory_bytes",
    "OffHeapStorageMemory_bytes",
    "OnHeapUnifiedMemory_bytes",
    "OffHeapUnifiedMemory_bytes",
    "DirectPoolMemory_bytes",
    "MappedPoolMemory_bytes",
    "ProcessTreeJVMVMemory_bytes",
    "ProcessTreeJVMRSSMemory_bytes",
    "ProcessTreePythonVMemory_bytes",
    "ProcessTreePythonRSSMemory_bytes",
    "ProcessTreeOtherVMemory_bytes",
    "ProcessTreeOtherRSSMemory_bytes",
    "MinorGCCount_total",
    "MinorGCTime_seconds_total",
    "MajorGCCount_total",
    "MajorGCTime_seconds_total",
    "ConcurrentGCCount_total",
    "ConcurrentGCTime_seconds_total",
];

/// Where the number of this name stands.
pub(super) fn index(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// The name of the number that stands there.
pub(super) fn name(index: usize) -> &'static str {
    NAMES.get(index).copied().unwrap_or_default()
}

/// How the numbers of several executors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    /// Their sum, over those that are alive.
    Sum,
    /// Their sum, over all that ever were.
    Total,
    /// The greatest: there is no moment at which all had theirs.
    Greatest,
}

impl Together {
    /// Of a number of this name, known or not.
    pub(super) fn of(name: &str) -> Self {
        if name.ends_with("_total") {
            Self::Total
        } else if index(name).is_some() && peak(name).is_none() {
            Self::Sum
        } else {
            Self::Greatest
        }
    }
}

/// Adds the number to the metric the manifest has for it. Storage memory is not among them: it takes two numbers.
pub(super) fn add(name: &str, executor: &str, value: Value, start: UnixNanos, metrics: &mut t::Metrics) {
    let (count, number) = (value.as_i64(), value.as_f64());
    let spark_executor_id = executor;
    let result = |result| t::SparkExecutorTaskResult { spark_executor_id, result };
    let shuffle = |direction| t::SparkExecutorShuffleIoSize { spark_executor_id, direction };
    match name {
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
            metrics.spark_executor_time(start, &t::SparkExecutorTime { spark_executor_id }, number);
        }
        "totalGCTime_seconds_total" => {
            metrics.spark_executor_gc_time(start, &t::SparkExecutorGcTime { spark_executor_id }, number);
        }
        "totalInputBytes_bytes_total" => {
            metrics.spark_executor_input_size(start, &t::SparkExecutorInputSize { spark_executor_id }, count);
        }
        "totalShuffleRead_bytes_total" => metrics.spark_executor_shuffle_io_size(start, &shuffle("in"), count),
        "totalShuffleWrite_bytes_total" => metrics.spark_executor_shuffle_io_size(start, &shuffle("out"), count),
        _ => match (peak(name), collector(name)) {
            (Some(r#type), _) => {
                let attributes = t::SparkExecutorMemoryPeak { spark_executor_id, r#type };
                metrics.spark_executor_memory_peak(&attributes, count);
            }
            (None, Some((gc_type, "GCCount_total"))) => {
                let attributes = t::SparkExecutorGcOperations { spark_executor_id, gc_type };
                metrics.spark_executor_gc_operations(start, &attributes, count);
            }
            (None, Some((gc_type, "GCTime_seconds_total"))) => {
                let attributes = t::SparkExecutorGcDuration { spark_executor_id, gc_type };
                metrics.spark_executor_gc_duration(start, &attributes, number);
            }
            _ => {}
        },
    }
}

/// The type of memory behind a name of `peakMemoryMetrics`.
fn peak(name: &str) -> Option<&'static str> {
    Some(match name {
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
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_but_those_of_storage_memory_has_a_metric() {
        for name in NAMES.iter().filter(|name| !name.ends_with("HeapStorageMemory_bytes") || peak(name).is_some()) {
            let application = crate::application::Application::default();
            let mut metrics = t::Metrics::new(&application.resource());
            add(name, "1", Value::Integer(1), UnixNanos::from_millis(1), &mut metrics);
            assert_eq!(kiln_plugin::telemetry::ResourceMetrics::from(metrics).metrics.len(), 1, "{name}");
        }
    }

    #[test]
    fn peaks_are_not_added_up_and_what_is_not_known_neither() {
        assert_eq!(Together::of("rddBlocks"), Together::Sum);
        assert_eq!(Together::of("usedOnHeapStorageMemory_bytes"), Together::Sum);
        assert_eq!(Together::of("OnHeapStorageMemory_bytes"), Together::Greatest);
        assert_eq!(Together::of("failedTasks_total"), Together::Total);
        assert_eq!(Together::of("newThing_bytes_total"), Together::Total);
        assert_eq!(Together::of("newThing_bytes"), Together::Greatest);
    }
}
