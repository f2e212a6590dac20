//! Clusters of a workspace, from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use kiln_plugin::http::Request;

use super::*;

const ORIGIN: &str = "https://example.cloud.databricks.com";
const CLUSTERS: &str = "/api/2.1/clusters/list";

/// A workspace and what its proxy answers for a cluster in place of Spark.
#[derive(Clone, Default)]
struct Simulated {
    clusters: Rc<RefCell<Vec<Value>>>,
    instead: Rc<RefCell<BTreeMap<String, Reply>>>,
    page: usize,
}

impl Simulated {
    fn of(clusters: &[(&str, &str)]) -> Self {
        let simulated = Self { page: 100, ..Self::default() };
        simulated.set(clusters);
        simulated
    }

    /// Ids and names.
    fn set(&self, clusters: &[(&str, &str)]) {
        let cluster = |(id, name): &(&str, &str)| {
            json!({
                "cluster_id": id, "cluster_name": name, "state": "RUNNING", "cluster_source": "UI", "start_time": 1,
                "custom_tags": { "team": "etl" }, "default_tags": { "Vendor": "Databricks" },
            })
        };
        self.clusters.replace(clusters.iter().map(cluster).collect());
    }

    fn answer_for(&self, cluster: &str, reply: Reply) {
        self.instead.borrow_mut().insert(cluster.to_owned(), reply);
    }

    fn host(&self) -> TestHost {
        let host = TestHost::new(telemetry::MANIFEST);
        let simulated = self.clone();
        host.on_any(move |request| simulated.answer(request));
        host
    }

    fn answer(&self, request: &Request) -> Reply {
        let path = request.url.strip_prefix(ORIGIN).expect("the workspace");
        if path.starts_with(CLUSTERS) {
            return self.list(path).with_header("x-databricks-org-id", "4711");
        }
        let (cluster, page) = path.strip_prefix("/driver-proxy-api/o/0/").unwrap().split_once("/40001").unwrap();
        if let Some(reply) = self.instead.borrow().get(cluster) {
            return reply.clone();
        }
        // Spark gives applications that start at the same time the same id.
        match page {
            DRIVER => Reply::text(DRIVER_4),
            EXECUTORS => Reply::new("text/plain", EXECUTORS_4),
            APPLICATIONS => Reply::new("application/json", APPLICATIONS_4),
            _ if page.ends_with("/environment") => Reply::json(&json!({})),
            other => panic!("{other}"),
        }
    }

    fn list(&self, path: &str) -> Reply {
        let clusters = self.clusters.borrow();
        let begin = path.split_once("page_token=").map_or(0, |(_, token)| token.parse().unwrap());
        let end = clusters.len().min(begin + self.page);
        let next = if end < clusters.len() { end.to_string() } else { String::new() };
        Reply::json(&json!({ "clusters": clusters[begin..end], "next_page_token": next }))
    }
}

fn remote(clusters: Value) -> Value {
    pages_and_facts(json!({
        "endpoint": "databricks",
        "databricks": { "host": format!("{ORIGIN}/?o=4711"), "token": "dapi-secret", "clusters": clusters },
    }))
}

/// Nothing of the REST API but where the application runs.
fn pages_and_facts(config: Value) -> Value {
    let mut config = pages_only(config);
    config["rest"]["environment"]["enabled"] = json!(true);
    config
}

/// A whole round, and what was not read in it.
fn round(spark: &mut Instance<Spark>) -> (Vec<Collected>, Vec<String>) {
    let mut all = Vec::new();
    let mut failures = Vec::new();
    loop {
        all.push(spark.collect().unwrap());
        let outcome = &all.last().unwrap().outcome;
        failures.extend(outcome.failures.iter().map(|failure| format!("{}: {}", failure.source, failure.message)));
        if !outcome.more {
            return (all, failures);
        }
        assert!(all.len() < 500, "it never comes to an end");
    }
}

/// The states of clusters by their id, as told in a round.
fn states(round: &[Collected]) -> BTreeMap<String, String> {
    let mut states = BTreeMap::new();
    for resource in round.iter().flat_map(|collected| collected.metrics.records()) {
        let text = |key: &str| {
            let found = resource.resource.attributes.iter().find(|attribute| attribute.key == key)?;
            match &found.value {
                kiln_plugin::telemetry::AttributeValue::Text(text) => Some(text.clone()),
                _ => None,
            }
        };
        let Some(id) = text("databricks.cluster.id") else { continue };
        assert_eq!(text("databricks.host").as_deref(), Some(ORIGIN));
        assert_eq!(text("databricks.workspace.id").as_deref(), Some("4711"));
        for metric in resource.metrics.iter().filter(|metric| metric.name == "spark.receiver.state") {
            let MetricData::Sum(sum) = &metric.data else { panic!("{metric:?}") };
            let point = sum.points.iter().find(|point| point.value == Some(Number::Integer(1)));
            if let Some(point) = point {
                let kiln_plugin::telemetry::AttributeValue::Text(state) = &point.attributes[0].value else { panic!() };
                states.insert(id.clone(), state.clone());
            }
        }
    }
    states
}

fn told(states: &[(&str, &str)]) -> BTreeMap<String, String> {
    states.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned())).collect()
}

fn counts(round: &[Collected]) -> (f64, f64) {
    let count = |which| round[0].metrics.value("spark.receiver.clusters", &[("spark.receiver.cluster", which)]);
    (count("observed"), count("over_limit"))
}

#[test]
fn each_cluster_is_read_by_itself_and_has_its_identity() {
    let workspace = Simulated::of(&[("c-1", "shared"), ("c-2", "job-7-run-9-main")]);
    let host = workspace.host();
    let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
    let (round, failures) = round(&mut spark);
    assert_eq!(failures, [""; 0]);
    assert_eq!(round.len(), 3, "the list, and one collection for each cluster");
    assert_eq!(counts(&round), (2.0, 0.0));
    assert_eq!(states(&round), told(&[("c-1", "ready"), ("c-2", "ready")]));
    let of = |index: usize| round[index].metrics.resource();
    assert_eq!(of(1)["databricks.cluster.name"], "shared");
    assert_eq!(of(2)["databricks.cluster.name"], "job-7-run-9-main");
    assert_eq!((of(2)["databricks.job.id"].as_str(), of(2)["databricks.run.id"].as_str()), ("7", "9"));
    assert_eq!(of(1)["spark.application.id"], of(2)["spark.application.id"], "which Spark does not keep apart");
}

#[test]
fn the_list_is_read_to_its_end_and_asked_for_what_is_wanted() {
    let clusters: Vec<(String, String)> = (0..7).map(|n| (format!("c-{n}"), format!("etl-{n}"))).collect();
    let clusters: Vec<(&str, &str)> = clusters.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    let workspace = Simulated { page: 3, ..Simulated::of(&clusters) };
    let host = workspace.host();
    let wanted = json!({ "names": { "include": ["etl-*"], "exclude": ["etl-1", "etl-5"] }, "sources": ["UI", "API"] });
    let (round, _) = round(&mut host.configure::<Spark>(remote(wanted)).unwrap());
    assert_eq!(counts(&round), (5.0, 0.0));
    let lists: Vec<_> = host.take_requests().into_iter().filter(|request| request.contains(CLUSTERS)).collect();
    assert_eq!(lists.len(), 3);
    for state in ["RUNNING", "RESIZING"] {
        assert!(lists[0].contains(&format!("filter_by.cluster_states={state}")), "{lists:?}");
    }
    assert!(lists[0].contains("filter_by.cluster_sources=API"), "{lists:?}");
    assert!(lists[2].contains("page_token=6"), "{lists:?}");
}

#[test]
fn what_the_api_did_not_leave_out_is_left_out_here() {
    let workspace = Simulated::of(&[("c-1", "a"), ("c-2", "b"), ("c-1", "again"), ("../c-3", "escapes"), ("c-4", "d")]);
    for (cluster, key, value) in [(1, "state", json!("TERMINATED")), (4, "custom_tags", json!({ "team": "other" }))] {
        workspace.clusters.borrow_mut()[cluster][key] = value;
    }
    workspace.clusters.borrow_mut().push(json!(7));
    let host = workspace.host();
    let wanted = json!({ "tags": { "team": "e*", "Vendor": "Databricks" } });
    let (round, _) = round(&mut host.configure::<Spark>(remote(wanted)).unwrap());
    assert_eq!(states(&round), told(&[("c-1", "ready")]));
}

#[test]
fn clusters_come_and_go_and_are_forgotten_when_they_have_gone() {
    let workspace = Simulated::of(&[("c-1", "a"), ("c-2", "b")]);
    let host = workspace.host();
    let mut config = remote(json!({}));
    config["executors"] = json!({ "per_executor": "never" });
    let mut spark = host.configure::<Spark>(config.clone()).unwrap();
    round(&mut spark);
    assert!(host.state("clusters/c-1/executors").is_some() && host.state("clusters/c-2/executors").is_some());
    workspace.set(&[("c-2", "b"), ("c-3", "c")]);
    let (second, failures) = round(&mut spark);
    assert_eq!(states(&second), told(&[("c-1", "ended"), ("c-2", "ready"), ("c-3", "ready")]));
    assert_eq!(failures, [""; 0]);
    assert!(host.state("clusters/c-1/executors").is_none() && host.state("clusters/c-2/executors").is_some());
    let (third, _) = round(&mut spark);
    assert_eq!(states(&third), told(&[("c-2", "ready"), ("c-3", "ready")]), "the end is told once");

    // Kiln is started again, and meanwhile one has gone.
    workspace.set(&[("c-3", "c")]);
    round(&mut host.configure::<Spark>(config).unwrap());
    assert!(host.state("clusters/c-2/executors").is_none() && host.state("clusters/c-3/executors").is_some());
}

#[test]
fn one_that_is_not_let_through_says_what_is_missing_and_costs_nobody_else() {
    let workspace = Simulated::of(&[("c-1", "a"), ("c-2", "b")]);
    workspace.answer_for("c-1", Reply::status(403, r#"{"error_code": "PERMISSION_DENIED"}"#));
    let host = workspace.host();
    let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
    let (first, failures) = round(&mut spark);
    assert_eq!(states(&first), told(&[("c-2", "ready")]));
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].starts_with("cluster c-1: ") && failures[0].contains("`Can attach to`"), "{failures:?}");
    assert_eq!(round(&mut spark).1, failures, "what stays wrong looks the same");
}

#[test]
fn a_driver_that_starts_is_waited_for() {
    let workspace = Simulated::of(&[("c-1", "a")]);
    workspace.answer_for("c-1", Reply::status(502, "<html>"));
    let host = workspace.host();
    let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
    let (first, failures) = round(&mut spark);
    assert_eq!(states(&first), told(&[("c-1", "starting")]));
    assert!(failures[0].contains("may be starting"), "{failures:?}");
    for (reply, state) in [(html(STARTING_UP), "starting"), (Reply::status(503, ""), "starting")] {
        workspace.answer_for("c-1", reply);
        assert_eq!(states(&round(&mut spark).0), told(&[("c-1", state)]));
    }
    workspace.instead.borrow_mut().clear();
    assert_eq!(states(&round(&mut spark).0), told(&[("c-1", "ready")]));
    workspace.answer_for("c-1", Reply::status(502, "<html>"));
    assert_eq!(states(&round(&mut spark).0), told(&[("c-1", "unresponsive")]));
}

#[test]
fn one_that_ends_in_between_has_ended_and_only_one_that_stays_so_is_reported() {
    for status in [400, 404] {
        let workspace = Simulated::of(&[("c-1", "a")]);
        let host = workspace.host();
        let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
        round(&mut spark);
        workspace.answer_for("c-1", Reply::status(status, r#"{"error_code": "INVALID_STATE"}"#));
        let (second, failures) = round(&mut spark);
        assert_eq!((states(&second), failures), (told(&[("c-1", "ended")]), Vec::new()), "{status}");
        let (_, failures) = round(&mut spark);
        assert!(failures[0].contains("databricks.port"), "{failures:?}");
    }
}

#[test]
fn no_more_are_read_than_the_limit_and_those_that_are_stay() {
    let workspace = Simulated::of(&[("c-1", "a"), ("c-2", "b"), ("c-3", "c")]);
    let host = workspace.host();
    let mut spark = host.configure::<Spark>(remote(json!({ "limit": 2 }))).unwrap();
    let (first, failures) = round(&mut spark);
    assert_eq!(counts(&first), (2.0, 1.0));
    assert_eq!(states(&first), told(&[("c-1", "ready"), ("c-2", "ready")]));
    assert!(failures[0].contains("raise `databricks.clusters.limit`"), "{failures:?}");
    workspace.set(&[("c-0", "older"), ("c-2", "b"), ("c-3", "c")]);
    let (second, _) = round(&mut spark);
    assert_eq!(states(&second), told(&[("c-0", "ready"), ("c-1", "ended"), ("c-2", "ready")]));
    workspace.set(&[("c-2", "b")]);
    assert_eq!(round(&mut spark).1, [""; 0]);
}

#[test]
fn a_workspace_that_asks_to_slow_down_is_left_alone_and_the_others_come_first_next_time() {
    let workspace = Simulated::of(&[("c-1", "a"), ("c-2", "b"), ("c-3", "c")]);
    workspace.answer_for("c-2", Reply::error(HttpError::RateLimited(Some(30))));
    let host = workspace.host();
    let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
    let (first, failures) = round(&mut spark);
    host.advance(Duration::from_secs(1));
    assert_eq!(states(&first).get("c-1").map(String::as_str), Some("ready"));
    assert!(!states(&first).contains_key("c-3"));
    assert!(failures.iter().any(|failure| failure.contains("1 clusters are left")), "{failures:?}");
    let (second, _) = round(&mut spark);
    assert_eq!(states(&second)["c-3"], "ready");
    // Without a time to wait for the host gives up by itself, and the status is what is left.
    workspace.answer_for("c-2", Reply::status(429, ""));
    assert!(round(&mut spark).1.iter().any(|failure| failure.contains("clusters are left")));
}

#[test]
fn a_list_that_cannot_be_read_ends_nobody() {
    let workspace = Simulated::of(&[("c-1", "a")]);
    let host = workspace.host();
    let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
    round(&mut spark);
    let simulated = workspace.clone();
    host.on_path(CLUSTERS, |_| Reply::status(500, ""));
    let (second, failures) = round(&mut spark);
    assert_eq!(states(&second), told(&[("c-1", "ready")]));
    assert_eq!(failures, ["/api/2.1/clusters/list: status 500"]);
    // Nobody is known yet.
    let error = host.configure::<Spark>(remote(json!({}))).unwrap().collect().unwrap_err();
    assert!(matches!(error, CollectError::Unavailable(_)), "{error:?}");
    host.on_path(CLUSTERS, |_| Reply::status(403, ""));
    let error = host.configure::<Spark>(remote(json!({}))).unwrap().collect().unwrap_err();
    assert!(matches!(error, CollectError::Unauthorized(_)), "{error:?}");
    // The same page for ever.
    host.on_path(CLUSTERS, move |_| {
        Reply::json(&json!({ "clusters": *simulated.clusters.borrow(), "next_page_token": "again" }))
    });
    assert!(round(&mut spark).1[0].contains("led to before"));
}

#[test]
fn half_a_configuration_is_refused() {
    let host = TestHost::new(telemetry::MANIFEST);
    let refused = |config: Value| host.configure::<Spark>(config).err().unwrap().to_string();
    assert!(refused(json!({ "endpoint": "databricks" })).contains("/databricks"));
    let without = json!({ "databricks": { "host": ORIGIN, "token": "x" } });
    assert!(refused(without).contains("/endpoint"));
}

#[test]
fn a_driver_that_hangs_is_left_alone_for_longer_and_longer() {
    let workspace = Simulated::of(&[("c-1", "a"), ("c-2", "b")]);
    let host = Rc::new(workspace.host());
    let (inner, simulated) = (Rc::downgrade(&host), workspace.clone());
    host.on_any(move |request| {
        if request.url.contains("c-1") {
            inner.upgrade().unwrap().advance(Duration::from_secs(10));
            return Reply::error(HttpError::Timeout);
        }
        simulated.answer(request)
    });
    let mut spark = host.configure::<Spark>(remote(json!({}))).unwrap();
    let mut asked = Vec::new();
    for _ in 0..24 {
        let (round, _) = round(&mut spark);
        assert_eq!(states(&round), told(&[("c-1", "starting"), ("c-2", "ready")]));
        asked.push(host.take_requests().iter().filter(|request| request.contains("c-1")).count());
        host.advance(Duration::from_secs(15));
    }
    // One request, because other pages would fare no better; then pauses of half a minute, one, two and four.
    assert_eq!(asked, [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}
