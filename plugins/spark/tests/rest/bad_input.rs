//! Answers that are missing, not ready, or not what they should be.

use kiln_plugin::testing::Reply;
use proptest::prelude::*;

use super::driver::Fault;
use super::*;

const SOURCES: [&str; 6] = ["/jobs", "/stages", "/sql", "/allexecutors", "/storage/rdd", "/environment"];

fn faulty(path: &str, fault: Fault) -> Collected {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.run_job(1);
        model.faults.push((path.to_owned(), fault));
    });
    collect(&mut spark)
}

#[test]
fn what_cannot_be_read_costs_itself_and_is_said() {
    let html = || Fault::Reply(Reply::new("text/html;charset=utf-8", "<!DOCTYPE html><html>jobs"));
    let redirect = || Fault::Reply(Reply::status(302, "").with_header("location", "http://localhost:4040/jobs/"));
    for path in SOURCES {
        for fault in [html(), redirect(), Fault::Truncated, Fault::Reply(Reply::status(500, "oops"))] {
            let collected = faulty(path, fault);
            let failed = collected.failed_sources();
            assert!(failed.len() == 1 && failed[0].ends_with(path), "{path} {failed:?}");
            assert!(!collected.metrics.names().is_empty());
        }
    }
}

#[test]
fn an_application_that_ends_while_it_is_read_is_no_false_number() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.begin_job(2);
    });
    collect(&mut spark);
    driver.with(|model| {
        let gone = || Fault::Reply(Reply::status(404, "no such app: app-20261122131319-0000"));
        model.faults = SOURCES.map(|path| (path.to_owned(), gone())).to_vec();
    });
    let collected = collect(&mut spark);
    assert!(!collected.outcome.failures.is_empty());
    assert!(collected.metrics.points("spark.jobs.finished").is_empty());
    assert_eq!(collected.metrics.value("spark.jobs.lost", &[]), 0.0);
    driver.with(|model| {
        model.faults.clear();
        model.end_job(0, false);
    });
    assert_eq!(collect(&mut spark).metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 1.0);
}

#[test]
fn one_stage_that_is_nonsense_holds_nothing_up() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.run_job(3);
        model.faults.push(("/stages/1".to_owned(), Fault::Reply(Reply::new("application/json", "{]"))));
    });
    for _ in 0..4 {
        collect(&mut spark);
    }
    let collected = collect(&mut spark);
    assert_eq!(collected.failed_sources(), [""; 0], "it was given up");
    assert_eq!(collected.metrics.value("spark.stages.finished", &[("status", "complete")]), 2.0);
    assert_eq!(collected.metrics.value("spark.stages.lost", &[]), 1.0);
}

#[test]
fn a_stage_that_spark_has_forgotten_is_lost_and_says_so() {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        model.begin_job(3);
    });
    collect(&mut spark);
    driver.with(|model| {
        model.end_job(0, false);
        model.stages.remove(&(1, 0));
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.stages.lost", &[]), 1.0);
    assert_eq!(metrics.value("spark.stages.finished", &[("status", "skipped")]), 2.0);
}

#[test]
fn numbers_that_make_no_sense_are_none_and_words_nobody_knows_are_other() {
    let (driver, _host, mut spark) = observed();
    let job = json!([{ "jobId": 0, "status": "EXPLODED", "stageIds": [0, "x", -1, 1e300], "numActiveTasks": -5,
        "numCompletedTasks": 1e300, "submissionTime": "yesterday", "completionTime": driver::time(driver::START) }]);
    let stages = json!([{ "stageId": 3, "attemptId": 0, "status": "ACTIVE", "executorRunTime": -1, "executorCpuTime": i64::MAX,
        "inputBytes": 18_446_744_073_709_551_615_u64, "numFailedTasks": "many", "completionTime": [] }]);
    driver.with(|model| {
        model.faults.push(("/jobs".to_owned(), Fault::Reply(Reply::json(&job))));
        model.faults.push(("/stages".to_owned(), Fault::Reply(Reply::json(&stages))));
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.jobs.finished", &[("status", "other")]), 1.0);
    assert_eq!(metrics.value("spark.stage.executor.run_time", &[("spark.stage.id", "3")]), 0.0);
    assert!(metrics.value("spark.stage.executor.cpu_time", &[("spark.stage.id", "3")]) > 9e9);
    let io = [("spark.stage.id", "3"), ("direction", "in")];
    assert_eq!(metrics.value("spark.stage.io.size", &io), 0.0);
}

#[test]
fn a_clock_that_jumps_changes_nothing_that_spark_says() {
    let (driver, host, mut spark) = observed();
    driver.with(|model| {
        model.begin_job(1);
    });
    collect(&mut spark);
    host.set_clock(kiln_plugin::UnixNanos::from_millis(1));
    driver.with(|model| model.end_job(0, false));
    let metrics = collect(&mut spark).metrics;
    let total = metrics.point("spark.jobs.finished", &[("status", "succeeded")]);
    assert_eq!((total.value, total.start.as_millis()), (1.0, driver::START));
    assert_eq!(metrics.histogram("spark.jobs.duration", &[]).sum, Some(0.25));
}

#[test]
fn a_state_that_cannot_be_read_begins_anew_with_a_new_start() {
    let (driver, host, mut spark) = observed();
    driver.with(|model| {
        model.run_job(1);
    });
    host.set_state(&format!("rest/{APPLICATION}/"), &json!({ "jobs": 5 }));
    let total = collect(&mut spark).metrics.point("spark.jobs.finished", &[("status", "succeeded")]);
    assert_eq!((total.value, total.start), (1.0, host.now()));
    assert_eq!(host.take_log().len(), 1);
}

#[test]
fn an_attempt_is_read_where_it_is_and_a_second_one_begins_anew() {
    let (driver, host, mut spark) = observed();
    driver.with(|model| {
        model.attempt = Some("1".to_owned());
        (0..3).for_each(|_| {
            model.run_job(1);
        });
    });
    assert_eq!(collect(&mut spark).metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 3.0);
    let asked = driver.take_served().0;
    assert!(asked.iter().any(|path| path.ends_with(&format!("/{APPLICATION}/1/jobs"))), "{asked:?}");
    let again = Driver::new(APPLICATION);
    again.with(|model| {
        model.attempt = Some("2".to_owned());
        model.run_job(1);
    });
    driver.0.swap(&again.0);
    let mut spark = host.configure::<Spark>(json!({})).unwrap();
    assert_eq!(collect(&mut spark).metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 1.0);
}

#[test]
fn an_id_that_is_no_id_is_not_put_into_a_path() {
    for id in ["../../jobs", "a/b", "a?b", "a b", ".."] {
        let driver = Driver::new(id);
        let host = TestHost::new(telemetry::MANIFEST);
        driver.serve(&host);
        let mut spark = host.configure::<Spark>(json!({})).unwrap();
        let _ = spark.collect();
        let asked = driver.take_served().0;
        assert!(
            asked.iter().all(|path| path.starts_with("/metrics/")
                || path.starts_with("/api/v1/applications") && !path.contains("jobs")),
            "{asked:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_answer_makes_it_panic(which in 0..SOURCES.len(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        faulty(SOURCES[which], Fault::Reply(Reply::new("application/json", body)));
    }

    #[test]
    fn a_damaged_answer_costs_no_more_than_itself(
        which in 0..SOURCES.len(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..10),
    ) {
        let mut body = serde_json::to_vec(&json!([{ "jobId": 1, "id": "7", "status": "RUNNING", "stageId": 4, "attemptId": 0,
            "stageIds": [1, 2], "numPartitions": 2, "submissionTime": "2026-11-22T13:16:47.096GMT", "isActive": true }])).unwrap();
        for (at, byte) in damage {
            let at = at % body.len();
            body[at] = byte;
        }
        faulty(SOURCES[which], Fault::Reply(Reply::new("application/json", body)));
    }
}
