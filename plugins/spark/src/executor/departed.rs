//! What executors that are gone had counted.
//!
//! The page has executors that are alive. A sum over them would fall when one goes, and a counter must not: what it had
//! counted when it was last seen stays in the sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sums over executors, the ones that are gone among them. Grows with the executors that are alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// What the executors that are alive had when they were last seen.
    last: BTreeMap<String, Vec<f64>>,
    kept: Kept,
}

/// What is remembered when Kiln stops.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// Id of the application.
    application: String,
    /// What those that are gone had counted, by name of the number.
    departed: BTreeMap<String, f64>,
    /// The sums as they were last sent.
    sent: BTreeMap<String, f64>,
}

impl Totals {
    /// Sums of this application, of which `kept` is remembered if it is the same.
    pub(crate) fn new(application: &str, kept: Option<Kept>) -> Self {
        let kept = kept.filter(|kept| kept.application == application);
        let new = Kept { application: application.to_owned(), ..Kept::default() };
        Self { last: BTreeMap::new(), kept: kept.unwrap_or(new) }
    }

    /// Id of the application.
    pub(crate) fn application(&self) -> &str {
        &self.kept.application
    }

    /// What is to be remembered.
    pub(crate) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Takes the counters of all executors that are alive, in the order of `names`, and returns the sums in the same
    /// order. No sum falls.
    pub(crate) fn settle(&mut self, names: &[&str], alive: BTreeMap<String, Vec<f64>>) -> Vec<f64> {
        let sum = |of: &BTreeMap<String, Vec<f64>>, index: usize| -> f64 {
            of.values().filter_map(|numbers| numbers.get(index)).sum()
        };
        let gone: BTreeMap<_, _> = self
            .last
            .iter()
            .filter(|(id, _)| !alive.contains_key(*id))
            .map(|(id, n)| (id.clone(), n.clone()))
            .collect();
        let mut sums = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let departed = self.kept.departed.entry((*name).to_owned()).or_default();
            *departed += sum(&gone, index);
            let sent = self.kept.sent.entry((*name).to_owned()).or_default();
            // One went while nobody looked, or began to count anew.
            *departed += (*sent - (*departed + sum(&alive, index))).max(0.0);
            *sent = sent.max(*departed + sum(&alive, index));
            sums.push(*sent);
        }
        self.last = alive;
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alive(executors: &[(&str, f64)]) -> BTreeMap<String, Vec<f64>> {
        executors.iter().map(|(id, number)| ((*id).to_owned(), vec![*number])).collect()
    }

    #[test]
    fn what_an_executor_counted_stays_when_it_goes() {
        let mut totals = Totals::new("a", None);
        assert_eq!(totals.settle(&["x"], alive(&[("1", 10.0), ("2", 5.0)])), [15.0]);
        assert_eq!(totals.settle(&["x"], alive(&[("2", 7.0)])), [17.0]);
        assert_eq!(totals.settle(&["x"], alive(&[("2", 7.0), ("3", 1.0)])), [18.0]);
        assert_eq!(totals.settle(&["x"], alive(&[])), [18.0]);
    }

    #[test]
    fn nothing_falls_when_kiln_starts_again_and_another_application_begins_at_nothing() {
        let mut totals = Totals::new("a", None);
        totals.settle(&["x"], alive(&[("1", 10.0), ("2", 5.0)]));
        let kept = totals.kept().clone();
        let mut again = Totals::new("a", Some(kept.clone()));
        assert_eq!(again.settle(&["x"], alive(&[("2", 6.0)])), [15.0]);
        assert_eq!(again.settle(&["x"], alive(&[("2", 8.0)])), [17.0]);
        assert_eq!(Totals::new("b", Some(kept)).settle(&["x"], alive(&[("2", 6.0)])), [6.0]);
    }

    proptest! {
        #[test]
        fn no_sum_ever_falls_and_none_is_less_than_what_is_alive(
            pages in proptest::collection::vec(
                proptest::collection::btree_map("[1-4]", 0..100_u32, 0..4), 1..12),
        ) {
            let mut totals = Totals::new("a", None);
            let mut before = 0.0;
            for page in pages {
                let living: f64 = page.values().map(|number| f64::from(*number)).sum();
                let alive = page.into_iter().map(|(id, number)| (id, vec![f64::from(number)])).collect();
                let sum: f64 = totals.settle(&["x"], alive).iter().sum();
                prop_assert!(sum >= before && sum >= living);
                before = sum;
            }
        }
    }
}
