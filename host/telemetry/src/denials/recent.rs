//! The last denials, for whoever asks what a plugin has tried.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::{Denied, Subject};

/// So many records are kept.
pub const MAX_RECORDS: usize = 100;
/// Longer targets and rules are cut, in bytes.
const MAX_TARGET: usize = 500;
/// Longer texts are cut, in bytes.
const MAX_TEXT: usize = 2000;

/// A denial, and how often it was repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DenialRecord {
    /// When it happened for the first time.
    #[serde(serialize_with = "rfc3339")]
    pub first: SystemTime,
    /// When it happened for the last time.
    #[serde(serialize_with = "rfc3339")]
    pub last: SystemTime,
    /// How often it happened.
    pub count: u64,
    /// Name of the plugin.
    pub plugin: String,
    /// Id of its instance.
    pub instance: String,
    /// Digest of its file; empty where there is none.
    pub digest: String,
    /// What the plugin reached for.
    pub capability: &'static str,
    /// Which of them.
    pub target: String,
    /// Why not, in one word.
    pub reason: &'static str,
    /// The grant that decided, or `default`.
    pub rule: String,
    /// What was denied, why, and which line to add if it can be granted.
    pub text: String,
}

impl DenialRecord {
    pub(super) fn new(subject: &Subject, denied: &Denied<'_>, now: SystemTime) -> Self {
        Self {
            first: now,
            last: now,
            count: 1,
            plugin: subject.plugin.clone(),
            instance: subject.instance.clone(),
            digest: subject.digest.clone(),
            capability: denied.capability.name(),
            target: printable(denied.target, MAX_TARGET),
            reason: denied.reason,
            rule: printable(denied.rule.unwrap_or("default"), MAX_TARGET),
            text: printable(denied.text, MAX_TEXT),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.capability, self.reason) == (other.capability, other.reason)
            && self.instance == other.instance
            && self.digest == other.digest
            && self.target == other.target
            && self.rule == other.rule
    }
}

/// Cut to length, and without control characters, which could forge lines or move a terminal's cursor.
fn printable(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let mut printable = text.get(..end).unwrap_or_default().replace(char::is_control, " ");
    if end < text.len() {
        printable.push('…');
    }
    printable
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

/// The records, the latest at the back.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<DenialRecord>);

impl Recent {
    pub(super) fn add(&mut self, record: DenialRecord) {
        let known = self.0.iter().rposition(|known| known.is_like(&record)).and_then(|known| self.0.remove(known));
        if self.0.len() >= MAX_RECORDS {
            self.displace();
        }
        self.0.push_back(match known {
            Some(known) => DenialRecord { first: known.first, count: known.count.saturating_add(1), ..record },
            None => record,
        });
    }

    /// Removes the oldest record of the instance that has most.
    fn displace(&mut self) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for record in &self.0 {
            *counts.entry(&record.instance).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(instance, _)| instance.to_owned());
        let oldest = self.0.iter().position(|record| Some(&record.instance) == most.as_ref());
        oldest.and_then(|oldest| self.0.remove(oldest));
    }

    pub(super) fn latest_first(&self) -> Vec<DenialRecord> {
        self.0.iter().rev().cloned().collect()
    }
}
