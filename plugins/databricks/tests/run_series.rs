//! Which series runs are told in: by which attributes, for which jobs, and until when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use kiln_plugin::testing::Collected;
use kiln_testbed::databricks::world::{Outcome, Run, Task, Verdict};
use serde_json::json;
use support::*;

#[test]
fn phases_of_a_run_with_several_tasks_are_those_of_its_tasks() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    let start = simulation.later(MINUTE);
    let task = |key: &str, setup| Task {
        setup: Duration::from_secs(setup),
        cleanup: Duration::from_secs(1),
        ..Task::new(key, MINUTE)
    };
    let mut run = Run::new(7, 1, start, vec![task("a", 5), task("b", 7).after(&["a"])]);
    run.queue = Duration::from_secs(30);
    simulation.workspace.add_run(run);
    simulation.advance(10 * MINUTE);
    let collected = instance.collect().unwrap();
    let sum = |name: &str| collected.metrics.histogram(name, &[]).sum.unwrap();
    assert_eq!(sum("databricks.job.duration.queue"), 30.0);
    assert_eq!(sum("databricks.job.duration.setup"), 12.0);
    assert_eq!(sum("databricks.job.duration.execution"), 120.0);
    assert_eq!(sum("databricks.job.duration.cleanup"), 2.0);
    assert_eq!(sum("databricks.job.duration.run"), 134.0);
    let of_task = |name, key| collected.metrics.histogram(name, &[("task_key", key)]);
    assert_eq!(of_task("databricks.tasks.duration", "a").sum, Some(66.0));
    assert_eq!(of_task("databricks.tasks.setup_duration", "b").sum, Some(7.0));
}

#[test]
fn tasks_have_no_series_where_they_are_not_wanted() {
    let simulation = Simulation::new();
    let more = json!({ "initial_lookback": "0s", "task_metrics": false });
    let mut instance = simulation.configure_with(with(only(&["runs"]), more));
    instance.collect().unwrap();
    simulation.plan(1, simulation.later(MINUTE), MINUTE);
    simulation.advance(5 * MINUTE);
    let collected = instance.collect().unwrap();
    assert_eq!(counted(&collected), 1.0);
    assert!(!collected.metrics.names().contains(&"databricks.tasks.duration"));
}

#[test]
fn results_the_api_may_add_pass_through() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    let verdict = |life: &str, result: Option<&str>| {
        Outcome::Custom(Verdict {
            life_cycle: life.to_owned(),
            result: result.map(str::to_owned),
            code: "BUDGET_EXCEEDED".to_owned(),
            kind: "CLIENT_ERROR".to_owned(),
            message: String::new(),
        })
    };
    let outcomes = [
        verdict("TERMINATED", Some("SUCCESS_WITH_GLITTER")),
        verdict("SKIPPED", None),
        verdict("INTERNAL_ERROR", None),
        verdict("TERMINATED", None),
        Outcome::Failed("no".to_owned()),
    ];
    for (id, outcome) in (1..).zip(outcomes) {
        let tasks = vec![Task::new("only", MINUTE)];
        simulation.workspace.add_run(Run::new(7, id, simulation.later(MINUTE), tasks).ending(outcome));
    }
    simulation.advance(5 * MINUTE);
    let collected = instance.collect().unwrap();
    for result in ["SUCCESS_WITH_GLITTER", "SKIPPED", "INTERNAL_ERROR", "BUDGET_EXCEEDED", "FAILED"] {
        assert_eq!(collected.metrics.value("databricks.job_runs.count", &[("result_state", result)]), 1.0, "{result}");
    }
}

/// Scenario: runs of a listed job under another name, of a job that is not listed, submitted, and started by a notebook.
/// Guarantees: all are counted, by type; ids that are made for one run alone are no attributes.
#[test]
fn all_types_of_run_are_counted() {
    let simulation = Simulation::new();
    simulation.job(1, "nightly");
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    for (id, run_type, name) in
        [(1, "JOB_RUN", "old name"), (2, "JOB_RUN", "deleted job"), (3, "SUBMIT_RUN", "adf"), (4, "WORKFLOW_RUN", "nb")]
    {
        let mut run = Run::new(id, id, simulation.later(MINUTE), vec![Task::new("only", MINUTE)]);
        (run.run_type, run.name) = (run_type.to_owned(), name.to_owned());
        simulation.workspace.add_run(run);
    }
    simulation.advance(5 * MINUTE);
    let points = instance.collect().unwrap().metrics.points("databricks.job_runs.count");
    let mut found: Vec<_> = points
        .iter()
        .map(|point| ["job_name", "databricks.job.id", "run_type"].map(|key| attribute(point, key).unwrap_or_default()))
        .collect();
    found.sort();
    let expected = [
        ["adf", "", "SUBMIT_RUN"],
        ["deleted job", "2", "JOB_RUN"],
        ["nb", "", "WORKFLOW_RUN"],
        ["nightly", "1", "JOB_RUN"],
    ];
    assert_eq!(found, expected);
}

#[test]
fn only_the_jobs_that_are_asked_for_are_observed() {
    let simulation = Simulation::new();
    for (id, name) in [(1, "etl-orders"), (2, "etl-orders-test"), (3, "report")] {
        simulation.job(id, name);
    }
    let names = json!({ "job_names": { "include": ["etl-*"], "exclude": ["*-test"] }, "initial_lookback": "0s" });
    let mut instance = simulation.configure_with(with(only(&["jobs", "runs"]), names));
    instance.collect().unwrap();
    for id in 1..=3 {
        simulation.workspace.add_run(Run::new(id, id, simulation.later(MINUTE), vec![Task::new("only", MINUTE)]));
        simulation.workspace.add_run(Run::new(id, 10 + id, simulation.later(MINUTE), vec![Task::new("only", HOUR)]));
    }
    simulation.advance(5 * MINUTE);
    let collected = instance.collect().unwrap();
    for name in ["databricks.job_runs.count", "databricks.job_runs.active"] {
        let jobs: Vec<_> =
            collected.metrics.points(name).iter().map(|point| attribute(point, "job_name").unwrap()).collect();
        assert_eq!(jobs, ["etl-orders"], "{name}");
    }
    assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 3.0);
}

#[test]
fn an_active_series_goes_to_zero_before_it_ends() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.plan(1, simulation.ago(MINUTE), 10 * MINUTE);
    let active = |collected: &Collected| {
        let points = collected.metrics.points("databricks.job_runs.active");
        points.iter().map(|point| (attribute(point, "run_state").unwrap(), point.value)).collect::<Vec<_>>()
    };
    assert_eq!(active(&instance.collect().unwrap()), [("RUNNING".to_owned(), 1.0)]);
    simulation.advance(20 * MINUTE);
    assert_eq!(active(&instance.collect().unwrap()), [("RUNNING".to_owned(), 0.0)]);
    assert!(active(&instance.collect().unwrap()).is_empty());
}

#[test]
fn jobs_beyond_the_bound_are_observed_together() {
    let simulation = Simulation::new();
    let more = json!({ "max_jobs": 2, "initial_lookback": "0s" });
    let mut instance = simulation.configure_with(with(only(&["runs"]), more));
    instance.collect().unwrap();
    for id in 1..=5 {
        simulation.workspace.add_run(Run::new(id, id, simulation.later(MINUTE), vec![Task::new("only", MINUTE)]));
        simulation.workspace.add_run(Run::new(id, 10 + id, simulation.later(MINUTE), vec![Task::new("only", HOUR)]));
    }
    simulation.advance(5 * MINUTE);
    let collected = instance.collect().unwrap();
    for name in ["databricks.job_runs.count", "databricks.job_runs.active"] {
        assert_eq!(collected.metrics.points(name).len(), 3, "{name}");
        assert_eq!(collected.metrics.value(name, &[("job_name", "other")]), 3.0, "{name}");
    }
}

#[test]
fn the_success_rate_is_taken_over_all_runs_that_ended_within_the_window() {
    let simulation = Simulation::new();
    let outcomes =
        [Outcome::Success, Outcome::Success, Outcome::Success, Outcome::Canceled, Outcome::Failed(String::new())];
    for (id, outcome) in (1..).zip(outcomes) {
        let tasks = vec![Task::new("only", MINUTE)];
        simulation.workspace.add_run(Run::new(7, id, simulation.ago(HOUR), tasks).ending(outcome));
    }
    let more = json!({ "initial_lookback": "24h", "success_window": "2h" });
    let mut instance = simulation.configure_with(with(only(&["runs"]), more));
    let rate = |collected: &Collected| {
        collected.metrics.points("databricks.job.success_rate").first().map(|point| point.value)
    };
    assert_eq!(rate(&instance.collect().unwrap()), Some(60.0));
    simulation.advance(2 * HOUR);
    assert_eq!(rate(&instance.collect().unwrap()), None);
}
