//! Executors that are alive and executors that are gone, and streaming contexts.

use super::*;

fn executor(id: &str, removed: Option<&str>) -> Value {
    let mut executor = json!({ "id": id, "hostPort": "10.0.0.1:45705", "isActive": removed.is_none(), "isExcluded": false,
        "addTime": driver::time(driver::START), "totalCores": 1, "executorLogs": {} });
    if let Some(reason) = removed {
        executor["removeTime"] = json!(driver::time(driver::START + 9_000));
        executor["removeReason"] = json!(reason);
    }
    executor
}

#[test]
fn an_executor_that_is_gone_is_told_once_with_the_reason() {
    let (driver, host, mut spark) = observed();
    let lost = "Executor heartbeat timed out after 142316 ms";
    driver
        .with(|model| model.executors = vec![executor("driver", None), executor("0", None), executor("1", Some(lost))]);
    let first = collect(&mut spark);
    assert_eq!(first.metrics.value("spark.executors.active", &[]), 1.0);
    assert_eq!(first.metrics.value("spark.executors.removed", &[("spark.executor.removed.cause", "heartbeat")]), 1.0);
    assert_eq!(
        first.metrics.point("spark.executor.excluded", &[("spark.executor.id", "0")]).attributes["spark.executor.host"],
        "10.0.0.1"
    );
    let record = &first.logs[0].records[0];
    assert_eq!(record.time, (driver::START + 9_000) * 1_000_000);
    assert!(format!("{:?}", record.attributes).contains(lost));
    let mut spark = host.configure::<Spark>(json!({})).unwrap();
    let second = collect(&mut spark);
    assert!(second.logs.is_empty(), "also after a restart");
    assert_eq!(second.metrics.value("spark.executors.removed", &[("spark.executor.removed.cause", "heartbeat")]), 1.0);
    driver.with(|model| model.executors.push(executor("0", Some("Executor decommission finished"))));
    assert_eq!(
        collect(&mut spark)
            .metrics
            .value("spark.executors.removed", &[("spark.executor.removed.cause", "decommissioned")]),
        1.0
    );
}

#[test]
fn a_streaming_context_has_statistics_and_most_applications_have_none() {
    let (driver, _host, mut spark) = observed();
    let collected = collect(&mut spark);
    assert_eq!(collected.failed_sources(), [""; 0]);
    assert!(collected.metrics.points("spark.dstream.receivers").is_empty());
    driver.with(|model| {
        model.dstreams =
            Some(json!({ "startTime": driver::time(driver::START + 5), "batchDuration": 2_000, "numReceivers": 3,
            "numActiveReceivers": 2, "numInactiveReceivers": 1, "numTotalCompletedBatches": 7, "numActiveBatches": 1,
            "numProcessedRecords": 70, "numReceivedRecords": 75, "avgInputRate": 12.5, "avgProcessingTime": 150 }));
    });
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.dstream.batch.interval", &[]), 2.0);
    assert_eq!(metrics.value("spark.dstream.receivers", &[("state", "active")]), 2.0);
    assert_eq!(metrics.value("spark.dstream.processing_time", &[]), 0.15);
    assert_eq!(metrics.point("spark.dstream.batch.completed", &[]).start.as_millis(), driver::START + 5);
    assert!(metrics.points("spark.dstream.total_delay").is_empty());
}
