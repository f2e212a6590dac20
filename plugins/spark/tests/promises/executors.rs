//! One executor, many, and those that come and go.

use super::*;

/// A page of so many executors and the driver, with what they count.
fn page(executors: impl IntoIterator<Item = (u32, u64)>) -> String {
    let labels = |id: &str| format!(r#"{{application_id="app-1", application_name="n", executor_id="{id}"}}"#);
    let mut page = "spark_info{version=\"4.1.4\", revision=\"x\"} 1.0\n".to_owned();
    let mut executor = |id: &str, cores: u32, tasks: u64| {
        let labels = labels(id);
        page.push_str(&format!(
            "metrics_executor_totalCores{labels} {cores}\nmetrics_executor_completedTasks_total{labels} {tasks}\n\
             metrics_executor_totalDuration_seconds_total{labels} {tasks}.5\n\
             metrics_executor_usedOnHeapStorageMemory_bytes{labels} 10\n\
             metrics_executor_totalOnHeapStorageMemory_bytes{labels} 30\n\
             metrics_executor_JVMHeapMemory_bytes{labels} {}\n",
            1_000 + tasks
        ));
    };
    executor("driver", 0, 0);
    for (id, tasks) in executors {
        executor(&id.to_string(), 4, tasks);
    }
    page
}

fn with(executors: serde_json::Value, page: &str) -> (TestHost, Instance<Spark>) {
    let host = host(Reply::text(DRIVER_4), Reply::text(page), Reply::status(404, ""));
    // The driver's page is another application's, and not looked at here.
    let spark = host.configure(pages_only(json!({ "executors": executors }))).unwrap();
    (host, spark)
}

fn completed(spark: &mut Instance<Spark>) -> f64 {
    let of = [("spark.executor.id", "executors"), ("result", "completed")];
    spark.collect().unwrap().metrics.value("spark.executor.task.result", &of)
}

#[test]
fn up_to_the_limit_executors_are_told_apart_and_beyond_it_added_up() {
    let cores = |limit: u32, count: u32| {
        let (_, mut spark) = with(json!({ "limit": limit }), &page((0..count).map(|id| (id, 5))));
        let metrics = spark.collect().unwrap().metrics;
        assert_eq!(metrics.value("spark.executor.count", &[]), f64::from(count));
        metrics
            .points("spark.executor.cores")
            .into_iter()
            .map(|p| (p.attributes["spark.executor.id"].clone(), p.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(cores(3, 3).len(), 4);
    assert_eq!(cores(3, 4), [("driver".to_owned(), 0.0), ("executors".to_owned(), 16.0)]);
}

#[test]
fn the_operator_can_have_it_either_way() {
    let ids = |mode: &str| {
        let (_, mut spark) = with(json!({ "per_executor": mode, "limit": 1 }), &page([(1, 5), (2, 7)]));
        let points = spark.collect().unwrap().metrics.points("spark.executor.cores");
        points.into_iter().map(|point| point.attributes["spark.executor.id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("always"), ["driver", "1", "2"]);
    assert_eq!(ids("never"), ["driver", "executors"]);
    assert_eq!(ids("auto"), ["driver", "executors"]);
}

#[test]
fn sums_are_sums_and_peaks_are_the_greatest() {
    let (_, mut spark) = with(json!({ "per_executor": "never" }), &page([(1, 5), (2, 7)]));
    let metrics = spark.collect().unwrap().metrics;
    let value = |name, attributes: &[(&str, &str)]| {
        let mut attributes = attributes.to_vec();
        attributes.push(("spark.executor.id", "executors"));
        metrics.value(name, &attributes)
    };
    assert_eq!(value("spark.executor.task.result", &[("result", "completed")]), 12.0);
    assert_eq!(value("spark.executor.time", &[]), 13.0);
    assert_eq!(value("spark.executor.memory.peak", &[("type", "jvm_heap")]), 1_007.0);
    assert_eq!(value("spark.executor.storage_memory.usage", &[("state", "free")]), 40.0);
}

#[test]
fn what_an_executor_counted_stays_when_it_goes_and_when_kiln_starts_again() {
    let (host, mut spark) = with(json!({ "per_executor": "never" }), &page([(1, 10), (2, 5)]));
    assert_eq!(completed(&mut spark), 15.0);
    host.on_get(EXECUTORS, Reply::text(&page([(2, 7)])));
    assert_eq!(completed(&mut spark), 17.0);
    let mut again = host.configure(pages_only(json!({ "executors": { "per_executor": "never" } }))).unwrap();
    assert_eq!(completed(&mut again), 17.0);
    host.on_get(EXECUTORS, Reply::text(&page([(2, 7), (3, 2)])));
    assert_eq!(completed(&mut again), 19.0);
}

#[test]
fn a_page_of_thousands_goes_to_the_host_in_batches_and_no_series_twice() {
    let (_, mut spark) = with(json!({ "per_executor": "always" }), &page((0..1_700).map(|id| (id, 1))));
    let collected = spark.collect().unwrap();
    assert!(collected.metrics.records().len() > 3);
    let ids: BTreeSet<_> = collected
        .metrics
        .points("spark.executor.cores")
        .into_iter()
        .map(|p| p.attributes["spark.executor.id"].clone())
        .collect();
    assert_eq!(ids.len(), 1_701);
    assert_eq!(collected.metrics.points("spark.executor.cores").len(), 1_701);
}

#[test]
fn numbers_an_executor_cannot_have_are_left_out_with_a_warning() {
    let odd = page([(1, 5)]).replace(" 4\n", " -4\n").replace(
        "_bytes{application_id=\"app-1\", application_name=\"n\", executor_id=\"1\"} 10\n",
        "_bytes{application_id=\"app-1\", application_name=\"n\", executor_id=\"1\"} 99999999999999999999\n",
    );
    let (host, mut spark) = with(json!({}), &odd);
    let metrics = spark.collect().unwrap().metrics;
    let of = |name: &str| metrics.points(name).iter().filter(|p| p.attributes["spark.executor.id"] == "1").count();
    assert_eq!((of("spark.executor.cores"), of("spark.executor.storage_memory.usage")), (0, 0));
    assert_eq!(of("spark.executor.time"), 1);
    assert_eq!(host.take_log().iter().filter(|line| format!("{line:?}").contains(EXECUTORS)).count(), 1);
}

#[test]
fn more_executors_and_more_names_than_there_can_be_are_not_read() {
    let names: String = (0..70).map(|n| format!("metrics_executor_new{n}{{executor_id=\"1\"}} 1\n")).collect();
    let (_, mut spark) = with(json!({}), &names);
    let metrics = spark.collect().unwrap().metrics;
    assert_eq!(metrics.names().iter().filter(|name| name.starts_with("spark.executor.new")).count(), 64);
    let (_, mut spark) = with(
        json!({}),
        &(0..20_010).map(|id| format!("metrics_executor_totalCores{{executor_id=\"{id}\"}} 1\n")).collect::<String>(),
    );
    let metrics = spark.collect().unwrap().metrics;
    assert_eq!(metrics.value("spark.executor.count", &[]), 20_000.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn however_the_page_arrives_it_says_the_same(piece in 1..700_usize) {
        let whole = collect(&spark_4());
        let host = spark_4();
        host.on_get(EXECUTORS, Reply::new("text/plain", EXECUTORS_4).in_pieces(piece));
        prop_assert_eq!(format!("{:?}", whole.metrics.records()), format!("{:?}", collect(&host).metrics.records()));
    }

    #[test]
    fn no_sum_over_executors_ever_falls(
        pages in proptest::collection::vec(proptest::collection::btree_map(1..5_u32, 0..50_u64, 0..4), 2..8),
        restart in 0..8_usize,
    ) {
        let (host, mut spark) = with(json!({ "per_executor": "never" }), &page([]));
        let mut before = 0.0;
        for (at, executors) in pages.into_iter().enumerate() {
            if at == restart {
                spark = host.configure(pages_only(json!({ "executors": { "per_executor": "never" } }))).unwrap();
            }
            let is_empty = executors.is_empty();
            host.on_get(EXECUTORS, Reply::text(&page(executors)));
            let collected = spark.collect().unwrap();
            let points = collected.metrics.points("spark.executor.task.result");
            let sum = points.iter().find(|point| point.attributes["spark.executor.id"] == "executors");
            prop_assert!(is_empty || sum.is_some());
            if let Some(point) = sum {
                prop_assert!(point.value >= before, "{} after {before}", point.value);
                before = point.value;
            }
        }
    }
}
