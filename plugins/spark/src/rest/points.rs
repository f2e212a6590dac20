//! Points of single jobs and stages: while they run, and once when they have ended.
//!
//! Their number is bounded by the operator. What has no points of its own is counted, and is part of the totals once it
//! has ended.

use kiln_plugin::UnixNanos;

use super::databricks::Group;
use super::job::Job;
use super::stage::Stage;
use crate::telemetry as t;

/// Adds the points of a job.
pub(crate) fn add_job(id: u64, job: &Job, start: UnixNanos, metrics: &mut t::Metrics) {
    let Ok(spark_job_id) = i64::try_from(id) else { return };
    let start = job.submission_time.map_or(start, UnixNanos::from_millis);
    let group = job.job_group.as_deref().and_then(Group::parse).unwrap_or_default();
    let databricks_job_id = group.job_id.as_deref();
    let databricks_task_run_id = group.task_run_id;
    let databricks_pipeline_id = group.pipeline_id.as_deref();
    macro_rules! point {
        ($attributes:ident { $($field:ident),* }) => {
            &t::$attributes { spark_job_id, databricks_job_id, databricks_task_run_id, databricks_pipeline_id $(, $field)* }
        };
    }
    metrics.spark_job_stage_active(point!(SparkJobStageActive {}), job.active_stages());
    metrics.spark_job_task_active(point!(SparkJobTaskActive {}), job.active_tasks());
    for (result, stages) in job.stage_results() {
        metrics.spark_job_stage_result(start, point!(SparkJobStageResult { result }), stages);
    }
    for (result, tasks) in job.tasks() {
        metrics.spark_job_task_result(start, point!(SparkJobTaskResult { result }), tasks);
    }
}

/// Adds the points of an attempt at a stage.
pub(crate) fn add_stage(stage: &Stage, start: UnixNanos, metrics: &mut t::Metrics) {
    let Some((id, attempt)) = stage.key() else { return };
    let (Ok(spark_stage_id), Ok(spark_stage_attempt_id)) = (i64::try_from(id), i64::try_from(attempt)) else { return };
    let start = stage.start().map_or(start, UnixNanos::from_millis);
    macro_rules! point {
        ($attributes:ident { $($field:ident),* }) => {
            &t::$attributes { spark_stage_id, spark_stage_attempt_id $(, $field)* }
        };
    }
    let status = stage.status().name();
    metrics.spark_stage_status(point!(SparkStageStatus { status }), 1);
    metrics.spark_stage_task_active(point!(SparkStageTaskActive {}), stage.active_tasks());
    for (result, tasks) in stage.tasks() {
        metrics.spark_stage_task_result(start, point!(SparkStageTaskResult { result }), tasks);
    }
    metrics.spark_stage_task_result_size(start, point!(SparkStageTaskResultSize {}), stage.result_size());
    metrics.spark_stage_memory_peak(point!(SparkStageMemoryPeak {}), stage.peak_memory());

    let work = stage.work();
    metrics.spark_stage_executor_run_time(start, point!(SparkStageExecutorRunTime {}), work.run_time.seconds());
    metrics.spark_stage_executor_cpu_time(start, point!(SparkStageExecutorCpuTime {}), work.cpu_time.seconds());
    metrics.spark_stage_jvm_gc_time(start, point!(SparkStageJvmGcTime {}), work.gc_time.seconds());
    metrics.spark_stage_memory_spilled(start, point!(SparkStageMemorySpilled {}), work.memory_spilled);
    metrics.spark_stage_disk_spilled(start, point!(SparkStageDiskSpilled {}), work.disk_spilled);
    for (direction, size) in [("in", work.input_bytes), ("out", work.output_bytes)] {
        metrics.spark_stage_io_size(start, point!(SparkStageIoSize { direction }), size);
    }
    for (direction, records) in [("in", work.input_records), ("out", work.output_records)] {
        metrics.spark_stage_io_records(start, point!(SparkStageIoRecords { direction }), records);
    }
    add_shuffle(stage, start, metrics, spark_stage_id, spark_stage_attempt_id);
    if let Some(distributions) = &stage.task_metrics_distributions {
        distributions.add_to(metrics, spark_stage_id, spark_stage_attempt_id);
    }
}

fn add_shuffle(
    stage: &Stage,
    start: UnixNanos,
    metrics: &mut t::Metrics,
    spark_stage_id: i64,
    spark_stage_attempt_id: i64,
) {
    macro_rules! point {
        ($attributes:ident { $($field:ident),* }) => {
            &t::$attributes { spark_stage_id, spark_stage_attempt_id $(, $field)* }
        };
    }
    let work = stage.work();
    for (source, blocks) in stage.blocks_fetched() {
        metrics.spark_stage_shuffle_blocks_fetched(start, point!(SparkStageShuffleBlocksFetched { source }), blocks);
    }
    for (source, size) in stage.shuffle_read() {
        metrics.spark_stage_shuffle_io_read_size(start, point!(SparkStageShuffleIoReadSize { source }), size);
    }
    let wait = work.fetch_wait_time.seconds();
    metrics.spark_stage_shuffle_fetch_wait_time(start, point!(SparkStageShuffleFetchWaitTime {}), wait);
    let write = work.write_time.seconds();
    metrics.spark_stage_shuffle_write_time(start, point!(SparkStageShuffleWriteTime {}), write);
    let to_disk = stage.shuffle_read_to_disk();
    metrics.spark_stage_shuffle_io_disk(start, point!(SparkStageShuffleIoDisk {}), to_disk);
    let written = work.shuffle_write_bytes;
    metrics.spark_stage_shuffle_io_write_size(start, point!(SparkStageShuffleIoWriteSize {}), written);
    for (direction, records) in [("in", work.shuffle_read_records), ("out", work.shuffle_write_records)] {
        metrics.spark_stage_shuffle_io_records(start, point!(SparkStageShuffleIoRecords { direction }), records);
    }
}
