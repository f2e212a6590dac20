//! Finding what is new where Spark offers no list of it.
//!
//! Lists of jobs and of SQL executions grow with history. Their ids do not lie: they are given out one after the other, so
//! what is new has the next id, and asking for one costs a few bytes if there is none. An id may never come to be — a job
//! that fails before it starts has one — or a little late, so [`LOOK_AHEAD`] ids are asked for, and one that was passed
//! over is asked for again, [`TRIES`] times. A program that tries something impossible again and again leaves many such
//! ids in a row; while nothing is new, half of the ids asked for are therefore further on each time, up to [`HORIZON`].

use std::collections::BTreeMap;

use kiln_plugin::PartialFailure;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::api::{AT_ONCE, Api};

/// How many ids beyond the last one are asked for.
const LOOK_AHEAD: u64 = 4;

/// Of those, how many directly follow the last one.
const NEAR: u64 = 2;

/// How many ids in a row may never come to be without hiding what is behind them: it is found within
/// `HORIZON / (LOOK_AHEAD - NEAR)` collections.
const HORIZON: u64 = 64;

/// In how many collections an id that was passed over is asked for again.
const TRIES: u8 = 3;

/// The largest number of ids that are asked for again; beyond it the lowest is given up.
const MOST_HOLES: usize = 256;

/// How far a list has been read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The lowest id of which nothing is known.
    next: u64,
    /// Ids below that were passed over, and how often they have been asked for.
    holes: BTreeMap<u64, u8>,
    /// How far beyond the near ones the far ids are that are asked for next.
    #[serde(default)]
    far: u64,
}

impl Cursor {
    /// Of a list that has been read up to here.
    pub(crate) const fn at(next: u64) -> Self {
        Self { next, holes: BTreeMap::new(), far: 0 }
    }

    /// Whether it is not known yet what is behind an id.
    pub(crate) fn is_open(&self, id: u64) -> bool {
        id >= self.next || self.holes.contains_key(&id)
    }

    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// What lies below has been forgotten by Spark, or is known from elsewhere.
    pub(crate) fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Reads what is new and hands it to `take`; what is `known` already is not asked for. Whether it got to the end.
    pub(crate) fn read<T: DeserializeOwned>(
        &mut self,
        api: &mut Api<'_>,
        mut known: BTreeMap<u64, T>,
        path: impl Fn(u64) -> String,
        failures: &mut Vec<PartialFailure>,
        mut take: impl FnMut(u64, T),
    ) -> bool {
        let holes: Vec<u64> = self.holes.keys().copied().collect();
        for ids in holes.chunks(AT_ONCE) {
            for (id, answer) in ask(api, &mut known, ids, &path, failures).0 {
                match answer {
                    Some(found) => {
                        self.holes.remove(&id);
                        take(id, found);
                    }
                    None => self.try_again(id),
                }
            }
        }
        let highest = known.keys().next_back().copied();
        let mut width = LOOK_AHEAD;
        let mut ids = match highest {
            // What is known is not to be found a second time later.
            Some(highest) if highest >= self.next => self.following(width),
            _ => self.near_and_far(),
        };
        loop {
            if !api.may_send() {
                return false;
            }
            let (answers, failed) = ask(api, &mut known, &ids, &path, failures);
            let is_cut = answers.len() < ids.len();
            let end = match answers.iter().rev().find(|(_, answer)| answer.is_some()) {
                Some((last, _)) => last.saturating_add(1),
                None if is_cut || failed => return false,
                // There is more further on, so these are gone or late.
                None if highest.is_some_and(|highest| highest >= self.next.saturating_add(width)) => {
                    self.next.saturating_add(width)
                }
                None => {
                    self.far = self.far.saturating_add(LOOK_AHEAD - NEAR) % HORIZON;
                    return true;
                }
            };
            let mut found: BTreeMap<u64, T> =
                answers.into_iter().filter_map(|(id, answer)| Some((id, answer?))).collect();
            for id in self.next..end {
                match found.remove(&id) {
                    Some(found) => take(id, found),
                    None => self.pass_over(id),
                }
            }
            self.next = end;
            self.far = 0;
            if failed {
                return false;
            }
            width = width.saturating_mul(2).min(AT_ONCE as u64);
            ids = self.following(width);
        }
    }

    fn following(&self, width: u64) -> Vec<u64> {
        (self.next..self.next.saturating_add(width)).collect()
    }

    /// What is asked for first while nothing new is known.
    fn near_and_far(&self) -> Vec<u64> {
        let far = self.next.saturating_add(NEAR).saturating_add(self.far % HORIZON);
        let near = self.next..self.next.saturating_add(NEAR);
        near.chain(far..far.saturating_add(LOOK_AHEAD - NEAR)).collect()
    }

    fn pass_over(&mut self, id: u64) {
        self.holes.insert(id, 0);
        if self.holes.len() > MOST_HOLES {
            self.holes.pop_first();
        }
    }

    fn try_again(&mut self, id: u64) {
        let tries = self.holes.get(&id).copied().unwrap_or_default().saturating_add(1);
        if tries < TRIES {
            self.holes.insert(id, tries);
        } else {
            self.holes.remove(&id);
        }
    }
}

/// What is behind as many of the ids as there is budget for, and whether an answer was no use.
fn ask<T: DeserializeOwned>(
    api: &mut Api<'_>,
    known: &mut BTreeMap<u64, T>,
    ids: &[u64],
    path: impl Fn(u64) -> String,
    failures: &mut Vec<PartialFailure>,
) -> (Vec<(u64, Option<T>)>, bool) {
    let unknown: Vec<String> = ids.iter().filter(|id| !known.contains_key(id)).map(|id| path(*id)).collect();
    let mut asked = api.get_all(&unknown).into_iter();
    let (mut answers, mut failed) = (Vec::with_capacity(ids.len()), false);
    for id in ids {
        let answer = match known.remove(id) {
            Some(found) => Some(found),
            None => match asked.next() {
                Some(Ok(answer)) => answer,
                Some(Err(unread)) => {
                    note(failures, unread.failure);
                    failed = true;
                    None
                }
                None => break,
            },
        };
        answers.push((*id, answer));
    }
    (answers, failed)
}

/// One failure for one cause: sixteen requests that time out are one.
pub(crate) fn note(failures: &mut Vec<PartialFailure>, failure: PartialFailure) {
    if !failures.iter().any(|known| known.message == failure.message) {
        failures.push(failure);
    }
}
