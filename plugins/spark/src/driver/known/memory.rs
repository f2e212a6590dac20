//! `BlockManager`, in mebibytes, and `ExecutorMetrics` of the driver, in bytes.

use super::{Figure, collector};
use crate::telemetry as t;

pub(super) fn block_manager(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let bytes = figure.mebibytes();
    let usage = |location, state| t::SparkDriverBlockManagerMemoryUsage { location, state };
    let limit = |location| t::SparkDriverBlockManagerMemoryLimit { location };
    match figure.name {
        _ if !figure.is_plain() => return false,
        "disk_diskSpaceUsed_MB" => metrics.spark_driver_block_manager_disk_usage(bytes),
        "memory_onHeapMemUsed_MB" => {
            metrics.spark_driver_block_manager_memory_usage(&usage("on_heap", "used"), bytes);
        }
        "memory_offHeapMemUsed_MB" => {
            metrics.spark_driver_block_manager_memory_usage(&usage("off_heap", "used"), bytes);
        }
        "memory_remainingOnHeapMem_MB" => {
            metrics.spark_driver_block_manager_memory_usage(&usage("on_heap", "free"), bytes);
        }
        "memory_remainingOffHeapMem_MB" => {
            metrics.spark_driver_block_manager_memory_usage(&usage("off_heap", "free"), bytes);
        }
        "memory_maxOnHeapMem_MB" => metrics.spark_driver_block_manager_memory_limit(&limit("on_heap"), bytes),
        "memory_maxOffHeapMem_MB" => metrics.spark_driver_block_manager_memory_limit(&limit("off_heap"), bytes),
        // On heap and off heap together.
        "memory_memUsed_MB" | "memory_remainingMem_MB" | "memory_maxMem_MB" => {}
        _ => return false,
    }
    true
}

pub(super) fn executor_metrics(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    figure.is_plain()
        && (memory(figure, metrics) || process_tree(figure, metrics) || garbage_collection(figure, metrics))
}

fn memory(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let bytes = figure.count;
    let execution = |location| t::SparkDriverExecutorMemoryExecution { location };
    let storage = |location| t::SparkDriverExecutorMemoryStorage { location };
    let unified = |location| t::SparkDriverExecutorMemoryUnified { location };
    let jvm = |location| t::SparkDriverExecutorMemoryJvm { location };
    let pool = |r#type| t::SparkDriverExecutorMemoryPool { r#type };
    match figure.name {
        "OnHeapExecutionMemory" => metrics.spark_driver_executor_memory_execution(&execution("on_heap"), bytes),
        "OffHeapExecutionMemory" => metrics.spark_driver_executor_memory_execution(&execution("off_heap"), bytes),
        "OnHeapStorageMemory" => metrics.spark_driver_executor_memory_storage(&storage("on_heap"), bytes),
        "OffHeapStorageMemory" => metrics.spark_driver_executor_memory_storage(&storage("off_heap"), bytes),
        "OnHeapUnifiedMemory" => metrics.spark_driver_executor_memory_unified(&unified("on_heap"), bytes),
        "OffHeapUnifiedMemory" => metrics.spark_driver_executor_memory_unified(&unified("off_heap"), bytes),
        "JVMHeapMemory" => metrics.spark_driver_executor_memory_jvm(&jvm("on_heap"), bytes),
        "JVMOffHeapMemory" => metrics.spark_driver_executor_memory_jvm(&jvm("off_heap"), bytes),
        "DirectPoolMemory" => metrics.spark_driver_executor_memory_pool(&pool("direct"), bytes),
        "MappedPoolMemory" => metrics.spark_driver_executor_memory_pool(&pool("mapped"), bytes),
        _ => return false,
    }
    true
}

/// Zeros unless `spark.executor.processTreeMetrics.enabled`.
fn process_tree(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (process, r#type) = match figure.name {
        "ProcessTreeJVMVMemory" => ("jvm", "virtual"),
        "ProcessTreeJVMRSSMemory" => ("jvm", "resident"),
        "ProcessTreePythonVMemory" => ("python", "virtual"),
        "ProcessTreePythonRSSMemory" => ("python", "resident"),
        "ProcessTreeOtherVMemory" => ("other", "virtual"),
        "ProcessTreeOtherRSSMemory" => ("other", "resident"),
        _ => return false,
    };
    let attributes = t::SparkDriverExecutorProcessTreeMemory { process, r#type };
    metrics.spark_driver_executor_process_tree_memory(&attributes, figure.count);
    true
}

fn garbage_collection(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    if figure.name == "TotalGCTime" {
        metrics.spark_driver_executor_gc_total_time(figure.start, figure.millis());
        return true;
    }
    let Some((gc_type, number)) = collector(figure.name) else { return false };
    match number {
        "GCCount" => {
            let attributes = t::SparkDriverExecutorGcOperations { gc_type };
            metrics.spark_driver_executor_gc_operations(figure.start, &attributes, figure.count);
        }
        "GCTime" => {
            let attributes = t::SparkDriverExecutorGcTime { gc_type };
            metrics.spark_driver_executor_gc_time(figure.start, &attributes, figure.millis());
        }
        _ => return false,
    }
    true
}
