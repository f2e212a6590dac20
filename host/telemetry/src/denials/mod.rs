//! What plugins reached for and were not given: an event in the log, a count, and a record of the last hundred.
//!
//! Every denial, of whatever capability, passes through [`DenialRecorder::record`], so that nobody has to look in more
//! than one place. The count has every denial; the log has at most a few a second of each instance, so that a plugin
//! cannot drown others out by asking again and again; and among the records an instance displaces its own first.

mod gate;
mod recent;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use self::gate::{Gate, Passage};
use self::recent::Recent;
pub use self::recent::{DenialRecord, MAX_RECORDS};
use crate::metrics::DenialMetrics;

/// What a plugin reached for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedCapability {
    /// An HTTP request.
    Http,
    /// State that outlives a collection.
    State,
    /// A file or directory.
    Files,
    /// An environment variable.
    Env,
    /// A socket.
    Sockets,
    /// A function that is not linked.
    Import,
    /// Being loaded at all.
    Load,
}

impl DeniedCapability {
    /// The capability as it stands in logs, metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::State => "state",
            Self::Files => "files",
            Self::Env => "env",
            Self::Sockets => "sockets",
            Self::Import => "import",
            Self::Load => "load",
        }
    }
}

/// Who was denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Name of the plugin.
    pub plugin: String,
    /// Id of its instance, for example `databricks/prod`.
    pub instance: String,
    /// Digest of its file; empty where there is none.
    pub digest: String,
}

/// One denial.
#[derive(Clone, Copy, Debug)]
pub struct Denied<'a> {
    /// What the plugin reached for.
    pub capability: DeniedCapability,
    /// Which of them: an origin and path, a file, a name. Never a query, a header or a body.
    pub target: &'a str,
    /// Why not, as one word of Kiln's source: never text of a guest, since it becomes a label.
    pub reason: &'static str,
    /// The grant that decided; `None` where there is none, and denying is the default.
    pub rule: Option<&'a str>,
    /// What was denied, why, and which line to add if it can be granted.
    pub text: &'a str,
}

/// The denials of all instances. Clones share them.
#[derive(Clone, Debug)]
pub struct Denials {
    metrics: DenialMetrics,
    recent: Arc<Mutex<Recent>>,
}

impl Denials {
    pub(crate) fn new(metrics: DenialMetrics) -> Self {
        Self { metrics, recent: Arc::default() }
    }

    /// The recorder of one instance.
    #[must_use]
    pub fn of(&self, subject: Subject) -> DenialRecorder {
        DenialRecorder { denials: self.clone(), subject: Arc::new(subject), gate: Arc::default() }
    }

    /// The last hundred different denials, the latest first.
    #[must_use]
    pub fn recent(&self) -> Vec<DenialRecord> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).latest_first()
    }
}

/// Records what one instance is denied. Clones share its place in the log.
#[derive(Clone, Debug)]
pub struct DenialRecorder {
    denials: Denials,
    subject: Arc<Subject>,
    gate: Arc<Mutex<Gate>>,
}

impl DenialRecorder {
    /// Counts a denial, keeps it and, unless there were many of late, logs it.
    pub fn record(&self, denied: &Denied<'_>) {
        let Denied { capability, reason, .. } = *denied;
        let Subject { plugin, instance, digest } = self.subject.as_ref();
        self.denials.metrics.denied(instance, capability, reason);
        let record = DenialRecord::new(&self.subject, denied, SystemTime::now());
        let passage = self.gate.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
        if passage != Passage::Shut {
            tracing::warn!(
                target: "kiln::denials",
                plugin,
                instance,
                digest,
                capability = capability.name(),
                target = record.target,
                reason,
                rule = record.rule,
                text = record.text,
                "denied"
            );
        }
        if passage == Passage::Last {
            tracing::warn!(
                target: "kiln::denials",
                instance,
                within = ?gate::WINDOW,
                "further denials are counted and not logged"
            );
        }
        self.denials.recent.lock().unwrap_or_else(PoisonError::into_inner).add(record);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::Metrics;
    use crate::metrics::Format;

    fn subject(instance: &str) -> Subject {
        Subject { plugin: "p".to_owned(), instance: instance.to_owned(), digest: "sha256:00".to_owned() }
    }

    fn denied(target: &str) -> Denied<'_> {
        Denied { capability: DeniedCapability::Http, target, reason: "origin", rule: None, text: "not granted" }
    }

    /// Scenario: a plugin asks for the same thing ten thousand times.
    /// Guarantees: every one is counted; there is one record, which says how often.
    #[test]
    fn every_denial_is_counted_and_equal_ones_are_one_record() {
        let metrics = Metrics::new("");
        let recorder = metrics.denials().of(subject("a/b"));
        for _ in 0..10_000 {
            recorder.record(&denied("https://a.example/x"));
        }
        let text = metrics.expose(Format::OpenMetrics);
        let series = r#"kiln_denials_total{instance="a/b",capability="http",reason="origin"} 10000"#;
        assert!(text.lines().any(|line| line == series), "{text}");
        let recent = metrics.denials().recent();
        assert_eq!(recent.len(), 1);
        assert_eq!((recent[0].count, recent[0].rule.as_str()), (10_000, "default"));
        assert!(recent[0].last >= recent[0].first);
    }

    /// Scenario: one plugin is denied a thousand different things, another one thing before it.
    /// Guarantees: the hundred records have the one thing still, and of the thousand the latest.
    #[test]
    fn a_plugin_displaces_its_own_records_first() {
        let metrics = Metrics::new("");
        metrics.denials().of(subject("quiet")).record(&denied("https://quiet.example/"));
        let noisy = metrics.denials().of(subject("noisy"));
        for number in 0..1000 {
            noisy.record(&denied(&format!("https://noisy.example/{number}")));
        }
        let recent = metrics.denials().recent();
        assert_eq!(recent.len(), MAX_RECORDS);
        assert_eq!(recent[0].target, "https://noisy.example/999");
        assert_eq!(recent.last().unwrap().target, "https://quiet.example/");
    }

    /// Scenario: the target and the text are a megabyte each, with control characters.
    /// Guarantees: the record is short and on one line.
    #[test]
    fn a_record_is_bounded_whatever_is_denied() {
        let metrics = Metrics::new("");
        let long = "é\n\u{1b}[2J".repeat(200_000);
        let denied = Denied { rule: Some(&long), text: &long, ..denied(&long) };
        metrics.denials().of(subject("a")).record(&denied);
        let json = serde_json::to_string(&metrics.denials().recent()).unwrap();
        assert!(json.len() < 8_000, "{}", json.len());
        assert!(!json.contains("\\n") && !json.contains("\\u001b"), "{json}");
    }
}
