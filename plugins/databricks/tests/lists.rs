//! What the receiver promises about lists, warehouses, failures and the resource.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod simulated;

use kiln_plugin::testing::{Reply, TestHost};
use kiln_plugin::{CollectError, ConfigError};
use kiln_plugin_databricks::{Databricks, telemetry};
use serde_json::json;
use simulated::{JOBS, RUN, RUNS, SimulatedRun, Simulation, WAREHOUSES, total};

const ALL: [(&str, u16); 4] = [(JOBS, 0), ("active", 0), ("completed", 0), (WAREHOUSES, 0)];

fn all_failing(status: u16) -> Vec<(&'static str, u16)> {
    ALL.iter().map(|(endpoint, _)| (*endpoint, status)).collect()
}

#[test]
fn every_list_is_read_to_its_end() {
    let simulation = Simulation::new();
    simulation.world.borrow_mut().jobs = 250;
    simulation.world.borrow_mut().warehouses = vec!["RUNNING"; 205];
    let start = simulation.minutes_ago(5);
    (1..=100).for_each(|id| simulation.add_run(SimulatedRun::new(id, start, simulation.in_minutes(60))));
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 250.0);
    assert_eq!(collected.metrics.value("databricks.warehouses.count", &[("warehouse_state", "RUNNING")]), 205.0);
    let running = [("run_state", "RUNNING"), ("job_name", "job 7"), ("databricks.job.id", "7")];
    assert_eq!(collected.metrics.value("databricks.job_runs.active", &running), 100.0);
    let requests = simulation.host.take_requests();
    let pages = |path: &str| requests.iter().filter(|request| request.starts_with(&format!("GET {path}"))).count();
    assert_eq!((pages(JOBS), pages(RUNS), pages(WAREHOUSES)), (3, 5 + 1, 3));
}

#[test]
fn an_empty_workspace_is_not_an_error() {
    let simulation = Simulation::new();
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    assert_eq!(collected.failed_sources(), Vec::<&str>::new());
    assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 0.0);
    assert_eq!(total(&collected), 0.0);
}

#[test]
fn warehouse_states_nothing_is_in_show_as_zero_and_new_ones_pass() {
    let simulation = Simulation::new();
    simulation.world.borrow_mut().warehouses = vec!["RUNNING", "STOPPED", "STOPPED", "HIBERNATING"];
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    let count = |state| collected.metrics.value("databricks.warehouses.count", &[("warehouse_state", state)]);
    let states = ["STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETING", "DELETED", "HIBERNATING"];
    assert_eq!(states.map(count), [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
}

#[test]
fn active_runs_that_end_go_to_zero_once() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(5), simulation.in_minutes(1)));
    let running = [("run_state", "RUNNING")];
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!(collected.metrics.value("databricks.job_runs.active", &running), 1.0);
    simulation.advance_minutes(2);
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!(collected.metrics.value("databricks.job_runs.active", &running), 0.0);
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!(collected.metrics.points("databricks.job_runs.active"), []);
}

#[test]
fn one_endpoint_that_fails_costs_its_own_metrics_only() {
    let of = |endpoint| match endpoint {
        JOBS => ("databricks.jobs.total", JOBS),
        WAREHOUSES => ("databricks.warehouses.count", WAREHOUSES),
        "active" => ("databricks.job_runs.active", RUNS),
        _ => ("databricks.job_runs.count", RUNS),
    };
    for (endpoint, status) in [(JOBS, 403), ("active", 500), ("completed", 403), (WAREHOUSES, 500)] {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(5), simulation.in_minutes(1)));
        simulation.add_run(SimulatedRun::new(2, simulation.minutes_ago(5), simulation.in_minutes(9)));
        simulation.fail(&[(endpoint, status)]);
        simulation.collect(&mut instance).unwrap();
        simulation.advance_minutes(2);
        let collected = simulation.collect(&mut instance).unwrap();
        let (missing, path) = of(endpoint);
        assert_eq!(collected.failed_sources(), [path], "{endpoint}");
        let message = &collected.outcome.failures[0].message;
        assert!(message.starts_with(&format!("{path}: status {status}: {{\"error_code\"")), "{message}");
        for (other, _) in ALL {
            let (name, _) = of(other);
            let expected = name != missing;
            assert_eq!(collected.metrics.names().contains(&name), expected, "{endpoint} fails: {name}");
        }
        for errors_of in [JOBS, RUNS, RUN, WAREHOUSES] {
            let errors = collected.metrics.value("databricks.scraper.errors", &[("endpoint", errors_of)]);
            assert_eq!(errors, f64::from(u8::from(errors_of == path)), "{endpoint} fails: {errors_of}");
        }
    }
}

#[test]
fn half_a_list_is_not_a_count() {
    let simulation = Simulation::new();
    let (start, end) = (simulation.minutes_ago(5), simulation.in_minutes(60));
    (1..=100).for_each(|id| simulation.add_run(SimulatedRun::new(id, start, end)));
    simulation.world.borrow_mut().breaks_after = Some(2);
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    assert_eq!(collected.metrics.points("databricks.job_runs.active"), []);
    assert_eq!(collected.failed_sources(), [RUNS]);
}

#[test]
fn refused_credentials_are_named_when_nothing_else_is_wrong() {
    for status in [401, 403] {
        let simulation = Simulation::new();
        simulation.fail(&all_failing(status));
        let error = simulation.collect(&mut simulation.configure()).unwrap_err();
        assert!(matches!(error, CollectError::Unauthorized(_)), "{error:?}");
    }
    let simulation = Simulation::new();
    let mut failing = all_failing(401);
    failing[3].1 = 503;
    simulation.fail(&failing);
    let error = simulation.collect(&mut simulation.configure()).unwrap_err();
    assert!(matches!(&error, CollectError::Unavailable(message) if message.contains(WAREHOUSES)), "{error:?}");
}

#[test]
fn the_resource_names_the_workspace() {
    let simulation = Simulation::new();
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    let resource = collected.metrics.resource();
    assert_eq!(resource["databricks.host"], "https://example.cloud.databricks.com");
    assert_eq!(resource["databricks.workspace.id"], "4711");
    assert_eq!(resource["service.name"], "databricks");
}

#[test]
fn a_list_that_never_ends_is_an_error() {
    let host = TestHost::new(telemetry::MANIFEST);
    for path in [RUNS, WAREHOUSES] {
        host.on_path(path, |_| Reply::json(&json!({})));
    }
    host.on_path(JOBS, |_| Reply::json(&json!({ "jobs": [{}], "next_page_token": "again" })));
    let config = json!({ "host": "https://example.cloud.databricks.com" });
    let collected = host.configure::<Databricks>(config).unwrap().collect().unwrap();
    assert_eq!(collected.failed_sources(), [JOBS]);
    assert!(collected.outcome.failures[0].message.contains("does not end"));
}

#[test]
fn what_is_not_the_expected_json_is_said_with_its_place() {
    let host = TestHost::new(telemetry::MANIFEST);
    for path in [RUNS, WAREHOUSES] {
        host.on_path(path, |_| Reply::json(&json!({})));
    }
    host.on_path(JOBS, |_| Reply::new("text/html", "<html>Sign in</html>"));
    let config = json!({ "host": "https://example.cloud.databricks.com" });
    let collected = host.configure::<Databricks>(config).unwrap().collect().unwrap();
    let message = &collected.outcome.failures[0].message;
    assert_eq!(message, "/api/2.2/jobs/list: expected JSON, the server sent `text/html`: <html>Sign in</html>");
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_where_it_is_wrong() {
    let configure = |config| -> Result<(), ConfigError> {
        TestHost::new(telemetry::MANIFEST).configure::<Databricks>(config).map(|_| ())
    };
    let host = "https://example.cloud.databricks.com";
    assert_eq!(configure(json!({ "host": host, "lookback": "90m" })), Ok(()));
    assert_eq!(configure(json!({ "host": host, "lookback": "1 day" })).unwrap_err().field, "/lookback");
    assert_eq!(configure(json!({ "host": host, "lookback": "0h" })).unwrap_err().field, "/lookback");
}
