//! What has finished, as spans: application, jobs, stages and SQL executions.
//!
//! Ids derive from the application's id, attempt and start and from the ids of its jobs and stages, so what is sent again
//! is the same span, and a child may be sent before its parent. On a cluster that was made for a Databricks job run the
//! trace is that of the run, and what belongs to a task of it is a child of the task's span.

use kiln_databricks_ids::{RunIds, derive, task_span_id};
use kiln_plugin::UnixNanos;
use kiln_plugin::telemetry::{Attribute, AttributeValue, Span, SpanKind, SpanLink, SpanStatus};

use super::databricks::{Cluster, Group};
use super::job::{Job, JobStatus};
use super::sql::Execution;
use super::stage::{Stage, StageStatus};
use crate::application::Application;

/// Texts in which anything may stand are cut here, in bytes.
const MOST_TEXT: usize = 1_024;

/// Reasons hold the stack of the driver, which is what is looked for.
const MOST_REASON: usize = 4_096;

/// Where the spans of an application belong.
#[derive(Debug)]
pub(crate) struct Trace<'a> {
    id: [u8; 16],
    root: [u8; 8],
    /// The workspace, if the trace is that of a job run in it, and the run.
    run: Option<(&'a str, RunIds)>,
    cluster: &'a Cluster,
    /// What ids of spans derive from.
    scope: String,
}

impl<'a> Trace<'a> {
    /// Of an application that started then.
    pub(crate) fn of(application: &'a Application, start: UnixNanos) -> Self {
        let (id, attempt) =
            (application.id.as_deref().unwrap_or_default(), application.attempt.as_deref().unwrap_or_default());
        let scope = format!("spark/{id}/{attempt}/{}", start.as_millis());
        let (own, root) = derive(&scope);
        let cluster = &application.facts.cluster;
        let workspace = cluster.workspace_id.as_deref();
        let run = workspace.zip(cluster.run_id).map(|(workspace, run)| (workspace, RunIds::of(workspace, run)));
        Self { id: run.map_or(own, |(_, run)| run.trace), root, run, cluster, scope }
    }

    /// The application, which lasted until then.
    pub(crate) fn application(&self, application: &Application, start: UnixNanos, end: UnixNanos) -> Span {
        let mut attributes = Attributes::default();
        attributes.text("spark.application.id", application.id.as_deref());
        attributes.text("databricks.cluster.id", self.cluster.id.as_deref());
        attributes.text("databricks.job.id", self.cluster.job_id.as_deref());
        attributes.integer("databricks.run.id", self.cluster.run_id);
        let parent = self.run.map(|(_, run)| run.root.to_vec()).unwrap_or_default();
        Span {
            trace_id: self.id.to_vec(),
            span_id: self.root.to_vec(),
            parent_span_id: parent,
            name: cut(application.name.as_deref().unwrap_or("application"), MOST_TEXT),
            kind: SpanKind::Internal,
            start_time: start.as_nanos(),
            end_time: end.max(start).as_nanos(),
            attributes: attributes.0,
            events: Vec::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
        }
    }

    /// A job that has ended. Without times there is no span.
    pub(crate) fn job(&self, id: u64, job: &Job, reason: Option<&str>) -> Option<Span> {
        let group = job.job_group.as_deref().and_then(Group::parse).unwrap_or_default();
        let mut attributes = Attributes::default();
        attributes.integer("spark.job.id", i64::try_from(id).ok());
        attributes.text("spark.job.status", Some(job.status().name()));
        attributes.text("spark.job.group", job.job_group.as_deref());
        attributes.text("spark.job.description", job.description.as_deref());
        attributes.integer("spark.job.stages.skipped", Some(job.skipped_stages()).filter(|skipped| *skipped > 0));
        attributes.text("databricks.job.id", group.job_id.as_deref().or(self.cluster.job_id.as_deref()));
        attributes.integer("databricks.run.id", self.cluster.run_id);
        attributes.integer("databricks.task.run.id", group.task_run_id);
        attributes.text("databricks.pipeline.id", group.pipeline_id.as_deref());
        attributes.text("databricks.pipeline.update.id", group.update_id.as_deref());
        let task = self.run.zip(group.task_run_id).map(|((workspace, _), task)| task_span_id(workspace, task));
        let name = job.name.as_deref().unwrap_or("job");
        let times = (job.submission_time?, job.end()?);
        let status = match job.status() {
            JobStatus::Succeeded => SpanStatus::Ok,
            JobStatus::Failed => SpanStatus::Error(cut(reason.unwrap_or("the job failed"), MOST_REASON)),
            _ => SpanStatus::Unset,
        };
        let parent = task.unwrap_or(self.root);
        Some(self.span(&format!("job/{id}"), parent, name, times, attributes, status))
    }

    /// An attempt at a stage that has ended. One that was skipped never ran and has no span.
    pub(crate) fn stage(&self, stage: &Stage, job: Option<u64>) -> Option<Span> {
        let (id, attempt) = stage.key()?;
        let work = stage.work();
        let [_, (_, failed), _] = stage.tasks();
        let mut attributes = Attributes::default();
        attributes.integer("spark.stage.id", i64::try_from(id).ok());
        attributes.integer("spark.stage.attempt.id", i64::try_from(attempt).ok());
        attributes.text("spark.stage.status", Some(stage.status().name()));
        attributes.integer("spark.stage.tasks", Some(stage.all_tasks()));
        attributes.integer("spark.stage.tasks.failed", Some(failed));
        attributes.float("spark.stage.executor.run_time", work.run_time.seconds());
        attributes.float("spark.stage.executor.cpu_time", work.cpu_time.seconds());
        attributes.integer("spark.stage.input.size", Some(work.input_bytes));
        attributes.integer("spark.stage.shuffle.read.size", Some(work.shuffle_read_bytes));
        attributes.integer("spark.stage.shuffle.write.size", Some(work.shuffle_write_bytes));
        attributes.integer("spark.stage.memory.spilled", Some(work.memory_spilled));
        attributes.integer("spark.stage.disk.spilled", Some(work.disk_spilled));
        let parent = job.map_or(self.root, |job| self.id_of(&format!("job/{job}")));
        let name = stage.name.as_deref().unwrap_or("stage");
        let times = (stage.start()?, stage.end()?);
        let status = match stage.status() {
            StageStatus::Complete => SpanStatus::Ok,
            StageStatus::Failed => {
                let reason = stage.failure_reason.as_deref().unwrap_or("the stage failed");
                SpanStatus::Error(cut(reason, MOST_REASON))
            }
            _ => SpanStatus::Unset,
        };
        Some(self.span(&format!("stage/{id}/{attempt}"), parent, name, times, attributes, status))
    }

    /// A SQL execution that has ended.
    pub(crate) fn execution(&self, id: u64, execution: &Execution) -> Option<Span> {
        let mut attributes = Attributes::default();
        attributes.integer("spark.sql.execution.id", i64::try_from(id).ok());
        attributes.text("spark.sql.status", Some(execution.status().name()));
        attributes.text("spark.sql.description", execution.description.as_deref());
        let times = (execution.submission_time?, execution.end()?);
        let status = match execution.has_failed() {
            true => SpanStatus::Error(cut(
                execution.error_message.as_deref().unwrap_or("the execution failed"),
                MOST_REASON,
            )),
            false => SpanStatus::Ok,
        };
        let mut span = self.span(&format!("sql/{id}"), self.root, "sql execution", times, attributes, status);
        span.links = execution
            .jobs()
            .map(|job| SpanLink {
                trace_id: self.id.to_vec(),
                span_id: self.id_of(&format!("job/{job}")).to_vec(),
                attributes: Vec::new(),
            })
            .collect();
        Some(span)
    }

    fn id_of(&self, what: &str) -> [u8; 8] {
        derive(&format!("{}/{what}", self.scope)).1
    }

    fn span(
        &self,
        what: &str,
        parent: [u8; 8],
        name: &str,
        (start, end): (u64, u64),
        attributes: Attributes,
        status: SpanStatus,
    ) -> Span {
        Span {
            trace_id: self.id.to_vec(),
            span_id: self.id_of(what).to_vec(),
            parent_span_id: parent.to_vec(),
            name: cut(name, MOST_TEXT),
            kind: SpanKind::Internal,
            start_time: UnixNanos::from_millis(start).as_nanos(),
            end_time: UnixNanos::from_millis(end.max(start)).as_nanos(),
            attributes: attributes.0,
            events: Vec::new(),
            links: Vec::new(),
            status,
        }
    }
}

/// Attributes of which some are not known.
#[derive(Debug, Default)]
pub(crate) struct Attributes(pub(crate) Vec<Attribute>);

impl Attributes {
    pub(crate) fn text(&mut self, key: &str, value: Option<&str>) {
        self.add(key, value.filter(|value| !value.is_empty()).map(|value| cut(value, MOST_TEXT)));
    }

    pub(crate) fn integer(&mut self, key: &str, value: Option<i64>) {
        self.add(key, value);
    }

    fn float(&mut self, key: &str, value: f64) {
        self.add(key, Some(value));
    }

    fn add(&mut self, key: &str, value: Option<impl Into<AttributeValue>>) {
        self.0.extend(value.map(|value| Attribute::new(key, value)));
    }
}

/// The beginning of a text: `most` bytes of it at the most, and an ellipsis where something is left out.
pub(crate) fn cut(text: &str, most: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", text.get(..end).unwrap_or_default())
}
