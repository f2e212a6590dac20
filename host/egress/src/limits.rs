//! How much one instance may send, receive and wait for.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

/// The operator's limits on the outbound HTTP of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// One response body, decompressed, in bytes.
    pub response_bytes: u64,
    /// All response bodies of one `send_all` together, in bytes. They are in memory at the same time.
    pub call_bytes: u64,
    /// One response body that is read piece by piece, decompressed, in bytes. None of it is kept.
    pub stream_bytes: u64,
    /// Bodies that are being read piece by piece at the same time.
    pub open_bodies: u16,
    /// One request body, in bytes.
    pub request_bytes: u64,
    /// Headers of a request or a response.
    pub header_count: u16,
    /// Names and values of the headers of a request or a response, in bytes.
    pub header_bytes: u32,
    /// Requests under way at the same time.
    pub concurrency: NonZeroU16,
    /// Requests in one call of the plugin, whatever becomes of them; each redirect that is followed is one more.
    pub requests_per_call: u32,
    /// Requests to one origin in a second, repetitions included. A second's worth may be sent at once.
    pub requests_per_second: NonZeroU32,
    /// From the moment a request has a place among those under way to the last byte of its answer, repetitions and the
    /// waits between them included.
    pub request_timeout: Duration,
    /// Resolving the name, connecting and the TLS handshake.
    pub connect_timeout: Duration,
    /// Getting an access token, from looking for the token endpoint to the last byte of its answer.
    pub token_timeout: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            response_bytes: 16 << 20,
            call_bytes: 64 << 20,
            stream_bytes: 256 << 20,
            open_bodies: 8,
            request_bytes: 1 << 20,
            header_count: 100,
            header_bytes: 64 << 10,
            concurrency: NonZeroU16::MIN.saturating_add(7),
            requests_per_call: 10_000,
            requests_per_second: NonZeroU32::MIN.saturating_add(199),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            token_timeout: Duration::from_secs(10),
        }
    }
}
