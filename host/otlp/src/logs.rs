//! Writing `ExportLogsServiceRequest`.

use crate::attribute::{AttributeValue, Attributes};
use crate::batch::{Batch, Signal};
use crate::encode::{Amount, Invalid, Payload, Scope};
use crate::spans::{SPAN_ID, TRACE_ID, check_optional_id};

/// Log records being written; finished into a [`Batch`].
#[derive(Debug)]
pub struct LogsPayload(Payload);

impl LogsPayload {
    /// An empty payload of a collection that has `spent` some of its `limit`. `now` is stamped on records without an observed time.
    #[must_use]
    pub fn new(now: u64, limit: Amount, spent: Amount) -> Self {
        Self(Payload::new(Signal::Logs, now, limit, spent))
    }

    /// Writes the records of one resource and scope.
    ///
    /// # Errors
    /// Whatever the closures return, and broken rules of the data model. The payload is unusable afterwards.
    pub fn group<E: From<Invalid>>(
        &mut self,
        resource: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        scope: Scope<'_>,
        scope_attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        records: impl FnOnce(&mut LogItems<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.0.group(resource, scope, scope_attributes, |payload| records(&mut LogItems(payload)))
    }

    /// The batch, unless nothing was written.
    #[must_use]
    pub fn finish(self) -> Option<Batch> {
        self.0.finish()
    }
}

/// The first number of each severity range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Severity {
    Trace = 1,
    Debug = 5,
    Info = 9,
    Warn = 13,
    Error = 17,
    Fatal = 21,
}

/// The plain fields of a log record. Empty ids are left out.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct LogRecord<'a> {
    pub time: u64,
    pub observed_time: u64,
    pub severity: Severity,
    pub severity_text: &'a str,
    pub event_name: &'a str,
    pub body: &'a AttributeValue,
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
}

/// Writes the records of one group.
#[derive(Debug)]
pub struct LogItems<'p>(&'p mut Payload);

impl LogItems<'_> {
    /// Writes one record.
    ///
    /// # Errors
    /// Broken ids, what the closure returns, or the payload is full.
    pub fn record<E: From<Invalid>>(
        &mut self,
        record: LogRecord<'_>,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let observed = self.0.stamp(record.observed_time);
        let writer = &mut self.0.writer;
        let message = writer.open(2);
        writer.fixed64_unless_zero(1, record.time);
        writer.varint(2, record.severity as u64);
        writer.text(3, record.severity_text);
        let body = writer.open(5);
        record.body.write(writer);
        writer.close(body);
        attributes(&mut Attributes::new(writer, 6))?;
        check_optional_id(record.trace_id, TRACE_ID, "trace")?;
        writer.bytes_unless_empty(9, record.trace_id);
        check_optional_id(record.span_id, SPAN_ID, "span")?;
        writer.bytes_unless_empty(10, record.span_id);
        writer.fixed64(11, observed);
        writer.text(12, record.event_name);
        writer.close(message);
        Ok(self.0.item()?)
    }
}
