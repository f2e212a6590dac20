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

use super::compute::{Cluster, cluster_id_of_run, name_of_cluster};
use super::living::Living;
use super::run::Run;
use super::time::UnixMillis;
use super::view::RunView;
use std::cell::RefCell;
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
    /// When its own cluster has ended for good, if it has one.
    pub(crate) cluster_end: Option<UnixMillis>,
    /// Between its start and its end it has ended before: only its plan knows when.
    pub(crate) interrupted: bool,
}

#[derive(Debug, Default)]
pub(super) struct Runs {
    /// In the order of (start, run id); the two lists are parallel.
    heads: Vec<Head>,
    plans: Vec<Arc<Run>>,
    places: HashMap<i64, usize>,
    /// Places of runs that have a cluster of their own, with its name, and in the order of that.
    clusters: Vec<(String, usize)>,
    /// What readers have made of runs that had ended, by run id and kind: nothing about those changes any more.
    memos: RefCell<HashMap<(i64, u8), Arc<str>>>,
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
            self.memos.borrow_mut().clear();
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
            let at_last = run.at(UnixMillis(i64::MAX));
            let cluster_end = at_last.and_then(|view| Cluster::of_run(&view)).and_then(|cluster| cluster.terminated);
            let (start, run_id, job_id) = (run.start, run.run_id, run.job_id);
            self.heads.push(Head { start, run_id, job_id, end, cluster_end, interrupted });
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
        if first == 0 {
            self.clusters.clear();
        }
        let with_cluster = self.heads.iter().enumerate().skip(first).filter(|(_, head)| head.cluster_end.is_some());
        self.clusters.extend(with_cluster.map(|(place, head)| (name_of_cluster(head.job_id, head.run_id), place)));
        self.clusters.sort();
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

    /// Places of the runs that have a cluster of their own.
    pub(crate) fn places_with_clusters(&self) -> impl Iterator<Item = usize> + 'a {
        let heads = self.heads().iter().enumerate();
        heads.filter(|(_, head)| head.cluster_end.is_some()).map(|(place, _)| place)
    }

    /// The same, in the order of the clusters' names.
    pub(crate) fn places_by_cluster_name(&self) -> impl Iterator<Item = usize> + 'a {
        let (begin, end) = (self.begin, self.end);
        let places = self.runs.clusters.iter().map(|(_, place)| *place);
        places.filter(move |place| (begin..end).contains(place)).map(move |place| place - begin)
    }

    /// Whether the cluster of the run at a place has ended for good.
    pub(crate) fn cluster_is_over(&self, place: usize) -> bool {
        let end = self.heads().get(place).and_then(|head| head.cluster_end);
        end.is_some_and(|end| end <= self.now)
    }

    pub(crate) fn cluster_name(&self, place: usize) -> String {
        self.heads().get(place).map(|head| name_of_cluster(head.job_id, head.run_id)).unwrap_or_default()
    }

    pub(crate) fn cluster_id(&self, place: usize) -> String {
        self.heads().get(place).map(|head| cluster_id_of_run(head.run_id)).unwrap_or_default()
    }

    /// The cluster of the run at a place as it is now.
    pub(crate) fn cluster_at(&self, place: usize) -> Option<Cluster> {
        Cluster::of_run(&self.plans().get(place)?.at(self.now)?)
    }

    pub(crate) fn cluster(&self, cluster_id: &str) -> Option<Cluster> {
        let place = self.places_with_clusters().find(|place| self.cluster_id(*place) == cluster_id)?;
        self.cluster_at(place)
    }

    /// The run that a task's own run id belongs to, and the task's place in it (see [`Run::task_run_id`]).
    pub(crate) fn find_task(&self, task_run_id: i64) -> Option<(&'a Run, usize)> {
        let run = self.find(task_run_id.checked_sub(1)?.div_euclid(1000))?;
        let index = usize::try_from((task_run_id - 1).rem_euclid(1000)).ok()?;
        Some((run, index))
    }

    /// What a reader makes of the run at a place, made once if the run has ended for good. `kind` tells apart
    /// the different things that readers make.
    pub(crate) fn memo(&self, place: usize, kind: u8, make: impl FnOnce(&RunView<'_>) -> String) -> Option<Arc<str>> {
        let (head, plan) = (self.heads().get(place)?, self.plans().get(place)?);
        let key = (head.run_id, kind);
        let has_ended = head.end <= self.now;
        if has_ended && let Some(known) = self.runs.memos.borrow().get(&key) {
            return Some(known.clone());
        }
        let made: Arc<str> = make(&plan.at(self.now)?).into();
        if has_ended {
            self.runs.memos.borrow_mut().insert(key, made.clone());
        }
        Some(made)
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
