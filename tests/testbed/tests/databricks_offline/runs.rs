//! Runs that do not simply start and end: repaired, retried, skipped, told oddly.

use super::{NOW, RUNS, ask, read, seconds};
use kiln_testbed::databricks::Offline;
use kiln_testbed::databricks::world::{Outcome, Quirk, Run, Task, UnixMillis};
use serde_json::{Value, json};
use std::time::Duration;

const EVER: UnixMillis = UnixMillis(i64::MAX);

fn failed(message: &str) -> Outcome {
    Outcome::Failed(message.to_owned())
}

fn run(workspace: &Offline, run_id: i64) -> Value {
    read(workspace, &format!("/api/2.2/jobs/runs/get?run_id={run_id}&include_history=true"))
}

fn only_run(run: Run) -> Offline {
    let workspace = Offline::scripted(NOW);
    workspace.set_runs(vec![run]);
    workspace
}

#[test]
fn a_repaired_run_is_active_again_and_ends_later_and_longer() {
    let tasks = vec![Task::new("extract", seconds(10)), Task::new("load", seconds(10)).after(&["extract"])];
    let plan = Run::new(7, 70, NOW, tasks).ending(failed("no such table"));
    let workspace = only_run(plan.repaired(NOW.plus(seconds(100)), vec![Task::new("load", seconds(30))]));
    let active = || read(&workspace, &format!("{RUNS}?active_only=true"))["runs"].as_array().map_or(0, Vec::len);

    workspace.advance(seconds(50));
    let first = run(&workspace, 70);
    assert_eq!((active(), &first["state"]["result_state"]), (0, &json!("FAILED")));
    assert_eq!(first["repair_history"].as_array().unwrap().len(), 1);

    workspace.advance(seconds(60));
    let repairing = run(&workspace, 70);
    assert_eq!((active(), &repairing["end_time"], &repairing["status"]["state"]), (1, &json!(0), &json!("RUNNING")));

    workspace.advance(seconds(60));
    let last = run(&workspace, 70);
    assert_eq!((active(), &last["state"]["result_state"]), (0, &json!("SUCCESS")));
    for field in ["run_id", "start_time"] {
        assert_eq!(last[field], first[field]);
    }
    let end = |second: u64| json!(NOW.plus(seconds(second)).0);
    assert_eq!((&first["end_time"], &first["run_duration"]), (&end(20), &json!(20_000)));
    assert_eq!((&last["end_time"], &last["run_duration"]), (&end(130), &json!(50_000)));
    let [original, repair] = last["repair_history"].as_array().unwrap().as_slice() else { panic!("{last}") };
    assert_eq!((&original["type"], &original["state"]["result_state"]), (&json!("ORIGINAL"), &json!("FAILED")));
    assert_eq!((&repair["type"], &repair["start_time"], &repair["end_time"]), (&json!("REPAIR"), &end(100), &end(130)));
    let tasks = last["tasks"].as_array().unwrap();
    let attempts: Vec<_> = tasks
        .iter()
        .map(|task| (task["task_key"].as_str().unwrap(), task["attempt_number"].as_u64().unwrap()))
        .collect();
    assert_eq!(attempts, [("extract", 0), ("load", 0), ("load", 1)]);
    assert_eq!(repair["task_run_ids"], json!([tasks[2]["run_id"]]));

    // The truth of the first hour knows one run, with its last end.
    let truth = workspace.truth(NOW, EVER);
    assert_eq!((truth.runs.len(), truth.runs[0].count, truth.runs[0].repairs), (1, 1, 1));
    assert_eq!((truth.runs[0].result_state.as_str(), truth.runs[0].durations.run.ms), ("SUCCESS", 50_000));
}

#[test]
fn a_retry_of_a_run_is_a_run_that_names_the_first_attempt() {
    let first = Run::new(7, 70, NOW, vec![Task::new("load", seconds(1))]).ending(failed("flaky"));
    let second = Run::retry_of(&first, 71, NOW.plus(seconds(5))).ending(failed("flaky"));
    let third = Run::retry_of(&second, 72, NOW.plus(seconds(10)));
    let workspace = Offline::scripted(NOW.plus(seconds(60)));
    workspace.set_runs(vec![first, second, third]);
    let told: Vec<_> = [70, 71, 72]
        .map(|id| {
            let run = run(&workspace, id);
            (run["attempt_number"].clone(), run["original_attempt_run_id"].clone(), run["trigger"].clone())
        })
        .into();
    let expected = [("0", "PERIODIC"), ("1", "RETRY"), ("2", "RETRY")]
        .map(|(attempt, trigger)| (serde_json::from_str(attempt).unwrap(), json!(70), json!(trigger)));
    assert_eq!(told, expected);
}

#[test]
fn runs_without_a_result_are_known_by_their_life_cycle_or_their_termination_code() {
    let outcome_of = |outcome| {
        let workspace = only_run(Run::new(7, 70, NOW, vec![Task::new("load", seconds(1))]).ending(outcome));
        workspace.advance(seconds(2));
        let told = run(&workspace, 70);
        assert_eq!(told["state"].get("result_state"), None, "{told}");
        let state = told["state"]["life_cycle_state"].as_str().unwrap().to_owned();
        (state, workspace.truth(NOW, EVER).runs[0].result_state.clone())
    };
    assert_eq!(outcome_of(Outcome::Skipped), ("SKIPPED".to_owned(), "SKIPPED".to_owned()));
    let crashed = Outcome::Crashed("the control plane is gone".to_owned());
    assert_eq!(outcome_of(crashed), ("INTERNAL_ERROR".to_owned(), "INTERNAL_ERROR".to_owned()));
}

#[test]
fn an_oddly_told_run_is_odd_in_the_list_and_alone_and_the_truth_stays_true() {
    let told = |quirk, field: &str| {
        let plan = Run::new(7, 70, NOW, vec![Task::new("load", seconds(10))]).ending(failed("no")).with_quirk(quirk);
        let workspace = only_run(plan);
        workspace.advance(seconds(60));
        let listed = read(&workspace, &format!("{RUNS}?expand_tasks=true&completed_only=true"))["runs"][0].clone();
        let alone = run(&workspace, 70);
        assert_eq!(listed.pointer(field), alone.pointer(field), "{quirk:?}");
        assert_eq!(listed["tasks"], alone["tasks"], "{quirk:?}");
        let truth = workspace.truth(NOW, EVER);
        assert_eq!(truth.runs[0].count, 1, "{quirk:?}");
        (alone.pointer(field).cloned(), truth.runs[0].result_state.clone(), truth.runs[0].durations)
    };
    let (status, result, _) = told(Quirk::NoStatus, "/status");
    assert_eq!((status, result.as_str()), (None, "FAILED"));
    let (state, result, _) = told(Quirk::NoState, "/state");
    assert_eq!((state, result.as_str()), (None, "RUN_EXECUTION_ERROR"));
    assert_eq!(told(Quirk::NoEndTime, "/end_time").0, Some(json!(0)));
    let (cluster, result, _) = told(Quirk::NullObjects, "/cluster_instance");
    assert_eq!((cluster, result.as_str()), (Some(Value::Null), "FAILED"));
    let (negative, _, durations) = told(Quirk::NegativeDurations, "/run_duration");
    assert_eq!((negative, durations.run.count, durations.setup.count), (Some(json!(-10_001)), 0, 0));
    let (absent, _, durations) = told(Quirk::NoRunDuration, "/run_duration");
    assert_eq!((absent, durations.run.count, durations.run.ms), (None, 1, 10_000));
    let (absent, _, durations) = told(Quirk::NoQueueDuration, "/queue_duration");
    assert_eq!((absent, durations.queue.count), (None, 0));
}

#[test]
fn a_run_that_started_days_ago_is_still_active() {
    let days = |n: u64| seconds(n * 86_400);
    let workspace = only_run(Run::new(7, 70, NOW.minus(days(3)), vec![Task::new("stream", days(10))]));
    let active =
        |query: &str| read(&workspace, &format!("{RUNS}?active_only=true{query}"))["runs"].as_array().map(Vec::len);
    assert_eq!(active(""), Some(1));
    assert_eq!(active(&format!("&start_time_from={}", NOW.minus(days(2)).0)), None);
}

#[test]
fn submitted_and_workflow_runs_have_names_and_types_of_their_own() {
    let of = |id: i64, kind: &str| {
        let mut run = Run::new(id, id, NOW, vec![Task::new("load", seconds(1))]);
        (run.name, run.run_type) = (format!("run {id}"), kind.to_owned());
        run
    };
    let workspace = Offline::scripted(NOW.plus(seconds(9)));
    workspace.set_runs(vec![of(1, "JOB_RUN"), of(2, "SUBMIT_RUN"), of(3, "WORKFLOW_RUN")]);
    let listed = read(&workspace, &format!("{RUNS}?run_type=SUBMIT_RUN"));
    assert_eq!((&listed["runs"][0]["run_name"], listed["runs"].as_array().unwrap().len()), (&json!("run 2"), 1));
    assert_eq!(workspace.truth(NOW, EVER).runs.len(), 3);
}

#[test]
fn the_output_of_a_failed_task_tells_why_and_that_of_a_run_with_several_is_refused() {
    let traced = Task { error_trace: Some("at line 3".to_owned()), ..Task::new("load", seconds(2)) };
    let tasks = vec![Task::new("extract", seconds(1)), traced.after(&["extract"])];
    let workspace = only_run(Run::new(7, 70, NOW, tasks).ending(failed("no such table")));
    let output = |run_id: &Value| ask(&workspace, &format!("/api/2.2/jobs/runs/get-output?run_id={run_id}"));
    let ids = || {
        run(&workspace, 70)["tasks"].as_array().unwrap().iter().map(|task| task["run_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(output(&ids()[1]).1.get("error"), None, "it has not failed yet");
    workspace.advance(Duration::from_secs(9));
    let (_, told) = output(&ids()[1]);
    assert_eq!((&told["error"], &told["error_trace"]), (&json!("no such table"), &json!("at line 3")));
    assert_eq!((&told["metadata"]["task_key"], &told["metadata"]["job_id"]), (&json!("load"), &json!(7)));
    assert_eq!(output(&ids()[0]).1.get("error"), None);
    for run_id in [json!(70), json!(12345)] {
        assert_eq!(output(&run_id).0, 400);
    }
}
