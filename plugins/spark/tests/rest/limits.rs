//! Every bound is reached.

use super::*;

#[test]
fn beyond_the_limits_there_are_totals_and_no_series() {
    let config = json!({ "rest": { "jobs": { "limit": 2 }, "stages": { "limit": 3 } } });
    let (driver, _host, mut spark) = configured(config);
    driver.with(|model| {
        (0..5).for_each(|_| {
            model.run_job(2);
        })
    });
    let metrics = collect(&mut spark).metrics;
    let ids = |name: &str, key: &str| {
        let mut ids: Vec<String> = metrics.points(name).iter().map(|point| point.attributes[key].clone()).collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids("spark.job.task.active", "spark.job.id"), ["4", "3"], "the latest");
    assert_eq!(ids("spark.stage.task.active", "spark.stage.id"), ["9", "8", "7"]);
    assert_eq!(metrics.value("spark.jobs.omitted", &[]), 3.0);
    assert_eq!(metrics.value("spark.stages.omitted", &[]), 7.0);
    assert_eq!(metrics.value("spark.jobs.finished", &[]), 5.0);
    assert_eq!(metrics.value("spark.stages.finished", &[]), 10.0);
}

#[test]
fn a_thousand_stages_in_one_job_are_read_in_portions() {
    let (driver, _host, mut spark) = configured(json!({}));
    driver.with(|model| {
        model.retained = 2_000;
        model.run_job(1_000);
    });
    let all = collect_all(&mut spark);
    assert!(all.len() > 3);
    assert_eq!(all.last().unwrap().metrics.value("spark.stages.finished", &[("status", "complete")]), 1_000.0);
    assert!(all.iter().all(|collected| collected.metrics.points("spark.stage.status").len() <= 100));
}

#[test]
fn a_job_that_claims_more_stages_than_can_be_asked_for_costs_a_bounded_state() {
    let (driver, host, mut spark) = configured(json!({}));
    let stages: Vec<u64> = (0..30_000).collect();
    let jobs = json!([{ "jobId": 0, "status": "SUCCEEDED", "stageIds": stages }]);
    let reply = driver::Fault::Reply(kiln_plugin::testing::Reply::json(&jobs));
    driver.with(|model| model.faults.push(("/jobs".to_owned(), reply)));
    let collected = spark.collect().unwrap();
    assert!(collected.metrics.value("spark.stages.lost", &[]) >= 10_000.0);
    assert!(collected.metrics.value("spark.stages.backlog", &[]) <= 20_000.0);
    assert!(host.state_bytes() < 1_000_000, "{}", host.state_bytes());
}

#[test]
fn state_has_room_for_what_runs_and_not_for_what_has_been() {
    let (driver, host, mut spark) = configured(json!({}));
    driver.with(|model| {
        model.run_job(1);
    });
    collect_all(&mut spark);
    let before = host.state_bytes();
    driver.with(|model| {
        (0..300).for_each(|_| {
            model.run_job(2);
        })
    });
    collect_all(&mut spark);
    assert!(host.state_bytes() < before + 400, "{before} {}", host.state_bytes());
}

#[test]
fn what_cannot_be_remembered_is_not_reported() {
    let (driver, host, mut spark) = configured(json!({}));
    driver.with(|model| {
        model.run_job(1);
    });
    host.limit_state(10);
    let collected = collect(&mut spark);
    assert_eq!(collected.failed_sources(), [format!("rest/{APPLICATION}/")]);
    assert!(collected.metrics.points("spark.jobs.finished").is_empty());
    host.limit_state(100_000);
    assert_eq!(collect(&mut spark).metrics.value("spark.jobs.finished", &[("status", "succeeded")]), 1.0);
}

#[test]
fn rdds_beyond_the_limit_are_added_up() {
    let (driver, _host, mut spark) = configured(json!({ "rest": { "storage": { "limit": 1 } } }));
    let rdd = |id: i64| {
        json!({ "id": id, "name": "x", "numPartitions": 2, "numCachedPartitions": 1,
        "storageLevel": "Memory Serialized 1x Replicated", "memoryUsed": 100, "diskUsed": id, "partitions": [{}] })
    };
    driver.with(|model| model.rdds = vec![rdd(80), rdd(189), rdd(7)]);
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.rdd.count", &[]), 3.0);
    assert_eq!(metrics.value("spark.rdd.disk.usage", &[("spark.rdd.id", "189")]), 189.0);
    let points = metrics.points("spark.rdd.disk.usage");
    let others: Vec<f64> = points.iter().filter(|point| point.attributes.is_empty()).map(|point| point.value).collect();
    assert_eq!(others, [87.0]);
}
