//! What the suite found of a plugin, rule by rule.

use kiln_policy::Visible;
use serde_json::{Value as Json, json};

/// What was found of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is as it should be.
    Passed,
    /// It could not be tried, or does not apply.
    Skipped,
    /// It is allowed, and somebody should look at it.
    Warned,
    /// A rule is broken.
    Failed,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Warned => "warning",
            Self::Failed => "FAILED",
        }
    }
}

/// One item of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is called.
    pub name: &'static str,
    /// The rules of docs/plugin-contract.md it is about.
    pub rules: &'static [u8],
    /// What was found.
    pub outcome: Outcome,
    /// What was tried, or is wrong: a sentence each.
    pub details: Vec<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// In the order it was tried.
    pub items: Vec<Item>,
}

impl Verdict {
    /// Whether no rule is broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.items.iter().all(|item| item.outcome != Outcome::Failed)
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let rules: Vec<_> = item.rules.iter().map(ToString::to_string).collect();
            let rules = if rules.is_empty() { String::new() } else { format!("rules {}", rules.join(", ")) };
            let line = format!("{:8} {:14} {rules}", item.outcome.name(), item.name);
            text += line.trim_end();
            text.push('\n');
            for detail in &item.details {
                text += &format!("         {}\n", Visible(detail));
            }
        }
        let count = |outcome| self.items.iter().filter(|item| item.outcome == outcome).count();
        let of = |outcome, what: &str| match count(outcome) {
            0 => String::new(),
            count => format!(", {count} {what}"),
        };
        let (warned, skipped) = (of(Outcome::Warned, "with a warning"), of(Outcome::Skipped, "skipped"));
        text += &format!("\n{} passed, {} failed{warned}{skipped}\n", count(Outcome::Passed), count(Outcome::Failed));
        if !self.is_good() {
            text += "The rules are those of docs/plugin-contract.md.\n";
        }
        text
    }

    /// For machines.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let item = |item: &Item| {
            json!({
                "name": item.name, "rules": item.rules, "outcome": item.outcome.name().to_lowercase(),
                "details": item.details,
            })
        };
        json!({ "ok": self.is_good(), "items": self.items.iter().map(item).collect::<Json>() })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn item(name: &'static str, outcome: Outcome) -> Item {
        Item { name, rules: &[7, 8], outcome, details: vec!["a\nb".to_owned()] }
    }

    #[test]
    fn a_warning_is_no_failure_and_a_failure_says_where_the_rules_are() {
        let mut verdict = Verdict { items: vec![item("collect", Outcome::Passed), item("logs", Outcome::Warned)] };
        assert!(verdict.is_good());
        assert!(verdict.to_text().ends_with("\n1 passed, 0 failed, 1 with a warning\n"), "{}", verdict.to_text());
        verdict.items.push(item("memory", Outcome::Failed));
        assert!(!verdict.is_good());
        let text = verdict.to_text();
        assert!(text.contains("FAILED   memory         rules 7, 8\n         a\\nb\n"), "{text}");
        assert!(text.contains("plugin-contract.md"), "{text}");
        assert_eq!(verdict.to_json()["items"][2]["outcome"], "failed");
    }
}
