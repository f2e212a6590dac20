//! `appStatus`: how jobs, stages and tasks ended. Spark 4 counts them by itself, Spark 3 if
//! `spark.metrics.appStatusSource.enabled` says so.

use super::Figure;
use crate::telemetry as t;

pub(super) fn add(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    let jobs = |result| t::SparkDriverAppStatusJobResult { result };
    let stages = |result| t::SparkDriverAppStatusStageResult { result };
    let tasks = |result| t::SparkDriverAppStatusTaskResult { result };
    match figure.name {
        _ if !figure.is_plain() => return false,
        "jobDuration" => metrics.spark_driver_app_status_job_duration(figure.millis()),
        "jobs_succeededJobs" => metrics.spark_driver_app_status_job_result(start, &jobs("succeeded"), count),
        "jobs_failedJobs" => metrics.spark_driver_app_status_job_result(start, &jobs("failed"), count),
        "stages_completedStages" => metrics.spark_driver_app_status_stage_result(start, &stages("completed"), count),
        "stages_failedStages" => metrics.spark_driver_app_status_stage_result(start, &stages("failed"), count),
        "stages_skippedStages" => metrics.spark_driver_app_status_stage_result(start, &stages("skipped"), count),
        "tasks_completedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("completed"), count),
        "tasks_failedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("failed"), count),
        "tasks_killedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("killed"), count),
        "tasks_skippedTasks" => metrics.spark_driver_app_status_task_result(start, &tasks("skipped"), count),
        "tasks_excludedExecutors" => metrics.spark_driver_app_status_executor_excluded(start, count),
        "tasks_unexcludedExecutors" => metrics.spark_driver_app_status_executor_unexcluded(start, count),
        // The names these two had before Spark 3.1, which it still counts.
        "tasks_blackListedExecutors" | "tasks_unblackListedExecutors" => {}
        _ => return false,
    }
    true
}
