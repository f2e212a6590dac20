//! Misbehaviour, scripted: which requests shall meet which fault.
//!
//! Invariant: rules are tried in the order they were added and the first that applies wins; a rule with a
//! count disappears when it is used up, so "the next three requests fail" needs no clean-up.

use serde::{Deserialize, Serialize};

/// A fault for the requests to a path, for a number of times or until it is cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule<F> {
    /// Requests whose path starts with this; absent: every request.
    #[serde(default)]
    pub path: Option<String>,
    /// How many requests shall meet the fault; absent: all, until the script is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    #[serde(flatten)]
    pub fault: F,
}

/// The faults that lie ahead, in order.
#[derive(Clone, Debug)]
pub struct Script<F> {
    rules: Vec<Rule<F>>,
}

impl<F> Default for Script<F> {
    fn default() -> Self {
        Self { rules: Vec::new() }
    }
}

impl<F: Clone> Script<F> {
    pub(crate) fn add(&mut self, rule: Rule<F>) {
        if rule.times != Some(0) {
            self.rules.push(rule);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn rules(&self) -> &[Rule<F>] {
        &self.rules
    }

    /// The fault that a request to `path` meets, if any; counts it.
    pub(crate) fn take(&mut self, path: &str) -> Option<F> {
        let index =
            self.rules.iter().position(|rule| rule.path.as_deref().is_none_or(|prefix| path.starts_with(prefix)))?;
        let rule = self.rules.get_mut(index)?;
        let fault = rule.fault.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.rules.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: Option<&str>, times: Option<u32>, fault: &str) -> Rule<String> {
        Rule { path: path.map(str::to_owned), times, fault: fault.to_owned() }
    }

    #[test]
    fn a_counted_fault_is_met_exactly_that_often() {
        let mut script = Script::default();
        script.add(rule(None, Some(2), "limit"));
        assert_eq!(script.take("/a").as_deref(), Some("limit"));
        assert_eq!(script.take("/b").as_deref(), Some("limit"));
        assert_eq!(script.take("/c"), None);
    }

    #[test]
    fn a_fault_of_one_path_leaves_other_paths_alone() {
        let mut script = Script::default();
        script.add(rule(Some("/denied"), None, "forbidden"));
        assert_eq!(script.take("/allowed"), None);
        assert_eq!(script.take("/denied/x").as_deref(), Some("forbidden"));
        assert_eq!(script.take("/denied").as_deref(), Some("forbidden"));
        script.clear();
        assert_eq!(script.take("/denied"), None);
    }

    #[test]
    fn a_fault_that_shall_happen_no_time_never_happens() {
        let mut script = Script::default();
        script.add(rule(None, Some(0), "never"));
        assert_eq!(script.take("/"), None);
    }
}
