//! A plugin that goes through a ledger, page by page, and tells each entry as a point, a span and a log record.
//!
//! How far it is stands in the host's state and nowhere else. So whatever is missing in the end, or counted twice, is the
//! host's doing.

use kiln_plugin::telemetry::{
    Attribute, AttributeValue, LogRecord, Resource, ResourceLogs, ResourceSpans, Scope, Severity, Span, SpanKind,
    SpanStatus,
};
use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver, UnixNanos};
use serde::{Deserialize, Serialize};

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Ledger);

const STATE_KEY: &str = "progress";

/// What the test writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    entries: i64,
    page: i64,
    pages: i64,
    padding: usize,
}

/// The receiver.
#[derive(Debug)]
pub struct Ledger {
    config: Config,
}

/// What is remembered between pages.
#[derive(Serialize, Deserialize)]
struct Progress {
    start: UnixNanos,
    /// Entries told, and the number of the next.
    told: i64,
}

impl Receiver for Ledger {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let mut progress = host.state().get(STATE_KEY)?.unwrap_or_else(|| Progress { start: host.now(), told: 0 });
        let Config { entries, page, pages, padding } = self.config;
        let page = page.min(entries.saturating_sub(progress.told));
        if page <= 0 {
            return Ok(Outcome::complete());
        }
        let first = progress.told;
        progress.told = first.saturating_add(page);
        let mut metrics = telemetry::Metrics::new();
        for entry in first..progress.told {
            metrics.kiln_ledger_entry(&telemetry::KilnLedgerEntry { entry }, entry);
        }
        metrics.kiln_ledger_entries(progress.start, progress.told);
        host.emit_metrics([metrics])?;
        host.emit_spans(&[spans(first..progress.told)])?;
        host.emit_logs(&[logs(first..progress.told, padding)])?;
        host.state().set(STATE_KEY, &progress)?;
        let is_last =
            progress.told >= entries || progress.told.checked_rem(page.saturating_mul(pages)).unwrap_or(0) == 0;
        Ok(Outcome { failures: Vec::new(), more: !is_last })
    }
}

fn spans(entries: std::ops::Range<i64>) -> ResourceSpans {
    let span = |entry: i64| Span {
        // No id may be zero.
        trace_id: i128::from(entry).saturating_add(1).to_be_bytes().to_vec(),
        span_id: entry.saturating_add(1).to_be_bytes().to_vec(),
        parent_span_id: Vec::new(),
        name: "kiln.ledger.entry".into(),
        kind: SpanKind::Internal,
        start_time: 1,
        end_time: 2,
        attributes: vec![Attribute::new("entry", entry)],
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
    };
    ResourceSpans { resource: Resource { attributes: Vec::new() }, scope: scope(), spans: entries.map(span).collect() }
}

fn logs(entries: std::ops::Range<i64>, padding: usize) -> ResourceLogs {
    let record = |entry: i64| LogRecord {
        time: 1,
        observed_time: 1,
        severity: Severity::Info,
        severity_text: String::new(),
        event_name: "kiln.ledger.entry".into(),
        body: AttributeValue::Text(".".repeat(padding)),
        attributes: vec![Attribute::new("entry", entry)],
        trace_id: Vec::new(),
        span_id: Vec::new(),
    };
    ResourceLogs {
        resource: Resource { attributes: Vec::new() },
        scope: scope(),
        records: entries.map(record).collect(),
    }
}

fn scope() -> Scope {
    Scope { name: "kiln/ledger".into(), version: String::new(), attributes: Vec::new() }
}
