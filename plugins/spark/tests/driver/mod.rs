//! A Spark driver as a model: jobs of stages, SQL executions and executors that begin and end when a test says so, and a
//! UI that answers as Spark 3.5 and 4.1 answer, field for field (compare the captures beside it). It forgets what is old as
//! Spark does, and counts what it is asked and what it serves.
#![allow(dead_code, reason = "every test binary uses a part of it")]

mod answers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use kiln_plugin::http::HttpError;
use kiln_plugin::testing::{Reply, TestHost};
use serde_json::{Value, json};

pub(crate) const START: u64 = 1_795_353_190_860;

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) stages: Vec<u64>,
    pub(crate) status: &'static str,
    pub(crate) began: u64,
    pub(crate) ended: Option<u64>,
    pub(crate) group: Option<String>,
    pub(crate) skipped: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) status: &'static str,
    pub(crate) began: Option<u64>,
    pub(crate) ended: Option<u64>,
    pub(crate) tasks: i64,
    pub(crate) bytes: i64,
    pub(crate) reason: Option<String>,
    /// Tasks that run on although the stage has ended.
    pub(crate) stragglers: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) status: &'static str,
    pub(crate) began: u64,
    pub(crate) ended: Option<u64>,
    pub(crate) jobs: Vec<u64>,
}

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Reply(Reply),
    /// The body ends in the middle.
    Truncated,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) application: String,
    pub(crate) attempt: Option<String>,
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) now: u64,
    pub(crate) jobs: BTreeMap<u64, Job>,
    pub(crate) stages: BTreeMap<(u64, u64), Stage>,
    pub(crate) executions: BTreeMap<u64, Execution>,
    pub(crate) executors: Vec<Value>,
    pub(crate) environment: Value,
    pub(crate) rdds: Vec<Value>,
    pub(crate) dstreams: Option<Value>,
    pub(crate) next_job: u64,
    pub(crate) next_stage: u64,
    pub(crate) next_execution: u64,
    pub(crate) retained: usize,
    /// Whose path ends so.
    pub(crate) faults: Vec<(String, Fault)>,
    pub(crate) requests: Vec<String>,
    pub(crate) bytes: usize,
}

/// The driver, shared between a test and the host it answers.
#[derive(Clone)]
pub(crate) struct Driver(pub(crate) Rc<RefCell<Model>>);

impl Driver {
    pub(crate) fn new(application: &str) -> Self {
        Self(Rc::new(RefCell::new(Model {
            application: application.to_owned(),
            attempt: None,
            name: "etl".to_owned(),
            start: START,
            now: START + 1_000,
            jobs: BTreeMap::new(),
            stages: BTreeMap::new(),
            executions: BTreeMap::new(),
            executors: Vec::new(),
            environment: json!({ "runtime": {}, "sparkProperties": [["spark.master", "local[2]"]] }),
            rdds: Vec::new(),
            dstreams: None,
            next_job: 0,
            next_stage: 0,
            next_execution: 0,
            retained: 1_000,
            faults: Vec::new(),
            requests: Vec::new(),
            bytes: 0,
        })))
    }

    /// Answers everything this host is asked.
    pub(crate) fn serve(&self, host: &TestHost) {
        let model = Rc::clone(&self.0);
        host.on_any(move |request| model.borrow_mut().answer(request));
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        change(&mut self.0.borrow_mut())
    }

    /// What was asked and how much was served since this was last asked.
    pub(crate) fn take_served(&self) -> (Vec<String>, usize) {
        self.with(|model| (std::mem::take(&mut model.requests), std::mem::take(&mut model.bytes)))
    }
}

impl Model {
    /// A job of so many new stages, the last of which depends on all others.
    pub(crate) fn begin_job(&mut self, stages: u64) -> u64 {
        let ids: Vec<u64> = (self.next_stage..self.next_stage + stages).collect();
        self.begin_job_of(ids)
    }

    /// A job of these stages; those there are not are new.
    pub(crate) fn begin_job_of(&mut self, stages: Vec<u64>) -> u64 {
        for id in &stages {
            self.stages.entry((*id, 0)).or_insert(Stage {
                status: "PENDING",
                began: None,
                ended: None,
                tasks: 2,
                bytes: 0,
                reason: None,
                stragglers: 0,
            });
            self.next_stage = self.next_stage.max(id + 1);
        }
        let id = self.next_job;
        self.next_job += 1;
        let job = Job { stages, status: "RUNNING", began: self.tick(), ended: None, group: None, skipped: 0 };
        self.jobs.insert(id, job);
        id
    }

    pub(crate) fn begin_stage(&mut self, key: (u64, u64)) {
        let now = self.tick();
        let stage = self.stages.get_mut(&key).unwrap();
        stage.status = "ACTIVE";
        stage.began = Some(now);
    }

    pub(crate) fn end_stage(&mut self, key: (u64, u64), failed: bool) {
        let now = self.tick();
        let stage = self.stages.get_mut(&key).unwrap();
        stage.status = if failed { "FAILED" } else { "COMPLETE" };
        stage.bytes = 100 + i64::try_from(key.0).unwrap();
        stage.reason =
            failed.then(|| format!("Job aborted due to stage failure: stage {} of java.lang.OutOfMemoryError", key.0));
        stage.ended = Some(now);
    }

    /// Starts a stage that has ended once more.
    pub(crate) fn retry_stage(&mut self, id: u64) -> (u64, u64) {
        let (last, stage) =
            self.stages.range((id, 0)..=(id, u64::MAX)).next_back().map(|(key, stage)| (*key, stage.clone())).unwrap();
        let key = (id, last.1 + 1);
        self.stages.insert(key, Stage { status: "PENDING", ended: None, bytes: 0, reason: None, ..stage });
        self.begin_stage(key);
        key
    }

    /// Ends a job: what of it is active has ended before, what was not needed is skipped, unless another job needs it.
    pub(crate) fn end_job(&mut self, id: u64, failed: bool) {
        let stages = self.jobs[&id].stages.clone();
        let needed = |stage: u64| {
            self.jobs.iter().any(|(other, job)| *other != id && job.ended.is_none() && job.stages.contains(&stage))
        };
        let (kept, own): (Vec<u64>, Vec<u64>) = stages.into_iter().partition(|stage| needed(*stage));
        drop(kept);
        let mut skipped = 0;
        for stage in own {
            let keys: Vec<_> =
                self.stages.range((stage, 0)..=(stage, u64::MAX)).map(|(key, stage)| (*key, stage.status)).collect();
            for (key, status) in keys {
                match status {
                    "ACTIVE" => self.end_stage(key, failed),
                    "PENDING" => {
                        self.stages.get_mut(&key).unwrap().status = "SKIPPED";
                        skipped += 1;
                    }
                    _ => {}
                }
            }
        }
        let now = self.tick();
        let job = self.jobs.get_mut(&id).unwrap();
        job.status = if failed { "FAILED" } else { "SUCCEEDED" };
        job.ended = Some(now);
        job.skipped = skipped;
        self.forget();
    }

    /// A job that runs through at once.
    pub(crate) fn run_job(&mut self, stages: u64) -> u64 {
        let id = self.begin_job(stages);
        for stage in self.jobs[&id].stages.clone() {
            self.begin_stage((stage, 0));
            self.end_stage((stage, 0), false);
        }
        self.end_job(id, false);
        id
    }

    pub(crate) fn begin_execution(&mut self) -> u64 {
        let id = self.next_execution;
        self.next_execution += 1;
        let began = self.tick();
        self.executions.insert(id, Execution { status: "RUNNING", began, ended: None, jobs: Vec::new() });
        id
    }

    pub(crate) fn end_execution(&mut self, id: u64, failed: bool) {
        let now = self.tick();
        let execution = self.executions.get_mut(&id).unwrap();
        execution.status = if failed { "FAILED" } else { "COMPLETED" };
        execution.ended = Some(now);
        self.forget();
    }

    /// The oldest that have ended, as `spark.ui.retainedJobs` and its like have it.
    pub(crate) fn forget(&mut self) {
        let most = self.retained;
        while self.jobs.len() > most {
            let Some(id) = self.jobs.iter().find(|(_, job)| job.ended.is_some()).map(|(id, _)| *id) else { break };
            self.jobs.remove(&id);
        }
        while self.stages.len() > most {
            let is_over = |stage: &Stage| !matches!(stage.status, "ACTIVE" | "PENDING");
            let Some(key) = self.stages.iter().find(|(_, stage)| is_over(stage)).map(|(key, _)| *key) else { break };
            self.stages.remove(&key);
        }
        while self.executions.len() > most {
            let Some(id) = self.executions.iter().find(|(_, one)| one.ended.is_some()).map(|(id, _)| *id) else {
                break;
            };
            self.executions.remove(&id);
        }
    }

    fn tick(&mut self) -> u64 {
        self.now += 250;
        self.now
    }
}

/// As Spark writes it.
pub(crate) fn time(millis: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis);
    let date = httpdate::fmt_http_date(time);
    let parts: Vec<&str> = date.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = 1 + months.iter().position(|month| *month == parts[2]).unwrap();
    format!("{}-{month:02}-{}T{}.{:03}GMT", parts[3], parts[1], parts[4], millis % 1_000)
}

/// No answer.
pub(crate) fn refused() -> Reply {
    Reply::error(HttpError::Connect("connection refused".to_owned()))
}
