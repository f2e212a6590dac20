//! All runs of a world in the order they were triggered, found by place or by id.
//!
//! Property tests ask a workspace thousands of times, and a large one remembers tens of thousands of runs:
//! sorting, cloning and laying out the timelines of all of them for a page of twenty is what a test would
//! spend its time on. Plans never change, so that work is done once per plan; what depends on the time
//! (visible, active) is decided from a few numbers when it is asked.
//!
//! Invariant: [`Visible`] shows the runs with `start <= now`, and in a living world only those triggered in
//! its retention; whatever was asked before changes nothing. A living world's runs are generated
//! as time passes and forgotten once a quarter of what is kept has expired, so the memory is bounded.

use super::living::Living;
use super::run::Run;
use super::time::UnixMillis;
use std::collections::HashMap;
use std::sync::Arc;

/// What is decided about a run without looking at its plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) start: UnixMillis,
    pub(crate) run_id: i64,
    pub(crate) job_id: i64,
    /// When it ends for the last time.
    pub(crate) end: UnixMillis,
    /// Between its start and its end it has ended before: only its plan knows when.
    pub(crate) interrupted: bool,
}

#[derive(Debug, Default)]
pub(super) struct Runs {
    /// In the order of (start, run id); the two lists are parallel.
    heads: Vec<Head>,
    plans: Vec<Arc<Run>>,
    places: HashMap<i64, usize>,
    /// In a living world: the triggers after the first time and up to the second are in the lists.
    covered: Option<(UnixMillis, UnixMillis)>,
}

impl Runs {
    pub(super) fn scripted(runs: &[Run]) -> Self {
        let mut all = Self::default();
        all.append(runs.to_vec());
        all
    }

    /// Generates what was triggered until `now`, forgets what is too old.
    pub(super) fn follow(&mut self, living: &Living, now: UnixMillis) {
        let oldest = now.minus(living.retention());
        // Nothing is triggered before the next trigger: until then there is nothing to generate.
        let quiet_until = UnixMillis(living.next_trigger(now).0.saturating_sub(1));
        match self.covered {
            Some((from, to)) if from <= oldest && now <= to => {}
            Some((from, to)) if from <= oldest && oldest <= to => {
                self.append(living.triggered(to, now));
                self.covered = Some((from, quiet_until));
            }
            _ => {
                *self = Self::default();
                self.append(living.triggered(oldest, now));
                self.covered = Some((oldest, quiet_until));
            }
        }
        let expired = self.heads.partition_point(|head| head.start <= oldest);
        if expired > 1000 && expired > self.heads.len() / 4 {
            self.heads.drain(..expired);
            self.plans.drain(..expired);
            self.find_places_from(0);
            self.covered = self.covered.map(|(_, to)| (oldest, to));
        }
    }

    fn append(&mut self, mut runs: Vec<Run>) {
        runs.sort_by_key(|run| (run.start, run.run_id));
        let first_new = self.heads.len();
        for run in runs {
            let (first_end, end) = run.ends();
            let interrupted = first_end != end;
            self.heads.push(Head { start: run.start, run_id: run.run_id, job_id: run.job_id, end, interrupted });
            self.plans.push(Arc::new(run));
        }
        self.find_places_from(first_new);
    }

    fn find_places_from(&mut self, first: usize) {
        if first == 0 {
            self.places.clear();
        }
        for (place, head) in self.heads.iter().enumerate().skip(first) {
            self.places.entry(head.run_id).or_insert(place);
        }
    }

    pub(super) fn at(&self, now: UnixMillis, oldest: Option<UnixMillis>) -> Visible<'_> {
        let end = self.heads.partition_point(|head| head.start <= now);
        let begin = oldest.map_or(0, |oldest| self.heads.partition_point(|head| head.start <= oldest)).min(end);
        Visible { runs: self, begin, end, now }
    }
}

/// The runs that exist at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Visible<'a> {
    runs: &'a Runs,
    begin: usize,
    end: usize,
    now: UnixMillis,
}

impl<'a> Visible<'a> {
    pub(crate) fn now(&self) -> UnixMillis {
        self.now
    }

    /// Heads in the order of their start.
    pub(crate) fn heads(&self) -> &'a [Head] {
        self.runs.heads.get(self.begin..self.end).unwrap_or_default()
    }

    /// Plans, parallel to [`Visible::heads`].
    pub(crate) fn plans(&self) -> &'a [Arc<Run>] {
        self.runs.plans.get(self.begin..self.end).unwrap_or_default()
    }

    pub(crate) fn find(&self, run_id: i64) -> Option<&'a Run> {
        let place = self.runs.places.get(&run_id).copied()?;
        let plan = self.runs.plans.get(place)?;
        (self.begin..self.end).contains(&place).then_some(plan.as_ref())
    }

    /// The run that a task's own run id belongs to, and the task's place in it (see [`Run::task_run_id`]).
    pub(crate) fn find_task(&self, task_run_id: i64) -> Option<(&'a Run, usize)> {
        let run = self.find(task_run_id.checked_sub(1)?.div_euclid(1000))?;
        let index = usize::try_from((task_run_id - 1).rem_euclid(1000)).ok()?;
        Some((run, index))
    }

    /// Whether the run at a place has not ended.
    pub(crate) fn is_active(&self, place: usize) -> bool {
        let Some(head) = self.heads().get(place) else {
            return false;
        };
        match head.interrupted {
            false => self.now < head.end,
            true => {
                let view = self.plans().get(place).and_then(|run| run.at(self.now));
                view.is_some_and(|view| view.is_active())
            }
        }
    }
}
