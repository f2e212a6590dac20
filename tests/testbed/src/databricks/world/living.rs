//! A world that lives: what exists follows from a seed and the time, and from nothing else.
//!
//! Every job is triggered at fixed intervals counted from 1970, and everything about its n-th run is thrown
//! with dice seeded by (seed, job, n). So a workspace that is stopped and started again has the same past,
//! two workspaces with one seed are twins, and no state grows while time passes.
//!
//! Invariant: a run's plan never changes once it is visible. Runs older than [`RETENTION`] are forgotten
//! (the real service forgets them after 60 days).

#![allow(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the tables are constants and every index into them is reduced to their length"
)]

use super::job::Job;
use super::outcome::Outcome;
use super::run::{Compute, Run, Task};
use super::time::UnixMillis;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far back runs are remembered unless told otherwise.
pub const RETENTION: Duration = Duration::from_secs(12 * 3600);

/// The most jobs a living world can have.
pub const MAX_JOBS: u32 = 10_000;

/// How much there is in a living world.
#[derive(Clone, Debug)]
pub struct Size {
    /// How many jobs (at most [`MAX_JOBS`]).
    pub jobs: u32,
    /// How many runs all jobs together have in a day, about; absent: as many as their trades ask for.
    pub runs_per_day: Option<u32>,
    /// How far back runs are remembered.
    pub retention: Duration,
    /// How many workspace objects, not counting the directories they lie in.
    pub objects: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { jobs: 30, runs_per_day: None, retention: RETENTION, objects: 300 }
    }
}

pub(super) const MINUTE: i64 = 60_000;
/// 2026-01-05 00:00 UTC, a Monday: when the oldest job was created.
pub(super) const FOUNDED: UnixMillis = UnixMillis(1_767_571_200_000);

/// The laws of a living world.
#[derive(Clone, Debug)]
pub struct Living {
    seed: u64,
    /// When each job is triggered.
    beats: Vec<Beat>,
    retention: Duration,
}

/// A job is triggered `offset` after every multiple of `every` milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Beat {
    every: i64,
    offset: i64,
}

/// What kind of work a job does; decides its tasks.
struct Trade {
    noun: &'static str,
    tasks: &'static [(&'static str, &'static [&'static str])],
    compute: fn() -> Compute,
    every: &'static [i64],
}

const TRADES: &[Trade] = &[
    Trade { noun: "ingest", tasks: &[("ingest", &[])], compute: || Compute::JobCluster, every: &[6, 10, 15] },
    Trade {
        noun: "etl",
        tasks: &[("extract", &[]), ("clean", &["extract"]), ("enrich", &["extract"]), ("load", &["clean", "enrich"])],
        compute: || Compute::JobCluster,
        every: &[15, 20, 30],
    },
    Trade {
        noun: "report",
        tasks: &[("refresh", &[]), ("publish", &["refresh"])],
        compute: || Compute::Serverless,
        every: &[20, 30, 60],
    },
    Trade {
        noun: "quality",
        tasks: &[("check", &[])],
        compute: || Compute::Existing(SHARED_CLUSTER.to_owned()),
        every: &[10, 15, 30],
    },
    Trade {
        noun: "train",
        tasks: &[("features", &[]), ("fit", &["features"]), ("evaluate", &["fit"])],
        compute: || Compute::JobCluster,
        every: &[30, 60],
    },
];

const SUBJECTS: &[&str] = &[
    "orders",
    "customers",
    "payments",
    "inventory",
    "clickstream",
    "returns",
    "prices",
    "suppliers",
    "shipments",
    "loyalty",
];

pub(super) const SHARED_CLUSTER: &str = "0105-090000-shared01";

impl Living {
    /// A world of a size.
    #[must_use]
    pub fn new(seed: u64, size: &Size) -> Self {
        let mut living = Self { seed, beats: Vec::new(), retention: size.retention };
        living.beats = (0..size.jobs.min(MAX_JOBS)).map(|index| living.beat(index, 1.0)).collect();
        if let Some(wanted) = size.runs_per_day {
            let usual: f64 = living.beats.iter().map(|beat| 86_400_000.0 / beat.every as f64).sum();
            let stretch = usual / f64::from(wanted.max(1));
            living.beats = (0..size.jobs.min(MAX_JOBS)).map(|index| living.beat(index, stretch)).collect();
        }
        living
    }

    pub(crate) fn retention(&self) -> Duration {
        self.retention
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.beats().map(|(index, beat)| self.job(index, beat)).collect()
    }

    fn beats(&self) -> impl Iterator<Item = (u32, Beat)> {
        (0u32..).zip(self.beats.iter().copied())
    }

    /// Every run triggered after `from` and up to `to`, in no particular order.
    pub(crate) fn triggered(&self, from: UnixMillis, to: UnixMillis) -> Vec<Run> {
        let mut runs = Vec::new();
        for (index, beat) in self.beats() {
            let last = beat.latest(to);
            let first = beat.latest(from) + 1;
            if first > last {
                continue;
            }
            let job = self.job(index, beat);
            runs.extend((first.max(0)..=last).map(|n| self.run(index, beat, &job, n)));
        }
        runs
    }

    /// When a job is triggered next after `now`; the end of time in a world without jobs.
    pub(crate) fn next_trigger(&self, now: UnixMillis) -> UnixMillis {
        let next = self.beats.iter().map(|beat| beat.at(beat.latest(now) + 1)).min();
        next.unwrap_or(UnixMillis(i64::MAX))
    }

    /// Whether something used in bursts is up, and since when it is up or down.
    pub(super) fn cycle(&self, now: UnixMillis, period: i64, up_for: i64, salt: u64) -> (bool, UnixMillis) {
        let period = period * MINUTE;
        let offset = self.dice(salt, 0).below(period as u64) as i64;
        let began = (now.0 - offset).div_euclid(period) * period + offset;
        let up_until = began + up_for * MINUTE;
        match now.0 < up_until {
            true => (true, UnixMillis(began)),
            false => (false, UnixMillis(up_until)),
        }
    }

    fn trade(&self, index: u32) -> &'static Trade {
        // One job in five of each trade, in an order that does not depend on the seed: demonstrations
        // and documentation can name jobs.
        &TRADES[index as usize % TRADES.len()]
    }

    fn name(&self, index: u32) -> String {
        let (trade, index) = (self.trade(index), index as usize);
        let subject = SUBJECTS[(index / TRADES.len()) % SUBJECTS.len()];
        let generation = index / (TRADES.len() * SUBJECTS.len());
        match generation {
            0 => format!("{}-{subject}", trade.noun),
            n => format!("{}-{subject}-{}", trade.noun, n + 1),
        }
    }

    fn job(&self, index: u32, beat: Beat) -> Job {
        let minutes = beat.every / MINUTE;
        let mut job = Job::new(
            100_000_000_000 + i64::from(index) * 7_919,
            &self.name(index),
            UnixMillis(FOUNDED.0 + i64::from(index) * 3_600_000),
        );
        job.cron = Some(match minutes {
            60 => "0 0 * * * ?".to_owned(),
            61.. => format!("0 0 0/{} * * ?", (minutes / 60).clamp(1, 23)),
            _ => format!("0 0/{minutes} * * * ?"),
        });
        job.tags = BTreeMap::from([("trade".to_owned(), self.trade(index).noun.to_owned())]);
        job.tasks = self.trade(index).tasks.iter().map(|(key, _)| (*key).to_owned()).collect();
        job
    }

    /// `stretch` times as long between two triggers as the job's trade asks for, and never less than a second.
    fn beat(&self, index: u32, stretch: f64) -> Beat {
        let choices = self.trade(index).every;
        let choice = self.dice(u64::from(index), u64::MAX).below(choices.len() as u64);
        let every = ((choices[choice as usize] * MINUTE) as f64 * stretch / 1000.0).round().max(1.0) as i64 * 1000;
        let offset = self.dice(u64::from(index), u64::MAX - 1).below(every as u64) as i64;
        Beat { every, offset }
    }

    /// The `n`-th run of a job since 1970.
    fn run(&self, index: u32, beat: Beat, job: &Job, n: i64) -> Run {
        let trade = self.trade(index);
        let mut dice = self.dice(u64::from(index), n as u64);
        let start = beat.at(n);
        let mut tasks: Vec<Task> =
            trade.tasks.iter().map(|(key, depends_on)| self.task(index, key, depends_on, &mut dice)).collect();
        let outcome = decide(&mut tasks, &mut dice);
        // Unique and stable: the ordinal of the run, then the job.
        let run_id = n * i64::from(MAX_JOBS) + i64::from(index);
        let mut run = Run::new(job.job_id, run_id, start, tasks);
        run.name = job.name.clone();
        run.outcome = outcome;
        if dice.below(100) < 12 && run.outcome != Outcome::MaxConcurrentRuns {
            run.queue = Duration::from_millis(2_000 + dice.below(40_000));
        }
        if dice.below(100) < 5 {
            run.trigger = "ONE_TIME".to_owned();
        }
        run
    }

    fn task(&self, index: u32, key: &str, depends_on: &[&str], dice: &mut Dice) -> Task {
        let compute = (self.trade(index).compute)();
        let setup = match (&compute, depends_on) {
            // The first task of a job cluster waits for machines; later ones find it warm.
            (Compute::JobCluster, []) => 20_000 + dice.below(40_000),
            (Compute::JobCluster, _) => 500 + dice.below(1_500),
            _ => 200 + dice.below(800),
        };
        // Some jobs are always slow; each run varies around that by a factor of 0.7 to 1.5.
        let usual = 8_000 + self.dice(u64::from(index), u64::MAX - 2).below(60_000);
        let execution = usual * (70 + dice.below(80)) / 100;
        let cleanup = match depends_on {
            [] => 100,
            _ => 300 + dice.below(1_000),
        };
        Task {
            key: key.to_owned(),
            attempt: 0,
            depends_on: depends_on.iter().map(|key| (*key).to_owned()).collect(),
            setup: Duration::from_millis(setup),
            execution: Duration::from_millis(execution),
            cleanup: Duration::from_millis(cleanup),
            outcome: Outcome::Success,
            error_trace: None,
            compute,
        }
    }

    pub(super) fn dice(&self, a: u64, b: u64) -> Dice {
        let mut dice = Dice(self.seed);
        for salt in [a, b] {
            dice = Dice(dice.roll() ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        dice
    }
}

impl Beat {
    /// The ordinal of the latest trigger up to `now`.
    fn latest(self, now: UnixMillis) -> i64 {
        (now.0 - self.offset).div_euclid(self.every)
    }

    fn at(self, n: i64) -> UnixMillis {
        UnixMillis(n * self.every + self.offset)
    }
}

/// Decides how a run ends and bends its tasks to it: what comes after a failed task never runs.
fn decide(tasks: &mut [Task], dice: &mut Dice) -> Outcome {
    let unlucky = dice.below(tasks.len() as u64) as usize;
    let (task_outcome, run_outcome, executed_percent) = match dice.below(1000) {
        0..=859 => return Outcome::Success,
        860..=929 => {
            let message = FAILURES[dice.below(FAILURES.len() as u64) as usize];
            let failed = Outcome::Failed(message.to_owned());
            (failed, Outcome::Failed("Workload failed, see run output for details".to_owned()), 60)
        }
        930..=949 => (Outcome::TimedOut, Outcome::TimedOut, 180),
        950..=969 => (Outcome::Canceled, Outcome::Canceled, 40),
        970..=979 => {
            let cluster = Outcome::ClusterFailed(
                "Cluster launch failed: the cloud provider has no capacity for i3.xlarge in this zone".to_owned(),
            );
            (cluster.clone(), cluster, 0)
        }
        980..=984 => {
            let internal = Outcome::InternalError("Unexpected error in the control plane".to_owned());
            (internal.clone(), internal, 50)
        }
        985..=989 if tasks.len() > 1 => {
            // The last task runs whatever became of the one before it.
            let before_last = tasks.len() - 2;
            tasks[before_last].outcome = Outcome::Failed(FAILURES[0].to_owned());
            return Outcome::SuccessWithFailures;
        }
        _ => {
            for task in tasks.iter_mut() {
                (task.setup, task.execution, task.cleanup) = Default::default();
                task.outcome = Outcome::MaxConcurrentRuns;
            }
            return Outcome::MaxConcurrentRuns;
        }
    };
    let mut gone = vec![tasks[unlucky].key.clone()];
    tasks[unlucky].execution = tasks[unlucky].execution * executed_percent / 100;
    let after = match task_outcome {
        Outcome::Canceled => Outcome::UpstreamCanceled,
        _ => Outcome::UpstreamFailed,
    };
    tasks[unlucky].outcome = task_outcome;
    for task in tasks.iter_mut().skip(unlucky + 1) {
        if task.depends_on.iter().any(|key| gone.contains(key)) {
            gone.push(task.key.clone());
            (task.setup, task.execution, task.cleanup) = Default::default();
            task.outcome = after.clone();
        }
    }
    run_outcome
}

const FAILURES: &[&str] = &[
    "AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `main`.`staging` cannot be found",
    "Py4JJavaError: Job aborted due to stage failure: Task 3 in stage 12.0 failed 4 times",
    "OutOfMemoryError: Java heap space",
    "AssertionError: 17 rows violate constraint \"amount >= 0\"",
];

/// Dice whose throws depend on their seed alone (splitmix64): the same world on every machine and release.
pub(super) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::time::millis;
    use super::*;
    use std::collections::BTreeSet;

    fn living(seed: u64, jobs: u32) -> Living {
        Living::new(seed, &Size { jobs, ..Size::default() })
    }

    fn runs(living: &Living, now: UnixMillis) -> Vec<Run> {
        living.triggered(now.minus(living.retention()), now)
    }

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    #[test]
    fn the_same_seed_gives_the_same_world_and_another_seed_another() {
        assert_eq!(runs(&living(1, 30), NOW), runs(&living(1, 30), NOW));
        assert_ne!(runs(&living(1, 30), NOW), runs(&living(2, 30), NOW));
    }

    #[test]
    fn a_run_once_visible_never_changes() {
        let world = living(1, 30);
        let before = runs(&world, NOW);
        let after = runs(&world, NOW.plus(Duration::from_secs(3600)));
        let kept: Vec<_> = after.iter().filter(|run| run.start <= NOW).collect();
        assert!(kept.len() > 100);
        assert!(kept.iter().all(|run| before.contains(run)));
    }

    #[test]
    fn there_is_enough_for_every_kind_of_page() {
        let world = living(1, 30);
        assert_eq!(world.jobs().len(), 30);
        let runs = runs(&world, NOW);
        assert!(runs.len() > 25, "{} runs", runs.len());
        let active = runs.iter().filter(|run| run.at(NOW).unwrap().is_active());
        assert!(active.count() > 0);
    }

    #[test]
    fn ids_are_unique() {
        let runs = runs(&living(3, 200), NOW);
        let ids: BTreeSet<_> = runs
            .iter()
            .flat_map(|run| {
                let tasks = (0..run.tasks.len()).map(|index| run.task_run_id(index));
                std::iter::once(run.run_id).chain(tasks)
            })
            .collect();
        let expected: usize = runs.iter().map(|run| 1 + run.tasks.len()).sum();
        assert_eq!(ids.len(), expected);
    }

    #[test]
    fn a_day_shows_a_mix_of_results_and_states() {
        let world = living(1, 30);
        let results: BTreeSet<_> = runs(&world, NOW).iter().map(|run| run.outcome.verdict().code).collect();
        for code in ["SUCCESS", "RUN_EXECUTION_ERROR", "CANCELED", "USER_CANCELED"] {
            assert!(results.contains(code), "{code} is missing from {results:?}");
        }
        let mut phases = BTreeSet::new();
        for minute in 0..60 {
            let now = NOW.plus(Duration::from_secs(minute * 60));
            for run in runs(&world, now) {
                phases.insert(format!("{:?}", run.at(now).unwrap().phase));
            }
        }
        for phase in ["Queued", "Pending", "Running", "Terminated"] {
            assert!(phases.contains(phase), "{phase} is missing from {phases:?}");
        }
    }

    #[test]
    fn what_comes_after_a_failed_task_never_runs() {
        let runs = runs(&living(1, 30), NOW);
        let upstream: Vec<_> =
            runs.iter().flat_map(|run| &run.tasks).filter(|task| task.outcome == Outcome::UpstreamFailed).collect();
        assert!(!upstream.is_empty());
        assert!(upstream.iter().all(|task| task.execution.is_zero()));
    }

    #[test]
    fn the_retention_bounds_how_much_there_is() {
        let runs = runs(&living(1, 30), NOW);
        let oldest = runs.iter().map(|run| run.start).min().unwrap();
        assert!(oldest.0 > NOW.0 - millis(RETENTION));
    }

    #[test]
    fn a_world_has_about_as_many_runs_a_day_as_it_was_told() {
        let retention = Duration::from_secs(86_400);
        let size = Size { jobs: 200, runs_per_day: Some(5_000), retention, ..Size::default() };
        let count = runs(&Living::new(1, &size), NOW).len();
        assert!((4_800..=5_200).contains(&count), "{count} runs");
    }
}
