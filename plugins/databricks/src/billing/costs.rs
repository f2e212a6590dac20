//! What each job has cost since counting began.
//!
//! The billing tables are restated for days, so a cost is two sums: the *base*, of days that are too old to be restated
//! and are never read again, and the *window*, of the days since, which is read anew each time and replaced. A day moves
//! from one to the other exactly once: the statement that reads it for the last time sums it apart, and the base grows
//! and the window moves on in one step, which state keeps or does not.
//!
//! A restatement may lower a sum and a counter must not fall: the last value is held until it is exceeded again.
//!
//! Bounded by `max_jobs`: a job beyond it takes the place of one that has not cost anything within the window, or else
//! is counted under `other`. When a job leaves `other` for a place of its own, `other` is held like after a restatement.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

use super::day::Day;
use super::statement::{JobCost, Span};
use crate::telemetry;

const OTHER: &str = "other";
const SOURCE: &str = "billing";

/// Which job a cost is of. A job that is in no list, such as the one made for a one-time run, is known by its name: its
/// id is another one for each run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Key {
    Id(String),
    Name(Option<String>),
}

/// All costs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Costs {
    /// Since when jobs that appear from now on are counted.
    start: UnixNanos,
    /// The first day that is still read.
    from: Day,
    jobs: Vec<Job>,
    other: Option<Job>,
}

/// The names are short because state holds thousands of these. Sums are bits, so that they are read back as they were.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    #[serde(rename = "k")]
    key: Key,
    #[serde(rename = "n")]
    name: Option<String>,
    #[serde(rename = "t")]
    start: UnixNanos,
    #[serde(rename = "b")]
    base: u64,
    /// The highest value so far, which is the one that is reported.
    #[serde(rename = "v")]
    value: u64,
}

/// What a result says about one job.
#[derive(Clone, Debug, Default)]
struct Sums {
    name: Option<String>,
    folded: f64,
    recent: f64,
}

impl Costs {
    /// Begins to count on this day.
    pub(super) const fn begin(day: Day) -> Self {
        Self { start: day.midnight(), from: day, jobs: Vec::new(), other: None }
    }

    /// The first day that is still read.
    pub(super) const fn from(&self) -> Day {
        self.from
    }

    /// What is counted by itself.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        self.jobs.iter().map(|job| job.key.clone()).collect()
    }

    /// Enters a result. `key` says which job a row belongs to and what it is called; nothing if it is not observed.
    pub(super) fn enter(
        &mut self,
        span: Span,
        rows: Vec<JobCost>,
        max_jobs: usize,
        key: impl Fn(&JobCost) -> Option<(Key, Option<String>)>,
    ) {
        // The answer to a question that was asked before the window moved on: its days are in the base.
        if span.from != self.from {
            return;
        }
        // The dearest jobs come first, and get the places there are.
        let (mut sums, mut order): (BTreeMap<Key, Sums>, Vec<Key>) = (BTreeMap::new(), Vec::new());
        for row in rows {
            let Some((key, name)) = key(&row) else { continue };
            let sum = sums.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                Sums { name, ..Sums::default() }
            });
            sum.folded += row.folded;
            sum.recent += row.recent;
        }
        self.make_room(&sums, max_jobs);
        for job in &mut self.jobs {
            job.enter(&sums.remove(&job.key).unwrap_or_else(|| Sums { name: job.name.clone(), ..Sums::default() }));
        }
        let mut rest: Option<Sums> = None;
        for key in order {
            let Some(sum) = sums.remove(&key) else { continue };
            if self.jobs.len() < max_jobs && key != Key::Name(Some(OTHER.to_owned())) {
                let mut job = Job::new(key, self.start);
                job.enter(&sum);
                self.jobs.push(job);
            } else {
                let rest = rest.get_or_insert_default();
                rest.folded += sum.folded;
                rest.recent += sum.recent;
            }
        }
        if rest.is_some() || self.other.is_some() {
            let other = self.other.get_or_insert_with(|| Job::new(Key::Name(None), self.start));
            let name = Some(OTHER.to_owned());
            other.enter(&Sums { name, ..rest.unwrap_or_default() });
        }
        self.from = span.fold;
    }

    /// Drops jobs the result does not know, as many as new ones need places. One that comes back must not seem to have
    /// been counted all along: from here on jobs are counted from the first day of the window.
    fn make_room(&mut self, sums: &BTreeMap<Key, Sums>, max_jobs: usize) {
        let known: BTreeSet<&Key> = self.jobs.iter().map(|job| &job.key).collect();
        let new = sums.keys().filter(|key| !known.contains(key)).count();
        let mut excess = self.jobs.len().saturating_add(new).saturating_sub(max_jobs);
        let before = self.jobs.len();
        self.jobs.retain(|job| {
            let is_dropped = excess > 0 && !sums.contains_key(&job.key);
            excess = excess.saturating_sub(usize::from(is_dropped));
            !is_dropped
        });
        if self.jobs.len() < before {
            self.start = self.from.midnight();
        }
    }

    pub(super) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for job in self.jobs.iter().chain(&self.other) {
            job.add_to(metrics);
        }
    }
}

impl Job {
    const fn new(key: Key, start: UnixNanos) -> Self {
        Self { key, name: None, start, base: 0, value: 0 }
    }

    fn enter(&mut self, sums: &Sums) {
        self.name.clone_from(&sums.name);
        let base = f64::from_bits(self.base) + sums.folded;
        let value = (base + sums.recent).max(f64::from_bits(self.value));
        // Sums of finite numbers may not be finite.
        if base.is_finite() && value.is_finite() {
            (self.base, self.value) = (base.to_bits(), value.to_bits());
        }
    }

    fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let attributes = telemetry::DatabricksJobCost {
            job_name: self.name.as_deref(),
            databricks_job_id: match &self.key {
                Key::Id(id) => Some(id),
                Key::Name(_) => None,
            },
            databricks_cost_source: SOURCE,
        };
        metrics.databricks_job_cost(self.start, &attributes, f64::from_bits(self.value));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 86_400_000;

    fn day(number: u64) -> Day {
        Day::of(number * DAY)
    }

    fn cost(job_id: &str, folded: f64, recent: f64) -> JobCost {
        JobCost { job_id: job_id.to_owned(), job_name: None, currency: "USD".to_owned(), folded, recent }
    }

    #[allow(clippy::unnecessary_wraps, reason = "this is what a key is")]
    fn by_id(row: &JobCost) -> Option<(Key, Option<String>)> {
        Some((Key::Id(row.job_id.clone()), None))
    }

    fn value(costs: &Costs, job_id: &str) -> Option<f64> {
        let job = costs.jobs.iter().find(|job| job.key == Key::Id(job_id.to_owned()))?;
        Some(f64::from_bits(job.value))
    }

    #[test]
    fn a_day_is_folded_into_the_base_once() {
        let mut costs = Costs::begin(day(100));
        costs.enter(Span { from: day(100), fold: day(100) }, vec![cost("7", 0.0, 5.0)], 9, by_id);
        assert_eq!(value(&costs, "7"), Some(5.0));
        let span = Span { from: day(100), fold: day(101) };
        costs.enter(span, vec![cost("7", 2.0, 4.0)], 9, by_id);
        assert_eq!((value(&costs, "7"), costs.from()), (Some(6.0), day(101)));
        // The same answer once more says nothing new.
        costs.enter(span, vec![cost("7", 2.0, 9.0)], 9, by_id);
        assert_eq!(value(&costs, "7"), Some(6.0));
        costs.enter(Span { from: day(101), fold: day(101) }, vec![cost("7", 0.0, 4.5)], 9, by_id);
        assert_eq!(value(&costs, "7"), Some(6.5));
    }

    #[test]
    fn a_restatement_that_lowers_a_sum_holds_the_counter_until_it_is_exceeded() {
        let mut costs = Costs::begin(day(100));
        let span = Span { from: day(100), fold: day(100) };
        let values: Vec<Option<f64>> = [5.0, 3.0, 4.0, 6.0, -1.0]
            .into_iter()
            .map(|recent| {
                costs.enter(span, vec![cost("7", 0.0, recent)], 9, by_id);
                value(&costs, "7")
            })
            .collect();
        assert_eq!(values, [5.0, 5.0, 5.0, 6.0, 6.0].map(Some));
        costs.enter(span, Vec::new(), 9, by_id);
        assert_eq!(value(&costs, "7"), Some(6.0));
        costs.enter(span, vec![cost("7", 0.0, 7.0)], 9, by_id);
        assert_eq!(value(&costs, "7"), Some(7.0));
    }

    #[test]
    fn jobs_beyond_the_bound_are_counted_together_and_idle_ones_make_room() {
        let mut costs = Costs::begin(day(100));
        let span = Span { from: day(100), fold: day(100) };
        costs.enter(span, vec![cost("1", 0.0, 4.0), cost("2", 0.0, 3.0), cost("3", 0.0, 2.0)], 2, by_id);
        assert_eq!((value(&costs, "1"), value(&costs, "2"), value(&costs, "3")), (Some(4.0), Some(3.0), None));
        assert_eq!(f64::from_bits(costs.other.as_ref().unwrap().value), 2.0);
        let span = Span { from: day(100), fold: day(140) };
        costs.enter(span, vec![cost("1", 4.0, 0.0), cost("2", 3.0, 0.0), cost("3", 2.0, 1.0)], 2, by_id);
        assert_eq!(f64::from_bits(costs.other.as_ref().unwrap().value), 3.0);
        let span = Span { from: day(140), fold: day(140) };
        costs.enter(span, vec![cost("1", 0.0, 1.0), cost("4", 0.0, 9.0)], 2, by_id);
        assert_eq!((value(&costs, "1"), value(&costs, "2"), value(&costs, "4")), (Some(5.0), None, Some(9.0)));
        assert_eq!(costs.jobs.last().unwrap().start, day(140).midnight());
        assert_eq!(costs.jobs.first().unwrap().start, day(100).midnight());
    }

    #[test]
    fn a_job_called_other_is_counted_with_the_others() {
        let mut costs = Costs::begin(day(100));
        let span = Span { from: day(100), fold: day(100) };
        costs.enter(span, vec![cost("1", 0.0, 4.0)], 9, |_| Some((Key::Name(Some(OTHER.to_owned())), None)));
        assert!(costs.jobs.is_empty());
        assert_eq!(f64::from_bits(costs.other.unwrap().value), 4.0);
    }

    proptest! {
        /// Costs by day, read now and then with days that are folded now and then, add up to what they are.
        #[test]
        fn whenever_days_are_folded_the_sum_is_the_same(
            daily in prop::collection::vec(0_u32..1_000, 1..90),
            reads in prop::collection::vec(0_usize..90, 1..20),
        ) {
            let mut costs = Costs::begin(day(0));
            let mut reads: Vec<usize> = reads.into_iter().map(|read| read.min(daily.len())).collect();
            reads.sort_unstable();
            for today in reads {
                let fold = Day::of(today as u64 * DAY).before(30).max(costs.from());
                let span = Span { from: costs.from(), fold };
                let sum = |wanted: &dyn Fn(Day) -> bool| -> f64 {
                    let days = daily.iter().take(today).enumerate().filter(|(number, _)| wanted(day(*number as u64)));
                    days.map(|(_, cost)| f64::from(*cost)).sum()
                };
                let folded = sum(&|day| day >= span.from && day < span.fold);
                let recent = sum(&|day| day >= span.fold);
                costs.enter(span, vec![cost("7", folded, recent)], 9, by_id);
                let expected: f64 = daily.iter().take(today).map(|cost| f64::from(*cost)).sum();
                prop_assert_eq!(value(&costs, "7"), Some(expected));
            }
        }
    }
}
