//! Which values of an attribute have the most series.
//!
//! A value that moves between itself and `other` looks like a reset to whoever adds up, so those that are kept stay kept:
//! they are chosen once and reconsidered rarely, and then one goes only for another with more than twice its series. A
//! counter that began under its own name goes on under it, also after a restart, because the choice is in the state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::config::Top;

/// More values than this are not told apart while they are counted; a value beyond has no chance to be chosen.
const MAX_VALUES: usize = 10_000;

/// Which entry of the configuration, and which stream.
type Place = (usize, u64);

#[derive(Debug, Default)]
pub(crate) struct Tops {
    places: BTreeMap<Place, Choice>,
    changed: bool,
}

#[derive(Debug, Default)]
struct Choice {
    kept: BTreeSet<String>,
    /// Series of each value, since the last choice.
    counts: HashMap<String, HashSet<u64>>,
}

/// What is remembered: by entry and stream, the values.
pub(crate) type Kept = BTreeMap<String, BTreeSet<String>>;

impl Tops {
    /// Counts the series of a part of a batch, and fills what room there is with the largest of them.
    pub(crate) fn observe<'v>(&mut self, place: Place, keep: usize, series: impl Iterator<Item = (&'v str, u64)>) {
        let choice = self.places.entry(place).or_default();
        for (value, series) in series {
            if let Some(counted) = choice.counts.get_mut(value) {
                counted.insert(series);
            } else if choice.counts.len() < MAX_VALUES {
                choice.counts.insert(value.to_owned(), HashSet::from([series]));
            }
        }
        let room = keep.saturating_sub(choice.kept.len());
        if room > 0 {
            let new = choice.largest().into_iter().filter(|value| !choice.kept.contains(value)).take(room);
            let new: Vec<_> = new.collect();
            self.changed |= !new.is_empty();
            choice.kept.extend(new);
        }
    }

    pub(crate) fn keeps(&self, place: Place, value: &str) -> bool {
        self.places.get(&place).is_some_and(|choice| choice.kept.contains(value))
    }

    /// Reconsiders, and counts anew.
    pub(crate) fn choose(&mut self, tops: &[Top]) {
        for ((entry, _), choice) in &mut self.places {
            let before = choice.kept.clone();
            choice.choose(tops.get(*entry).map_or(0, |top| top.keep));
            self.changed |= choice.kept != before;
        }
        let places = self.places.len();
        self.places.retain(|_, choice| !choice.kept.is_empty());
        self.changed |= self.places.len() != places;
    }

    /// Whether what is kept has changed since this was last asked.
    pub(crate) const fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.changed, false)
    }

    pub(crate) fn kept(&self) -> Kept {
        let name = |(entry, stream): &Place| format!("{entry}/{stream:016x}");
        self.places.iter().map(|(place, choice)| (name(place), choice.kept.clone())).collect()
    }

    pub(crate) fn restore(&mut self, kept: Kept) {
        for (name, kept) in kept {
            let place = name
                .split_once('/')
                .and_then(|(entry, stream)| Some((entry.parse().ok()?, u64::from_str_radix(stream, 16).ok()?)));
            if let Some(place) = place {
                self.places.insert(place, Choice { kept, counts: HashMap::new() });
            }
        }
    }
}

impl Choice {
    fn count(&self, value: &str) -> usize {
        self.counts.get(value).map_or(0, HashSet::len)
    }

    /// All values, the one with the most series first.
    fn largest(&self) -> Vec<String> {
        let mut values: Vec<_> = self.counts.keys().cloned().collect();
        values.sort_unstable_by(|a, b| self.count(b).cmp(&self.count(a)).then_with(|| a.cmp(b)));
        values
    }

    fn choose(&mut self, keep: usize) {
        // What was not seen at all has ended.
        let counts = &self.counts;
        self.kept.retain(|value| counts.contains_key(value));
        let mut challengers = self.largest();
        challengers.retain(|value| !self.kept.contains(value));
        for challenger in challengers {
            if self.kept.len() < keep {
                self.kept.insert(challenger);
                continue;
            }
            let smallest = self.kept.iter().min_by_key(|value| self.count(value)).cloned();
            let Some(smallest) = smallest.filter(|value| self.count(&challenger) > 2 * self.count(value)) else {
                break;
            };
            self.kept.remove(&smallest);
            self.kept.insert(challenger);
        }
        while self.kept.len() > keep {
            let Some(smallest) = self.kept.iter().min_by_key(|value| self.count(value)).cloned() else { break };
            self.kept.remove(&smallest);
        }
        self.counts.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const PLACE: Place = (0, 7);

    fn observe(tops: &mut Tops, counts: &[(&str, u64)]) {
        let series = counts.iter().flat_map(|(value, count)| (0..*count).map(move |series| (*value, series)));
        tops.observe(PLACE, 2, series);
    }

    fn kept(tops: &Tops) -> Vec<String> {
        tops.places[&PLACE].kept.iter().cloned().collect()
    }

    fn choose(tops: &mut Tops) {
        let top = serde_json::from_value(serde_json::json!({ "key": "k", "keep": 2 })).unwrap();
        tops.choose(&[top]);
    }

    #[test]
    fn the_largest_are_kept_and_stay_until_another_is_twice_as_large() {
        let mut tops = Tops::default();
        observe(&mut tops, &[("a", 1), ("b", 3), ("c", 2)]);
        assert_eq!(kept(&tops), ["b", "c"]);
        observe(&mut tops, &[("a", 4), ("b", 3), ("c", 2)]);
        choose(&mut tops);
        assert_eq!(kept(&tops), ["b", "c"], "not more than twice as large");
        observe(&mut tops, &[("a", 5), ("b", 3), ("c", 2)]);
        choose(&mut tops);
        assert_eq!(kept(&tops), ["a", "b"]);
        observe(&mut tops, &[("b", 1), ("c", 1)]);
        choose(&mut tops);
        assert_eq!(kept(&tops), ["b", "c"], "what is not seen any more is not kept");
    }

    #[test]
    fn what_is_kept_is_restored() {
        let mut tops = Tops::default();
        observe(&mut tops, &[("a", 1), ("b", 3)]);
        assert!(tops.take_changed() && !tops.take_changed());
        let mut restored = Tops::default();
        restored.restore(tops.kept());
        observe(&mut restored, &[("c", 9)]);
        assert!(restored.keeps(PLACE, "a") && restored.keeps(PLACE, "b") && !restored.keeps(PLACE, "c"));
    }
}
