//! The driver's two pages say the same.

use std::collections::BTreeMap;

use super::*;

const JSON: &str = "/metrics/json/";

/// Both pages of one driver, and its application.
struct Driver {
    prometheus: &'static str,
    json: &'static str,
    executors: &'static str,
    applications: &'static str,
}

const DRIVERS: [Driver; 2] = [
    Driver {
        prometheus: include_str!("../../../../tests/testbed/spark/3.5.9/metrics_prometheus"),
        json: include_str!("../../../../tests/testbed/spark/3.5.9/metrics_json"),
        executors: include_str!("../../../../tests/testbed/spark/3.5.9/metrics_executors_prometheus"),
        applications: include_str!("../../../../tests/testbed/spark/3.5.9/applications"),
    },
    Driver {
        prometheus: include_str!("../../../../tests/testbed/spark/4.1.4/metrics_prometheus"),
        json: include_str!("../../../../tests/testbed/spark/4.1.4/metrics_json"),
        executors: include_str!("../../../../tests/testbed/spark/4.1.4/metrics_executors_prometheus"),
        applications: include_str!("../../../../tests/testbed/spark/4.1.4/applications"),
    },
];

fn json_page(body: &str) -> Reply {
    Reply::new("text/json;charset=utf-8", body)
}

impl Driver {
    fn collect(&self, source: &str, prometheus: Reply, json: Reply) -> Collected {
        let host = host(prometheus, Reply::new("text/plain", self.executors), json_page(self.applications));
        host.on_get(JSON, json);
        let collected = host.configure::<Spark>(pages_only(json!({ "source": source }))).unwrap().collect().unwrap();
        assert_eq!(host.take_log(), []);
        collected
    }

    fn by_prometheus(&self, page: &str) -> Collected {
        self.collect("prometheus", Reply::text(page), Reply::status(500, ""))
    }

    fn by_json(&self) -> Collected {
        self.collect("json", Reply::status(500, ""), json_page(self.json))
    }
}

/// Everything that is said of the driver: name, unit, kind and attributes, and the value. Of a streaming query the name
/// is as the Prometheus page has it.
fn series(collected: &Collected) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for metric in &collected.metrics.records()[0].metrics {
        let kind = match &metric.data {
            MetricData::Gauge(_) => "gauge",
            MetricData::Sum(sum) if sum.monotonic => "counter",
            _ => "sum",
        };
        for point in collected.metrics.points(&metric.name) {
            let mut attributes = point.attributes.clone();
            if let Some(query) = attributes.get_mut("spark.streaming.query").filter(|query| query.len() != 36) {
                *query = query.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            }
            let key = format!("{} {} {kind} {attributes:?} {}", metric.name, metric.unit, point.start.as_nanos());
            assert_eq!(series.insert(key.clone(), point.value), None, "{key}");
        }
    }
    series
}

/// The Prometheus page Spark would make of a registry.
fn rendered(registry: &serde_json::Value) -> String {
    let mut page = String::new();
    let sections = ["gauges", "counters", "histograms", "meters", "timers"];
    for (section, metrics) in sections.into_iter().filter_map(|s| Some((s, registry[s].as_object()?))) {
        for (key, numbers) in metrics {
            let key: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            for (field, value) in numbers.as_object().unwrap() {
                let suffix = match field.as_str() {
                    "value" => "Value",
                    "count" => "Count",
                    "min" => "Min",
                    "max" => "Max",
                    "mean" => "Mean",
                    "stddev" => "StdDev",
                    "p50" => "50thPercentile",
                    "p75" => "75thPercentile",
                    "p95" => "95thPercentile",
                    "p98" => "98thPercentile",
                    "p99" => "99thPercentile",
                    "p999" => "999thPercentile",
                    _ => continue,
                };
                let value = match (section, field.as_str()) {
                    ("timers", "count") => value.to_string(),
                    ("timers", _) => (value.as_f64().unwrap() * 1e6).to_string(),
                    _ => value.to_string(),
                };
                page.push_str(&format!("metrics_{key}_{suffix}{{type=\"{section}\"}} {value}\n"));
            }
        }
    }
    page
}

#[test]
fn both_pages_of_a_driver_give_the_same_series() {
    for driver in DRIVERS {
        let prometheus = series(&driver.by_prometheus(driver.prometheus));
        let json = series(&driver.by_json());
        assert_eq!(prometheus.keys().collect::<Vec<_>>(), json.keys().collect::<Vec<_>>());
        assert!(json.len() > 150, "{}", json.len());
    }
}

#[test]
fn both_pages_of_one_moment_give_the_same_values() {
    for driver in DRIVERS {
        let page = rendered(&serde_json::from_str(driver.json).unwrap());
        let prometheus = series(&driver.by_prometheus(&page));
        for (key, found) in series(&driver.by_json()) {
            assert!(close(found, prometheus[&key]), "{key}: {found} {}", prometheus[&key]);
        }
    }
}

#[test]
fn the_json_page_knows_what_a_query_is_called() {
    let [_, driver] = DRIVERS;
    let metrics = driver.by_json().metrics;
    let latency = |query| metrics.value("spark.streaming.latency", &[("spark.streaming.query", query)]);
    assert_eq!(latency("orders_per-window.v1"), 10.148);
    assert_eq!(latency("e673ba2f-9149-4212-93eb-5fcd30695966"), 1.359);
}

#[test]
fn auto_prefers_the_json_page_and_does_without_it() {
    let [_, driver] = DRIVERS;
    let first = series(&driver.collect("auto", Reply::status(404, ""), json_page(driver.json)));
    assert_eq!(first, series(&driver.by_json()));
    for missing in [Reply::status(404, ""), redirect(), html("<html>jobs"), json_page("{\"gauges\": {}}")] {
        let second = driver.collect("auto", Reply::text(driver.prometheus), missing);
        assert_eq!(second.failed_sources(), [""; 0]);
        assert_eq!(series(&second), series(&driver.by_prometheus(driver.prometheus)));
    }
    // What hangs, hangs whatever it is asked for.
    let silent = driver.collect("auto", Reply::text(driver.prometheus), Reply::error(HttpError::Timeout));
    assert_eq!(silent.failed_sources(), [JSON]);
}

#[test]
fn what_is_no_registry_is_no_page() {
    let [_, driver] = DRIVERS;
    let failure = |reply: Reply| {
        let collected = driver.collect("json", Reply::status(404, ""), reply);
        assert_eq!(collected.failed_sources(), [JSON]);
        assert!(collected.metrics.metric("spark.driver.jvm_cpu_time").is_none());
        collected.outcome.failures[0].message.clone()
    };
    assert!(failure(json_page(&driver.json[..9_000])).contains("unexpected JSON"));
    assert!(failure(json_page("7")).contains("unexpected JSON"));
    assert!(failure(json_page("[]")).contains("holds no metric"));
    assert!(failure(json_page("{}")).contains("holds no metric"));
    assert!(failure(Reply::text(driver.prometheus)).contains("web page"));
    assert!(failure(html(STARTING_UP)).contains("still starting up"));
}

#[test]
fn a_gauge_that_holds_no_number_is_passed_over() {
    let odd = r#"{"gauges": {
        "driver.DAGScheduler.job.activeJobs": {"value": 3}, "driver.x.text": {"value": "NaN"},
        "driver.x.list": {"value": [1, {"a": []}]}, "driver.x.map": {"value": {"a": 1}}, "driver.x.none": {"value": null},
        "driver.x.bool": {"value": true}, "driver.x.large": {"value": 18446744073709551615}, "driver.x.error": {"error": "x"}
    }, "counters": {}, "new": {"x": 1}}"#;
    let [_, driver] = DRIVERS;
    let collected = driver.collect("json", Reply::status(404, ""), json_page(odd));
    let passed: Vec<_> = collected
        .metrics
        .names()
        .into_iter()
        .filter(|name| name.starts_with("spark.driver."))
        .map(str::to_owned)
        .collect();
    assert_eq!(passed, ["spark.driver.dag_scheduler.job.active", "spark.driver.x.large"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_json_makes_it_panic(damage in proptest::collection::vec((0..20_000_usize, any::<u8>()), 1..10)) {
        let [_, driver] = DRIVERS;
        let mut page = driver.json.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at % page.len();
            page[at] = byte;
        }
        let host = host(Reply::status(404, ""), Reply::text(EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4));
        host.on_get(JSON, Reply::new("text/json", page));
        let collected = host.configure::<Spark>(pages_only(json!({ "source": "json" }))).unwrap().collect();
        prop_assert!(collected.is_ok(), "{:?}", collected.err());
    }

    #[test]
    fn whatever_the_registry_holds_both_pages_say_the_same(
        gauges in proptest::collection::btree_map(
            "(DAGScheduler\\.job|jvm\\.pools|executor\\.filesystem|spark\\.streaming\\.q-1|LiveListenerBus\\.queue|x)\\.[aZ_é.-]{1,4}",
            -5..1_000_i64, 1..12),
    ) {
        let mut registry = json!({ "gauges": { "ns.driver.DAGScheduler.job.allJobs": { "value": 1 } } });
        for (key, value) in gauges {
            registry["gauges"][format!("ns.driver.{key}")] = json!({ "value": value });
        }
        let host = |source: &str| {
            let host = host(Reply::text(&rendered(&registry)), Reply::text(EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4));
            host.on_get(JSON, json_page(&registry.to_string()));
            let collected = host.configure::<Spark>(pages_only(json!({ "source": source }))).unwrap().collect().unwrap();
            collected.metrics.names().into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(host("json"), host("prometheus"));
    }
}
