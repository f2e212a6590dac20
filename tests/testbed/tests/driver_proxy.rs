//! Clusters that are read from outside, through the proxy of a workspace, by the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::path::Path;
use std::time::{Duration, Instant};

use kiln_testbed::databricks::world::{Cluster, UnixMillis};
use kiln_testbed::databricks::{DEFAULT_TOKEN, Fault, Workspace};
use kiln_testbed::sink::{Point, Sink, Telemetry};
use kiln_testbed::spark::{Pages, Spark};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Kiln, PATIENCE};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
/// What operators start from.
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/databricks/kiln-remote.yaml");

const PROXY: &str = "/driver-proxy-api/o/0/";

/// What stands under `grants.http`, for the origin of the workspace.
const EVERYTHING: &str = "addresses: [loopback]";

struct Setting {
    workspace: Workspace,
    sink: Sink,
    folder: TempDir,
}

impl Setting {
    /// A workspace with these clusters, and Kiln's folder with a configuration that wants those of them called `etl-…`.
    fn new(clusters: &[(&str, &str, &str)], limit: usize, grant: &str) -> Self {
        let (workspace, sink) = (Workspace::scripted(NOW).unwrap(), Sink::start().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let plugins = std::env::var("KILN_PLUGINS").expect("KILN_PLUGINS: run `scripts/test cases`");
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::copy(Path::new(&plugins).join("spark.wasm"), folder.path().join("plugins/spark.wasm")).unwrap();
        let quickly = format!(
            "collection_interval: 1s\n    initial_delay: 0s\n    grants: {{ http: [ {{ origin: \"{}\", {grant} }} ] }}",
            workspace.url()
        );
        let config = std::fs::read_to_string(CONFIGURATION).unwrap();
        let config = [
            ("collection_interval: 60s", quickly.as_str()),
            ("include: [\"*\"]", "include: [\"etl-*\"]"),
            ("limit: 50", &format!("limit: {limit}")),
            ("${env:DATABRICKS_HOST}", &workspace.url()),
            ("${env:DATABRICKS_TOKEN}", DEFAULT_TOKEN),
            ("otlp_http: {}", &format!("otlp_http: {{ endpoint: \"{}\" }}", sink.url())),
            ("  data_dir: data\n", "  data_dir: data\n  telemetry: { endpoint: none }\n"),
        ]
        .into_iter()
        .fold(config, |config, (from, to)| {
            assert!(config.contains(from), "{from}");
            config.replacen(from, to, 1)
        });
        std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
        let setting = Self { workspace, sink, folder };
        setting.set_clusters(clusters);
        setting
    }

    /// Id, name and state of every cluster, behind more of other names than two pages of the list have.
    fn set_clusters(&self, clusters: &[(&str, &str, &str)]) {
        let others = (0..250).map(|n| Cluster::new(&format!("other-{n}"), &format!("adhoc {n}"), "RUNNING", NOW));
        let cluster = |(id, name, state): &(&str, &str, &str)| Cluster::new(id, name, state, NOW);
        self.workspace.set_clusters(others.chain(clusters.iter().map(cluster)).collect());
    }

    fn start(&self) -> Kiln {
        Kiln::start(self.folder.path())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait(&self, condition: impl FnMut(&Telemetry) -> bool) -> Telemetry {
        self.sink.wait_for(PATIENCE, condition).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Whether Kiln's log has this by now.
    fn says(&self, text: &str) -> bool {
        self.log().contains(text)
    }
}

/// The UI of a driver, a captured one.
fn driver(workspace: &Workspace, cluster: &str, version: &str) -> Spark {
    let spark = Spark::start(Pages::captured(version).unwrap()).unwrap();
    workspace.set_driver(cluster, 40001, &spark.url());
    spark
}

fn is_of(point: &Point, cluster: &str) -> bool {
    point.origin.resource.get("databricks.cluster.id") == Some(&Value::from(cluster))
}

fn count(telemetry: &Telemetry, metric: &str, cluster: &str) -> usize {
    telemetry.points_of(metric).filter(|point| is_of(point, cluster)).count()
}

/// Whether the application of a cluster was ever in a state.
fn was(telemetry: &Telemetry, cluster: &str, state: &str) -> bool {
    let mut states = telemetry.points_of("spark.receiver.state").filter(|point| is_of(point, cluster));
    states.any(|point| point.text("spark.receiver.state") == Some(state) && point.number() == Some(1.0))
}

const TASKS: &str = "spark.executor.task.limit";

/// Scenario: a workspace of 252 clusters, of which two are wanted and run different releases of Spark. Then one of them
/// ends, and another one starts, whose driver is not there at first.
/// Guarantees: what is wanted is found on whichever page of the list it is, and read through the proxy, with the token;
/// what arrives has the cluster it is of. What has ended says so and no more, the other goes on, and the new one is read
/// as soon as its driver answers. The token is in no log.
#[test]
fn clusters_of_a_workspace_are_read_while_they_run() {
    let setting = Setting::new(&[("c-1", "etl-orders", "RUNNING"), ("c-2", "etl-stock", "RUNNING")], 50, EVERYTHING);
    let _first = driver(&setting.workspace, "c-1", "4.1.4");
    let _second = driver(&setting.workspace, "c-2", "3.5.9");
    let mut kiln = setting.start();
    let telemetry = setting.wait(|telemetry| ["c-1", "c-2"].iter().all(|cluster| count(telemetry, TASKS, cluster) > 0));
    let point = telemetry.points_of(TASKS).find(|point| is_of(point, "c-1")).unwrap();
    let resource = &point.origin.resource;
    assert_eq!(resource["databricks.cluster.name"], "etl-orders");
    assert_eq!(resource["databricks.workspace.id"], setting.workspace.org_id().to_string());
    assert_eq!(resource["databricks.host"], setting.workspace.url());
    assert_eq!(resource["spark.version"], "4.1.4");
    assert!(telemetry.points_of("spark.driver.dag_scheduler.job.count").any(|point| is_of(point, "c-2")));
    let seen = setting.workspace.requests();
    assert!(seen.iter().all(|seen| seen.authorized), "every request has the credential");
    assert!(seen.iter().all(|seen| seen.request.method == "GET"));
    let listed = |path: &str| path == "/api/2.1/clusters/list";
    assert!(seen.iter().all(|seen| listed(&seen.request.path) || seen.request.path.starts_with(PROXY)));

    setting.set_clusters(&[
        ("c-1", "etl-orders", "TERMINATED"),
        ("c-2", "etl-stock", "RUNNING"),
        ("c-3", "etl-new", "RUNNING"),
    ]);
    setting.wait(|telemetry| was(telemetry, "c-1", "ended") && was(telemetry, "c-3", "starting"));
    assert!(setting.says("may be starting"), "{}", setting.log());
    let _third = driver(&setting.workspace, "c-3", "4.1.4");
    let telemetry = setting.wait(|telemetry| count(telemetry, TASKS, "c-3") > 0);
    let (ended, others) = (count(&telemetry, "spark.receiver.state", "c-1"), count(&telemetry, TASKS, "c-2"));
    let telemetry = setting.wait(|telemetry| count(telemetry, TASKS, "c-2") >= others + 4);
    assert_eq!(count(&telemetry, "spark.receiver.state", "c-1"), ended, "nothing is told after the end");
    kiln.stop();
    assert!(!setting.says(DEFAULT_TOKEN) && !setting.says("panicked"), "{}", setting.log());
}

/// Scenario: of two clusters one may not be read by the identity, and there is room for two of three.
/// Guarantees: the log says which permission is missing, and by which key there could be more; the other is read again
/// and again, and the cluster that is left out is counted.
#[test]
fn what_cannot_be_read_is_told_and_costs_nobody_else() {
    let clusters = [("c-1", "etl-1", "RUNNING"), ("c-2", "etl-2", "RUNNING"), ("c-3", "etl-3", "RUNNING")];
    let setting = Setting::new(&clusters, 2, EVERYTHING);
    let _second = driver(&setting.workspace, "c-2", "4.1.4");
    setting.workspace.faults().at(&format!("{PROXY}c-1/"), Fault::Forbidden);
    let mut kiln = setting.start();
    let telemetry = setting.wait(|telemetry| {
        let read = telemetry.points_of(TASKS).filter(|point| is_of(point, "c-2"));
        read.map(|point| point.time_nanos).collect::<std::collections::BTreeSet<_>>().len() >= 3
    });
    assert_eq!(count(&telemetry, TASKS, "c-1") + count(&telemetry, TASKS, "c-3"), 0);
    let over_limit = telemetry.points_of("spark.receiver.clusters");
    let mut over_limit = over_limit.filter(|point| point.text("spark.receiver.cluster") == Some("over_limit"));
    assert!(over_limit.all(|point| point.number() == Some(1.0)));
    let log = setting.log();
    for text in ["it needs `Can attach to` on the cluster", "raise `databricks.clusters.limit`"] {
        assert_eq!(log.matches(text).count(), 1, "what stays wrong is said once\n{log}");
    }
    assert!(setting.workspace.requests().iter().all(|seen| !seen.request.path.contains("c-3")));
    kiln.stop();
}

/// Scenario: the workspace answers the proxy's requests with 429 and asks for two seconds.
/// Guarantees: nothing is asked of it for that long, and then the cluster is read.
#[test]
fn a_workspace_that_asks_to_wait_is_given_the_time() {
    let setting = Setting::new(&[("c-1", "etl-1", "RUNNING")], 50, EVERYTHING);
    let _driver = driver(&setting.workspace, "c-1", "4.1.4");
    let times = Some(1);
    let fault = Fault::RateLimited { retry_after: Some(2) };
    setting.workspace.faults().add(kiln_testbed::Rule { path: Some(PROXY.to_owned()), times, fault });
    let mut kiln = setting.start();
    let proxied = |seen: &[kiln_testbed::databricks::Seen]| {
        seen.iter().filter(|seen| seen.request.path.starts_with(PROXY)).count()
    };
    setting.workspace.wait_for_requests(PATIENCE, |seen| proxied(seen) == 1).unwrap();
    let asked = Instant::now();
    setting.workspace.wait_for_requests(PATIENCE, |seen| proxied(seen) > 1).unwrap();
    assert!(asked.elapsed() > Duration::from_millis(1_900), "{:?}", asked.elapsed());
    setting.wait(|telemetry| count(telemetry, TASKS, "c-1") > 0);
    kiln.stop();
}

/// Scenario: the operator grants the list of clusters and not the proxy.
/// Guarantees: no request reaches a driver, and what is missing is told. With the proxy granted it is
/// [`clusters_of_a_workspace_are_read_while_they_run`].
#[test]
fn without_a_grant_of_the_proxy_no_driver_is_reached() {
    let grant = "addresses: [loopback], paths: [/api/2.1/clusters/list]";
    let setting = Setting::new(&[("c-1", "etl-1", "RUNNING")], 50, grant);
    let spark = driver(&setting.workspace, "c-1", "4.1.4");
    let mut kiln = setting.start();
    setting.wait(|telemetry| telemetry.points_of("spark.receiver.clusters").count() > 0);
    kiln.wait_until(|| setting.says("is not both requested and granted"));
    assert!(setting.workspace.requests().iter().all(|seen| !seen.request.path.starts_with(PROXY)));
    assert!(spark.requests().is_empty());
    kiln.stop();
}
