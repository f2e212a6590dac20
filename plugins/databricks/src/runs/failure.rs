//! A run that failed, as a log record that leads to its trace.

use kiln_databricks_ids::RunIds;
use kiln_plugin::telemetry::{Attribute, AttributeValue, LogRecord, Severity};

use super::trace::{Trace, nanos};
use crate::attributes::Attributes;

/// The record of a failed run.
pub(crate) fn record(trace: &Trace<'_>) -> LogRecord {
    let course = trace.run.course();
    let ids = RunIds::of(trace.workspace, trace.run_id);
    let mut attributes = Attributes::default();
    attributes.integer("databricks.run.id", Some(trace.run_id));
    attributes.text("databricks.job.id", trace.job.id.as_deref());
    attributes.text("job_name", trace.job.name.as_deref());
    attributes.text("run_type", trace.run.run_type.as_deref());
    attributes.text("databricks.run.page_url", trace.run.run_page_url.as_deref());
    attributes.end(course);
    let failed = trace.failed_tasks();
    if !failed.is_empty() {
        attributes
            .0
            .push(Attribute { key: "databricks.failed_tasks".to_owned(), value: AttributeValue::TextList(failed) });
    }
    // The first error says most: later ones often follow from it.
    if let Some(error) = trace.errors.values().next() {
        attributes.text("exception.message", error.message.as_deref());
        attributes.text("exception.stacktrace", error.trace.as_deref());
    }
    LogRecord {
        time: nanos(trace.end),
        observed_time: 0,
        severity: Severity::Error,
        severity_text: course.result_state().to_owned(),
        event_name: "databricks.job_run.failed".to_owned(),
        body: AttributeValue::Text(course.message().unwrap_or_else(|| course.result_state()).to_owned()),
        attributes: attributes.0,
        trace_id: ids.trace.to_vec(),
        span_id: ids.root.to_vec(),
    }
}
