//! Which series of which metric there are, and whether one more may be.
//!
//! A stream is a metric of a resource. Series are remembered by hash, in two generations: what the present one and the
//! last one have not seen is forgotten, and its room is free.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kiln_plugin::processor::ShownMetric;
use kiln_plugin::telemetry::AttributeValue;

/// More are not remembered, over all metrics; what comes later is folded, whatever the limits say.
pub(crate) const MAX_SERIES: usize = 1_000_000;

#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: HashMap<u64, Stream>,
    series: usize,
}

#[derive(Debug, Default)]
struct Stream {
    seen: HashSet<u64>,
    seen_before: HashSet<u64>,
}

impl Streams {
    /// Whether this series of the stream is one of at most `limit`.
    pub(crate) fn admit(&mut self, stream: u64, series: u64, limit: usize) -> bool {
        if self.series >= MAX_SERIES && !self.streams.contains_key(&stream) {
            return false;
        }
        let stream = self.streams.entry(stream).or_default();
        if stream.seen.contains(&series) {
            return true;
        }
        if stream.seen_before.remove(&series) {
            stream.seen.insert(series);
            return true;
        }
        if stream.seen.len() + stream.seen_before.len() >= limit || self.series >= MAX_SERIES {
            return false;
        }
        self.series += 1;
        stream.seen.insert(series)
    }

    /// A generation ends.
    pub(crate) fn forget(&mut self) {
        for stream in self.streams.values_mut() {
            stream.seen_before = std::mem::take(&mut stream.seen);
        }
        self.streams.retain(|_, stream| !stream.seen_before.is_empty());
        self.series = self.streams.values().map(|stream| stream.seen_before.len()).sum();
    }
}

/// The stream a metric belongs to.
pub(crate) fn stream(metric: ShownMetric<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    metric.name().hash(&mut hasher);
    let attributes = metric.resource().attributes();
    attributes.len().hash(&mut hasher);
    let pairs = attributes.iter().map(|attribute| (attribute.key.as_str(), &attribute.value));
    hash_pairs(pairs, &mut hasher);
    hasher.finish()
}

/// The series with these attributes, in any order.
pub(crate) fn series<'a>(attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash_pairs(attributes, &mut hasher);
    hasher.finish()
}

fn hash_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a AttributeValue)>, hasher: &mut DefaultHasher) {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in pairs {
        key.hash(hasher);
        hash_value(value, hasher);
    }
}

fn hash_value(value: &AttributeValue, hasher: &mut DefaultHasher) {
    core::mem::discriminant(value).hash(hasher);
    match value {
        AttributeValue::Text(value) => value.hash(hasher),
        AttributeValue::Boolean(value) => value.hash(hasher),
        AttributeValue::Integer(value) => value.hash(hasher),
        AttributeValue::Float(value) => value.to_bits().hash(hasher),
        AttributeValue::Bytes(value) => value.hash(hasher),
        AttributeValue::TextList(value) => value.hash(hasher),
        AttributeValue::BooleanList(value) => value.hash(hasher),
        AttributeValue::IntegerList(value) => value.hash(hasher),
        AttributeValue::FloatList(value) => value.iter().for_each(|value| value.to_bits().hash(hasher)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_is_not_seen_makes_room_after_a_generation() {
        let mut streams = Streams::default();
        assert!(streams.admit(1, 10, 2) && streams.admit(1, 11, 2));
        assert!(!streams.admit(1, 12, 2), "full");
        assert!(streams.admit(2, 12, 2), "another metric has room of its own");
        streams.forget();
        assert!(!streams.admit(1, 12, 2), "the last generation counts still");
        assert!(streams.admit(1, 10, 2));
        streams.forget();
        assert!(streams.admit(1, 12, 2), "11 was not seen");
        assert!(streams.admit(1, 10, 2) && !streams.admit(1, 11, 2));
        assert_eq!(streams.streams.len(), 1, "2 is forgotten");
    }
}
