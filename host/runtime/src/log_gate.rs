//! Plugins' log messages on their way into the operator's log: bounded in number and length.

use std::time::{Duration, Instant};

use kiln_telemetry::metrics::InstanceMetrics;
use tracing::Level;

/// Messages an instance may write in one window.
const MESSAGES: u32 = 100;
const WINDOW: Duration = Duration::from_secs(10);
/// Longer messages are cut.
const MAX_BYTES: usize = 4096;

/// Lets messages through at a bounded rate and says once per window that some were held back.
#[derive(Debug)]
pub(crate) struct LogGate {
    instance: String,
    window_start: Instant,
    written: u32,
}

impl LogGate {
    pub(crate) fn new(instance: String) -> Self {
        Self { instance, window_start: Instant::now(), written: 0 }
    }

    pub(crate) fn write(&mut self, metrics: &InstanceMetrics, level: Level, message: &str, attributes: &str) {
        metrics.log_record(level);
        if self.window_start.elapsed() > WINDOW {
            self.window_start = Instant::now();
            self.written = 0;
        }
        self.written = self.written.saturating_add(1);
        let instance = self.instance.as_str();
        if self.written == MESSAGES + 1 {
            metrics.limit_hit("log_rate");
            tracing::warn!(target: "kiln::plugin", instance, "more than {MESSAGES} log messages in {WINDOW:?}: the rest of this window is dropped");
        }
        if self.written > MESSAGES {
            return;
        }
        let message = printable(message);
        let attributes = printable(attributes);
        match level {
            Level::ERROR => tracing::error!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::WARN => tracing::warn!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::INFO => tracing::info!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::DEBUG => tracing::debug!(target: "kiln::plugin", instance, attributes, "{message}"),
            Level::TRACE => tracing::trace!(target: "kiln::plugin", instance, attributes, "{message}"),
        }
    }
}

/// Cut to length, and without control characters that could forge lines or move a terminal's cursor.
fn printable(text: &str) -> String {
    let end = (0..=MAX_BYTES.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let mut printable: String = text
        .get(..end)
        .unwrap_or_default()
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if end < text.len() {
        printable.push('…');
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_a_character_and_stay_on_one_line() {
        assert_eq!(printable("a\nb\u{1b}[31mc"), "a b [31mc");
        let cut = printable(&"é".repeat(MAX_BYTES));
        assert!(cut.len() <= MAX_BYTES + '…'.len_utf8() && cut.ends_with('…'));
    }
}
