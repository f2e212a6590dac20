//! A workspace just real enough to hold the receiver to its promises: lists in the order and with the limits of the
//! API, and endpoints that fail when told to.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use kiln_plugin::http::Request;
use kiln_plugin::testing::{Collected, Instance, Reply, TestHost};
use kiln_plugin::{CollectError, UnixNanos};
use kiln_plugin_databricks::{Databricks, telemetry};
use serde_json::{Value, json};

pub(crate) const JOBS: &str = "/api/2.2/jobs/list";
pub(crate) const RUNS: &str = "/api/2.2/jobs/runs/list";
pub(crate) const RUN: &str = "/api/2.2/jobs/runs/get";
pub(crate) const WAREHOUSES: &str = "/api/2.0/sql/warehouses";

/// A run of the workspace; times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedRun {
    pub(crate) run_id: i64,
    pub(crate) job_id: i64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) result_state: &'static str,
    pub(crate) run_type: &'static str,
}

impl SimulatedRun {
    pub(crate) fn new(run_id: i64, start: u64, end: u64) -> Self {
        Self { run_id, job_id: 7, start, end, result_state: "SUCCESS", run_type: "JOB_RUN" }
    }

    fn body(&self, now: u64) -> Value {
        let ended = self.end <= now;
        let state = match ended {
            true => json!({ "life_cycle_state": "TERMINATED", "result_state": self.result_state }),
            false => json!({ "life_cycle_state": "RUNNING" }),
        };
        json!({
            "run_id": self.run_id,
            "job_id": self.job_id,
            "run_name": format!("job {}", self.job_id),
            "run_type": self.run_type,
            "start_time": self.start,
            "end_time": if ended { self.end } else { 0 },
            "run_duration": if ended { self.end - self.start } else { 0 },
            "state": state,
            "status": { "state": if ended { "TERMINATED" } else { "RUNNING" } },
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) runs: Vec<SimulatedRun>,
    pub(crate) jobs: usize,
    pub(crate) warehouses: Vec<&'static str>,
    /// Endpoints that answer with a status, and which: a path, for lists of runs followed by `active` or `completed`.
    pub(crate) failing: Vec<(&'static str, u16)>,
    /// Lists of runs break off after this many pages.
    pub(crate) breaks_after: Option<usize>,
    now: u64,
}

/// A host, a workspace and the receiver between them.
pub(crate) struct Simulation {
    pub(crate) host: TestHost,
    pub(crate) world: Rc<RefCell<World>>,
}

pub(crate) fn millis(host: &TestHost) -> u64 {
    host.now().as_millis()
}

impl Simulation {
    pub(crate) fn new() -> Self {
        let host = TestHost::new(telemetry::MANIFEST);
        let world = Rc::new(RefCell::new(World::default()));
        for path in [JOBS, RUNS, RUN, WAREHOUSES] {
            let world = Rc::clone(&world);
            host.on_path(path, move |request| world.borrow().answer(path, request));
        }
        Self { host, world }
    }

    pub(crate) fn configure(&self) -> Instance<Databricks> {
        self.host.configure(json!({ "host": "https://example.cloud.databricks.com/?o=1", "token": "secret" })).unwrap()
    }

    pub(crate) fn collect(&self, instance: &mut Instance<Databricks>) -> Result<Collected, CollectError> {
        self.world.borrow_mut().now = millis(&self.host);
        instance.collect()
    }

    pub(crate) fn fail(&self, failing: &[(&'static str, u16)]) {
        self.world.borrow_mut().failing = failing.to_vec();
    }

    pub(crate) fn add_run(&self, run: SimulatedRun) {
        self.world.borrow_mut().runs.push(run);
    }

    pub(crate) fn advance_minutes(&self, minutes: u64) {
        self.host.advance(core::time::Duration::from_secs(60 * minutes));
    }

    pub(crate) fn minutes_ago(&self, minutes: u64) -> u64 {
        millis(&self.host) - minutes * 60_000
    }

    pub(crate) fn in_minutes(&self, minutes: u64) -> u64 {
        millis(&self.host) + minutes * 60_000
    }
}

impl World {
    fn status_of(&self, endpoint: &str) -> Option<u16> {
        self.failing.iter().find(|(failing, _)| *failing == endpoint).map(|(_, status)| *status)
    }

    fn answer(&self, path: &'static str, request: &Request) -> Reply {
        assert_eq!(request.method, kiln_plugin::http::Method::Get);
        let query = |name: &str| {
            let query = request.url.split_once('?').map_or("", |(_, query)| query);
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let endpoint = match (path, query("active_only"), query("completed_only")) {
            (RUNS, Some(_), None) => "active",
            (RUNS, None, Some(_)) => "completed",
            _ => path,
        };
        if let Some(status) = self.status_of(endpoint) {
            return Reply::status(status, r#"{"error_code":"SIMULATED","message":"as asked"}"#);
        }
        let number = |name: &str| query(name).map(|text| text.parse::<u64>().unwrap());
        let token = query("page_token").map_or(0, |token| decode_token(&token));
        let reply = match path {
            JOBS => {
                assert_eq!(number("limit"), Some(100));
                let jobs: Vec<Value> = (0..self.jobs).map(|id| json!({ "job_id": id })).collect();
                page("jobs", &jobs, 100, token)
            }
            WAREHOUSES => {
                let warehouses: Vec<_> = self.warehouses.iter().map(|state| json!({ "state": state })).collect();
                page("warehouses", &warehouses, 100, token)
            }
            RUNS => {
                assert!(number("limit").unwrap() < 25);
                if self.breaks_after.is_some_and(|pages| token / 24 >= pages) {
                    return Reply::status(500, "broken");
                }
                let from = number("start_time_from").unwrap_or_default();
                let mut runs = self.runs.clone();
                runs.retain(|run| {
                    run.start <= self.now && run.start >= from && (run.end <= self.now) == (endpoint == "completed")
                });
                runs.sort_by_key(|run| core::cmp::Reverse((run.start, run.run_id)));
                let runs: Vec<_> = runs.iter().map(|run| run.body(self.now)).collect();
                page("runs", &runs, 24, token)
            }
            _ => {
                let run_id = number("run_id").unwrap();
                let found = self.runs.iter().find(|run| run.run_id.unsigned_abs() == run_id);
                match found {
                    Some(run) => Reply::json(&run.body(self.now)),
                    None => Reply::status(400, &format!("Run {run_id} does not exist.")),
                }
            }
        };
        reply.with_header("x-databricks-org-id", "4711")
    }
}

/// Tokens contain what has to be encoded in a URL.
fn page(list: &str, items: &[Value], limit: usize, skip: usize) -> Reply {
    let mut body = json!({ "has_more": skip + limit < items.len() });
    if items.len() > skip {
        body[list] = items.iter().skip(skip).take(limit).cloned().collect();
    }
    if skip + limit < items.len() {
        body["next_page_token"] = format!("at+{}=&", skip + limit).into();
    }
    Reply::json(&body)
}

fn decode_token(token: &str) -> usize {
    let position = token.strip_prefix("at%2B").and_then(|rest| rest.strip_suffix("%3D%26"));
    position.unwrap_or_else(|| panic!("a token that was not encoded: {token}")).parse().unwrap()
}

/// All counted runs, whatever their job and result.
pub(crate) fn total(collected: &Collected) -> f64 {
    collected.metrics.points("databricks.job_runs.count").iter().map(|point| point.value).sum()
}

pub(crate) fn starts(collected: &Collected) -> BTreeSet<UnixNanos> {
    collected.metrics.points("databricks.job_runs.count").iter().map(|point| point.start).collect()
}
