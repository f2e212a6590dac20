//! The receiver between the SDK's test host and the testbed's simulated workspace, which the official client checks.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod scripted;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use kiln_plugin::http::{HttpError, Method, Request};
use kiln_plugin::telemetry::{AttributeValue, LogRecord, Span};
use kiln_plugin::testing::{Collected, Instance, Point, Reply, TestHost};
use kiln_plugin::{CollectError, UnixNanos};
use kiln_plugin_databricks::{Databricks, telemetry};
use kiln_testbed::databricks::world::{Job, Run, Task, Truth, UnixMillis};
use kiln_testbed::databricks::{Broken, Fault, Offline};
use serde_json::{Value, json};

pub(crate) const JOBS: &str = "/api/2.2/jobs/list";
pub(crate) const RUNS: &str = "/api/2.2/jobs/runs/list";
pub(crate) const RUN: &str = "/api/2.2/jobs/runs/get";
pub(crate) const WAREHOUSES: &str = "/api/2.0/sql/warehouses";
pub(crate) const CLUSTERS: &str = "/api/2.1/clusters/list";

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers in the workspace's place, where it wants to.
type Intercept = Box<dyn Fn(&Request) -> Option<Reply>>;

/// A host, a workspace, and one time for both.
pub(crate) struct Simulation {
    pub(crate) host: TestHost,
    pub(crate) workspace: Rc<Offline>,
    intercept: Rc<RefCell<Option<Intercept>>>,
    runs_per_page: Rc<Cell<u32>>,
}

/// Everything off but these.
pub(crate) fn only(collectors: &[&str]) -> Value {
    let all =
        ["jobs", "runs", "clusters", "warehouses", "queries", "pipelines", "serving", "pools", "inventory", "identity"];
    let switch = |name: &str| (name.to_owned(), json!({ "enabled": collectors.contains(&name) }));
    json!({ "collectors": all.into_iter().map(switch).collect::<BTreeMap<_, _>>() })
}

/// A configuration with these keys beside those of another.
pub(crate) fn with(mut config: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

impl Simulation {
    /// An empty workspace in which it is the time of the host.
    pub(crate) fn new() -> Self {
        let host = TestHost::new(telemetry::MANIFEST);
        let now = UnixMillis(i64::try_from(host.now().as_millis()).unwrap());
        let workspace = Rc::new(Offline::scripted(now));
        let intercept: Rc<RefCell<Option<Intercept>>> = Rc::default();
        let runs_per_page = Rc::new(Cell::new(24));
        let (asked, first, limit) = (Rc::clone(&workspace), Rc::clone(&intercept), Rc::clone(&runs_per_page));
        host.on_any(move |request| {
            let intercepted = first.borrow().as_ref().and_then(|intercept| intercept(request));
            let mut request = request.clone();
            request.url = request.url.replace("limit=24", &format!("limit={}", limit.get()));
            intercepted.unwrap_or_else(|| answer(&asked, &request))
        });
        Self { host, workspace, intercept, runs_per_page }
    }

    /// Makes lists of runs as long, in pages, as those of a larger workspace.
    pub(crate) fn page_runs_by(&self, runs: u32) {
        self.runs_per_page.set(runs);
    }

    /// Lets something else answer in the workspace's place.
    pub(crate) fn intercept(&self, intercept: impl Fn(&Request) -> Option<Reply> + 'static) {
        self.intercept.replace(Some(Box::new(intercept)));
    }

    /// The receiver with jobs and runs, counting what ends from now on.
    pub(crate) fn configure(&self) -> Instance<Databricks> {
        self.configure_with(with(only(&["jobs", "runs"]), json!({ "initial_lookback": "0s" })))
    }

    pub(crate) fn configure_with(&self, config: Value) -> Instance<Databricks> {
        let origin = json!({ "host": "https://example.cloud.databricks.com/?o=1", "token": "secret" });
        self.host.configure(with(config, origin)).unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.host.advance(by);
        self.workspace.advance(by);
    }

    /// What time it is in the workspace.
    pub(crate) fn now(&self) -> UnixMillis {
        self.workspace.now()
    }

    pub(crate) fn ago(&self, ago: Duration) -> UnixMillis {
        UnixMillis(self.now().0 - i64::try_from(ago.as_millis()).unwrap())
    }

    pub(crate) fn later(&self, later: Duration) -> UnixMillis {
        self.now().plus(later)
    }

    /// Plans a run of job 7 with one task.
    pub(crate) fn plan(&self, run_id: i64, start: UnixMillis, takes: Duration) {
        self.workspace.add_run(Run::new(7, run_id, start, vec![Task::new("only", takes)]));
    }

    pub(crate) fn truth(&self, from: UnixMillis) -> Truth {
        self.workspace.world(|world| world.truth(from, world.now()))
    }

    /// Requests since this was last asked, without their parameters.
    pub(crate) fn requested(&self) -> Vec<String> {
        let paths = self.host.take_requests().into_iter();
        paths.map(|request| request.split(['?', ' ']).nth(1).unwrap_or_default().to_owned()).collect()
    }

    pub(crate) fn fails(&self, path: &str, fault: Fault) {
        self.workspace.faults().at(path, fault);
    }

    pub(crate) fn works_again(&self) {
        self.workspace.faults().clear();
        self.intercept.replace(None);
    }

    pub(crate) fn job(&self, job_id: i64, name: &str) {
        let job = Job::new(job_id, name, self.ago(DAY));
        self.workspace.change(|scene| scene.jobs.push(job));
    }
}

fn answer(workspace: &Offline, request: &Request) -> Reply {
    let path = request.url.strip_prefix("https://example.cloud.databricks.com").unwrap();
    let method = if request.method == Method::Post { "POST" } else { "GET" };
    let headers = [("authorization".to_owned(), format!("Bearer {}", workspace.token()))];
    match workspace.answer(method, path, &headers, request.body.as_deref().unwrap_or_default()) {
        Ok(answer) => {
            let reply = Reply::status(answer.status, &String::from_utf8_lossy(&answer.body));
            answer.headers.iter().fold(reply, |reply, (name, value)| reply.with_header(name, value))
        }
        Err(Broken::Request(why)) => panic!("{why}"),
        Err(Broken::Reset) => Reply::error(HttpError::Connect("reset".to_owned())),
        Err(Broken::Cut) => Reply::error(HttpError::Protocol("cut off".to_owned())),
        Err(Broken::Hung) => Reply::error(HttpError::Timeout),
    }
}

/// The sum of a metric's points.
pub(crate) fn total(collected: &Collected, name: &str) -> f64 {
    collected.metrics.points(name).iter().map(|point| point.value).sum()
}

/// How many runs have been counted.
pub(crate) fn counted(collected: &Collected) -> f64 {
    total(collected, "databricks.job_runs.count")
}

pub(crate) fn starts(collected: &Collected) -> Vec<UnixNanos> {
    let mut starts: Vec<_> =
        collected.metrics.points("databricks.job_runs.count").iter().map(|point| point.start).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

pub(crate) fn attribute(point: &Point, key: &str) -> Option<String> {
    point.attributes.get(key).cloned()
}

pub(crate) fn spans(collected: &Collected) -> Vec<Span> {
    collected.spans.iter().flat_map(|resource| resource.spans.clone()).collect()
}

pub(crate) fn records(collected: &Collected) -> Vec<LogRecord> {
    collected.logs.iter().flat_map(|resource| resource.records.clone()).collect()
}

/// An attribute of a span or a record, as text.
pub(crate) fn text(attributes: &[kiln_plugin::telemetry::Attribute], key: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| match &attribute.value {
        AttributeValue::Text(text) => text.clone(),
        other => format!("{other:?}"),
    })
}

/// What a failed collection says.
pub(crate) fn message(error: CollectError) -> String {
    match error {
        CollectError::Unauthorized(message)
        | CollectError::Unavailable(message)
        | CollectError::InvalidData(message)
        | CollectError::Failed(message) => message,
    }
}
