//! Which jobs are new, which run, and which have ended.
//!
//! `/jobs?status=running` lists those that run. What began and ended between two collections is found by its id (see
//! [`Cursor`]); what ran last time and does not run now is asked for once more. The whole list, which grows with history,
//! is read only after a gap: when Kiln has started, when a collection has failed, or when ids have gone so far ahead that
//! Spark may have forgotten those between.
//! What is remembered is the next id and the jobs that run.

use std::collections::BTreeMap;

use kiln_plugin::PartialFailure;
use serde::{Deserialize, Serialize};

use super::api::{AT_ONCE, Api, Unread};
use super::cursor::{Cursor, note};
use super::ids::Ids;
use super::job::Job;

/// So many ids may be unknown before the list is read instead: what it costs is what so many requests cost.
const FAR_AHEAD: u64 = 1_000;

/// In how many collections a job is asked for that gives no sensible answer.
const TRIES: u8 = 3;

/// What is remembered of the jobs of an application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Jobs {
    cursor: Option<Cursor>,
    running: BTreeMap<u64, Running>,
    /// Whether everything that has begun is known.
    complete: bool,
}

/// A job that ran last time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Running {
    stages: Ids,
    #[serde(default)]
    tries: u8,
}

/// What a collection found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) running: BTreeMap<u64, Job>,
    pub(crate) finished: BTreeMap<u64, Job>,
    /// Jobs whose end was not seen before Spark forgot them, with their stages.
    pub(crate) lost: BTreeMap<u64, Ids>,
    /// How many jobs were forgotten of which nothing is known.
    pub(crate) forgotten: u64,
}

impl Jobs {
    /// Reads what is new, after a gap or not.
    pub(crate) fn read(
        &mut self,
        api: &mut Api<'_>,
        after_gap: bool,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<Found, Unread> {
        let listed = by_id(api.list("/jobs?status=running")?);
        let mut found = Found::default();
        let highest = listed.keys().next_back().copied().unwrap_or_default();
        let is_near = |cursor: &&Cursor| highest.saturating_sub(cursor.next()) <= FAR_AHEAD && !after_gap;
        let cursor = self.cursor.as_ref().filter(is_near);
        self.complete = match cursor.cloned() {
            Some(mut cursor) => {
                let path = |id| format!("/jobs/{id}");
                let complete = cursor.read(api, listed.clone(), path, failures, |id, job: Job| found.add(id, job));
                self.cursor = Some(cursor);
                complete
            }
            None => {
                let all = by_id(api.list::<Job>("/jobs")?);
                let before = self.cursor.take().unwrap_or_default();
                let end = all.keys().chain(listed.keys()).max().map_or(0, |last| last.saturating_add(1));
                let known = all.range(before.next()..).count();
                let expected = end.saturating_sub(before.next());
                found.forgotten = expected.saturating_sub(u64::try_from(known).unwrap_or(u64::MAX));
                for (id, job) in all.into_iter().filter(|(id, _)| before.is_open(*id)) {
                    found.add(id, job);
                }
                self.cursor = Some(Cursor::at(end.max(before.next())));
                true
            }
        };
        for (id, job) in listed {
            if !found.finished.contains_key(&id) {
                found.running.entry(id).or_insert(job);
            }
        }
        self.follow(api, &mut found, failures);
        Ok(found)
    }

    /// Asks for what ran last time and does not now.
    fn follow(&mut self, api: &mut Api<'_>, found: &mut Found, failures: &mut Vec<PartialFailure>) {
        let gone: Vec<u64> = self
            .running
            .keys()
            .filter(|id| !found.running.contains_key(id) && !found.finished.contains_key(id))
            .copied()
            .collect();
        for ids in gone.chunks(AT_ONCE) {
            if !api.may_send() {
                self.complete = false;
                break;
            }
            let paths: Vec<String> = ids.iter().map(|id| format!("/jobs/{id}")).collect();
            let answers = api.get_all::<Job>(&paths);
            self.complete &= answers.len() == ids.len();
            for (id, answer) in ids.iter().zip(answers) {
                match answer {
                    Ok(Some(job)) => found.add(*id, job),
                    Ok(None) => self.lose(*id, found),
                    Err(unread) => {
                        let tries = self.running.get_mut(id).map_or(0, |running| {
                            running.tries = running.tries.saturating_add(u8::from(unread.is_nonsense));
                            running.tries
                        });
                        note(failures, unread.failure);
                        if tries >= TRIES {
                            self.lose(*id, found);
                        }
                    }
                }
            }
        }
        for id in found.finished.keys() {
            self.running.remove(id);
        }
        for (id, job) in &found.running {
            self.running.insert(*id, Running { stages: job.stages().clone(), tries: 0 });
        }
    }

    fn lose(&mut self, id: u64, found: &mut Found) {
        if let Some(running) = self.running.remove(&id) {
            found.lost.insert(id, running.stages);
        }
    }

    /// A job that runs and has this stage.
    pub(crate) fn with_stage(&self, stage: u64) -> Option<u64> {
        self.running.iter().find(|(_, running)| running.stages.contains(stage)).map(|(id, _)| *id)
    }

    /// Whether a job may run that has this stage: it is known to, or not every job is known.
    pub(crate) fn may_need(&self, stage: u64) -> bool {
        !self.complete || self.with_stage(stage).is_some()
    }

    /// Whether there is more to read at once.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }
}

impl Found {
    fn add(&mut self, id: u64, job: Job) {
        if job.is_finished() {
            self.running.remove(&id);
            self.finished.insert(id, job);
        } else {
            self.running.insert(id, job);
        }
    }
}

fn by_id(jobs: Vec<Job>) -> BTreeMap<u64, Job> {
    jobs.into_iter().filter_map(|job| Some((job.id()?, job))).collect()
}
