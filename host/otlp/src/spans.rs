//! Writing `ExportTraceServiceRequest`.

use crate::attribute::Attributes;
use crate::batch::{Batch, Signal};
use crate::encode::{Amount, Invalid, Payload, Scope};

/// Spans being written; finished into a [`Batch`].
#[derive(Debug)]
pub struct SpansPayload(Payload);

impl SpansPayload {
    /// An empty payload of a collection that has `spent` some of its `limit`.
    #[must_use]
    pub fn new(now: u64, limit: Amount, spent: Amount) -> Self {
        Self(Payload::new(Signal::Traces, now, limit, spent))
    }

    /// Writes the spans of one resource and scope.
    ///
    /// # Errors
    /// Whatever the closures return, and broken rules of the data model. The payload is unusable afterwards.
    pub fn group<E: From<Invalid>>(
        &mut self,
        resource: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        scope: Scope<'_>,
        scope_attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        spans: impl FnOnce(&mut SpanItems<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.0.group(resource, scope, scope_attributes, |payload| spans(&mut SpanItems(payload)))
    }

    /// The batch, unless nothing was written.
    #[must_use]
    pub fn finish(self) -> Option<Batch> {
        self.0.finish()
    }
}

/// Kinds of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SpanKind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// How the operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SpanStatus<'a> {
    Unset,
    Ok,
    Error(&'a str),
}

/// The plain fields of a span. Ids are raw bytes; an empty parent makes a root span.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Span<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub parent_span_id: &'a [u8],
    pub name: &'a str,
    pub kind: SpanKind,
    pub start_time: u64,
    pub end_time: u64,
    pub status: SpanStatus<'a>,
}

pub(crate) fn check_id(id: &[u8], length: usize, what: &'static str) -> Result<(), Invalid> {
    if id.len() == length && id.iter().any(|byte| *byte != 0) { Ok(()) } else { Err(Invalid::Id(what)) }
}

pub(crate) fn check_optional_id(id: &[u8], length: usize, what: &'static str) -> Result<(), Invalid> {
    if id.is_empty() { Ok(()) } else { check_id(id, length, what) }
}

pub(crate) const TRACE_ID: usize = 16;
pub(crate) const SPAN_ID: usize = 8;

/// Writes the spans of one group.
#[derive(Debug)]
pub struct SpanItems<'p>(&'p mut Payload);

impl SpanItems<'_> {
    /// Writes one span; `body` adds attributes, events and links.
    ///
    /// # Errors
    /// Broken ids, name or times; what the closure returns; or the payload is full.
    pub fn span<E: From<Invalid>>(
        &mut self,
        span: Span<'_>,
        body: impl FnOnce(&mut SpanBody<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if span.name.is_empty() {
            return Err(Invalid::EmptyName("span").into());
        }
        check_id(span.trace_id, TRACE_ID, "trace")?;
        check_id(span.span_id, SPAN_ID, "span")?;
        if !span.parent_span_id.is_empty() {
            check_id(span.parent_span_id, SPAN_ID, "parent span")?;
        }
        if span.end_time < span.start_time {
            return Err(Invalid::SpanTimes.into());
        }
        let message = self.0.writer.open(2);
        let writer = &mut self.0.writer;
        writer.bytes(1, span.trace_id);
        writer.bytes(2, span.span_id);
        if !span.parent_span_id.is_empty() {
            writer.bytes(4, span.parent_span_id);
        }
        writer.text(5, span.name);
        writer.varint(
            6,
            match span.kind {
                SpanKind::Internal => 1,
                SpanKind::Server => 2,
                SpanKind::Client => 3,
                SpanKind::Producer => 4,
                SpanKind::Consumer => 5,
            },
        );
        writer.fixed64(7, span.start_time);
        writer.fixed64(8, span.end_time);
        body(&mut SpanBody(self.0))?;
        let (code, text) = match span.status {
            SpanStatus::Unset => (0, ""),
            SpanStatus::Ok => (1, ""),
            SpanStatus::Error(text) => (2, text),
        };
        if code != 0 {
            let status = self.0.writer.open(15);
            self.0.writer.text(2, text);
            self.0.writer.varint(3, code);
            self.0.writer.close(status);
        }
        self.0.writer.close(message);
        Ok(self.0.item()?)
    }
}

/// Writes what belongs to one span.
#[derive(Debug)]
pub struct SpanBody<'p>(&'p mut Payload);

impl SpanBody<'_> {
    /// The span's attributes, once.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn attributes<E>(&mut self, attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>) -> Result<(), E> {
        attributes(&mut Attributes::new(&mut self.0.writer, 9))
    }

    /// An event.
    ///
    /// # Errors
    /// The name is empty, or what the closure returns.
    pub fn event<E: From<Invalid>>(
        &mut self,
        name: &str,
        time: u64,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if name.is_empty() {
            return Err(Invalid::EmptyName("span event").into());
        }
        let event = self.0.writer.open(11);
        self.0.writer.fixed64(1, time);
        self.0.writer.text(2, name);
        attributes(&mut Attributes::new(&mut self.0.writer, 3))?;
        self.0.writer.close(event);
        Ok(())
    }

    /// A link to another span.
    ///
    /// # Errors
    /// Broken ids, or what the closure returns.
    pub fn link<E: From<Invalid>>(
        &mut self,
        trace_id: &[u8],
        span_id: &[u8],
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        check_id(trace_id, TRACE_ID, "linked trace")?;
        check_id(span_id, SPAN_ID, "linked span")?;
        let link = self.0.writer.open(13);
        self.0.writer.bytes(1, trace_id);
        self.0.writer.bytes(2, span_id);
        attributes(&mut Attributes::new(&mut self.0.writer, 4))?;
        self.0.writer.close(link);
        Ok(())
    }
}
