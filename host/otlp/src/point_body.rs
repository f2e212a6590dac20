//! What points of nearly every kind have: attributes, and exemplars, measurements they were made of.

use crate::attribute::Attributes;
use crate::encode::{Invalid, Payload};
use crate::points::Number;
use crate::spans::{SPAN_ID, TRACE_ID, check_optional_id};

/// More exemplars than this on one point are refused. SDKs keep one for each bucket of a histogram, or a handful.
pub(crate) const MAX_EXEMPLARS: usize = 128;

/// One measurement; the ids are whole, or empty. Without a time it has that of its point.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Exemplar<'a> {
    pub time: u64,
    pub value: Number,
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
}

/// Writes what a point has lists of: attributes and exemplars.
#[derive(Debug)]
pub struct PointBody<'p> {
    payload: &'p mut Payload,
    attributes_field: u32,
    exemplars_field: u32,
    time: u64,
    ended: bool,
    exemplars: usize,
}

impl<'p> PointBody<'p> {
    pub(crate) const fn new(payload: &'p mut Payload, attributes_field: u32, exemplars_field: u32, time: u64) -> Self {
        Self { payload, attributes_field, exemplars_field, time, ended: false, exemplars: 0 }
    }

    /// The series has ended, or has not.
    pub(crate) const fn ended(mut self, ended: bool) -> Self {
        self.ended = ended;
        self
    }

    /// Writes the attributes of the point, all at once.
    ///
    /// # Errors
    /// What the closure returns.
    pub fn attributes<E: From<Invalid>>(
        &mut self,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        attributes(&mut Attributes::new(&mut self.payload.writer, self.attributes_field))
    }

    /// Writes one exemplar, unless the series has ended.
    ///
    /// # Errors
    /// Broken ids, too many exemplars, what the closure returns, or the payload is full.
    pub fn exemplar<E: From<Invalid>>(
        &mut self,
        exemplar: Exemplar<'_>,
        attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.ended {
            return Ok(());
        }
        self.exemplars += 1;
        if self.exemplars > MAX_EXEMPLARS {
            return Err(Invalid::TooManyExemplars(MAX_EXEMPLARS).into());
        }
        check_optional_id(exemplar.trace_id, TRACE_ID, "trace")?;
        check_optional_id(exemplar.span_id, SPAN_ID, "span")?;
        let writer = &mut self.payload.writer;
        let message = writer.open(self.exemplars_field);
        writer.fixed64(2, if exemplar.time == 0 { self.time } else { exemplar.time });
        match exemplar.value {
            Number::Float(value) => writer.double(3, value),
            Number::Integer(value) => writer.fixed64(6, value as u64),
        }
        writer.bytes_unless_empty(4, exemplar.span_id);
        writer.bytes_unless_empty(5, exemplar.trace_id);
        attributes(&mut Attributes::new(writer, 7))?;
        writer.close(message);
        Ok(self.payload.within_limits()?)
    }
}
