//! `limits` of an instance: what a plugin may use up before it is stopped.
//!
//! Every limit has a default that holds for plugins which do one thing to one source; there is no "unlimited". What has
//! no key here is fixed; `docs/limits.md` lists both.

use std::time::Duration;

use crate::reader::Section;
use crate::units::{GIB, KIB, MAX_DURATION, MIB};

/// Default of [`Limits::memory`].
pub const DEFAULT_MEMORY: u64 = 128 * MIB;

/// Default of [`Limits::cpu`].
pub const DEFAULT_CPU: Duration = Duration::from_secs(2);

/// Default of [`Limits::host_call_bytes`]: all that one cycle may emit by default, as it stands in a plugin's memory,
/// and a third more.
pub const DEFAULT_HOST_CALL_BYTES: u64 = 64 * MIB;

/// Default of [`Limits::host_call_total_bytes`].
pub const DEFAULT_HOST_CALL_TOTAL_BYTES: u64 = 512 * MIB;

/// Default of [`Limits::output_bytes`].
pub const DEFAULT_OUTPUT_BYTES: u64 = 32 * MIB;

/// Default of [`Limits::output_points`].
pub const DEFAULT_OUTPUT_POINTS: u64 = 1_000_000;

/// Default of [`Limits::state_bytes`]: what a receiver remembers of thousands of series, with room to spare. It is read
/// and written with every collection that changes it.
pub const DEFAULT_STATE_BYTES: u64 = 16 * MIB;

/// Default of [`Limits::edits`]: ten for every point of a batch of a hundred thousand.
pub const DEFAULT_EDITS: u64 = 1_000_000;

/// Default of [`Limits::edit_bytes`].
pub const DEFAULT_EDIT_BYTES: u64 = 64 * MIB;

/// Default of [`Limits::string_bytes`].
pub const DEFAULT_STRING_BYTES: u64 = 256 * KIB;

/// Default of [`Limits::state_entries`].
pub const DEFAULT_STATE_ENTRIES: u64 = 100_000;

/// Default of [`Limits::log_messages`].
pub const DEFAULT_LOG_MESSAGES: u32 = 10;

/// Default of [`Limits::log_bytes`].
pub const DEFAULT_LOG_BYTES: u64 = 64 * KIB;

/// Default of [`Limits::quarantine_after`].
pub const DEFAULT_QUARANTINE_AFTER: u32 = 10;

/// Default of [`Limits::quarantine_period`].
pub const DEFAULT_QUARANTINE_PERIOD: Duration = Duration::from_secs(60 * 60);

/// Default of [`Limits::response_bytes`].
pub const DEFAULT_RESPONSE_BYTES: u64 = 32 * MIB;

/// Default of [`Limits::http_stream_bytes`]: more than any page a server of measurements was seen to send, ten times over.
pub const DEFAULT_HTTP_STREAM_BYTES: u64 = 256 * MIB;

/// Default of [`Limits::http_requests`].
pub const DEFAULT_HTTP_REQUESTS: u32 = 10_000;

/// Default of [`Limits::http_requests_per_second`].
pub const DEFAULT_HTTP_REQUESTS_PER_SECOND: u32 = 200;

/// Default of [`Limits::concurrency`].
pub const DEFAULT_CONCURRENCY: u32 = 4;

/// What one instance may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories together, in bytes; at most the 4 GiB a 32-bit plugin can address.
    pub memory: u64,
    /// A plugin that still grows beyond this many bytes is started afresh between two calls; at most `memory`, and three
    /// quarters of it by default.
    pub recycle_memory: u64,
    /// Computing time of one call; waiting for a server does not count.
    pub cpu: Duration,
    /// What a plugin may hand over in one call of a host function, in bytes as the host reads them: what is pointed at
    /// twice counts twice.
    pub host_call_bytes: u64,
    /// What it may hand over in all host calls of one cycle, in bytes.
    pub host_call_total_bytes: u64,
    /// One name, key or text, in bytes.
    pub string_bytes: u64,
    /// What one cycle may emit, in bytes of OTLP.
    pub output_bytes: u64,
    /// What one cycle may emit, in data points, spans and log records.
    pub output_points: u64,
    /// What a processor may change of one batch, in edits.
    pub edits: u64,
    /// What it may change of one batch, in bytes of keys, names and values.
    pub edit_bytes: u64,
    /// What the instance may remember, keys and values in bytes.
    pub state_bytes: u64,
    /// How many keys the instance may remember.
    pub state_entries: u64,
    /// Log messages a second, averaged over ten seconds.
    pub log_messages: u32,
    /// Log messages in bytes a second, averaged over ten seconds.
    pub log_bytes: u64,
    /// Failures in a row after which a plugin is not started again for [`Self::quarantine_period`].
    pub quarantine_after: u32,
    /// How long a quarantined plugin rests before it has one more try.
    pub quarantine_period: Duration,
    /// One decompressed response, in bytes.
    pub response_bytes: u64,
    /// One decompressed response that is read piece by piece, in bytes; it is never held whole.
    pub http_stream_bytes: u64,
    /// Requests one call may make, redirects that are followed included; at least 1.
    pub http_requests: u32,
    /// Requests to one origin in a second, repetitions included; at least 1. More wait their turn.
    pub http_requests_per_second: u32,
    /// Requests under way at once; at least 1.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: DEFAULT_MEMORY,
            recycle_memory: recycle_default(DEFAULT_MEMORY),
            cpu: DEFAULT_CPU,
            host_call_bytes: DEFAULT_HOST_CALL_BYTES,
            host_call_total_bytes: DEFAULT_HOST_CALL_TOTAL_BYTES,
            string_bytes: DEFAULT_STRING_BYTES,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            output_points: DEFAULT_OUTPUT_POINTS,
            edits: DEFAULT_EDITS,
            edit_bytes: DEFAULT_EDIT_BYTES,
            state_bytes: DEFAULT_STATE_BYTES,
            state_entries: DEFAULT_STATE_ENTRIES,
            log_messages: DEFAULT_LOG_MESSAGES,
            log_bytes: DEFAULT_LOG_BYTES,
            quarantine_after: DEFAULT_QUARANTINE_AFTER,
            quarantine_period: DEFAULT_QUARANTINE_PERIOD,
            response_bytes: DEFAULT_RESPONSE_BYTES,
            http_stream_bytes: DEFAULT_HTTP_STREAM_BYTES,
            http_requests: DEFAULT_HTTP_REQUESTS,
            http_requests_per_second: DEFAULT_HTTP_REQUESTS_PER_SECOND,
            concurrency: DEFAULT_CONCURRENCY,
        }
    }
}

/// Three quarters: late enough to leave a plugin its peak, early enough to come before the limit.
const fn recycle_default(memory: u64) -> u64 {
    memory / 4 * 3
}

impl Limits {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let mut duration = |key, range| section.get(key).and_then(|value| value.duration(range));
        let cpu = duration("cpu", Duration::from_millis(10)..=Duration::from_secs(10 * 60)).unwrap_or(defaults.cpu);
        let quarantine_period =
            duration("quarantine_period", Duration::from_secs(1)..=MAX_DURATION).unwrap_or(defaults.quarantine_period);
        let mut size = |key, range, default| section.get(key).and_then(|value| value.size(range)).unwrap_or(default);
        let memory = size("memory", MIB..=4 * GIB, defaults.memory);
        let recycle_memory = size("recycle_memory", 64 * KIB..=memory, recycle_default(memory));
        let host_call_bytes = size("host_call_bytes", 64 * KIB..=4 * GIB, defaults.host_call_bytes);
        let host_call_total_bytes = size("host_call_total_bytes", 64 * KIB..=64 * GIB, defaults.host_call_total_bytes);
        let string_bytes = size("string_bytes", KIB..=64 * MIB, defaults.string_bytes);
        let output_bytes = size("output_bytes", KIB..=GIB, defaults.output_bytes);
        let edit_bytes = size("edit_bytes", KIB..=GIB, defaults.edit_bytes);
        let state_bytes = size("state_bytes", 0..=GIB, defaults.state_bytes);
        let log_bytes = size("log_bytes", KIB..=64 * MIB, defaults.log_bytes);
        let response_bytes = size("response_bytes", KIB..=GIB, defaults.response_bytes);
        let http_stream_bytes = size("http_stream_bytes", KIB..=64 * GIB, defaults.http_stream_bytes);
        let mut count = |key, max| section.get(key).and_then(|value| value.integer(1..=max));
        let output_points = count("output_points", 1_000_000_000).unwrap_or(defaults.output_points);
        let edits = count("edits", 100_000_000).unwrap_or(defaults.edits);
        let state_entries = count("state_entries", 10_000_000).unwrap_or(defaults.state_entries);
        let mut small =
            |key, max, default| count(key, max).and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
        let http_requests = small("http_requests", 1_000_000, defaults.http_requests);
        let http_requests_per_second = small("http_requests_per_second", 10_000, defaults.http_requests_per_second);
        let concurrency = small("concurrency", 256, defaults.concurrency);
        let log_messages = small("log_messages", 10_000, defaults.log_messages);
        let quarantine_after = small("quarantine_after", 1000, defaults.quarantine_after);
        section.finish();
        Self {
            memory,
            recycle_memory,
            cpu,
            host_call_bytes,
            host_call_total_bytes,
            string_bytes,
            output_bytes,
            output_points,
            edits,
            edit_bytes,
            state_bytes,
            state_entries,
            log_messages,
            log_bytes,
            quarantine_after,
            quarantine_period,
            response_bytes,
            http_stream_bytes,
            http_requests,
            http_requests_per_second,
            concurrency,
        }
    }
}
