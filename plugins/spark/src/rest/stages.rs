//! Which stages are active, and which have ended.
//!
//! `/stages` has no limit and grows with history, so only `/stages?status=active` is listed. A stage that ended is asked
//! for by its id: once it is not active any more, or once a job that has it has ended — which is how stages are found that
//! began and ended between two collections. Every attempt is reported once; a stage whose job still runs may be
//! attempted again, and is closed when no job needs it. A stage that was cancelled has ended before its tasks have, whose
//! figures Spark still adds: it is given a few collections for that. So is one whose job has not been found yet, because it
//! began after jobs were read, or reading them failed: a stage is told of below its job.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::PartialFailure;
use serde::{Deserialize, Serialize};

use super::api::{AT_ONCE, Api, Unread};
use super::cursor::note;
use super::distribution;
use super::ids::Ids;
use super::jobs::{Found, Jobs};
use super::stage::Stage;
use kiln_plugin::lenient::Items;

/// In how many collections a stage is asked for that gives no sensible answer, or has not ended with its job.
const TRIES: u8 = 4;

/// The largest number of stages that wait to be asked for. Those beyond are lost: Spark retains a thousand.
const MOST_PENDING: usize = 20_000;

/// What is remembered of the stages of an application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stages {
    /// Stages that need no more attention.
    closed: Ids,
    /// Of stages that do, the first attempt that is not reported.
    reported: BTreeMap<u64, u64>,
    /// What was active last time: stage and attempt.
    active: BTreeSet<(u64, u64)>,
    /// Stages to be asked for.
    pending: BTreeMap<u64, Pending>,
    /// Stages there was no room for, until they are reported as lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    overflow: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Pending {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<u64>,
    #[serde(default)]
    tries: u8,
    /// In how many collections its job was not found.
    #[serde(default)]
    orphaned: u8,
}

/// What a collection found.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) active: Vec<Stage>,
    /// With a job they belong to.
    pub(crate) finished: Vec<(Stage, Option<u64>)>,
    /// Stages that Spark forgot before their end was read.
    pub(crate) lost: u64,
}

impl Stages {
    /// Reads what is active and what has ended. `quantiles` asks for the distribution over tasks as well.
    pub(crate) fn read(
        &mut self,
        api: &mut Api<'_>,
        jobs: &Jobs,
        found: &Found,
        quantiles: bool,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<Reading, Unread> {
        // First, because what has ended is not said again if what is active cannot be read.
        self.expect_ended(found);
        let summaries = if quantiles { distribution::QUERY } else { "" };
        let active = api.list::<Stage>(&format!("/stages?status=active{summaries}"))?;
        let mut reading = Reading { active, lost: core::mem::take(&mut self.overflow), ..Reading::default() };
        let active: BTreeSet<(u64, u64)> = reading.active.iter().filter_map(Stage::key).collect();
        self.expect_vanished(&active, jobs, found);
        self.active = active;
        let ids = self.due(jobs, found);
        for ids in ids.chunks(AT_ONCE) {
            if !api.may_send() {
                break;
            }
            let paths: Vec<String> = ids.iter().map(|id| format!("/stages/{id}?details=false{summaries}")).collect();
            for (id, answer) in ids.iter().zip(api.get_all::<Items<Stage>>(&paths)) {
                match answer {
                    Ok(Some(attempts)) => self.take(*id, attempts.items, jobs, &mut reading),
                    Ok(None) => self.lose(*id, &mut reading),
                    Err(unread) => {
                        if unread.is_nonsense {
                            self.try_again(*id, &mut reading);
                        }
                        note(failures, unread.failure);
                    }
                }
            }
        }
        self.close(jobs);
        Ok(reading)
    }

    /// How many stages are still to be asked for.
    pub(crate) fn backlog(&self) -> usize {
        self.waiting().count()
    }

    /// What is active has not ended.
    fn waiting(&self) -> impl Iterator<Item = u64> {
        let is_active = |id: u64| self.active.range((id, 0)..=(id, u64::MAX)).next().is_some();
        self.pending.keys().copied().filter(move |id| !is_active(*id))
    }

    /// Those of them whose job is known, or will not be.
    fn due(&mut self, jobs: &Jobs, found: &Found) -> Vec<u64> {
        let waiting: Vec<u64> = self.waiting().collect();
        let is_due = |id: &u64| -> bool {
            let Some(pending) = self.pending.get_mut(id) else { return false };
            pending.job = pending.job.or_else(|| job_of(*id, jobs, found));
            let is_due = pending.job.is_some() || pending.orphaned >= TRIES;
            pending.orphaned = pending.orphaned.saturating_add(u8::from(!is_due));
            is_due
        };
        waiting.into_iter().filter(is_due).collect()
    }

    fn expect_vanished(&mut self, active: &BTreeSet<(u64, u64)>, jobs: &Jobs, found: &Found) {
        let vanished: Vec<u64> = self.active.difference(active).map(|(id, _)| *id).collect();
        for id in vanished {
            self.ask_for(id, job_of(id, jobs, found));
        }
    }

    fn expect_ended(&mut self, found: &Found) {
        let finished = found.finished.iter().map(|(job, data)| (job, data.stages()));
        for (job, stages) in finished.chain(&found.lost) {
            for id in stages.iter() {
                self.ask_for(id, Some(*job));
            }
        }
    }

    fn ask_for(&mut self, id: u64, job: Option<u64>) {
        if self.closed.contains(id) {
            return;
        }
        if self.pending.len() >= MOST_PENDING && !self.pending.contains_key(&id) {
            self.overflow = self.overflow.saturating_add(1);
            self.closed.insert(id);
        } else {
            self.pending.entry(id).or_insert(Pending { job, ..Pending::default() });
        }
    }

    fn take(&mut self, id: u64, mut attempts: Vec<Stage>, jobs: &Jobs, reading: &mut Reading) {
        let Pending { job, tries, .. } = self.pending.get(&id).copied().unwrap_or_default();
        let is_settled = |attempt: &Stage| attempt.is_finished() && (!attempt.has_active_tasks() || tries + 1 >= TRIES);
        attempts.retain(|attempt| attempt.key().is_some_and(|(stage, _)| stage == id));
        attempts.sort_by_key(Stage::key);
        let have_ended = !attempts.is_empty() && attempts.iter().all(is_settled);
        for attempt in attempts.into_iter().take_while(is_settled) {
            let next = self.reported.entry(id).or_default();
            let Some((_, number)) = attempt.key().filter(|(_, number)| number >= next) else { continue };
            *next = number.saturating_add(1);
            reading.finished.push((attempt, job));
        }
        if have_ended || jobs.may_need(id) {
            self.pending.remove(&id);
        } else {
            self.try_again(id, reading);
        }
    }

    fn try_again(&mut self, id: u64, reading: &mut Reading) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        pending.tries = pending.tries.saturating_add(1);
        if pending.tries >= TRIES {
            self.lose(id, reading);
        }
    }

    fn lose(&mut self, id: u64, reading: &mut Reading) {
        self.pending.remove(&id);
        if self.reported.remove(&id).is_none() {
            reading.lost = reading.lost.saturating_add(1);
        }
        self.closed.insert(id);
    }

    /// Forgets stages that were reported and that no job will attempt again.
    fn close(&mut self, jobs: &Jobs) {
        let Self { closed, reported, active, pending, .. } = self;
        reported.retain(|id, _| {
            let is_active = active.range((*id, 0)..=(*id, u64::MAX)).next().is_some();
            let is_open = is_active || pending.contains_key(id) || jobs.may_need(*id);
            if !is_open {
                closed.insert(*id);
            }
            is_open
        });
    }
}

/// A job that has this stage, and runs or has just ended.
fn job_of(stage: u64, jobs: &Jobs, found: &Found) -> Option<u64> {
    let ended = || found.finished.iter().find(|(_, job)| job.stages().contains(stage)).map(|(job, _)| *job);
    jobs.with_stage(stage).or_else(ended)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
