//! Random histories: jobs and stages begin and end in any order, Kiln collects, crashes and starts again. What has been
//! reported in the end is what happened, each of it once.

use std::collections::BTreeSet;

use kiln_plugin::telemetry::AttributeValue;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    BeginJob(u64),
    /// A job that shares the last stage of the job before.
    BeginSharing,
    BeginStage(usize),
    EndStage(usize, bool),
    Retry(usize),
    EndJob(usize, bool),
    RunJob(u64),
    /// Ids that were given out and never seen.
    Gap,
    BeginExecution,
    EndExecution(usize, bool),
    Collect,
    /// The process ends before what it collected is accepted.
    Crash,
    Restart,
    /// One collection meets a driver that does not answer for some paths.
    Outage(usize),
}

const PATHS: [&str; 4] = ["/jobs", "/stages", "/sql", "/jobs/0"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..4_u64).prop_map(Step::BeginJob),
        1 => Just(Step::BeginSharing),
        6 => any::<usize>().prop_map(Step::BeginStage),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, failed)| Step::EndStage(which, failed)),
        2 => any::<usize>().prop_map(Step::Retry),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, failed)| Step::EndJob(which, failed)),
        2 => (1..4_u64).prop_map(Step::RunJob),
        1 => Just(Step::Gap),
        2 => Just(Step::BeginExecution),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, failed)| Step::EndExecution(which, failed)),
        5 => Just(Step::Collect),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
        1 => any::<usize>().prop_map(Step::Outage),
    ]
}

fn pick<T: Clone>(items: impl Iterator<Item = T>, which: usize) -> Option<T> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then(|| items[which % items.len()].clone())
}

fn apply(model: &mut driver::Model, step: Step) {
    let stages = |status: &str| {
        let status = status.to_owned();
        move |(key, stage): (&(u64, u64), &driver::Stage)| (stage.status == status).then_some(*key)
    };
    // Stages of a job that has ended do not begin.
    let open: BTreeSet<u64> =
        model.jobs.values().filter(|job| job.ended.is_none()).flat_map(|job| job.stages.clone()).collect();
    match step {
        Step::BeginJob(count) => {
            model.begin_job(count);
        }
        Step::BeginSharing => {
            let running = model.jobs.values().rev().find(|job| job.ended.is_none());
            if let Some(shared) = running.and_then(|job| job.stages.last().copied()) {
                let fresh = model.next_stage;
                model.begin_job_of(vec![shared, fresh]);
            }
        }
        Step::BeginStage(which) => {
            if let Some(key) =
                pick(model.stages.iter().filter_map(stages("PENDING")).filter(|key| open.contains(&key.0)), which)
            {
                model.begin_stage(key);
            }
        }
        Step::EndStage(which, failed) => {
            if let Some(key) = pick(model.stages.iter().filter_map(stages("ACTIVE")), which) {
                model.end_stage(key, failed);
            }
        }
        Step::Retry(which) => {
            let is_last = |key: &(u64, u64)| !model.stages.contains_key(&(key.0, key.1 + 1));
            let failed: Vec<_> = model
                .stages
                .iter()
                .filter_map(stages("FAILED"))
                .filter(|key| open.contains(&key.0) && is_last(key))
                .collect();
            if let Some((id, _)) = pick(failed.into_iter(), which) {
                model.retry_stage(id);
            }
        }
        Step::EndJob(which, failed) => {
            let running = model.jobs.iter().filter(|(_, job)| job.ended.is_none()).map(|(id, _)| *id);
            if let Some(id) = pick(running, which) {
                model.end_job(id, failed);
            }
        }
        Step::RunJob(count) => {
            model.run_job(count);
        }
        Step::Gap => {
            model.next_job += 1;
            model.next_execution += 1;
        }
        Step::BeginExecution => {
            model.begin_execution();
        }
        Step::EndExecution(which, failed) => {
            let running = model.executions.iter().filter(|(_, one)| one.ended.is_none()).map(|(id, _)| *id);
            if let Some(id) = pick(running, which) {
                model.end_execution(id, failed);
            }
        }
        Step::Collect | Step::Crash | Step::Restart | Step::Outage(_) => {}
    }
}

/// What was told of stages that ended, by id, attempt and status.
fn told_stages(collected: &[Collected]) -> BTreeMap<(String, String, String), usize> {
    let mut told = BTreeMap::new();
    for point in collected.iter().flat_map(|collected| collected.metrics.points("spark.stage.status")) {
        let attribute = |key: &str| point.attributes[key].clone();
        let status = attribute("status");
        if !matches!(status.as_str(), "active" | "pending") {
            let key = (attribute("spark.stage.id"), attribute("spark.stage.attempt.id"), status);
            *told.entry(key).or_default() += 1;
        }
    }
    told
}

fn told_jobs(collected: &[Collected]) -> BTreeMap<i64, usize> {
    let mut told = BTreeMap::new();
    let spans = collected.iter().flat_map(|collected| &collected.spans).flat_map(|resource| &resource.spans);
    for span in spans {
        for attribute in &span.attributes {
            if let ("spark.job.id", AttributeValue::Integer(id)) = (attribute.key.as_str(), &attribute.value) {
                *told.entry(*id).or_default() += 1;
            }
        }
    }
    told
}

/// What was accepted in the end, from a driver that retains so much.
fn play(steps: &[Step], retained: usize) -> (Driver, Vec<Collected>) {
    let config = json!({ "rest": { "traces": { "enabled": true }, "requests_per_collection": 50,
        "stages": { "limit": 10_000 }, "jobs": { "limit": 10_000 } } });
    let (driver, host, mut spark) = configured(config.clone());
    driver.with(|model| model.retained = retained);
    let mut accepted: Vec<Collected> = Vec::new();
    for step in steps {
        match *step {
            Step::Collect => accepted.extend(collect_all(&mut spark)),
            Step::Crash => {
                let saved = host.save_state();
                drop(spark.collect().unwrap());
                host.restore_state(&saved);
                spark = host.configure(config.clone()).unwrap();
            }
            Step::Restart => spark = host.configure(config.clone()).unwrap(),
            Step::Outage(which) => {
                let fault = (PATHS[which % PATHS.len()].to_owned(), driver::Fault::Reply(driver::refused()));
                driver.with(|model| model.faults.push(fault));
                accepted.extend(collect_all(&mut spark));
                driver.with(|model| model.faults.clear());
            }
            step => driver.with(|model| apply(model, step)),
        }
    }
    driver.with(|model| {
        let running: Vec<u64> = model.jobs.iter().filter(|(_, job)| job.ended.is_none()).map(|(id, _)| *id).collect();
        running.into_iter().for_each(|id| model.end_job(id, false));
    });
    // So many as it takes to look behind the longest run of ids that never came to be.
    for _ in 0..40 {
        accepted.extend(collect_all(&mut spark));
    }
    (driver, accepted)
}

fn check_all(driver: &Driver, accepted: &[Collected]) {
    let metrics = &accepted.last().unwrap().metrics;
    driver.with(|model| {
        let expected: BTreeMap<_, _> = model
            .stages
            .iter()
            .map(|((id, attempt), stage)| ((id.to_string(), attempt.to_string(), stage.status.to_lowercase()), 1))
            .collect();
        assert_eq!(told_stages(accepted), expected);
        let expected: BTreeMap<i64, usize> = model.jobs.keys().map(|id| (i64::try_from(*id).unwrap(), 1)).collect();
        assert_eq!(told_jobs(accepted), expected);

        let total = |name: &str, status: &str| -> f64 {
            metrics
                .points(name)
                .iter()
                .filter(|point| point.attributes["status"] == status)
                .map(|point| point.value)
                .sum()
        };
        for (status, word) in [("complete", "COMPLETE"), ("failed", "FAILED"), ("skipped", "SKIPPED")] {
            let count = model.stages.values().filter(|stage| stage.status == word).count();
            assert_eq!(total("spark.stages.finished", status), count as f64, "{status}");
        }
        for (status, word) in [("succeeded", "SUCCEEDED"), ("failed", "FAILED")] {
            let count = model.jobs.values().filter(|job| job.status == word).count();
            assert_eq!(total("spark.jobs.finished", status), count as f64, "{status}");
        }
        for (status, word) in [("completed", "COMPLETED"), ("failed", "FAILED")] {
            let count = model.executions.values().filter(|one| one.status == word).count();
            assert_eq!(total("spark.sql.executions.finished", status), count as f64, "{status}");
        }
        let running = model.executions.values().filter(|one| one.ended.is_none()).count();
        assert_eq!(metrics.value("spark.sql.executions.active", &[]), running as f64);
        let bytes: i64 = model.stages.values().map(|stage| stage.bytes).sum();
        assert_eq!(metrics.value("spark.stages.disk.spilled", &[]), bytes as f64);
        for name in ["spark.jobs.lost", "spark.stages.lost", "spark.sql.executions.lost"] {
            let gaps = i64::try_from(model.next_job).unwrap() - i64::try_from(model.jobs.len()).unwrap();
            assert!(metrics.value(name, &[]) <= gaps as f64, "{name}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everything_that_ended_is_reported_once(steps in proptest::collection::vec(step(), 1..60)) {
        let (driver, accepted) = play(&steps, 1_000);
        check_all(&driver, &accepted);
    }

    #[test]
    fn what_spark_forgets_is_lost_and_nothing_is_told_twice(steps in proptest::collection::vec(step(), 1..60)) {
        let (_, accepted) = play(&steps, 3);
        let (stages, jobs) = (told_stages(&accepted), told_jobs(&accepted));
        prop_assert!(stages.values().chain(jobs.values()).all(|count| *count == 1), "{:?} {:?}", stages, jobs);
        let metrics = &accepted.last().unwrap().metrics;
        let total = |name: &str| metrics.points(name).iter().map(|point| point.value).sum::<f64>();
        prop_assert_eq!(total("spark.stages.finished"), stages.len() as f64);
        prop_assert_eq!(total("spark.jobs.finished"), jobs.len() as f64);
    }
}
