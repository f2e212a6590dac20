//! What has ended, as spans.

use kiln_databricks_ids::{RunIds, task_span_id};
use kiln_plugin::telemetry::{Span, SpanStatus};
use kiln_plugin::testing::Reply;

use super::*;

fn all_spans(collected: &Collected) -> Vec<Span> {
    collected.spans.iter().flat_map(|resource| resource.spans.clone()).collect()
}

fn with(spans: &[Span], key: &str) -> Span {
    spans.iter().find(|span| span.attributes.iter().any(|attribute| attribute.key == key)).unwrap().clone()
}

fn failed_job(driver: &Driver, group: Option<&str>) {
    driver.with(|model| {
        let id = model.begin_job(1);
        model.jobs.get_mut(&id).unwrap().group = group.map(str::to_owned);
        let stage = model.jobs[&id].stages[0];
        model.begin_stage((stage, 0));
        model.end_stage((stage, 0), true);
        model.end_job(id, true);
    });
}

#[test]
fn a_stage_is_a_child_of_its_job_and_a_failure_says_why() {
    let (driver, _host, mut spark) = observed();
    failed_job(&driver, None);
    let spans = all_spans(&collect(&mut spark));
    let (job, stage) = (with(&spans, "spark.job.id"), with(&spans, "spark.stage.id"));
    assert_eq!(stage.parent_span_id, job.span_id);
    assert_eq!(stage.trace_id, job.trace_id);
    for span in [&job, &stage] {
        assert!(matches!(&span.status, SpanStatus::Error(message) if message.contains("OutOfMemoryError")), "{span:?}");
        assert!(span.start_time >= driver::START * 1_000_000 && span.end_time >= span.start_time);
    }
}

/// Scenario: a job begins after a collection has read the jobs, so that its stage is seen first; in the next one, in which both
/// have ended, the job cannot be found.
/// Guarantees: the stage is told once, below its job, as soon as that is found.
#[test]
fn a_stage_waits_for_its_job_to_be_found() {
    let (driver, _host, mut spark) = observed();
    collect(&mut spark);
    let (job, stage) = driver.with(|model| {
        let job = model.begin_job(1);
        let stage = (model.jobs[&job].stages[0], 0);
        model.begin_stage(stage);
        model.faults.push(("/jobs".to_owned(), driver::Fault::Reply(Reply::json(&json!([])))));
        model.faults.push((format!("/jobs/{job}"), driver::Fault::Reply(Reply::status(404, "no such job"))));
        (job, stage)
    });
    assert!(all_spans(&collect(&mut spark)).is_empty());
    driver.with(|model| {
        model.end_stage(stage, false);
        model.end_job(job, false);
    });
    assert!(all_spans(&collect(&mut spark)).is_empty());
    driver.with(|model| model.faults.clear());
    let spans = all_spans(&collect(&mut spark));
    assert_eq!(with(&spans, "spark.stage.id").parent_span_id, with(&spans, "spark.job.id").span_id);
    assert!(all_spans(&collect(&mut spark)).is_empty());
}

#[test]
fn traces_are_off_unless_they_are_asked_for() {
    let (driver, _host, mut spark) = configured(json!({}));
    failed_job(&driver, None);
    assert!(collect(&mut spark).spans.is_empty());
}

#[test]
fn on_a_job_cluster_the_trace_is_that_of_the_run_and_a_job_a_child_of_its_task() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.environment = json!({ "sparkProperties": [
            ["spark.databricks.clusterUsageTags.clusterName", "job-7-run-9-main"],
            ["spark.databricks.clusterUsageTags.clusterOwnerOrgId", "281"],
        ] });
    });
    failed_job(&driver, Some("1_2_job-7-run-99-action-1"));
    let spans = all_spans(&collect(&mut spark));
    let run = RunIds::of("281", 9);
    assert!(spans.iter().all(|span| span.trace_id == run.trace));
    assert_eq!(with(&spans, "spark.job.id").parent_span_id, task_span_id("281", 99));
}

#[test]
fn a_task_of_a_run_that_is_not_known_is_told_as_an_attribute() {
    let (driver, _host, mut spark) = observed();
    failed_job(&driver, Some("1_2_job-7-run-99-action-1"));
    let spans = all_spans(&collect(&mut spark));
    let job = with(&spans, "databricks.task.run.id");
    assert_ne!(job.parent_span_id, task_span_id("281", 99));
}

#[test]
fn what_is_told_again_has_the_same_ids() {
    let told = || {
        let (driver, _host, mut spark) = observed();
        failed_job(&driver, None);
        all_spans(&collect(&mut spark))
    };
    assert_eq!(told(), told());
}

#[test]
fn the_application_is_a_span_once_nothing_listens_any_more() {
    let (driver, _host, mut spark) = observed();
    failed_job(&driver, None);
    let parent = with(&all_spans(&collect(&mut spark)), "spark.job.id").parent_span_id.clone();
    driver.with(|model| model.faults.push((String::new(), driver::Fault::Reply(driver::refused()))));
    let ended = all_spans(&spark.collect().unwrap());
    assert_eq!(ended.iter().map(|span| &span.span_id).collect::<Vec<_>>(), [&parent]);
    assert!(all_spans(&spark.collect().unwrap()).is_empty());
    // It was only out of reach: what it had told is not told again.
    driver.with(|model| model.faults.clear());
    assert!(all_spans(&collect(&mut spark)).is_empty());
}

#[test]
fn texts_are_cut() {
    let (driver, _host, mut spark) = observed();
    failed_job(&driver, Some(&"é".repeat(5_000)));
    driver.with(|model| model.stages.get_mut(&(0, 0)).unwrap().reason = Some("x".repeat(100_000)));
    for span in all_spans(&collect(&mut spark)) {
        assert!(format!("{span:?}").len() < 8_000);
    }
}

#[test]
fn a_sql_execution_leads_to_its_jobs() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        let id = model.begin_execution();
        let job = model.run_job(1);
        model.executions.get_mut(&id).unwrap().jobs = vec![job];
        model.end_execution(id, false);
    });
    let spans = all_spans(&collect(&mut spark));
    let execution = with(&spans, "spark.sql.execution.id");
    assert_eq!(execution.links[0].span_id, with(&spans, "spark.job.id").span_id);
}
