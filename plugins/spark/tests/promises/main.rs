//! What the Spark receiver promises, on pages of real applications and on hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod application;
mod endpoint;
mod executors;
mod failures;
mod json;
mod lifecycle;
mod names;
mod workspace;

use std::collections::BTreeSet;

use kiln_plugin::http::HttpError;
use kiln_plugin::telemetry::{MetricData, Number};
use kiln_plugin::testing::{Collected, Instance, Reply, TestHost};
use kiln_plugin::{CollectError, UnixNanos};
use kiln_plugin_spark::{Spark, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};

const DRIVER: &str = "/metrics/prometheus/";
const EXECUTORS: &str = "/metrics/executors/prometheus";
const APPLICATIONS: &str = "/api/v1/applications";

const DRIVER_4: &str = include_str!("../pages/driver-4.1.4.prom");
const EXECUTORS_4: &str = include_str!("../pages/executors-4.1.4.prom");
const APPLICATIONS_4: &str = include_str!("../pages/applications-4.1.4.json");
const DRIVER_3: &str = include_str!("../pages/driver-3.5.9.prom");
const EXECUTORS_3: &str = include_str!("../pages/executors-3.5.9.prom");
const APPLICATIONS_3: &str = include_str!("../pages/applications-3.5.9.json");

const STARTING_UP: &str = "Spark is starting up. Please wait a while until it's ready.";

/// When the captured application started, by its own account.
const START_4: UnixNanos = UnixNanos::from_millis(1_795_353_190_860);

fn html(body: &str) -> Reply {
    Reply::new("text/html;charset=utf-8", body)
}

fn redirect() -> Reply {
    Reply::status(302, "").with_header("location", "http://localhost:4040/jobs/")
}

fn host(driver: Reply, executors: Reply, applications: Reply) -> TestHost {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_get(DRIVER, driver);
    host.on_get(EXECUTORS, executors);
    host.on_get(APPLICATIONS, applications);
    host
}

fn spark_4() -> TestHost {
    host(Reply::text(DRIVER_4), Reply::new("text/plain", EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4))
}

fn spark_3() -> TestHost {
    host(Reply::text(DRIVER_3), Reply::new("text/plain", EXECUTORS_3), Reply::new("application/json", APPLICATIONS_3))
}

/// The configuration without what is read from the REST API, which has tests of its own.
fn pages_only(mut config: Value) -> Value {
    for part in ["jobs", "stages", "sql", "storage", "executors", "dstreams", "environment"] {
        config["rest"][part]["enabled"] = json!(false);
    }
    config
}

fn configured(host: &TestHost) -> Instance<Spark> {
    host.configure(pages_only(json!({}))).unwrap()
}

fn collect(host: &TestHost) -> Collected {
    configured(host).collect().unwrap_or_else(|error| panic!("{error:?}"))
}

fn refused(host: &TestHost) -> CollectError {
    match configured(host).collect() {
        Err(error) => error,
        Ok(collected) => panic!("collected {:?}", collected.metrics.names()),
    }
}

/// Collects where there is no application: its state is told and nothing else. Returns the state and what is said.
fn without_application(host: &TestHost) -> (String, String) {
    let collected = collect(host);
    let messages: Vec<_> = collected.outcome.failures.iter().map(|failure| failure.message.as_str()).collect();
    (only_state(&collected), messages.join("; "))
}

/// The state, if nothing but the state was told.
fn only_state(collected: &Collected) -> String {
    assert_eq!(collected.metrics.names(), ["spark.receiver.state"]);
    state(collected)
}

/// The one state whose point is 1.
fn state(collected: &Collected) -> String {
    let mut states = collected.metrics.points("spark.receiver.state");
    assert_eq!(states.len(), 5);
    states.retain(|point| point.value == 1.0);
    match states.as_slice() {
        [point] => point.attributes["spark.receiver.state"].clone(),
        states => panic!("{states:?}"),
    }
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected.abs() * 1e-12
}

#[test]
fn nothing_is_skipped_and_nothing_fails_on_real_pages() {
    for host in [spark_4(), spark_3()] {
        assert_eq!(collect(&host).failed_sources(), [""; 0]);
        assert_eq!(host.take_log(), []);
    }
}

#[test]
fn what_the_driver_counts_has_the_collector_s_names() {
    let metrics = collect(&spark_4()).metrics;
    let number = |name: &str| -> f64 {
        let line = DRIVER_4.lines().find(|line| line.contains(&format!("_driver_{name}{{"))).expect(name);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let value = |name, attributes: &[(&str, &str)]| metrics.value(name, attributes);
    assert_eq!(value("spark.driver.dag_scheduler.job.count", &[]), number("DAGScheduler_job_allJobs_Value"));
    assert_eq!(
        value("spark.driver.block_manager.memory.usage", &[("location", "on_heap"), ("state", "free")]),
        number("BlockManager_memory_remainingOnHeapMem_MB_Value") * 1_048_576.0
    );
    assert!(close(
        value("spark.driver.code_generator.compilation.average_time", &[]),
        number("CodeGenerator_compilationTime_Mean") / 1e3
    ));
    assert_eq!(
        value("spark.driver.code_generator.compilation.count", &[]),
        number("CodeGenerator_compilationTime_Count")
    );
    assert!(close(value("spark.driver.jvm_cpu_time", &[]), number("JVMCPU_jvmCpuTime_Value") / 1e9));
    assert!(close(
        value("spark.driver.executor.gc.time", &[("gc_type", "minor")]),
        number("ExecutorMetrics_MinorGCTime_Value") / 1e3
    ));
    assert_eq!(
        value("spark.driver.executor.memory.jvm", &[("location", "on_heap")]),
        number("ExecutorMetrics_JVMHeapMemory_Value")
    );
    assert!(close(
        value("spark.driver.live_listener_bus.processing_time.average", &[("queue", "appStatus")]),
        number("LiveListenerBus_queue_appStatus_listenerProcessingTime_Mean") / 1e9
    ));
    assert_eq!(
        value("spark.driver.app_status.stage.result", &[("result", "failed")]),
        number("appStatus_stages_failedStages_Count")
    );
    assert_eq!(
        value("spark.driver.dag_scheduler.stage.count", &[("status", "running")]),
        number("DAGScheduler_stage_runningStages_Value")
    );
}

#[test]
fn what_an_executor_counts_has_the_collector_s_names() {
    let metrics = collect(&spark_4()).metrics;
    let number = |name: &str| -> f64 {
        let line = EXECUTORS_4
            .lines()
            .find(|line| line.contains(&format!("_{name}{{")) && line.contains(r#"executor_id="0""#))
            .expect(name);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let value = |name, attributes: &[(&str, &str)]| {
        let mut attributes = attributes.to_vec();
        attributes.push(("spark.executor.id", "0"));
        metrics.value(name, &attributes)
    };
    assert_eq!(value("spark.executor.task.result", &[("result", "completed")]), number("completedTasks_total"));
    assert_eq!(value("spark.executor.task.result", &[("result", "failed")]), number("failedTasks_total"));
    assert_eq!(value("spark.executor.time", &[]), number("totalDuration_seconds_total"));
    assert_eq!(value("spark.executor.gc_time", &[]), number("totalGCTime_seconds_total"));
    assert_eq!(value("spark.executor.gc.operations", &[("gc_type", "minor")]), number("MinorGCCount_total"));
    assert_eq!(
        value("spark.executor.shuffle.io.size", &[("direction", "out")]),
        number("totalShuffleWrite_bytes_total")
    );
    assert_eq!(value("spark.executor.memory.peak", &[("type", "jvm_heap")]), number("JVMHeapMemory_bytes"));
    let used = number("usedOnHeapStorageMemory_bytes");
    let free = number("totalOnHeapStorageMemory_bytes") - used;
    let on_heap = |state| value("spark.executor.storage_memory.usage", &[("location", "on_heap"), ("state", state)]);
    assert_eq!((on_heap("used"), on_heap("free")), (used, free));
    assert_eq!(metrics.points("spark.executor.task.active").len(), 2);
}

#[test]
fn every_executor_metric_of_a_real_page_is_declared() {
    for host in [spark_4(), spark_3()] {
        let metrics = collect(&host).metrics;
        let manifest = telemetry::MANIFEST;
        for name in metrics.names().into_iter().filter(|name| name.starts_with("spark.executor.")) {
            assert!(manifest.contains(&format!("\"{name}\"]")), "{name} is not declared");
        }
    }
}

#[test]
fn streaming_queries_are_an_attribute_whether_they_have_a_name_or_not() {
    let metrics = collect(&spark_4()).metrics;
    let named = [("spark.streaming.query", "orders_per_window_v1")];
    let unnamed = [("spark.streaming.query", "e673ba2f-9149-4212-93eb-5fcd30695966")];
    assert_eq!(metrics.value("spark.streaming.input_rate", &named), 20.0);
    assert_eq!(metrics.value("spark.streaming.latency", &named), 10.148);
    assert_eq!(metrics.value("spark.streaming.latency", &unnamed), 1.359);
    assert_eq!(metrics.value("spark.streaming.state.rows", &named), 110.0);
    assert_eq!(metrics.value("spark.streaming.state.memory.usage", &named), 44_400.0);
    // The query without a watermark says 0, which is no time.
    assert_eq!(metrics.value("spark.streaming.event_time.watermark", &named), 1_795_353_369.688);
    assert_eq!(metrics.points("spark.streaming.event_time.watermark").len(), 1);
}

#[test]
fn what_the_collector_has_no_name_for_has_one_of_its_own() {
    let metrics = collect(&spark_4()).metrics;
    let unit = |name: &str| metrics.metric(name).unwrap_or_else(|| panic!("{name}")).unit.clone();
    assert_eq!(unit("spark.driver.jvm.heap.used"), "By");
    assert_eq!(unit("spark.driver.jvm.heap.usage"), "1");
    assert_eq!(metrics.value("spark.driver.dag_scheduler.message_processing_time.mean", &[]), 0.027_782_580_383_094_33);
    assert_eq!(unit("spark.driver.dag_scheduler.message_processing_time.quantile"), "s");
    assert_eq!(metrics.points("spark.driver.dag_scheduler.message_processing_time.quantile").len(), 8);
    let count = metrics.metric("spark.driver.dag_scheduler.message_processing_time.count").unwrap();
    assert!(matches!(&count.data, MetricData::Sum(sum) if sum.monotonic), "{count:?}");
    // No limit, in Java's words.
    assert!(DRIVER_4.contains("jvm_non_heap_max_Value{type=\"gauges\"} -1"));
    assert!(metrics.metric("spark.driver.jvm.non_heap.max").is_none());
    assert!(metrics.metric("spark.driver.jvm.non.heap.max").is_none());
}

#[test]
fn the_numbers_of_one_metric_are_of_one_type() {
    let collected = collect(&spark_4());
    for metric in &collected.metrics.records()[0].metrics {
        let points = match &metric.data {
            MetricData::Gauge(points) => points,
            MetricData::Sum(sum) => &sum.points,
            other => panic!("{}: {other:?}", metric.name),
        };
        let integers = points.iter().filter(|point| matches!(point.value, Some(Number::Integer(_)))).count();
        assert!(integers == 0 || integers == points.len(), "{}", metric.name);
    }
}

#[test]
fn in_local_mode_the_driver_has_what_tasks_count() {
    let metrics = collect(&spark_3()).metrics;
    let of = |name: &str| metrics.metric(name).unwrap_or_else(|| panic!("{name}"));
    let counted = |name: &str, unit| {
        let metric = of(name);
        metric.unit == unit && matches!(&metric.data, MetricData::Sum(sum) if sum.monotonic)
    };
    assert!(counted("spark.driver.executor.cpu_time", "s"));
    assert!(counted("spark.driver.executor.run_time", "s"));
    assert!(counted("spark.driver.executor.disk.spilled", "By"));
    assert!(counted("spark.driver.executor.filesystem.io.size", "By"));
    assert_eq!(
        metrics.value("spark.driver.executor.filesystem.io.size", &[("scheme", "file"), ("direction", "in")]),
        7_076.0
    );
    assert!(
        matches!(&of("spark.driver.executor.threadpool.tasks.active").data, MetricData::Sum(sum) if !sum.monotonic)
    );
}

#[test]
fn no_name_holds_an_id_and_no_duplicate_is_sent() {
    for host in [spark_4(), spark_3()] {
        let metrics = collect(&host).metrics;
        for name in metrics.names() {
            assert!(name.starts_with("spark."), "{name}");
            for part in ["app.2026", "1795", "local.", "e673ba2f", "orders", "number", "..", "_._"] {
                assert!(!name.contains(part), "{name}");
            }
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b)), "{name}");
        }
    }
}

#[test]
fn names_are_the_same_under_every_namespace() {
    let names = |page: &str, applications: Reply| {
        let host = host(Reply::text(page), Reply::text(EXECUTORS_4), applications);
        collect(&host).metrics.names().into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let rest = || Reply::new("application/json", APPLICATIONS_4);
    let expected = names(DRIVER_4, rest());
    for namespace in ["metrics_spark_driver_", "metrics_driver_", "metrics_my_driver_app_driver_"] {
        let page = DRIVER_4.replace("metrics_app_20261122131319_0000_driver_", namespace);
        assert_eq!(names(&page, rest()), expected, "{namespace}");
        assert_eq!(names(&page, Reply::status(404, "")), expected, "{namespace}");
    }
}

#[test]
fn what_is_said_twice_is_sent_once() {
    let driver = format!(
        "{DRIVER_4}metrics_app_20261122131319_0000_driver_DAGScheduler_job_activeJobs_Value{{type=\"gauges\"}} 9\n\
         metrics_app_20261122131319_0000_driver_DAGScheduler_job_activeJobs_Count{{type=\"counters\"}} 9\n\
         metrics_app_20261122131319_0000_driver_DAGScheduler_job_activeJobs_Mean{{type=\"histograms\"}} 9\n\
         metrics_app_20261122131319_0000_driver_DAGScheduler_job_activeJobs{{type=\"gauges\"}} 9\n\
         metrics_app_20261122131319_0000_driver_my_Source_Value{{type=\"gauges\"}} 1\n\
         metrics_app_20261122131319_0000_driver_my__source_Value{{type=\"gauges\"}} 1\n\
         metrics_app_20261122131319_0000_driver_my_source_Count{{type=\"counters\"}} 1\n"
    );
    let executors = format!("{EXECUTORS_4}{}\n", EXECUTORS_4.lines().nth(1).unwrap());
    let host = host(Reply::text(&driver), Reply::text(&executors), Reply::new("application/json", APPLICATIONS_4));
    let metrics = collect(&host).metrics;
    assert_eq!(metrics.points("spark.driver.dag_scheduler.job.active").len(), 1);
    assert_eq!(metrics.points("spark.driver.my.source").len(), 1);
    assert_eq!(host.take_log().len(), 2);
}

#[test]
fn an_executor_without_a_heartbeat_has_what_it_has() {
    let page = r#"metrics_executor_usedOnHeapStorageMemory_bytes{application_id="a", application_name="n", executor_id="3"} 5
metrics_executor_newThing_bytes_total{application_id="a", application_name="n", executor_id="3"} 7
"#;
    let host = host(Reply::text(DRIVER_4), Reply::text(page), Reply::status(404, ""));
    let metrics = collect(&host).metrics;
    assert_eq!(metrics.points("spark.executor.storage_memory.usage").len(), 1);
    assert_eq!(metrics.value("spark.executor.new_thing", &[("spark.executor.id", "3")]), 7.0);
    assert_eq!(metrics.metric("spark.executor.new_thing").unwrap().unit, "By");
}

#[test]
fn an_endpoint_is_scheme_host_and_port() {
    let host = spark_4();
    let configure = |endpoint: &str| host.configure::<Spark>(pages_only(json!({ "endpoint": endpoint }))).map(|_| ());
    for endpoint in ["http://localhost:4040", "http://localhost:4040/", "https://10.0.0.1:40001", "http://[::1]:4040"] {
        assert!(configure(endpoint).is_ok(), "{endpoint}");
    }
    for endpoint in ["http://localhost:4040/ui", "http://localhost?x"] {
        assert_eq!(configure(endpoint).unwrap_err().field, "/endpoint", "{endpoint}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_answer_makes_it_panic(
        driver in proptest::collection::vec(any::<u8>(), 0..300),
        executors in proptest::collection::vec(any::<u8>(), 0..300),
        applications in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let host = host(
            Reply::new("text/plain", driver),
            Reply::new("text/plain", executors),
            Reply::new("application/json", applications),
        );
        let _ = configured(&host).collect().is_ok();
    }

    #[test]
    fn a_damaged_page_is_still_collected(
        damage in proptest::collection::vec((0..10_000_usize, any::<u8>()), 1..40),
        cut in 2_000..7_000_usize,
    ) {
        let damaged = |page: &str| {
            let mut page = page.as_bytes().to_vec();
            for (at, byte) in &damage {
                let at = at % page.len();
                page[at] = *byte;
            }
            page.truncate(cut);
            Reply::new("text/plain", page)
        };
        let host = host(damaged(DRIVER_4), damaged(EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4));
        let collected = configured(&host).collect();
        prop_assert!(collected.is_ok(), "{:?}", collected.err());
    }

    #[test]
    fn no_page_of_well_formed_lines_is_refused(
        driver in proptest::collection::vec(
            ("(DAGScheduler_job|executor|spark_streaming_q|jvm_heap|x)_[aA_]{0,3}", "(Value|Count|Mean|Max|StdDev)",
             "(gauges|counters|histograms|timers)", any::<f64>()), 1..30),
        executors in proptest::collection::vec(("[aA_]{1,3}(_total|_bytes|_seconds)?", 0..3_u8, any::<i64>()), 1..30),
    ) {
        let mut page = "metrics_a_driver_DAGScheduler_job_allJobs_Value{type=\"gauges\"} 1\n".to_owned();
        for (name, suffix, kind, value) in &driver {
            page.push_str(&format!("metrics_a_driver_{name}_{suffix}{{type=\"{kind}\"}} {value:?}\n"));
        }
        let mut other = String::new();
        for (name, executor, value) in &executors {
            other.push_str(&format!("metrics_executor_{name}{{application_id=\"a\", executor_id=\"{executor}\"}} {value}\n"));
        }
        let host = host(Reply::text(&page), Reply::text(&other), Reply::json(&json!([])));
        let collected = configured(&host).collect();
        prop_assert!(collected.is_ok(), "{:?}\n{page}{other}", collected.err());
    }
}
