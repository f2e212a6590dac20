//! What the Spark receiver promises of jobs, stages, SQL executions and executors, on a driver that is a model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bad_input;
mod captures;
mod cost;
#[path = "../driver/mod.rs"]
mod driver;
mod executors;
mod histories;
mod limits;
mod traces;

use std::collections::BTreeMap;

use driver::Driver;
use kiln_plugin::testing::{Collected, Instance, TestHost};
use kiln_plugin_spark::{Spark, telemetry};
use serde_json::{Value, json};

const APPLICATION: &str = "app-20261122131319-0000";

/// A driver and a host that reads it, with traces.
fn observed() -> (Driver, TestHost, Instance<Spark>) {
    configured(json!({ "rest": { "traces": { "enabled": true } } }))
}

fn configured(config: Value) -> (Driver, TestHost, Instance<Spark>) {
    let driver = Driver::new(APPLICATION);
    let host = TestHost::new(telemetry::MANIFEST);
    driver.serve(&host);
    let spark = host.configure(config).unwrap();
    (driver, host, spark)
}

/// Collects until there is no more to read at once.
fn collect_all(spark: &mut Instance<Spark>) -> Vec<Collected> {
    let mut all = Vec::new();
    loop {
        all.push(spark.collect().unwrap_or_else(|error| panic!("{error:?}")));
        if !all.last().unwrap().outcome.more {
            return all;
        }
        assert!(all.len() < 100, "it never comes to an end");
    }
}

fn collect(spark: &mut Instance<Spark>) -> Collected {
    let mut all = collect_all(spark);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Spans of this kind by the value of the attribute that tells them apart.
fn spans(collected: &[Collected], key: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for span in collected.iter().flat_map(|collected| &collected.spans).flat_map(|resource| &resource.spans) {
        let text = |key: &str| {
            span.attributes
                .iter()
                .find(|attribute| attribute.key == key)
                .map(|attribute| format!("{:?}", attribute.value))
        };
        if let Some(id) = text(key) {
            *counts.entry(format!("{id} {}", text("spark.stage.attempt.id").unwrap_or_default())).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_running_job_and_its_active_stage_have_points() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        let job = model.begin_job(2);
        model.begin_stage((0, 0));
        model.jobs.get_mut(&job).unwrap().group = Some("1_2_job-7-run-99-action-1".to_owned());
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.jobs.active", &[]), 1.0);
    let job = [("spark.job.id", "0"), ("databricks.job.id", "7"), ("databricks.task.run.id", "99")];
    assert_eq!(metrics.value("spark.job.stage.active", &job), 1.0);
    let stage = [("spark.stage.id", "0"), ("spark.stage.attempt.id", "0")];
    assert_eq!(metrics.value("spark.stage.task.active", &stage), 1.0);
    let active = [("spark.stage.id", "0"), ("status", "active")];
    assert_eq!(metrics.value("spark.stage.status", &active), 1.0);
    assert!(metrics.points("spark.jobs.finished").is_empty());
}

#[test]
fn what_has_ended_is_reported_once_and_stays_in_the_totals() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| model.begin_job(2));
    collect(&mut spark);
    driver.with(|model| {
        for stage in [(0, 0), (1, 0)] {
            model.begin_stage(stage);
            model.end_stage(stage, false);
        }
        model.end_job(0, false);
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 1.0);
    assert_eq!(metrics.value("spark.stages.finished", &[("status", "complete")]), 2.0);
    assert_eq!(metrics.value("spark.stages.io.size", &[("direction", "in")]), 201.0);
    assert_eq!(metrics.value("spark.stages.executor.run_time", &[]), 1.482);
    assert_eq!(metrics.histogram("spark.stages.duration", &[("status", "complete")]).sum, Some(0.5));
    assert_eq!(metrics.points("spark.stage.io.size").len(), 4);
    assert_eq!(metrics.points("spark.job.task.result").len(), 4);
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.stages.finished", &[("status", "complete")]), 2.0);
    assert!(metrics.points("spark.stage.io.size").is_empty());
    assert!(metrics.points("spark.job.task.result").is_empty());
}

#[test]
fn what_began_and_ended_between_two_collections_is_found() {
    let (driver, _host, mut spark) = observed();
    collect(&mut spark);
    driver.with(|model| {
        (0..30).for_each(|_| {
            model.run_job(3);
        })
    });
    let all = collect_all(&mut spark);
    let metrics = &all.last().unwrap().metrics;
    assert_eq!(metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 30.0);
    assert_eq!(metrics.value("spark.stages.finished", &[("status", "complete")]), 90.0);
    assert!(
        spans(&all, "spark.stage.id").len() == 90 && spans(&all, "spark.stage.id").values().all(|count| *count == 1)
    );
}

#[test]
fn what_had_ended_before_kiln_came_is_counted_as_far_as_spark_knows_it() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.retained = 20;
        (0..50).for_each(|_| {
            model.run_job(1);
        });
    });
    let all = collect_all(&mut spark);
    let metrics = &all.last().unwrap().metrics;
    assert_eq!(metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 20.0);
    assert_eq!(metrics.value("spark.jobs.lost", &[]), 30.0);
    assert_eq!(metrics.value("spark.stages.finished", &[("status", "complete")]), 20.0);
}

#[test]
fn every_attempt_at_a_stage_is_told_and_a_failed_one_says_why() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.begin_job(1);
        model.begin_stage((0, 0));
    });
    collect(&mut spark);
    driver.with(|model| {
        model.end_stage((0, 0), true);
        let again = model.retry_stage(0);
        assert_eq!(again, (0, 1));
    });
    let first = collect(&mut spark);
    driver.with(|model| {
        model.end_stage((0, 1), false);
        model.end_job(0, false);
    });
    let second = collect(&mut spark);
    let totals = &second.metrics;
    assert_eq!(totals.value("spark.stages.finished", &[("status", "failed")]), 1.0);
    assert_eq!(totals.value("spark.stages.finished", &[("status", "complete")]), 1.0);
    let told = spans(&[first, second], "spark.stage.id");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_stage_that_was_cancelled_is_told_when_its_last_task_has_ended() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.begin_job(1);
        model.begin_stage((0, 0));
        model.end_stage((0, 0), true);
        model.end_job(0, true);
        let stage = model.stages.get_mut(&(0, 0)).unwrap();
        (stage.stragglers, stage.bytes) = (1, 0);
    });
    let early = collect(&mut spark);
    assert!(early.metrics.points("spark.stages.finished").is_empty());
    driver.with(|model| {
        let stage = model.stages.get_mut(&(0, 0)).unwrap();
        (stage.stragglers, stage.bytes) = (0, 700);
    });
    let late = collect(&mut spark);
    assert_eq!(late.metrics.value("spark.stages.finished", &[("status", "failed")]), 1.0);
    assert_eq!(late.metrics.value("spark.stages.disk.spilled", &[]), 700.0);
    assert_eq!(spans(&[early, late], "spark.stage.id").len(), 1);
}

#[test]
fn a_task_that_never_ends_does_not_keep_its_stage_from_being_told() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.run_job(1);
        model.stages.get_mut(&(0, 0)).unwrap().stragglers = 1;
    });
    let all: Vec<Collected> = (0..6).map(|_| collect(&mut spark)).collect();
    assert_eq!(spans(&all, "spark.stage.id").values().copied().collect::<Vec<_>>(), [1]);
    let totals = &all.last().unwrap().metrics;
    assert_eq!(totals.value("spark.stages.finished", &[]), 1.0);
    assert_eq!(totals.value("spark.stages.lost", &[]), 0.0);
}

#[test]
fn stages_that_were_not_needed_are_skipped_stages() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.begin_job(3);
        model.begin_stage((2, 0));
        model.end_stage((2, 0), false);
        model.end_job(0, false);
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.stages.finished", &[("status", "skipped")]), 2.0);
    assert_eq!(metrics.value("spark.job.stage.result", &[("result", "skipped")]), 2.0);
}

#[test]
fn sql_executions_are_counted_once_they_have_ended() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        let [one, other] = [model.begin_execution(), model.begin_execution()];
        model.end_execution(other, false);
        assert_eq!((one, other), (0, 1));
    });
    let first = collect(&mut spark);
    assert_eq!(first.metrics.value("spark.sql.executions.active", &[]), 1.0);
    assert_eq!(first.metrics.value("spark.sql.executions.finished", &[("status", "completed")]), 1.0);
    driver.with(|model| model.end_execution(0, true));
    let second = collect(&mut spark);
    assert_eq!(second.metrics.value("spark.sql.executions.active", &[]), 0.0);
    assert_eq!(second.metrics.value("spark.sql.executions.finished", &[("status", "failed")]), 1.0);
    assert_eq!(second.metrics.value("spark.sql.executions.finished", &[("status", "completed")]), 1.0);
    assert_eq!(spans(&[first, second], "spark.sql.execution.id").len(), 2);
}

#[test]
fn an_id_that_never_comes_to_be_holds_nothing_up() {
    let (driver, _host, mut spark) = observed();
    collect(&mut spark);
    driver.with(|model| {
        model.run_job(1);
        model.next_job += 2;
        model.run_job(1);
        model.next_execution += 3;
        let id = model.begin_execution();
        model.end_execution(id, false);
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 2.0);
    assert_eq!(metrics.value("spark.sql.executions.finished", &[("status", "completed")]), 1.0);
}

#[test]
fn an_application_that_starts_anew_is_another_application() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.run_job(2);
    });
    collect(&mut spark);
    let fresh = Driver::new("app-20261122150000-0001");
    fresh.with(|model| {
        model.start += 1_000_000;
        model.now += 1_000_000;
        model.run_job(1);
    });
    driver.0.swap(&fresh.0);
    let collected = collect(&mut spark);
    let metrics = &collected.metrics;
    let total = metrics.point("spark.jobs.finished", &[("status", "succeeded")]);
    assert_eq!(total.value, 1.0);
    assert_eq!(total.resource["spark.application.id"], "app-20261122150000-0001");
    assert_eq!(total.start.as_millis(), driver::START + 1_000_000);
    assert_eq!(spans(&[collected], "spark.application.id").len(), 1, "the one before has ended");
}

#[test]
fn facts_about_where_it_runs_are_asked_for_once_and_secrets_stay_there() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.environment = json!({
            "runtime": { "javaVersion": "17.0.15", "scalaVersion": "version 2.13.17" },
            "sparkProperties": [
                ["spark.master", "spark://10.0.0.1:7077"], ["spark.hadoop.fs.azure.account.key", "hunter2"],
                ["spark.databricks.clusterUsageTags.clusterName", "job-7-run-9-main"],
                ["spark.databricks.clusterUsageTags.clusterId", "1122-131319-abc"],
                ["spark.databricks.clusterUsageTags.clusterOwnerOrgId", "281"],
            ],
        });
    });
    let collected = collect(&mut spark);
    let point = collected.metrics.point("spark.jobs.active", &[]);
    for (key, value) in [
        ("spark.master", "spark://10.0.0.1:7077"),
        ("spark.java.version", "17.0.15"),
        ("spark.scala.version", "2.13.17"),
        ("databricks.workspace.id", "281"),
        ("databricks.cluster.id", "1122-131319-abc"),
        ("databricks.job.id", "7"),
        ("databricks.run.id", "9"),
    ] {
        assert_eq!(point.resource[key], value);
    }
    assert!(!format!("{collected:?}").contains("hunter2"));
    collect(&mut spark);
    let asked = driver.take_served().0;
    assert_eq!(asked.iter().filter(|path| path.ends_with("/environment")).count(), 1);
}
