//! A batch in two, for a backend that finds it too large, or in as many as it takes.
//!
//! Both halves have the resources, scopes and descriptions their items belong to, and every byte that is no item's, so
//! nothing is lost and unknown fields survive. Only what holds items is looked into.

use bytes::Bytes;

use crate::batch::{Batch, Signal};
use crate::wire::{Fields, Malformed, Writer};

/// The fields that lead from a message to those that lie within it, until items are reached.
type Way = &'static [&'static [u32]];

/// Request, resource, scope; a metric then has one of five kinds of data, which has points.
const TO_POINTS: Way = &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]];
/// Request, resource, scope: spans and records.
const TO_RECORDS: Way = &[&[1], &[2], &[2]];

impl Batch {
    /// As many as it takes for none to have more than `items` items, at least one, in order. A payload that is not OTLP stays in
    /// one piece.
    #[must_use]
    pub fn parts(self, items: usize) -> Vec<Self> {
        let most = items.max(1);
        let (mut parts, mut rest) = (Vec::new(), vec![self]);
        while let Some(batch) = rest.pop() {
            if batch.items <= most {
                parts.push(batch);
                continue;
            }
            // Near the middle, where no part but the last gets less than it may have: each byte is looked at as often as the
            // number of parts can be halved.
            let first = batch.items.div_ceil(most) / 2 * most;
            match batch.parted(first) {
                Some((first, second)) => rest.extend([second, first]),
                None => parts.push(batch),
            }
        }
        parts
    }

    /// The first and the second half of its items; `None` if there are not two, or the payload is not OTLP.
    #[must_use]
    pub fn halves(&self) -> Option<(Self, Self)> {
        self.parted(count(self.way(), &self.payload).ok()? / 2)
    }

    const fn way(&self) -> Way {
        way(self.signal)
    }

    /// The first so many items, and the rest; `None` if one of them would have none.
    fn parted(&self, first: usize) -> Option<(Self, Self)> {
        let way = self.way();
        let items = count(way, &self.payload).ok()?;
        if first == 0 || first >= items {
            return None;
        }
        let half = |from, to| {
            let mut writer = Writer::default();
            copy(way, &self.payload, &mut writer, from, to).ok()?;
            Some(Self { signal: self.signal, payload: Bytes::from(writer.into_bytes()), items: to - from })
        };
        Some((half(0, first)?, half(first, items)?))
    }
}

const fn way(signal: Signal) -> Way {
    match signal {
        Signal::Metrics => TO_POINTS,
        Signal::Traces | Signal::Logs => TO_RECORDS,
    }
}

/// Data points, spans or log records in a payload.
pub(crate) fn count_items(signal: Signal, payload: &[u8]) -> Result<usize, Malformed> {
    count(way(signal), payload)
}

fn count(way: Way, message: &[u8]) -> Result<usize, Malformed> {
    let Some((fields, rest)) = way.split_first() else { return Ok(1) };
    let mut items = 0;
    for field in Fields::of(message) {
        let field = field?;
        if fields.contains(&field.number) {
            items += count(rest, field.content()?)?;
        }
    }
    Ok(items)
}

/// Copies the items from the `from`th to that before the `to`th, with what they are in. Gives how many there were to choose
/// from.
fn copy(way: Way, message: &[u8], writer: &mut Writer, from: usize, to: usize) -> Result<usize, Malformed> {
    let Some((fields, rest)) = way.split_first() else { return Ok(1) };
    let mut before = 0;
    for field in Fields::of(message) {
        let field = field?;
        if !fields.contains(&field.number) {
            writer.raw(field.raw);
            continue;
        }
        let content = field.content()?;
        let items = count(rest, content)?;
        let (first, last) = (from.max(before), to.min(before + items));
        if first < last && last - first == items {
            writer.raw(field.raw);
        } else if first < last {
            let open = writer.open(field.number);
            copy(rest, content, writer, first - before, last - before)?;
            writer.close(open);
        }
        before += items;
    }
    Ok(before)
}
