//! A run in the words of the API.
//!
//! Invariant: unless a run's quirks say otherwise, the deprecated `state` and the current `status` say the same; durations of phases stand on the
//! run itself only when it has exactly one task, and are 0 on it otherwise (`BaseRun.setup_duration`: "set to
//! 0 for multitask job runs").

use super::super::world::{Compute, Episode, Outcome, Phase, Quirk, RunView, TaskView, Told, cluster_id_of_run};
use serde_json::{Value, json};

pub(super) fn run(view: &RunView<'_>, org_id: u64) -> Value {
    let run = view.run;
    let single = match view.tasks.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let Told { run: duration, queue, setup, execution, cleanup } = view.told();
    let mut body = json!({
        "job_id": run.job_id,
        "run_id": run.run_id,
        "job_run_id": run.run_id,
        "number_in_job": run.run_id,
        "original_attempt_run_id": run.original_run_id.unwrap_or(run.run_id),
        "attempt_number": run.attempt,
        "run_name": run.name,
        "run_type": run.run_type,
        "trigger": run.trigger,
        "creator_user_name": run.creator,
        "run_page_url": format!("https://example.cloud.databricks.com/?o={org_id}#job/{}/run/{}", run.job_id, run.run_id),
        "format": "MULTI_TASK",
        "start_time": run.start,
        "end_time": view.end.filter(|_| !view.has(Quirk::NoEndTime)).unwrap_or_default(),
        "setup_duration": setup,
        "execution_duration": execution,
        "cleanup_duration": cleanup,
        "queue_duration": queue,
        "run_duration": duration,
        "state": state(view.phase, view.outcome()),
        "status": status(view.phase, view.outcome()),
    });
    if let Some(cluster) = single.and_then(|task| cluster_instance(view, task)) {
        body["cluster_instance"] = cluster;
    }
    make_odd(&mut body, view);
    body
}

/// Adds `tasks` and `job_clusters`, as `expand_tasks` and `runs/get` show them.
pub(super) fn add_tasks(body: &mut Value, view: &RunView<'_>, first: usize, most: usize) {
    body["tasks"] =
        view.tasks.iter().enumerate().skip(first).take(most).map(|(index, shown)| task(view, index, shown)).collect();
    let shares_a_cluster = view.tasks.iter().any(|task| task.task.compute == Compute::JobCluster);
    if shares_a_cluster && first == 0 {
        body["job_clusters"] = json!([{
            "job_cluster_key": JOB_CLUSTER_KEY,
            "new_cluster": {
                "spark_version": "16.4.x-scala2.12",
                "node_type_id": "i3.xlarge",
                "num_workers": 2,
            },
        }]);
    }
}

/// Adds `repair_history`: the original run and its repairs.
pub(super) fn add_history(body: &mut Value, view: &RunView<'_>) {
    let item = |(index, episode): (usize, &Episode<'_>)| {
        let start = if index == 0 { view.run.start } else { episode.begin };
        let mut item = json!({
            "type": if index == 0 { "ORIGINAL" } else { "REPAIR" },
            "start_time": start,
            "end_time": if episode.phase == Phase::Terminated { episode.planned_end.0 } else { 0 },
            "state": state(episode.phase, episode.outcome),
            "status": status(episode.phase, episode.outcome),
            "task_run_ids": episode.tasks.clone().map(|task| view.run.task_run_id(task)).collect::<Vec<_>>(),
        });
        if index > 0 {
            // "The ID of the repair. Only returned for the items that represent a repair."
            item["id"] = view.run.run_id.wrapping_mul(1000).wrapping_add(900 + index as i64).into();
        }
        item
    };
    body["repair_history"] = view.history.iter().enumerate().map(item).collect();
}

/// What `runs/get-output` tells of a task: the task's run without its output, and why it failed.
pub(super) fn output(view: &RunView<'_>, index: usize, shown: &TaskView<'_>, org_id: u64) -> Value {
    let mut metadata = task(view, index, shown);
    let run = self::run(view, org_id);
    for field in ["job_id", "run_name", "run_type", "trigger", "creator_user_name", "run_page_url", "format"] {
        metadata[field] = run[field].clone();
    }
    metadata["job_run_id"] = view.run.run_id.into();
    metadata["parent_run_id"] = view.run.run_id.into();
    let mut body = json!({ "metadata": metadata });
    if shown.phase == Phase::Terminated {
        body["notebook_output"] = json!({ "truncated": false });
        let verdict = shown.task.outcome.verdict();
        if let Some(error) = verdict.error() {
            body["error"] = error.into();
            let trace = shown.task.error_trace.clone().unwrap_or_else(|| trace_of(&shown.task.key, error));
            body["error_trace"] = trace.into();
        }
    }
    body
}

/// A trace as a notebook prints it, colours included.
fn trace_of(key: &str, error: &str) -> String {
    let (kind, _) = error.split_once(": ").unwrap_or(("Exception", error));
    format!(
        "\u{1b}[0;31m{}\u{1b}[0m\n\u{1b}[0;31m{kind}\u{1b}[0m  Traceback (most recent call last)\n\
         File \u{1b}[0;32m<command-1>, line 17\u{1b}[0m\n\u{1b}[0;32m---> 17\u{1b}[0m {key}(spark)\n\n{error}",
        "-".repeat(75)
    )
}

/// Tells it as the run's quirks want it told.
fn make_odd(body: &mut Value, view: &RunView<'_>) {
    let Some(fields) = body.as_object_mut() else {
        return;
    };
    // A duration that is not told is left out, not null.
    for duration in ["run_duration", "queue_duration"] {
        if fields.get(duration).is_some_and(Value::is_null) {
            fields.remove(duration);
        }
    }
    if view.has(Quirk::NoStatus) {
        fields.remove("status");
    }
    if view.has(Quirk::NoState) {
        fields.remove("state");
    }
    if view.has(Quirk::NullObjects) {
        for name in ["cluster_instance", "schedule", "status", "trigger_info", "depends_on", "new_cluster"] {
            fields.insert(name.to_owned(), Value::Null);
        }
    }
}

const JOB_CLUSTER_KEY: &str = "shared";

fn task(view: &RunView<'_>, index: usize, shown: &TaskView<'_>) -> Value {
    let plan = shown.task;
    let Told { run: duration, queue, setup, execution, cleanup } = view.told_of(shown);
    let ended = shown.phase == Phase::Terminated;
    let mut body = json!({
        "run_id": view.run.task_run_id(index),
        "task_key": plan.key,
        "attempt_number": shown.attempt,
        "run_if": "ALL_SUCCESS",
        "notebook_task": { "notebook_path": format!("/Jobs/{}/{}", view.run.name, plan.key), "source": "WORKSPACE" },
        "start_time": if shown.has_started() { shown.slot.start.0 } else { 0 },
        "end_time": if ended && !view.has(Quirk::NoEndTime) { shown.slot.end.0 } else { 0 },
        "setup_duration": setup,
        "execution_duration": execution,
        "cleanup_duration": cleanup,
        "queue_duration": queue,
        "run_duration": duration,
        "state": state(shown.phase, &plan.outcome),
        "status": status(shown.phase, &plan.outcome),
    });
    if !plan.depends_on.is_empty() {
        body["depends_on"] = plan.depends_on.iter().map(|key| json!({ "task_key": key })).collect();
    }
    match &plan.compute {
        Compute::JobCluster => body["job_cluster_key"] = JOB_CLUSTER_KEY.into(),
        Compute::Existing(cluster_id) => body["existing_cluster_id"] = cluster_id.as_str().into(),
        Compute::Serverless => {
            body["environment_key"] = "default".into();
            body["effective_performance_target"] = "PERFORMANCE_OPTIMIZED".into();
        }
    }
    if let Some(cluster) = cluster_instance(view, shown) {
        body["cluster_instance"] = cluster;
    }
    make_odd(&mut body, view);
    body
}

/// The cluster appears when it has been asked for, its Spark context when code runs on it.
fn cluster_instance(view: &RunView<'_>, shown: &TaskView<'_>) -> Option<Value> {
    let cluster_id = match &shown.task.compute {
        Compute::JobCluster => cluster_id_of_run(view.run.run_id),
        Compute::Existing(cluster_id) => cluster_id.clone(),
        Compute::Serverless => return None,
    };
    let never_ran = shown.slot.start == shown.slot.end;
    if !shown.has_started() || never_ran {
        return None;
    }
    let mut instance = json!({ "cluster_id": cluster_id });
    if shown.phase != Phase::Pending {
        let context = view.run.run_id.wrapping_mul(2_654_435_761);
        instance["spark_context_id"] = context.unsigned_abs().to_string().into();
    }
    Some(instance)
}

/// The deprecated account of where a run or task is.
fn state(phase: Phase, outcome: &Outcome) -> Value {
    let (word, message) = match phase {
        Phase::Queued => ("QUEUED", QUEUE_REASON),
        Phase::Blocked => ("BLOCKED", "Waiting for upstream tasks to complete."),
        Phase::Pending => ("PENDING", "Waiting for cluster."),
        Phase::Running => ("RUNNING", "In run."),
        Phase::Terminating => ("TERMINATING", "Terminating."),
        Phase::Terminated => {
            let verdict = outcome.verdict();
            let mut body = json!({
                "life_cycle_state": verdict.life_cycle,
                "state_message": verdict.message,
                "user_cancelled_or_timedout": matches!(outcome, Outcome::Canceled | Outcome::TimedOut),
            });
            if let Some(result) = verdict.result {
                body["result_state"] = result.into();
            }
            return body;
        }
    };
    let mut body = json!({
        "life_cycle_state": word,
        "state_message": message,
        "user_cancelled_or_timedout": false,
    });
    if phase == Phase::Queued {
        body["queue_reason"] = QUEUE_REASON.into();
    }
    body
}

const QUEUE_REASON: &str = "Queued due to reaching the maximum of active runs in the workspace.";

/// The current account of the same.
fn status(phase: Phase, outcome: &Outcome) -> Value {
    let word = match phase {
        Phase::Queued => "QUEUED",
        Phase::Blocked => "BLOCKED",
        Phase::Pending => "PENDING",
        Phase::Running => "RUNNING",
        Phase::Terminating => "TERMINATING",
        Phase::Terminated => "TERMINATED",
    };
    let mut body = json!({ "state": word });
    match phase {
        Phase::Queued => {
            body["queue_details"] = json!({ "code": "ACTIVE_RUNS_LIMIT_REACHED", "message": QUEUE_REASON });
        }
        Phase::Terminating | Phase::Terminated => {
            let verdict = outcome.verdict();
            body["termination_details"] = json!({
                "code": verdict.code,
                "type": verdict.kind,
                "message": verdict.message,
            });
        }
        _ => {}
    }
    body
}
