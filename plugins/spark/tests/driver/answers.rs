//! What the UI answers.

use kiln_plugin::http::Request;
use kiln_plugin::testing::Reply;
use serde_json::{Value, json};

use super::{Execution, Fault, Job, Model, Stage, time};

impl Model {
    pub(crate) fn answer(&mut self, request: &Request) -> Reply {
        let target = request.url.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap();
        self.requests.push(target.clone());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if let Some((_, fault)) = self.faults.iter().find(|(end, _)| path.ends_with(end.as_str())) {
            return match fault.clone() {
                Fault::Reply(reply) => reply,
                Fault::Truncated => Reply::new("application/json", "[ {\n  \"status\" : \"ACT"),
            };
        }
        match self.content(path, query) {
            Some(Content::Text(text)) => self.send("text/plain", text),
            Some(Content::Json(value)) => self.send("application/json", format!("{value:#}")),
            None => {
                self.bytes += 20;
                Reply::status(404, "unknown: 12345678901").with_header("content-type", "text/plain")
            }
        }
    }

    fn send(&mut self, content_type: &str, body: String) -> Reply {
        self.bytes += body.len();
        Reply::new(content_type, body)
    }

    fn content(&self, path: &str, query: &str) -> Option<Content> {
        let (id, name) = (&self.application, &self.name);
        match path {
            "/metrics/prometheus/" => {
                return Some(Content::Text(
                    "metrics_x_driver_DAGScheduler_job_allJobs_Value{type=\"gauges\"} 1\n".to_owned(),
                ));
            }
            "/metrics/executors/prometheus" => {
                return Some(Content::Text(format!(
                    "metrics_executor_rddBlocks{{application_id=\"{id}\", application_name=\"{name}\", executor_id=\"driver\"}} 0\n"
                )));
            }
            "/api/v1/applications" => return Some(Content::Json(json!([self.listed()]))),
            _ => {}
        }
        let attempt = self.attempt.as_ref().map(|attempt| format!("/{attempt}")).unwrap_or_default();
        let path = path.strip_prefix(&format!("/api/v1/applications/{id}{attempt}/"))?;
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let number = |text: &str| text.parse::<u64>().ok();
        let parts: Vec<&str> = path.split('/').collect();
        Some(Content::Json(match parts.as_slice() {
            ["environment"] => self.environment.clone(),
            ["allexecutors"] => Value::from(self.executors.clone()),
            ["storage", "rdd"] => Value::from(self.rdds.clone()),
            ["streaming", "statistics"] => self.dstreams.clone()?,
            ["jobs"] => {
                let status = parameter("status").map(str::to_uppercase);
                let jobs = self
                    .jobs
                    .iter()
                    .rev()
                    .filter(|(_, job)| status.as_deref().is_none_or(|status| job.status == status));
                jobs.map(|(id, job)| self.job(*id, job)).collect()
            }
            ["jobs", id] => self.jobs.get_key_value(&number(id)?).map(|(id, job)| self.job(*id, job))?,
            ["stages"] => {
                let status = parameter("status").map(str::to_uppercase);
                let stages = self.stages.iter().rev();
                let stages = stages.filter(|(_, stage)| status.as_deref().is_none_or(|status| stage.status == status));
                stages.map(|(key, stage)| stage.json(*key)).collect()
            }
            ["stages", id] => {
                let id = number(id)?;
                let attempts: Vec<Value> =
                    self.stages.range((id, 0)..=(id, u64::MAX)).map(|(key, stage)| stage.json(*key)).collect();
                Some(attempts).filter(|attempts| !attempts.is_empty()).map(Value::from)?
            }
            ["sql"] => {
                let offset = parameter("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
                let length = parameter("length").and_then(|text| text.parse().ok()).unwrap_or(20);
                self.executions.iter().skip(offset).take(length).map(|(id, one)| self.execution(*id, one)).collect()
            }
            ["sql", id] => self.executions.get_key_value(&number(id)?).map(|(id, one)| self.execution(*id, one))?,
            _ => return None,
        }))
    }

    fn listed(&self) -> Value {
        let mut attempt = json!({
            "startTime": time(self.start), "endTime": "1969-12-31T23:59:59.999GMT", "completed": false,
            "appSparkVersion": "4.1.4", "startTimeEpoch": self.start, "endTimeEpoch": -1, "sparkUser": "root",
        });
        if let Some(id) = &self.attempt {
            attempt["attemptId"] = json!(id);
        }
        json!({ "id": self.application, "name": self.name, "attempts": [attempt] })
    }

    fn job(&self, id: u64, job: &Job) -> Value {
        let stages = || job.stages.iter().filter_map(|id| self.stages.range((*id, 0)..=(*id, u64::MAX)).next_back());
        let count = |status: &str| stages().filter(|(_, stage)| stage.status == status).count();
        let mut value = json!({
            "jobId": id, "name": "count at main.py:51", "submissionTime": time(job.began), "stageIds": job.stages,
            "jobTags": [], "status": job.status, "numTasks": 2 * job.stages.len(), "numActiveTasks": count("ACTIVE"),
            "numCompletedTasks": 2 * count("COMPLETE"), "numSkippedTasks": 2 * job.skipped,
            "numFailedTasks": count("FAILED"), "numKilledTasks": 0, "numCompletedIndices": 0,
            "numActiveStages": count("ACTIVE"), "numCompletedStages": count("COMPLETE"),
            "numSkippedStages": job.skipped, "numFailedStages": count("FAILED"), "killedTasksSummary": {},
        });
        if let Some(ended) = job.ended {
            value["completionTime"] = json!(time(ended));
        }
        if let Some(group) = &job.group {
            value["jobGroup"] = json!(group);
        }
        value
    }

    fn execution(&self, id: u64, one: &Execution) -> Value {
        json!({
            "id": id, "status": one.status, "description": "count at main.py:51", "planDescription": "",
            "submissionTime": time(one.began), "duration": one.ended.unwrap_or(self.now) - one.began,
            "runningJobIds": [], "successJobIds": one.jobs, "failedJobIds": [], "nodes": [], "edges": [],
        })
    }
}

impl Stage {
    fn json(&self, (id, attempt): (u64, u64)) -> Value {
        let done = matches!(self.status, "COMPLETE" | "FAILED");
        let mut value = json!({
            "status": self.status, "stageId": id, "attemptId": attempt, "numTasks": self.tasks,
            "numActiveTasks": i64::from(self.status == "ACTIVE") + self.stragglers,
            "numCompleteTasks": if self.status == "COMPLETE" { self.tasks } else { 0 },
            "numFailedTasks": i64::from(self.status == "FAILED"), "numKilledTasks": 0,
            "executorRunTime": if done { 741 } else { 0 }, "executorCpuTime": if done { 62_772_596 } else { 0 },
            "jvmGcTime": 5, "resultSize": 7_776, "memoryBytesSpilled": self.bytes * 2, "diskBytesSpilled": self.bytes,
            "peakExecutionMemory": 51_118_032, "inputBytes": self.bytes, "inputRecords": 1, "outputBytes": 0,
            "outputRecords": 0, "shuffleRemoteBlocksFetched": 1, "shuffleLocalBlocksFetched": 2,
            "shuffleFetchWaitTime": 3, "shuffleRemoteBytesRead": 400, "shuffleRemoteBytesReadToDisk": 0,
            "shuffleLocalBytesRead": 246, "shuffleReadBytes": 646, "shuffleReadRecords": 43, "shuffleWriteBytes": 10,
            "shuffleWriteTime": 2_000_000, "shuffleWriteRecords": 4, "name": "count at main.py:51",
            "details": "x".repeat(1_000), "schedulingPool": "default", "rddIds": [1, 2], "accumulatorUpdates": [],
            "killedTasksSummary": {}, "resourceProfileId": 0, "isShufflePushEnabled": false,
        });
        for (field, time_of) in [("submissionTime", self.began), ("completionTime", self.ended)] {
            if let Some(millis) = time_of {
                value[field] = json!(time(millis));
            }
        }
        if let Some(reason) = &self.reason {
            value["failureReason"] = json!(reason);
        }
        value
    }
}

enum Content {
    Text(String),
    Json(Value),
}
