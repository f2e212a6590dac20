//! `limits` of an instance: what a plugin may use up before it is stopped.
//!
//! Every limit has a default that holds for plugins which do one thing to one source; there is no "unlimited".

use std::time::Duration;

use crate::reader::Section;
use crate::units::{GIB, KIB, MIB};

/// Default of [`Limits::memory`].
pub const DEFAULT_MEMORY: u64 = 128 * MIB;

/// Default of [`Limits::cpu`].
pub const DEFAULT_CPU: Duration = Duration::from_secs(2);

/// Default of [`Limits::output_bytes`].
pub const DEFAULT_OUTPUT_BYTES: u64 = 32 * MIB;

/// Default of [`Limits::output_points`].
pub const DEFAULT_OUTPUT_POINTS: u64 = 1_000_000;

/// Default of [`Limits::state_bytes`]: what a receiver remembers of thousands of series, with room to spare. It is read
/// and written with every collection that changes it.
pub const DEFAULT_STATE_BYTES: u64 = 16 * MIB;

/// Default of [`Limits::response_bytes`].
pub const DEFAULT_RESPONSE_BYTES: u64 = 32 * MIB;

/// Default of [`Limits::http_stream_bytes`]: more than any page a server of measurements was seen to send, ten times over.
pub const DEFAULT_HTTP_STREAM_BYTES: u64 = 256 * MIB;

/// Default of [`Limits::concurrency`].
pub const DEFAULT_CONCURRENCY: u32 = 4;

/// What one instance may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories together, in bytes; at most the 4 GiB a 32-bit plugin can address.
    pub memory: u64,
    /// Computing time of one call; waiting for a server does not count.
    pub cpu: Duration,
    /// What one cycle may emit, in bytes of OTLP.
    pub output_bytes: u64,
    /// What one cycle may emit, in data points, spans and log records.
    pub output_points: u64,
    /// What the instance may remember, keys and values in bytes.
    pub state_bytes: u64,
    /// One decompressed response, in bytes.
    pub response_bytes: u64,
    /// One decompressed response that is read piece by piece, in bytes; it is never held whole.
    pub http_stream_bytes: u64,
    /// Requests under way at once; at least 1.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: DEFAULT_MEMORY,
            cpu: DEFAULT_CPU,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            output_points: DEFAULT_OUTPUT_POINTS,
            state_bytes: DEFAULT_STATE_BYTES,
            response_bytes: DEFAULT_RESPONSE_BYTES,
            http_stream_bytes: DEFAULT_HTTP_STREAM_BYTES,
            concurrency: DEFAULT_CONCURRENCY,
        }
    }
}

impl Limits {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let cpu = Duration::from_millis(10)..=Duration::from_secs(10 * 60);
        let cpu = section.get("cpu").and_then(|value| value.duration(cpu)).unwrap_or(defaults.cpu);
        let mut size = |key, range, default| section.get(key).and_then(|value| value.size(range)).unwrap_or(default);
        let memory = size("memory", MIB..=4 * GIB, defaults.memory);
        let output_bytes = size("output_bytes", KIB..=GIB, defaults.output_bytes);
        let state_bytes = size("state_bytes", 0..=GIB, defaults.state_bytes);
        let response_bytes = size("response_bytes", KIB..=GIB, defaults.response_bytes);
        let http_stream_bytes = size("http_stream_bytes", KIB..=64 * GIB, defaults.http_stream_bytes);
        let mut count = |key, max| section.get(key).and_then(|value| value.integer(1..=max));
        let output_points = count("output_points", 1_000_000_000).unwrap_or(defaults.output_points);
        let concurrency = count("concurrency", 256).and_then(|value| u32::try_from(value).ok());
        section.finish();
        Self {
            memory,
            cpu,
            output_bytes,
            output_points,
            state_bytes,
            response_bytes,
            http_stream_bytes,
            concurrency: concurrency.unwrap_or(defaults.concurrency),
        }
    }
}
