//! `sending_queue.batch`, and the Collector's `batch` processor, which becomes that.

use std::time::Duration;

use crate::document::Entry;
use crate::error::Problem;
use crate::reader::{Section, Value};
use crate::sending_queue::Sizer;
use crate::units::GIB;

/// Nobody waits longer for a request that is to become larger.
const LONGEST: Duration = Duration::from_secs(60 * 60);
const MOST_ITEMS: u64 = 1_000_000_000;
const MOST_BYTES: u64 = GIB;

/// How batches that wait are joined to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// How long a batch waits for others at the most, once its turn has come.
    pub flush_timeout: Duration,
    /// A request that has so much is sent at once.
    pub min_size: usize,
    /// A request has no more, and what has is sent in several; `None` if only OTLP bounds it.
    pub max_size: Option<usize>,
    /// What sizes are counted in: items or bytes.
    pub sizer: Sizer,
}

impl Batching {
    /// Default of [`Self::flush_timeout`], the Collector's.
    pub const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);
    /// Default of [`Self::min_size`] in items, the Collector's.
    pub const MIN_ITEMS: usize = 8192;
    /// Default of [`Self::min_size`] in bytes, which that many items take or less.
    pub const MIN_BYTES: usize = 1 << 20;

    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let choices = [("items", Sizer::Items), ("bytes", Sizer::Bytes)];
        let sizer = section.get("sizer").and_then(|value| value.choice(&choices)).unwrap_or(Sizer::Items);
        let flush_timeout = section.get("flush_timeout").and_then(|value| value.duration(Duration::ZERO..=LONGEST));
        let size = |value: &Value<'_>| match sizer {
            Sizer::Bytes => value.size(0..=MOST_BYTES),
            Sizer::Items | Sizer::Requests => value.integer(0..=MOST_ITEMS),
        };
        let min = section.get("min_size");
        let min_size = min.as_ref().and_then(size).and_then(|size| usize::try_from(size).ok());
        let max_size = section.get("max_size").as_ref().and_then(size).and_then(bound);
        if let (Some(value), Some(min_size), Some(max_size)) = (&min, min_size, max_size)
            && min_size > max_size
        {
            value.error(Problem::Unsupported("must not be more than `max_size`"));
        }
        section.unsupported("partition", "batches of one signal are joined whatever they come from; remove the key");
        section.finish();
        let default = if sizer == Sizer::Bytes { Self::MIN_BYTES } else { Self::MIN_ITEMS };
        let min_size = min_size.unwrap_or_else(|| max_size.map_or(default, |max| max.min(default)));
        Self { flush_timeout: flush_timeout.unwrap_or(Self::FLUSH_TIMEOUT), min_size, max_size, sizer }
    }

    /// The Collector's `batch` processor, with what it is by default there.
    pub(crate) fn of_processor(entry: &Entry, value: &Value<'_>) -> Self {
        let mut section = value.section();
        let timeout = section.get("timeout").and_then(|value| value.duration(Duration::ZERO..=LONGEST));
        let mut size = |key| section.get(key).and_then(|value| value.integer(0..=MOST_ITEMS));
        let min_size = size("send_batch_size").and_then(|size| usize::try_from(size).ok());
        let max_size = size("send_batch_max_size").and_then(bound);
        for key in ["metadata_cardinality_limit", "metadata_keys"] {
            if section.get(key).is_some() {
                let message = "has no effect: what is joined does not depend on where it comes from";
                value.report.warning(entry.key_at, &value.path.key(key), message);
            }
        }
        section.finish();
        let min_size = min_size.unwrap_or(Self::MIN_ITEMS);
        let min_size = max_size.map_or(min_size, |max| max.min(min_size));
        let flush_timeout = timeout.unwrap_or(Self::FLUSH_TIMEOUT);
        Self { flush_timeout, min_size, max_size, sizer: Sizer::Items }
    }
}

/// As in the Collector, 0 is no bound.
fn bound(size: u64) -> Option<usize> {
    usize::try_from(size).ok().filter(|size| *size > 0)
}
