//! Plugins' log messages on their way into the operator's log: bounded in number and length.

use std::time::{Duration, Instant};

use kiln_telemetry::metrics::InstanceMetrics;
use tracing::Level;

use crate::printable::printable;

/// Over how long the limits are averaged, so that a plugin may tell a story at once and then be silent.
const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_SECONDS: u32 = 10;

/// Lets messages through at a bounded rate and says once per window that some were held back.
#[derive(Debug)]
pub(crate) struct LogGate {
    instance: String,
    /// Messages and bytes an instance may write in one window.
    messages: u32,
    bytes: usize,
    window_start: Instant,
    written: u32,
    written_bytes: usize,
    is_shut: bool,
}

impl LogGate {
    /// A gate for so many messages, and so many bytes of them, a second.
    pub(crate) fn new(instance: String, messages: u32, bytes: usize) -> Self {
        Self {
            instance,
            messages: messages.saturating_mul(WINDOW_SECONDS),
            bytes: bytes.saturating_mul(WINDOW_SECONDS as usize),
            window_start: Instant::now(),
            written: 0,
            written_bytes: 0,
            is_shut: false,
        }
    }

    /// Writes a message, unless the window has had its share. Counts it in any case.
    pub(crate) fn write(&mut self, metrics: &InstanceMetrics, level: Level, message: &str, attributes: &str) {
        metrics.log_record(level);
        if !self.is_open(metrics) {
            return;
        }
        let message = printable(message);
        let attributes = printable(attributes);
        if !self.admits(metrics, message.len().saturating_add(attributes.len())) {
            return;
        }
        metrics.wrote(level, &message, &attributes);
        let instance = self.instance.as_str();
        match level {
            Level::ERROR => tracing::error!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::WARN => tracing::warn!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::INFO => tracing::info!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::DEBUG => tracing::debug!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::TRACE => tracing::trace!(target: "kiln::plugin", instance, attributes, "{message}"),
        }
    }

    /// Whether a message would be looked at at all; one that would not need not be read.
    pub(crate) fn is_open(&mut self, metrics: &InstanceMetrics) -> bool {
        if self.window_start.elapsed() > WINDOW {
            self.window_start = Instant::now();
            (self.written, self.written_bytes, self.is_shut) = (0, 0, false);
        }
        if !self.is_shut && self.written >= self.messages {
            self.shut(metrics, "log_messages");
        }
        !self.is_shut
    }

    fn admits(&mut self, metrics: &InstanceMetrics, bytes: usize) -> bool {
        let written_bytes = self.written_bytes.saturating_add(bytes);
        if written_bytes > self.bytes {
            self.shut(metrics, "log_bytes");
            return false;
        }
        self.written = self.written.saturating_add(1);
        self.written_bytes = written_bytes;
        true
    }

    fn shut(&mut self, metrics: &InstanceMetrics, limit: &'static str) {
        self.is_shut = true;
        metrics.limit_hit(limit);
        let instance = self.instance.as_str();
        let (messages, bytes) = (self.messages, self.bytes);
        tracing::warn!(
            target: "kiln::plugin",
            instance,
            limit,
            "more than {messages} log messages in {WINDOW:?}, or {bytes} bytes of them: the rest of this window is dropped; \
             if that is reasonable, raise `limits.{limit}`"
        );
    }
}

#[cfg(test)]
mod tests {
    use kiln_telemetry::Metrics;
    use kiln_telemetry::metrics::Format;

    use super::*;

    fn hits(metrics: &Metrics, limit: &str) -> bool {
        let line = format!("kiln_instance_limit_hits_total{{instance=\"i\",limit=\"{limit}\"}} 1");
        metrics.expose(Format::OpenMetrics).lines().any(|exposed| exposed == line)
    }

    #[test]
    fn the_number_of_messages_in_a_window_is_bounded() {
        let metrics = Metrics::new("");
        let mut gate = LogGate::new("i".to_owned(), 1, 1 << 20);
        for _ in 0..10 {
            assert!(gate.is_open(&metrics.instance("i")));
            gate.write(&metrics.instance("i"), Level::INFO, "again", "");
        }
        for _ in 0..10 {
            assert!(!gate.is_open(&metrics.instance("i")));
            gate.write(&metrics.instance("i"), Level::INFO, "again", "");
        }
        assert!(hits(&metrics, "log_messages") && !hits(&metrics, "log_bytes"));
        gate.window_start -= WINDOW * 2;
        assert!(gate.is_open(&metrics.instance("i")), "the next window has its own share");
    }

    #[test]
    fn the_bytes_of_messages_in_a_window_are_bounded() {
        let metrics = Metrics::new("");
        let mut gate = LogGate::new("i".to_owned(), 1000, 100);
        gate.write(&metrics.instance("i"), Level::INFO, &"x".repeat(900), &"y".repeat(100));
        assert!(gate.is_open(&metrics.instance("i")));
        gate.write(&metrics.instance("i"), Level::INFO, "x", "");
        assert!(!gate.is_open(&metrics.instance("i")));
        assert!(hits(&metrics, "log_bytes") && !hits(&metrics, "log_messages"));
    }
}
