//! A finished run as a trace: the run is the root, every attempt at a task a child.
//!
//! Ids derive from the workspace and the API's own ids, so a trace that is sent again — after a crash, or when a repair
//! of the run has ended — is the same trace, and what the Spark receiver tells of the same run is in it.

use std::collections::BTreeMap;

use kiln_databricks_ids::{RunIds, task_span_id};
use kiln_plugin::UnixNanos;
use kiln_plugin::telemetry::{Attribute, Span, SpanEvent, SpanKind, SpanLink, SpanStatus};

use super::run::{Course, Run, Task};
use super::series::JobKey;
use crate::api::seconds;
use crate::attributes::Attributes;

/// What a failed task printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorOutput {
    pub(crate) message: Option<String>,
    pub(crate) trace: Option<String>,
}

impl ErrorOutput {
    pub(crate) fn new(message: Option<&str>, trace: Option<&str>) -> Self {
        Self { message: message.map(without_colours), trace: trace.map(without_colours) }
    }
}

/// Notebooks print for terminals: `ESC [ ... letter` (ECMA-48 §5.4) is noise anywhere else.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |end| end.saturating_add(1));
        plain.push_str(part.get(end..).unwrap_or_default());
    }
    plain
}

/// A finished run, on its way to become spans.
pub(crate) struct Trace<'a> {
    /// Id or URL.
    pub(crate) workspace: &'a str,
    pub(crate) run: &'a Run,
    pub(crate) run_id: i64,
    pub(crate) job: &'a JobKey,
    /// When it ended, in milliseconds.
    pub(crate) end: u64,
    /// By the run id of the task.
    pub(crate) errors: &'a BTreeMap<i64, ErrorOutput>,
}

impl Trace<'_> {
    /// The root first.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let ids = RunIds::of(self.workspace, self.run_id);
        let mut spans = vec![self.root(ids)];
        spans.extend(self.run.tasks.items.iter().filter_map(|task| self.task(ids, task)));
        spans
    }

    fn root(&self, ids: RunIds) -> Span {
        let run = self.run;
        let course = run.course();
        let start = course.start.unwrap_or(self.end).min(self.end);
        let mut attributes = Attributes::default();
        attributes.integer("databricks.run.id", Some(self.run_id));
        attributes.text("databricks.job.id", self.job.id.as_deref());
        attributes.text("job_name", self.job.name.as_deref());
        attributes.text("run_type", run.run_type.as_deref());
        attributes.text("databricks.run.trigger", run.trigger.as_deref());
        attributes.text("databricks.run.creator", run.creator_user_name.as_deref());
        attributes.text("databricks.run.page_url", run.run_page_url.as_deref());
        attributes.integer("databricks.run.attempt", run.attempt_number);
        let cluster = run.cluster_instance.as_ref().and_then(|instance| instance.cluster_id.as_deref());
        attributes.text("databricks.cluster.id", cluster);
        attributes.end(course);
        let original = run.original_attempt_run_id.filter(|original| *original > 0 && *original != self.run_id);
        let links = original.map(|original| {
            let first = RunIds::of(self.workspace, original);
            link(first.trace, first.root, "first attempt")
        });
        let phases = if run.tasks.items.len() > 1 { [None; 3] } else { run.phases() };
        Span {
            trace_id: ids.trace.to_vec(),
            span_id: ids.root.to_vec(),
            parent_span_id: Vec::new(),
            name: self.job.name.clone().unwrap_or_else(|| "job run".to_owned()),
            kind: SpanKind::Internal,
            start_time: nanos(start),
            end_time: nanos(self.end),
            attributes: attributes.0,
            events: events(start, course.queue, phases),
            links: links.into_iter().collect(),
            status: status(course),
        }
    }

    fn task(&self, ids: RunIds, task: &Task) -> Option<Span> {
        let task_run_id = task.run_id?;
        let task_key = task.task_key.as_deref()?;
        let course = task.course();
        // What never ran has a place at the end, where it is known that it will not.
        let end = course.end.unwrap_or(self.end);
        let start = course.start.unwrap_or(end).min(end);
        let mut attributes = Attributes::default();
        attributes.integer("databricks.run.id", Some(self.run_id));
        attributes.integer("databricks.task.run.id", Some(task_run_id));
        attributes.text("task_key", Some(task_key));
        attributes.text("databricks.job.id", self.job.id.as_deref());
        attributes.text("job_name", self.job.name.as_deref());
        attributes.integer("databricks.run.attempt", task.attempt_number);
        attributes.text("databricks.cluster.id", task.cluster_id());
        attributes.end(course);
        let mut events = events(start, None, [course.setup, course.execution, course.cleanup]);
        events.extend(self.errors.get(&task_run_id).map(|output| exception(end, output)));
        Some(Span {
            trace_id: ids.trace.to_vec(),
            span_id: task_span_id(self.workspace, task_run_id).to_vec(),
            parent_span_id: ids.root.to_vec(),
            name: task_key.to_owned(),
            kind: SpanKind::Internal,
            start_time: nanos(start),
            end_time: nanos(end),
            attributes: attributes.0,
            events,
            links: self.links(ids, task, task_run_id),
            status: status(course),
        })
    }

    /// To the first attempt at the same task, and to the last attempts at the tasks it depends on.
    fn links(&self, ids: RunIds, task: &Task, task_run_id: i64) -> Vec<SpanLink> {
        let order = |task: &&Task| (task.attempt_number.unwrap_or_default(), task.course().start, task.run_id);
        let to = |task: Option<&Task>, kind| {
            let id = task?.run_id.filter(|id| *id != task_run_id)?;
            Some(link(ids.trace, task_span_id(self.workspace, id), kind))
        };
        let first = task.task_key.as_deref().and_then(|key| self.attempts(key).min_by_key(order));
        let keys = task.depends_on.items.iter().filter_map(|dependency| dependency.task_key.as_deref());
        let dependencies = keys.filter_map(|key| to(self.attempts(key).max_by_key(order), "depends on"));
        to(first, "first attempt").into_iter().chain(dependencies).collect()
    }

    fn attempts<'t>(&'t self, key: &'t str) -> impl Iterator<Item = &'t Task> {
        self.run.tasks.items.iter().filter(move |task| task.task_key.as_deref() == Some(key))
    }

    /// Keys of the tasks whose last attempt failed.
    pub(crate) fn failed_tasks(&self) -> Vec<String> {
        let mut last: BTreeMap<&str, &Task> = BTreeMap::new();
        for task in &self.run.tasks.items {
            let Some(key) = task.task_key.as_deref() else { continue };
            let is_later = |known: &&Task| task.attempt_number >= known.attempt_number;
            if last.get(key).is_none_or(is_later) {
                last.insert(key, task);
            }
        }
        last.into_iter().filter(|(_, task)| task.course().has_failed()).map(|(key, _)| key.to_owned()).collect()
    }
}

impl Attributes {
    /// How something ended.
    pub(super) fn end(&mut self, course: Course<'_>) {
        let termination = course.termination();
        self.text("result_state", Some(course.result_state()));
        self.text("databricks.termination.code", termination.and_then(|details| details.code.as_deref()));
        self.text("databricks.termination.type", termination.and_then(|details| details.kind.as_deref()));
    }
}

fn status(course: Course<'_>) -> SpanStatus {
    match course.has_failed() {
        true => SpanStatus::Error(course.message().unwrap_or_else(|| course.result_state()).to_owned()),
        false if course.result_state() == "SUCCESS" => SpanStatus::Ok,
        false => SpanStatus::Unset,
    }
}

/// The phases, each where it began.
fn events(start: u64, queue: Option<u64>, [setup, execution, cleanup]: [Option<u64>; 3]) -> Vec<SpanEvent> {
    let mut time = start;
    let mut events = Vec::new();
    for (name, phase) in [("queue", queue), ("setup", setup), ("execution", execution), ("cleanup", cleanup)] {
        let Some(millis) = phase.filter(|millis| *millis > 0) else { continue };
        let attributes = vec![Attribute::new("databricks.phase.duration", seconds(millis))];
        events.push(SpanEvent { name: name.to_owned(), time: nanos(time), attributes });
        time = time.saturating_add(millis);
    }
    events
}

/// As the semantic conventions for exceptions have it.
fn exception(time: u64, output: &ErrorOutput) -> SpanEvent {
    let mut attributes = Attributes::default();
    attributes.text("exception.message", output.message.as_deref());
    attributes.text("exception.stacktrace", output.trace.as_deref());
    SpanEvent { name: "exception".to_owned(), time: nanos(time), attributes: attributes.0 }
}

fn link(trace: [u8; 16], span: [u8; 8], kind: &str) -> SpanLink {
    let attributes = vec![Attribute::new("databricks.link.type", kind)];
    SpanLink { trace_id: trace.to_vec(), span_id: span.to_vec(), attributes }
}

pub(crate) const fn nanos(millis: u64) -> u64 {
    UnixNanos::from_millis(millis).as_nanos()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spans(body: Value) -> Vec<Span> {
        let run: Run = serde_json::from_value(body).unwrap();
        let job = JobKey { id: Some("7".to_owned()), name: Some("etl".to_owned()) };
        let errors = BTreeMap::from([(12, ErrorOutput { message: Some("no".to_owned()), trace: None })]);
        Trace { workspace: "281", run: &run, run_id: 1, job: &job, end: 90_000, errors: &errors }.spans()
    }

    fn failed_and_retried() -> Value {
        let ended = |result: &str| json!({ "life_cycle_state": "TERMINATED", "result_state": result, "state_message": "no memory" });
        let task = |id: i64, key: &str, attempt: i64, result: &str, depends: &[&str]| {
            let depends: Vec<Value> = depends.iter().map(|key| json!({ "task_key": key })).collect();
            json!({ "run_id": id, "task_key": key, "attempt_number": attempt, "start_time": 10_000 + id,
                "end_time": 20_000, "setup_duration": 2_000, "execution_duration": 1_000, "state": ended(result),
                "depends_on": depends })
        };
        json!({
            "run_id": 1, "start_time": 1_000, "queue_duration": 500, "state": ended("FAILED"),
            "tasks": [task(11, "a", 0, "FAILED", &[]), task(12, "a", 1, "SUCCESS", &[]), task(13, "b", 0, "FAILED", &["a"])],
        })
    }

    #[test]
    fn ids_follow_from_workspace_and_run_and_from_nothing_else() {
        let ids = RunIds::of("281", 1);
        // printf databricks/281/run/1 | sha256sum
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!((hex(&ids.trace).len(), hex(&ids.root).len()), (32, 16));
        assert_eq!(RunIds::of("281", 1), ids);
        assert_ne!(RunIds::of("282", 1), ids);
        assert_ne!(RunIds::of("281", 2).trace, ids.trace);
        assert_eq!(spans(failed_and_retried()), spans(failed_and_retried()));
    }

    #[test]
    fn tasks_are_children_of_the_run_and_end_as_they_ended() {
        let spans = spans(failed_and_retried());
        let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["etl", "a", "a", "b"]);
        assert!(spans[0].parent_span_id.is_empty());
        assert!(spans[1..].iter().all(|span| span.parent_span_id == spans[0].span_id));
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
        assert_eq!(spans[0].status, SpanStatus::Error("no memory".to_owned()));
        assert_eq!(spans[2].status, SpanStatus::Ok);
        assert_eq!((spans[0].start_time, spans[0].end_time), (nanos(1_000), nanos(90_000)));
    }

    #[test]
    fn later_attempts_link_to_the_first_and_dependants_to_the_last() {
        let spans = spans(failed_and_retried());
        assert!(spans[1].links.is_empty());
        assert_eq!(spans[2].links.iter().map(|link| &link.span_id).collect::<Vec<_>>(), [&spans[1].span_id]);
        assert_eq!(spans[3].links.iter().map(|link| &link.span_id).collect::<Vec<_>>(), [&spans[2].span_id]);
    }

    #[test]
    fn a_retry_of_the_run_links_to_the_trace_of_the_first_attempt() {
        let mut retry = failed_and_retried();
        retry["original_attempt_run_id"] = json!(99);
        assert_eq!(spans(retry)[0].links[0].trace_id, RunIds::of("281", 99).trace);
        let mut first = failed_and_retried();
        first["original_attempt_run_id"] = json!(1);
        assert!(spans(first)[0].links.is_empty());
    }

    #[test]
    fn phases_are_events_where_they_began_and_errors_are_exceptions() {
        let spans = spans(failed_and_retried());
        let events = |span: &Span| span.events.iter().map(|event| (event.name.clone(), event.time)).collect::<Vec<_>>();
        assert_eq!(events(&spans[0]), [("queue".to_owned(), nanos(1_000))]);
        let expected = [("setup", 10_012), ("execution", 12_012), ("exception", 20_000)];
        assert_eq!(events(&spans[2]), expected.map(|(name, time)| (name.to_owned(), nanos(time))));
    }

    #[test]
    fn what_a_notebook_prints_loses_its_colours_and_nothing_else() {
        assert_eq!(without_colours("\u{1b}[0;31mValueError\u{1b}[0m: [1] é"), "ValueError: [1] é");
        assert_eq!(without_colours("plain"), "plain");
        assert_eq!(without_colours("cut \u{1b}[0;3"), "cut ");
        assert_eq!(without_colours("\u{1b}[mé\u{1b}[é"), "é");
    }

    #[test]
    fn times_that_make_no_sense_make_no_backward_span() {
        let task = json!({ "run_id": 2, "task_key": "a", "start_time": 95_000, "end_time": 1_000 });
        let spans =
            spans(json!({ "run_id": 1, "start_time": 99_000, "tasks": [task, { "run_id": 3, "task_key": "b" }] }));
        assert!(spans.iter().all(|span| span.start_time <= span.end_time));
    }
}
