//! `DAGScheduler` and `ExecutorAllocationManager`; the latter is there with dynamic allocation.

use super::Figure;
use crate::driver::reading::Part;
use crate::telemetry as t;

pub(super) fn add(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let stages = |status| t::SparkDriverDagSchedulerStageCount { status };
    match figure.name {
        "messageProcessingTime" => message_processing_time(figure, metrics),
        _ if !figure.is_plain() => return false,
        "job_activeJobs" => metrics.spark_driver_dag_scheduler_job_active(figure.count),
        "job_allJobs" => metrics.spark_driver_dag_scheduler_job_count(figure.start, figure.count),
        "stage_failedStages" => metrics.spark_driver_dag_scheduler_stage_failed(figure.count),
        "stage_runningStages" => metrics.spark_driver_dag_scheduler_stage_count(&stages("running"), figure.count),
        "stage_waitingStages" => metrics.spark_driver_dag_scheduler_stage_count(&stages("waiting"), figure.count),
        _ => return false,
    }
    true
}

fn message_processing_time(figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let seconds = figure.nanos();
    match figure.part {
        Part::Value | Part::Count => {
            metrics.spark_driver_dag_scheduler_message_processing_time_count(figure.start, figure.count);
        }
        Part::Mean => metrics.spark_driver_dag_scheduler_message_processing_time_mean(seconds),
        Part::StdDev => metrics.spark_driver_dag_scheduler_message_processing_time_std_dev(seconds),
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverDagSchedulerMessageProcessingTimeQuantile { quantile };
            metrics.spark_driver_dag_scheduler_message_processing_time_quantile(&attributes, seconds);
        }
    }
}

pub(super) fn allocation(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    let why = |reason| t::SparkDriverExecutorAllocationManagerExecutorsRemoved { reason };
    let Some(name) = figure.name.strip_prefix("executors_").filter(|_| figure.is_plain()) else { return false };
    let reason = match name {
        "numberTargetExecutors" => {
            metrics.spark_driver_executor_allocation_manager_executors_target(count);
            return true;
        }
        "numberMaxNeededExecutors" => {
            metrics.spark_driver_executor_allocation_manager_executors_max_needed(count);
            return true;
        }
        "numberAllExecutors" => {
            metrics.spark_driver_executor_allocation_manager_executors_active(count);
            return true;
        }
        "numberExecutorsToAdd" => {
            metrics.spark_driver_executor_allocation_manager_executors_to_add(count);
            return true;
        }
        "numberExecutorsPendingToRemove" => {
            metrics.spark_driver_executor_allocation_manager_executors_pending_removal(count);
            return true;
        }
        "numberDecommissioningExecutors" => {
            metrics.spark_driver_executor_allocation_manager_executors_decommissioning(count);
            return true;
        }
        "numberExecutorsGracefullyDecommissioned" => "decommissioned",
        "numberExecutorsDecommissionUnfinished" => "decommission_unfinished",
        "numberExecutorsKilledByDriver" => "driver_killed",
        "numberExecutorsExitedUnexpectedly" => "exited_unexpectedly",
        _ => return false,
    };
    metrics.spark_driver_executor_allocation_manager_executors_removed(start, &why(reason), count);
    true
}
