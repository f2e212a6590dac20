//! Which application it is, and since when it counts.

use super::*;

#[test]
fn the_application_is_the_resource() {
    let resource = collect(&spark_4()).metrics.resource();
    assert_eq!(resource["spark.application.id"], "app-20261122131319-0000");
    assert_eq!(resource["spark.application.name"], "ground truth-app");
    assert_eq!(resource["service.name"], "ground truth-app");
    assert_eq!(resource["spark.version"], "4.1.4");
}

#[test]
fn what_is_cumulative_counts_from_the_start_of_the_application() {
    let metrics = collect(&spark_4()).metrics;
    for record in metrics.records() {
        for metric in &record.metrics {
            if let MetricData::Sum(sum) = &metric.data {
                let start = if sum.monotonic { START_4.as_nanos() } else { 0 };
                assert!(sum.points.iter().all(|point| point.start_time == start), "{}", metric.name);
            }
        }
    }
}

#[test]
fn without_a_known_start_it_counts_from_when_it_was_first_seen_and_that_stays() {
    let host = host(
        Reply::text(DRIVER_4),
        Reply::text(EXECUTORS_4),
        Reply::error(HttpError::Timeout).then(Reply::new("application/json", APPLICATIONS_4)),
    );
    let first_seen = host.now();
    let mut spark = configured(&host);
    let collected = spark.collect().unwrap();
    assert_eq!(collected.failed_sources(), [APPLICATIONS]);
    assert_eq!(collected.metrics.point("spark.driver.dag_scheduler.job.count", &[]).start, first_seen);
    host.advance(core::time::Duration::from_secs(60));
    let collected = spark.collect().unwrap();
    assert_eq!(collected.failed_sources(), [""; 0]);
    assert_eq!(collected.metrics.point("spark.driver.dag_scheduler.job.count", &[]).start, first_seen);
}

#[test]
fn an_application_is_asked_for_once_and_another_one_again() {
    let host = host(
        Reply::text(DRIVER_4).then(Reply::text(DRIVER_4)).then(Reply::text(DRIVER_3)),
        Reply::text(EXECUTORS_4).then(Reply::text(EXECUTORS_4)).then(Reply::text(EXECUTORS_3)),
        Reply::new("application/json", APPLICATIONS_4).then(Reply::new("application/json", APPLICATIONS_3)),
    );
    let mut spark = configured(&host);
    let pages = [format!("GET {DRIVER}"), format!("GET {EXECUTORS}")];
    let all = [&pages[..], &[format!("GET {APPLICATIONS}")]].concat();
    spark.collect().unwrap();
    assert_eq!(host.take_requests(), all);
    spark.collect().unwrap();
    assert_eq!(host.take_requests(), pages);
    let collected = spark.collect().unwrap();
    assert_eq!(host.take_requests(), all);
    assert_eq!(collected.metrics.resource()["spark.application.id"], "local-1795351361220");
    assert_ne!(collected.metrics.point("spark.driver.dag_scheduler.job.count", &[]).start, START_4);
}

#[test]
fn an_application_with_quotes_in_its_name_is_read_like_any_other() {
    let name = r#"ETL "daily" \ job, {x} é"#;
    let page = EXECUTORS_4.replace("ground truth-app", name);
    let host = host(Reply::text(DRIVER_4), Reply::text(&page), Reply::status(404, ""));
    let collected = collect(&host);
    assert_eq!(collected.metrics.resource()["spark.application.name"], name);
    assert_eq!(collected.metrics.names(), collect(&spark_4()).metrics.names());
    assert_eq!(host.take_log(), []);
}

#[test]
fn the_name_spark_quotes_right_is_preferred() {
    let name = r#"a", executor_id="7"#;
    let page = EXECUTORS_4.replace("ground truth-app", name);
    let applications = json!([{ "id": "app-20261122131319-0000", "name": name }]);
    let collected = collect(&host(Reply::text(DRIVER_4), Reply::text(&page), Reply::json(&applications)));
    assert_eq!(collected.metrics.resource()["service.name"], name);
    let executors: BTreeSet<_> = collected
        .metrics
        .points("spark.executor.cores")
        .into_iter()
        .map(|point| point.attributes["spark.executor.id"].clone())
        .collect();
    assert_eq!(executors, BTreeSet::from(["0".to_owned(), "driver".to_owned()]));
}
