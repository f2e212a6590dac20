//! When counting began, where a page does not say.

use crate::config::StartTime;
use crate::translate::draft::Reading;

/// What is remembered of a cumulative series to find its start.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Start of the unbroken run; nanoseconds since the Unix epoch, as is `last_time`.
    start: u64,
    last_time: u64,
    last_count: f64,
    /// What was there before the run began to be observed.
    before: Option<Reading>,
}

/// Where the start of a point comes from.
pub(crate) struct Rule {
    pub(crate) strategy: StartTime,
    /// Of `process_start_time_seconds`.
    pub(crate) process_start: Option<u64>,
}

impl Rule {
    /// The start of a point, 0 if it is not known; may change the point's values. `None` says that the point is not to be
    /// sent. `created` is what the page says itself, and is believed under every strategy.
    pub(crate) fn apply(
        &self,
        created: Option<u64>,
        time: u64,
        run: &mut Option<Box<Run>>,
        reading: &mut Reading,
    ) -> Option<u64> {
        if let Some(created) = created.filter(|created| *created <= time) {
            return Some(created);
        }
        match self.strategy {
            StartTime::Unset => Some(0),
            StartTime::Process => Some(self.process_start.filter(|start| *start <= time).unwrap_or(0)),
            StartTime::TrueReset | StartTime::SubtractInitial => {
                let subtracts = self.strategy == StartTime::SubtractInitial;
                let count = count(reading);
                let Some(run) = run else {
                    let before = subtracts.then(|| reading.clone());
                    *run = Some(Box::new(Run { start: time, last_time: time, last_count: count, before }));
                    return (!subtracts).then_some(time);
                };
                let is_reset =
                    count < run.last_count || run.before.as_ref().is_some_and(|before| !fits(reading, before));
                if is_reset {
                    // What is counted now was counted after the last look.
                    run.start = run.last_time;
                    run.before = None;
                }
                (run.last_time, run.last_count) = (time.max(run.last_time), count);
                if let Some(before) = &run.before {
                    subtract(reading, before);
                }
                Some(run.start.min(time))
            }
        }
    }
}

fn count(reading: &Reading) -> f64 {
    match reading {
        Reading::Number(value) => *value,
        Reading::Histogram { buckets, .. } => buckets.count as f64,
        Reading::Exponential { buckets, .. } => buckets.count as f64,
        Reading::Summary { count, .. } => *count as f64,
    }
}

/// Whether one can be subtracted from the other.
fn fits(reading: &Reading, before: &Reading) -> bool {
    match (reading, before) {
        (Reading::Number(value), Reading::Number(before)) => value >= before,
        (Reading::Histogram { buckets, .. }, Reading::Histogram { buckets: before, .. }) => {
            buckets.bounds == before.bounds && buckets.counts.iter().zip(&before.counts).all(|(now, then)| now >= then)
        }
        (Reading::Summary { count, .. }, Reading::Summary { count: before, .. }) => count >= before,
        // Their scales may differ, and buckets cannot be split; values stay as they are.
        (Reading::Exponential { .. }, Reading::Exponential { .. }) => true,
        _ => false,
    }
}

fn subtract(reading: &mut Reading, before: &Reading) {
    match (reading, before) {
        (Reading::Number(value), Reading::Number(before)) => *value -= before,
        (Reading::Histogram { sum, buckets }, Reading::Histogram { sum: sum_before, buckets: before }) => {
            *sum = sum.zip(*sum_before).map(|(sum, before)| sum - before);
            for (now, then) in buckets.counts.iter_mut().zip(&before.counts) {
                *now = now.saturating_sub(*then);
            }
            buckets.count = buckets.counts.iter().sum();
        }
        (Reading::Summary { count, sum, .. }, Reading::Summary { count: before, sum: sum_before, .. }) => {
            *count = count.saturating_sub(*before);
            *sum -= sum_before;
        }
        _ => {}
    }
}
