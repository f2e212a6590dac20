//! `jvm` and `JVMCPU`. Pools and collectors are attributes, called what the JVM calls them.
//!
//! A page has lost some of their characters: Dropwizard makes hyphens of blanks, and the Prometheus page makes
//! underscores of everything. HotSpot's own are known and get their names back; any other keeps what the page has.

use super::{Figure, Middle};
use crate::telemetry as t;

/// Memory pools and garbage collectors of HotSpot.
const HOTSPOT: [&str; 34] = [
    "CodeCache",
    "Code Cache",
    "CodeHeap 'non-nmethods'",
    "CodeHeap 'non-profiled nmethods'",
    "CodeHeap 'profiled nmethods'",
    "Compressed Class Space",
    "Metaspace",
    "Eden Space",
    "Survivor Space",
    "Tenured Gen",
    "Par Eden Space",
    "Par Survivor Space",
    "CMS Old Gen",
    "PS Eden Space",
    "PS Survivor Space",
    "PS Old Gen",
    "G1 Eden Space",
    "G1 Survivor Space",
    "G1 Old Gen",
    "ZHeap",
    "ZGC Young Generation",
    "ZGC Old Generation",
    "Shenandoah",
    "Copy",
    "MarkSweepCompact",
    "ParNew",
    "ConcurrentMarkSweep",
    "PS Scavenge",
    "PS MarkSweep",
    "G1 Young Generation",
    "G1 Old Generation",
    "G1 Concurrent GC",
    "ZGC Cycles",
    "ZGC Pauses",
];

pub(super) fn add(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    figure.is_plain()
        && (areas(figure, metrics)
            || pools(figure, metrics)
            || buffers(figure, metrics)
            || garbage_collectors(figure, metrics))
}

pub(super) fn cpu(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let known = figure.name == "jvmCpuTime" && figure.is_plain();
    if known {
        metrics.spark_driver_jvm_cpu_time(figure.start, figure.nanos());
    }
    known
}

fn areas(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let bytes = figure.count;
    match figure.name {
        "heap_used" => metrics.spark_driver_jvm_heap_used(bytes),
        "heap_committed" => metrics.spark_driver_jvm_heap_committed(bytes),
        "heap_init" => metrics.spark_driver_jvm_heap_init(bytes),
        "heap_max" => metrics.spark_driver_jvm_heap_max(bytes),
        "heap_usage" => metrics.spark_driver_jvm_heap_usage(figure.number),
        "non_heap_used" => metrics.spark_driver_jvm_non_heap_used(bytes),
        "non_heap_committed" => metrics.spark_driver_jvm_non_heap_committed(bytes),
        "non_heap_init" => metrics.spark_driver_jvm_non_heap_init(bytes),
        "non_heap_max" => metrics.spark_driver_jvm_non_heap_max(bytes),
        "non_heap_usage" => metrics.spark_driver_jvm_non_heap_usage(figure.number),
        "total_used" => metrics.spark_driver_jvm_total_used(bytes),
        "total_committed" => metrics.spark_driver_jvm_total_committed(bytes),
        "total_init" => metrics.spark_driver_jvm_total_init(bytes),
        "total_max" => metrics.spark_driver_jvm_total_max(bytes),
        _ => return false,
    }
    true
}

fn pools(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let of = |part| figure.between("pools_", part).map(name);
    let bytes = figure.count;
    if let Some(pool) = of("_used") {
        metrics.spark_driver_jvm_pool_used(&t::SparkDriverJvmPoolUsed { jvm_memory_pool_name: &pool }, bytes);
    } else if let Some(pool) = of("_committed") {
        let attributes = t::SparkDriverJvmPoolCommitted { jvm_memory_pool_name: &pool };
        metrics.spark_driver_jvm_pool_committed(&attributes, bytes);
    } else if let Some(pool) = of("_init") {
        metrics.spark_driver_jvm_pool_init(&t::SparkDriverJvmPoolInit { jvm_memory_pool_name: &pool }, bytes);
    } else if let Some(pool) = of("_max") {
        metrics.spark_driver_jvm_pool_max(&t::SparkDriverJvmPoolMax { jvm_memory_pool_name: &pool }, bytes);
    } else if let Some(pool) = of("_used_after_gc") {
        let attributes = t::SparkDriverJvmPoolUsedAfterGc { jvm_memory_pool_name: &pool };
        metrics.spark_driver_jvm_pool_used_after_gc(&attributes, bytes);
    } else if let Some(pool) = of("_usage") {
        let attributes = t::SparkDriverJvmPoolUsage { jvm_memory_pool_name: &pool };
        metrics.spark_driver_jvm_pool_usage(&attributes, figure.number);
    } else {
        return false;
    }
    true
}

fn buffers(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let Some((jvm_buffer_pool_name @ ("direct" | "mapped"), number)) = figure.name.split_once('_') else {
        return false;
    };
    match number {
        "count" => {
            metrics.spark_driver_jvm_buffer_count(&t::SparkDriverJvmBufferCount { jvm_buffer_pool_name }, figure.count)
        }
        "used" => {
            metrics.spark_driver_jvm_buffer_used(&t::SparkDriverJvmBufferUsed { jvm_buffer_pool_name }, figure.count);
        }
        "capacity" => {
            let attributes = t::SparkDriverJvmBufferCapacity { jvm_buffer_pool_name };
            metrics.spark_driver_jvm_buffer_capacity(&attributes, figure.count);
        }
        _ => return false,
    }
    true
}

fn garbage_collectors(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    if let Some(collector) = figure.between("", "_count").map(name) {
        let attributes = t::SparkDriverJvmGcCount { jvm_gc_name: &collector };
        metrics.spark_driver_jvm_gc_count(figure.start, &attributes, figure.count);
    } else if let Some(collector) = figure.between("", "_time").map(name) {
        let attributes = t::SparkDriverJvmGcTime { jvm_gc_name: &collector };
        metrics.spark_driver_jvm_gc_time(figure.start, &attributes, figure.millis());
    } else {
        return false;
    }
    true
}

/// What the JVM calls it.
fn name(middle: Middle<'_>) -> String {
    let mangled = |known: &&str| {
        known.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).eq(middle.mangled.chars())
    };
    HOTSPOT.into_iter().find(mangled).unwrap_or_else(|| middle.as_written()).to_owned()
}
