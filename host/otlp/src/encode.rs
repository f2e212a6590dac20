//! What the three kinds of payload have in common: resources, scopes, limits, stamped times.

use bytes::Bytes;

use crate::attribute::Attributes;
use crate::batch::{Batch, Signal};
use crate::wire::Writer;

/// An amount of telemetry: what a collection may emit, or has emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Encoded bytes.
    pub bytes: usize,
    /// Data points, spans or log records.
    pub items: usize,
}

/// The instrumentation scope of a group.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Scope<'a> {
    pub name: &'a str,
    pub version: &'a str,
}

/// Why telemetry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A key without a character.
    #[error("an attribute has an empty key")]
    EmptyKey,
    /// One key twice in one list.
    #[error("attribute `{0}` occurs more than once")]
    RepeatedKey(String),
    /// A list beyond any reasonable length.
    #[error("more than {0} attributes in one place")]
    TooManyAttributes(usize),
    /// A metric, span or event without a name.
    #[error("a {0} has an empty name")]
    EmptyName(&'static str),
    /// Bounds that are no bounds.
    #[error("histogram bounds must be finite and increasing")]
    Bounds,
    /// Bucket counts that do not fit the bounds or the total.
    #[error("histogram bucket counts must be one more than the bounds and add up to the count")]
    BucketCounts,
    /// A scale no SDK produces.
    #[error("the scale of an exponential histogram must lie between -10 and 20")]
    Scale,
    /// A zero bucket without a width.
    #[error("the zero threshold of an exponential histogram must be finite and not negative")]
    ZeroThreshold,
    /// Buckets that do not fit the total, or an index that does not fit its type.
    #[error("exponential bucket counts and the zero count must add up to the count, and indexes fit 32 bits")]
    ExponentialBuckets,
    /// A list beyond any reasonable length.
    #[error("more than {0} exemplars on one point")]
    TooManyExemplars(usize),
    /// A quantile outside of its range.
    #[error("a quantile must lie between 0 and 1")]
    Quantile,
    /// An id of the wrong size or all zero.
    #[error("a {0} id has the wrong length or is all zero")]
    Id(&'static str),
    /// A span that ends before it starts.
    #[error("a span ends before it starts")]
    SpanTimes,
    /// The payload outgrew its bytes.
    #[error("more than {0} bytes in one collection: raise `limits.output_bytes`")]
    TooManyBytes(usize),
    /// The payload outgrew its items.
    #[error("more than {0} points, spans or records in one collection: raise `limits.output_points`")]
    TooManyItems(usize),
}

impl Invalid {
    /// Whether a larger limit would have let it pass.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::TooManyBytes(_) | Self::TooManyItems(_))
    }
}

/// A payload being written. Groups nest as `ResourceMetrics`, `ResourceSpans` and `ResourceLogs` do, alike in all three.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) writer: Writer,
    pub(crate) items: usize,
    pub(crate) now: u64,
    limit: Amount,
    spent: Amount,
    signal: Signal,
}

impl Payload {
    /// `spent` is what the collection has emitted before, of its `limit`.
    pub(crate) fn new(signal: Signal, now: u64, limit: Amount, spent: Amount) -> Self {
        Self { writer: Writer::default(), items: 0, now, limit, spent, signal }
    }

    pub(crate) fn group<E: From<Invalid>>(
        &mut self,
        resource: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        scope: Scope<'_>,
        scope_attributes: impl FnOnce(&mut Attributes<'_>) -> Result<(), E>,
        items: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let group = self.writer.open(1);
        let message = self.writer.open(1);
        resource(&mut Attributes::new(&mut self.writer, 1))?;
        self.writer.close(message);
        let scoped = self.writer.open(2);
        let message = self.writer.open(1);
        self.writer.text(1, scope.name);
        self.writer.text(2, scope.version);
        scope_attributes(&mut Attributes::new(&mut self.writer, 3))?;
        self.writer.close(message);
        items(self)?;
        self.writer.close(scoped);
        self.writer.close(group);
        Ok(self.within_limits()?)
    }

    /// Counts one item and checks both limits, so that a payload never grows far beyond them.
    pub(crate) fn item(&mut self) -> Result<(), Invalid> {
        self.items += 1;
        self.within_limits()
    }

    /// Checks both limits in the middle of an item.
    ///
    /// # Errors
    /// The payload is full.
    pub(crate) fn within_limits(&self) -> Result<(), Invalid> {
        if self.spent.items.saturating_add(self.items) > self.limit.items {
            return Err(Invalid::TooManyItems(self.limit.items));
        }
        if self.spent.bytes.saturating_add(self.writer.len()) > self.limit.bytes {
            return Err(Invalid::TooManyBytes(self.limit.bytes));
        }
        Ok(())
    }

    /// The time as given, or now where the plugin left it to the host.
    pub(crate) const fn stamp(&self, time: u64) -> u64 {
        if time == 0 { self.now } else { time }
    }

    pub(crate) fn finish(self) -> Option<Batch> {
        (self.items > 0).then(|| Batch {
            signal: self.signal,
            payload: Bytes::from(self.writer.into_bytes()),
            items: self.items,
        })
    }
}
