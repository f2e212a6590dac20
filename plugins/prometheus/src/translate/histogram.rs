//! Buckets that count from below become buckets that count apart.

use crate::page::Number;

/// A classic histogram as OTLP has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) count: u64,
    /// Finite and strictly increasing.
    pub(crate) bounds: Vec<f64>,
    /// One more than there are bounds; adds up to `count`.
    pub(crate) counts: Vec<u64>,
}

/// Takes apart what `le` labels and `_count` say. `None` if they contradict each other: counts that fall from one
/// bucket to the next, are no whole numbers, or are more than the count of all.
pub(crate) fn buckets(cumulative: &[(f64, Number)], count: Number) -> Option<Buckets> {
    let count = whole(count)?;
    let mut sorted: Vec<(f64, Number)> = cumulative.iter().filter(|(bound, _)| bound.is_finite()).copied().collect();
    sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    // `0` and `-0` are one bound. Of two samples with one bound the first stands, as for any repeated series.
    sorted.dedup_by(|(later, _), (first, _)| later == first);
    let mut below = 0;
    let mut bounds = Vec::with_capacity(sorted.len());
    let mut counts = Vec::with_capacity(sorted.len() + 1);
    for (bound, cumulative) in sorted {
        let cumulative = whole(cumulative)?;
        bounds.push(bound);
        counts.push(cumulative.checked_sub(below)?);
        below = cumulative;
    }
    counts.push(count.checked_sub(below)?);
    Some(Buckets { count, bounds, counts })
}

/// A number that counts something; `None` if it does not.
pub(crate) fn whole(number: Number) -> Option<u64> {
    match number {
        Number::Integer(value) => u64::try_from(value).ok(),
        // 2^64 is the first float that does not fit.
        Number::Float(value) if (0.0..18_446_744_073_709_551_616.0).contains(&value) && value.fract() == 0.0 => {
            Some(value as u64)
        }
        Number::Float(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn integers(cumulative: &[(f64, i64)]) -> Vec<(f64, Number)> {
        cumulative.iter().map(|&(bound, count)| (bound, Number::Integer(count))).collect()
    }

    #[test]
    fn the_bucket_without_bound_is_what_is_left() {
        let cumulative = integers(&[(0.1, 3), (f64::INFINITY, 10), (1.0, 7)]);
        let found = buckets(&cumulative, Number::Integer(10)).unwrap();
        assert_eq!(found, Buckets { count: 10, bounds: vec![0.1, 1.0], counts: vec![3, 4, 3] });
    }

    #[test]
    fn buckets_that_contradict_each_other_are_no_histogram() {
        assert_eq!(buckets(&integers(&[(0.1, 7), (1.0, 3)]), Number::Integer(10)), None);
        assert_eq!(buckets(&integers(&[(0.1, 7)]), Number::Integer(5)), None);
        assert_eq!(buckets(&integers(&[(0.1, -1)]), Number::Integer(5)), None);
        assert_eq!(buckets(&[(0.1, Number::Float(0.5))], Number::Integer(5)), None);
        assert_eq!(buckets(&[], Number::Float(f64::NAN)), None);
    }

    #[test]
    fn a_histogram_without_buckets_still_has_its_count() {
        let found = buckets(&integers(&[(f64::INFINITY, 4)]), Number::Float(4.0)).unwrap();
        assert_eq!(found, Buckets { count: 4, bounds: vec![], counts: vec![4] });
    }

    fn number() -> impl Strategy<Value = Number> {
        prop_oneof![
            any::<i64>().prop_map(Number::Integer),
            (0_i64..50).prop_map(Number::Integer),
            any::<f64>().prop_map(Number::Float)
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_adds_up(
            cumulative in prop::collection::vec((any::<f64>(), number()), 0..8),
            count in number(),
        ) {
            if let Some(found) = buckets(&cumulative, count) {
                prop_assert_eq!(found.counts.iter().sum::<u64>(), found.count);
                prop_assert_eq!(found.counts.len(), found.bounds.len() + 1);
                prop_assert!(found.bounds.is_sorted_by(|a, b| a < b) && found.bounds.iter().all(|b| b.is_finite()));
            }
        }

        #[test]
        fn true_histograms_survive(
            counts in prop::collection::vec(0_u64..1_000, 1..8),
        ) {
            let mut below = 0;
            let cumulative: Vec<(f64, Number)> = counts
                .iter()
                .enumerate()
                .map(|(index, count)| {
                    below += count;
                    let bound = if index + 1 == counts.len() { f64::INFINITY } else { index as f64 };
                    (bound, Number::Integer(below.try_into().unwrap()))
                })
                .collect();
            let found = buckets(&cumulative, Number::Integer(below.try_into().unwrap())).unwrap();
            prop_assert_eq!(found.counts, counts);
        }
    }
}
