//! What is emitted for real pages, all of it, and what becomes of names nobody knows.

use super::*;

/// Name, unit, kind and keys of the attributes of every metric.
fn listing(collected: &Collected) -> String {
    let mut listing = String::new();
    for name in collected.metrics.names() {
        let metric = collected.metrics.metric(name).unwrap();
        let kind = match &metric.data {
            MetricData::Gauge(_) => "gauge",
            MetricData::Sum(sum) if sum.monotonic => "counter",
            _ => "sum",
        };
        let points = collected.metrics.points(name);
        let keys: BTreeSet<_> = points.iter().flat_map(|point| point.attributes.keys().cloned()).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        listing.push_str(&format!("{name} | {} | {kind} | {}\n", metric.unit, keys.join(", ")));
    }
    listing
}

/// Set `KILN_UPDATE_EXPECTED` to write the file anew.
fn is_as_expected(file: &str, expected: &str, found: &str) {
    if std::env::var_os("KILN_UPDATE_EXPECTED").is_some() {
        std::fs::write(format!("{}/tests/expected/{file}", env!("CARGO_MANIFEST_DIR")), found).unwrap();
        return;
    }
    let (expected, found): (BTreeSet<_>, BTreeSet<_>) = (expected.lines().collect(), found.lines().collect());
    let missing: Vec<_> = expected.difference(&found).collect();
    let new: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && new.is_empty(), "{file}: missing {missing:#?}, new {new:#?}");
}

#[test]
fn all_that_is_emitted_for_a_driver_is_what_was_agreed() {
    let pages = |driver: &str, executors: &str, applications: &str| {
        listing(&collect(&host(
            Reply::text(driver),
            Reply::new("text/plain", executors),
            Reply::new("application/json", applications),
        )))
    };
    let found = pages(
        include_str!("../../../../tests/testbed/spark/3.5.9/metrics_prometheus"),
        include_str!("../../../../tests/testbed/spark/3.5.9/metrics_executors_prometheus"),
        include_str!("../../../../tests/testbed/spark/3.5.9/applications"),
    );
    is_as_expected("metrics-3.5.9-local.txt", include_str!("../expected/metrics-3.5.9-local.txt"), &found);
    let found = pages(
        include_str!("../../../../tests/testbed/spark/4.1.4/metrics_prometheus"),
        include_str!("../../../../tests/testbed/spark/4.1.4/metrics_executors_prometheus"),
        include_str!("../../../../tests/testbed/spark/4.1.4/applications"),
    );
    is_as_expected(
        "metrics-4.1.4-local-cluster.txt",
        include_str!("../expected/metrics-4.1.4-local-cluster.txt"),
        &found,
    );
}

#[test]
fn everything_spark_itself_emits_is_declared() {
    let manifest = telemetry::MANIFEST;
    let expected = [
        include_str!("../expected/metrics-3.5.9-local.txt"),
        include_str!("../expected/metrics-4.1.4-local-cluster.txt"),
    ];
    for line in expected.into_iter().flat_map(str::lines) {
        let name = line.split(" | ").next().unwrap();
        assert!(manifest.contains(&format!("[telemetry.metrics.\"{name}\"]")), "{name} passes through");
    }
}

#[test]
fn every_metric_says_where_it_is_read() {
    for metric in telemetry::MANIFEST.split("\n[telemetry.metrics.").skip(1) {
        let section = metric.split("\n[").next().unwrap();
        assert!(section.contains("\nsource = \""), "{section}");
    }
}

/// The metrics of the driver when its page has these lines too.
fn with(lines: &str) -> Collected {
    let page = lines.lines().fold(DRIVER_4.to_owned(), |mut page, line| {
        page.push_str("metrics_app_20261122131319_0000_driver_");
        page.push_str(line);
        page.push('\n');
        page
    });
    collect(&host(
        Reply::text(&page),
        Reply::new("text/plain", EXECUTORS_4),
        Reply::new("application/json", APPLICATIONS_4),
    ))
}

#[test]
fn a_source_nobody_knows_passes_through() {
    let metrics = with(
        "Databricks_directoryCommit_filesWritten_Count{type=\"counters\"} 3\n\
         Databricks_preemption_poolSize_Value{type=\"gauges\"} 4\n\
         Databricks_commitTime_Mean{type=\"timers\"} 2500000000\n\
         Databricks_commitTime_Count{type=\"timers\"} 7",
    )
    .metrics;
    let unit = |name: &str| metrics.metric(name).unwrap().unit.clone();
    assert_eq!(metrics.value("spark.driver.databricks.directory_commit.files_written", &[]), 3.0);
    assert_eq!(metrics.value("spark.driver.databricks.preemption.pool_size", &[]), 4.0);
    assert_eq!(metrics.value("spark.driver.databricks.commit_time.mean", &[]), 2.5);
    assert_eq!(unit("spark.driver.databricks.commit_time.mean"), "s");
    assert_eq!(unit("spark.driver.databricks.commit_time.count"), "{event}");
    assert_eq!(unit("spark.driver.databricks.preemption.pool_size"), "");
}

#[test]
fn what_is_called_what_something_is_called_is_in_an_attribute() {
    let metrics = with(
        "LiveListenerBus_listenerProcessingTime_com_example_MyListener_Mean{type=\"timers\"} 1500000\n\
         LiveListenerBus_queue_my_queue_size_Value{type=\"gauges\"} 2\n\
         jvm_pools_CodeHeap__non_profiled_nmethods__used_Value{type=\"gauges\"} 1\n\
         jvm_pools_Some_Pool_used_Value{type=\"gauges\"} 2\n\
         jvm_ZGC_Cycles_time_Value{type=\"gauges\"} 1500\n\
         executor_filesystem_s3a_write_bytes_Value{type=\"gauges\"} 9\n\
         My_App_StreamingMetrics_streaming_waitingBatches_Value{type=\"gauges\"} 5",
    )
    .metrics;
    let value = |name, attributes: &[(&str, &str)]| metrics.value(name, attributes);
    assert_eq!(
        value(
            "spark.driver.live_listener_bus.listener.processing_time.mean",
            &[("listener", "com.example.MyListener")]
        ),
        0.0015
    );
    assert_eq!(value("spark.driver.live_listener_bus.queue_size", &[("queue", "my_queue")]), 2.0);
    let pool = "jvm.memory.pool.name";
    assert_eq!(value("spark.driver.jvm.pool.used", &[(pool, "CodeHeap 'non-profiled nmethods'")]), 1.0);
    assert_eq!(value("spark.driver.jvm.pool.used", &[(pool, "Some_Pool")]), 2.0);
    assert_eq!(value("spark.driver.jvm.gc.time", &[("jvm.gc.name", "ZGC Cycles")]), 1.5);
    assert_eq!(value("spark.driver.executor.filesystem.io.size", &[("scheme", "s3a"), ("direction", "out")]), 9.0);
    assert_eq!(value("spark.driver.streaming_metrics.streaming.waiting_batches", &[]), 5.0);
}

#[test]
fn dynamic_allocation_has_names() {
    let metrics = with(
        "ExecutorAllocationManager_executors_numberTargetExecutors_Value{type=\"gauges\"} 4\n\
         ExecutorAllocationManager_executors_numberExecutorsKilledByDriver_Count{type=\"counters\"} 2",
    )
    .metrics;
    assert_eq!(metrics.value("spark.driver.executor_allocation_manager.executors.target", &[]), 4.0);
    assert_eq!(
        metrics.value("spark.driver.executor_allocation_manager.executors.removed", &[("reason", "driver_killed")]),
        2.0
    );
}

#[test]
fn streaming_queries_beyond_the_limit_have_no_series_and_are_counted() {
    let queries: String = (0..6)
        .map(|n| format!("metrics_x_driver_spark_streaming_q{n}_latency_Value{{type=\"gauges\"}} 1000\n"))
        .collect();
    let page = format!("metrics_x_driver_DAGScheduler_job_allJobs_Value{{type=\"gauges\"}} 1\n{queries}");
    let queries = |limit: u32| {
        let host = host(Reply::text(&page), Reply::new("text/plain", EXECUTORS_4), Reply::status(404, ""));
        let config = json!({ "streaming": { "query_limit": limit } });
        let metrics = host.configure::<Spark>(pages_only(config)).unwrap().collect().unwrap().metrics;
        let names: Vec<_> = metrics
            .points("spark.streaming.latency")
            .into_iter()
            .map(|point| point.attributes["spark.streaming.query"].clone())
            .collect();
        let dropped: Vec<_> =
            metrics.points("spark.receiver.streaming.queries.dropped").into_iter().map(|point| point.value).collect();
        (names, dropped)
    };
    assert_eq!(queries(6).0.len(), 6);
    assert_eq!(queries(6).1, [0.0; 0]);
    assert_eq!(queries(2), (vec!["q0".to_owned(), "q1".to_owned()], vec![4.0]));
}

#[test]
fn numbers_sparks_own_sources_cannot_have_are_left_out() {
    let impossible = |value: &str| {
        let page = format!(
            "metrics_x_driver_DAGScheduler_job_allJobs_Value{{type=\"gauges\"}} {value}\n\
             metrics_x_driver_JVMCPU_jvmCpuTime_Value{{type=\"gauges\"}} 1\n"
        );
        let host = host(Reply::text(&page), Reply::new("text/plain", EXECUTORS_4), Reply::status(404, ""));
        let collected = collect(&host);
        assert!(collected.metrics.metric("spark.driver.dag_scheduler.job.count").is_none(), "{value}");
        assert!(collected.metrics.metric("spark.driver.jvm_cpu_time").is_some());
        host.take_log().len()
    };
    for value in ["-2", "-9223372036854775808", "9223372036854775808", "1e300"] {
        assert_eq!(impossible(value), 1, "{value}");
    }
    for value in ["-1", "NaN", "Infinity"] {
        assert_eq!(impossible(value), 0, "{value}");
    }
}

#[test]
fn more_unknown_series_than_there_can_be_are_not_sent() {
    let passed = |count: usize| {
        let unknown: String =
            (0..count).map(|n| format!("metrics_x_driver_Other_n{n}_Value{{type=\"gauges\"}} 1\n")).collect();
        let page = format!("metrics_x_driver_DAGScheduler_job_allJobs_Value{{type=\"gauges\"}} 1\n{unknown}");
        let host = host(Reply::text(&page), Reply::new("text/plain", EXECUTORS_4), Reply::status(404, ""));
        let names = collect(&host).metrics.names().iter().filter(|name| name.contains(".other.")).count();
        (names, host.take_log().len())
    };
    assert_eq!(passed(10_000), (10_000, 0));
    assert_eq!(passed(10_010), (10_000, 1));
}
