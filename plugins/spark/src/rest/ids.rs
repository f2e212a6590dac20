//! Sets of ids that Spark gives out one after the other.
//!
//! What has been dealt with is nearly all that there ever was, so it is remembered as ranges. The number of ranges is
//! bounded: beyond [`MOST`] the oldest gaps close, as if what is in them had been dealt with.

use serde::{Deserialize, Serialize};

/// The largest number of ranges.
const MOST: usize = 4_096;

/// A set of ids as ranges, both ends included, in ascending order and never adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ids(Vec<(u64, u64)>);

impl Ids {
    pub(crate) fn contains(&self, id: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= id);
        after.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|(_, last)| id <= *last)
    }

    pub(crate) fn insert(&mut self, id: u64) {
        if self.contains(id) {
            return;
        }
        let at = self.0.partition_point(|(first, _)| *first < id);
        let follows = at
            .checked_sub(1)
            .filter(|before| self.0.get(*before).is_some_and(|range| range.1.checked_add(1) == Some(id)));
        let precedes = self.0.get(at).is_some_and(|range| id.checked_add(1) == Some(range.0));
        match (follows, precedes) {
            (Some(before), true) => {
                let (_, last) = self.0.remove(at);
                self.extend(before, last);
            }
            (Some(before), false) => self.extend(before, id),
            (None, true) => {
                if let Some(range) = self.0.get_mut(at) {
                    range.0 = id;
                }
            }
            (None, false) => self.0.insert(at, (id, id)),
        }
        if self.0.len() > MOST {
            let (first, _) = self.0.remove(0);
            if let Some(range) = self.0.first_mut() {
                range.0 = first;
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    fn extend(&mut self, index: usize, last: u64) {
        if let Some(range) = self.0.get_mut(index) {
            range.1 = last;
        }
    }
}

/// Of what a server lists. No gap closes: what is beyond the bound is left out, so that nothing is in the set that was not
/// listed.
impl FromIterator<u64> for Ids {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| {
            if set.0.len() < MOST {
                set.insert(id);
            }
        });
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn beyond_the_bound_the_oldest_gap_closes() {
        let mut ids = Ids::default();
        (0..=MOST as u64).for_each(|id| ids.insert(id * 2));
        assert_eq!(ids.0.len(), MOST);
        assert!(ids.contains(1) && !ids.contains(3));
    }

    #[test]
    fn a_list_beyond_the_bound_is_cut() {
        let ids: Ids = (0..=MOST as u64).map(|id| id << 40).collect();
        assert_eq!(ids.iter().count(), MOST);
    }

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_nothing_else(put in proptest::collection::vec(0_u64..60, 0..80)) {
            let ids: Ids = put.iter().copied().collect();
            let expected: BTreeSet<u64> = put.into_iter().collect();
            prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>(), expected.clone());
            prop_assert!((0..61).all(|id| ids.contains(id) == expected.contains(&id)));
            prop_assert!(ids.0.iter().zip(ids.0.iter().skip(1)).all(|(one, next)| one.1 + 1 < next.0));
        }

        #[test]
        fn no_id_makes_it_panic(put in proptest::collection::vec(prop_oneof![Just(u64::MAX), Just(0), any::<u64>()], 0..20)) {
            let ids: Ids = put.iter().copied().collect();
            prop_assert!(put.iter().all(|id| ids.contains(*id)));
        }
    }
}
