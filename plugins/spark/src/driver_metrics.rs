//! The metrics of the driver that have a name of their own: those of the Collector's receiver for Spark, and the results
//! of jobs, stages and tasks.
//!
//! Kinds are what Spark does, not always what the Collector says: the scheduler's failed stages are those that wait to
//! be submitted again, and fall.

use kiln_plugin::UnixNanos;
use kiln_plugin::telemetry::Number;

use crate::quantity::Scale;
use crate::reading::{Part, Reading};
use crate::telemetry as t;

/// Adds the reading to the metric the manifest has for it. Says whether there is one.
pub(crate) fn declared(reading: &Reading<'_>, start: UnixNanos, metrics: &mut t::Metrics) -> bool {
    let Some((source, name)) = reading.name.split_once('_') else { return false };
    let figure = Figure { name, part: reading.part, reading, start };
    let plain = matches!(reading.part, Part::Value | Part::Count);
    match source {
        "CodeGenerator" => figure.code_generator(metrics),
        "LiveListenerBus" => figure.listener_bus(metrics),
        _ if !plain => false,
        "BlockManager" => figure.block_manager(metrics),
        "DAGScheduler" => figure.dag_scheduler(metrics),
        "ExecutorMetrics" => figure.memory(metrics) || figure.garbage_collection(metrics),
        "HiveExternalCatalog" => figure.hive_catalog(metrics),
        "JVMCPU" => figure.cpu(metrics),
        "appStatus" => figure.app_status(metrics),
        _ => false,
    }
}

/// One reading on its way to its metric.
struct Figure<'a> {
    /// The name behind that of the source.
    name: &'a str,
    part: Part,
    reading: &'a Reading<'a>,
    start: UnixNanos,
}

impl Figure<'_> {
    /// As a whole number. Nothing here can be negative.
    fn count(&self) -> i64 {
        self.reading.value.as_i64().max(0)
    }

    fn number(&self) -> f64 {
        self.reading.value.as_f64()
    }

    /// The number, which counts milliseconds, in seconds.
    fn seconds(&self) -> f64 {
        self.number() / 1e3
    }

    /// The number, which Spark rounds to mebibytes, in bytes.
    fn bytes(&self) -> i64 {
        match Scale::MebibytesToBytes.apply(self.reading.value) {
            Number::Integer(bytes) => bytes.max(0),
            Number::Float(bytes) => bytes.max(0.0) as i64,
        }
    }

    fn block_manager(&self, metrics: &mut t::Metrics) -> bool {
        let (location, state) = match self.name {
            "disk_diskSpaceUsed_MB" => {
                metrics.spark_driver_block_manager_disk_usage(self.bytes());
                return true;
            }
            "memory_onHeapMemUsed_MB" => ("on_heap", "used"),
            "memory_offHeapMemUsed_MB" => ("off_heap", "used"),
            "memory_remainingOnHeapMem_MB" => ("on_heap", "free"),
            "memory_remainingOffHeapMem_MB" => ("off_heap", "free"),
            _ => return false,
        };
        let attributes = t::SparkDriverBlockManagerMemoryUsage { location, state };
        metrics.spark_driver_block_manager_memory_usage(&attributes, self.bytes());
        true
    }

    fn code_generator(&self, metrics: &mut t::Metrics) -> bool {
        let (start, count) = (self.start, self.count());
        match (self.name, self.part) {
            ("compilationTime", Part::Count) => metrics.spark_driver_code_generator_compilation_count(start, count),
            ("generatedClassSize", Part::Count) => {
                metrics.spark_driver_code_generator_generated_class_count(start, count);
            }
            ("generatedMethodSize", Part::Count) => {
                metrics.spark_driver_code_generator_generated_method_count(start, count);
            }
            ("sourceCodeSize", Part::Count) => {
                metrics.spark_driver_code_generator_source_code_operations(start, count);
            }
            ("compilationTime", Part::Mean) => {
                metrics.spark_driver_code_generator_compilation_average_time(self.seconds());
            }
            ("generatedClassSize", Part::Mean) => {
                metrics.spark_driver_code_generator_generated_class_average_size(self.number());
            }
            ("generatedMethodSize", Part::Mean) => {
                metrics.spark_driver_code_generator_generated_method_average_size(self.number());
            }
            ("sourceCodeSize", Part::Mean) => {
                metrics.spark_driver_code_generator_source_code_average_size(self.number());
            }
            _ => return false,
        }
        true
    }

    fn dag_scheduler(&self, metrics: &mut t::Metrics) -> bool {
        let stages = |status| t::SparkDriverDagSchedulerStageCount { status };
        match self.name {
            "job_activeJobs" => metrics.spark_driver_dag_scheduler_job_active(self.count()),
            "job_allJobs" => metrics.spark_driver_dag_scheduler_job_count(self.start, self.count()),
            "stage_failedStages" => metrics.spark_driver_dag_scheduler_stage_failed(self.count()),
            "stage_runningStages" => {
                metrics.spark_driver_dag_scheduler_stage_count(&stages("running"), self.count());
            }
            "stage_waitingStages" => {
                metrics.spark_driver_dag_scheduler_stage_count(&stages("waiting"), self.count());
            }
            _ => return false,
        }
        true
    }

    fn memory(&self, metrics: &mut t::Metrics) -> bool {
        let bytes = self.count();
        let execution = |location| t::SparkDriverExecutorMemoryExecution { location };
        let storage = |location| t::SparkDriverExecutorMemoryStorage { location };
        let jvm = |location| t::SparkDriverExecutorMemoryJvm { location };
        let pool = |r#type| t::SparkDriverExecutorMemoryPool { r#type };
        match self.name {
            "OnHeapExecutionMemory" => metrics.spark_driver_executor_memory_execution(&execution("on_heap"), bytes),
            "OffHeapExecutionMemory" => metrics.spark_driver_executor_memory_execution(&execution("off_heap"), bytes),
            "OnHeapStorageMemory" => metrics.spark_driver_executor_memory_storage(&storage("on_heap"), bytes),
            "OffHeapStorageMemory" => metrics.spark_driver_executor_memory_storage(&storage("off_heap"), bytes),
            "JVMHeapMemory" => metrics.spark_driver_executor_memory_jvm(&jvm("on_heap"), bytes),
            "JVMOffHeapMemory" => metrics.spark_driver_executor_memory_jvm(&jvm("off_heap"), bytes),
            "DirectPoolMemory" => metrics.spark_driver_executor_memory_pool(&pool("direct"), bytes),
            "MappedPoolMemory" => metrics.spark_driver_executor_memory_pool(&pool("mapped"), bytes),
            _ => return false,
        }
        true
    }

    fn garbage_collection(&self, metrics: &mut t::Metrics) -> bool {
        let Some((gc_type, figure)) = collector(self.name) else { return false };
        match figure {
            "GCCount" => {
                let attributes = t::SparkDriverExecutorGcOperations { gc_type };
                metrics.spark_driver_executor_gc_operations(self.start, &attributes, self.count());
            }
            "GCTime" => {
                let attributes = t::SparkDriverExecutorGcTime { gc_type };
                metrics.spark_driver_executor_gc_time(self.start, &attributes, self.seconds().max(0.0));
            }
            _ => return false,
        }
        true
    }

    fn hive_catalog(&self, metrics: &mut t::Metrics) -> bool {
        let (start, count) = (self.start, self.count());
        match self.name {
            "fileCacheHits" => metrics.spark_driver_hive_external_catalog_file_cache_hits(start, count),
            "filesDiscovered" => metrics.spark_driver_hive_external_catalog_files_discovered(start, count),
            "hiveClientCalls" => metrics.spark_driver_hive_external_catalog_hive_client_calls(start, count),
            "parallelListingJobCount" => metrics.spark_driver_hive_external_catalog_parallel_listing_jobs(start, count),
            "partitionsFetched" => metrics.spark_driver_hive_external_catalog_partitions_fetched(start, count),
            _ => return false,
        }
        true
    }

    /// The JVM says -1 where it cannot tell.
    fn cpu(&self, metrics: &mut t::Metrics) -> bool {
        if self.name == "jvmCpuTime" && self.number() >= 0.0 {
            metrics.spark_driver_jvm_cpu_time(self.start, self.number() / 1e9);
        }
        self.name == "jvmCpuTime"
    }

    fn listener_bus(&self, metrics: &mut t::Metrics) -> bool {
        if self.name == "numEventsPosted" && self.part == Part::Count {
            metrics.spark_driver_live_listener_bus_posted(self.start, self.count());
            return true;
        }
        let queue = self.name.strip_prefix("queue_").and_then(|name| name.rsplit_once('_'));
        let Some((queue, name)) = queue else { return false };
        match (name, self.part) {
            ("size", Part::Value) => {
                let attributes = t::SparkDriverLiveListenerBusQueueSize { queue };
                metrics.spark_driver_live_listener_bus_queue_size(&attributes, self.count());
            }
            ("numDroppedEvents", Part::Count) => {
                let attributes = t::SparkDriverLiveListenerBusDropped { queue };
                metrics.spark_driver_live_listener_bus_dropped(self.start, &attributes, self.count());
            }
            ("listenerProcessingTime", Part::Mean) => {
                let attributes = t::SparkDriverLiveListenerBusProcessingTimeAverage { queue };
                metrics.spark_driver_live_listener_bus_processing_time_average(&attributes, self.number() / 1e9);
            }
            _ => return false,
        }
        true
    }

    fn app_status(&self, metrics: &mut t::Metrics) -> bool {
        let (start, count) = (self.start, self.count());
        let jobs = |result| t::SparkDriverAppStatusJobResult { result };
        let stages = |result| t::SparkDriverAppStatusStageResult { result };
        let tasks = |result| t::SparkDriverAppStatusTaskResult { result };
        match self.name {
            "jobDuration" => metrics.spark_driver_app_status_job_duration(self.seconds()),
            "jobs_succeededJobs" => metrics.spark_driver_app_status_job_result(start, &jobs("succeeded"), count),
            "jobs_failedJobs" => metrics.spark_driver_app_status_job_result(start, &jobs("failed"), count),
            "stages_completedStages" => {
                metrics.spark_driver_app_status_stage_result(start, &stages("completed"), count);
            }
            "stages_failedStages" => metrics.spark_driver_app_status_stage_result(start, &stages("failed"), count),
            "stages_skippedStages" => metrics.spark_driver_app_status_stage_result(start, &stages("skipped"), count),
            "tasks_completedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("completed"), count),
            "tasks_failedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("failed"), count),
            "tasks_killedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("killed"), count),
            "tasks_skippedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("skipped"), count),
            _ => return false,
        }
        true
    }
}

/// The garbage collector a name starts with, and the rest of the name.
pub(crate) fn collector(name: &str) -> Option<(&'static str, &str)> {
    let collectors = [("Minor", "minor"), ("Major", "major"), ("Concurrent", "concurrent")];
    collectors.into_iter().find_map(|(prefix, gc_type)| Some((gc_type, name.strip_prefix(prefix)?)))
}
