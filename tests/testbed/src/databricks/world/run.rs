//! A job run as a plan.
//!
//! A [`Run`] says in advance when it starts, how long it queues, how long each task sets up, executes and
//! cleans up, and how it ends. [`Run::at`] is a pure function of the plan and the time, so a world needs no
//! background thread, two readers at the same time see the same thing, and a test can jump anywhere.
//!
//! Invariant: a plan says what happens whatever is asked and whenever; quirks change how the API tells it,
//! never what happened.

use super::outcome::Outcome;
use super::time::{UnixMillis, as_millis};
use super::view::Slot;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The plan of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Unique in the workspace.
    pub run_id: i64,
    /// The job it belongs to.
    pub job_id: i64,
    /// `run_name`: for runs of a job, the job's name.
    #[serde(default)]
    pub name: String,
    /// When it is triggered. Before that it does not exist.
    pub start: UnixMillis,
    /// How long it waits in the queue.
    #[serde(default, rename = "queue_ms", with = "as_millis")]
    pub queue: Duration,
    /// What it does. With exactly one task the run carries that task's phases itself; with more they are 0.
    pub tasks: Vec<Task>,
    /// How it ends.
    #[serde(default)]
    pub outcome: Outcome,
    /// `PERIODIC`, `ONE_TIME`, `RETRY`, ...
    #[serde(default = "periodic")]
    pub trigger: String,
    /// `JOB_RUN`, `WORKFLOW_RUN` or `SUBMIT_RUN`.
    #[serde(default = "job_run")]
    pub run_type: String,
    /// `creator_user_name`.
    #[serde(default = "creator")]
    pub creator: String,
    /// `attempt_number`: 0 unless the run is the retry of another.
    #[serde(default)]
    pub attempt: u32,
    /// `original_attempt_run_id`: the first of the attempts; absent: the run itself.
    #[serde(default)]
    pub original_run_id: Option<i64>,
    /// Later repairs of it, in the order they happen.
    #[serde(default)]
    pub repairs: Vec<Repair>,
    /// What is odd about how the API tells of it.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
}

/// A repair: a run that has ended runs again, under the same id and with the same start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// When it is asked for; it begins as soon as what went before has ended.
    pub at: UnixMillis,
    /// What it does again: further attempts at tasks the run has, or at a dependency of theirs.
    pub tasks: Vec<Task>,
    /// How the run ends then.
    #[serde(default)]
    pub outcome: Outcome,
}

/// An oddity of an answer that a client has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// `status` is missing, as in answers of the Jobs API before 2.2.
    NoStatus,
    /// `state`, which is deprecated, is missing.
    NoState,
    /// `end_time` is 0 although the run has ended.
    NoEndTime,
    /// Every duration is negative.
    NegativeDurations,
    /// `run_duration` is missing.
    NoRunDuration,
    /// `queue_duration` is missing.
    NoQueueDuration,
    /// Objects are `null`, all but the deprecated `state`.
    NullObjects,
}

/// The plan of one task of a run, or of one attempt at it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// `task_key`. A key that appears again with a higher attempt number is a retry.
    pub key: String,
    /// 0 for the first attempt; each further attempt starts when the one before it has ended.
    #[serde(default)]
    pub attempt: u32,
    /// Keys of the tasks that must have ended before.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Getting the cluster.
    #[serde(default, rename = "setup_ms", with = "as_millis")]
    pub setup: Duration,
    /// Running the code.
    #[serde(default, rename = "execution_ms", with = "as_millis")]
    pub execution: Duration,
    /// Returning the cluster.
    #[serde(default, rename = "cleanup_ms", with = "as_millis")]
    pub cleanup: Duration,
    /// How it ends.
    #[serde(default)]
    pub outcome: Outcome,
    /// `error_trace` of its output, where that is not made up from how it ends.
    #[serde(default)]
    pub error_trace: Option<String>,
    /// What it runs on.
    #[serde(default)]
    pub compute: Compute,
}

/// What a task runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// A cluster made for the run and shared by its tasks.
    #[default]
    JobCluster,
    /// An all-purpose cluster that exists anyway.
    Existing(String),
    /// No cluster of one's own.
    Serverless,
}

fn periodic() -> String {
    "PERIODIC".to_owned()
}

fn job_run() -> String {
    "JOB_RUN".to_owned()
}

fn creator() -> String {
    "data-platform@example.com".to_owned()
}

impl Task {
    /// A task that executes for a while and succeeds.
    #[must_use]
    pub fn new(key: &str, execution: Duration) -> Self {
        Self { key: key.to_owned(), execution, ..Self::default() }
    }

    /// The same, after other tasks.
    #[must_use]
    pub fn after(mut self, keys: &[&str]) -> Self {
        self.depends_on = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    pub(super) fn slot(&self, start: UnixMillis) -> Slot {
        let executing = start.plus(self.setup);
        let cleaning = executing.plus(self.execution);
        Slot { start, executing, cleaning, end: cleaning.plus(self.cleanup) }
    }
}

impl Run {
    /// A periodic run of a job that succeeds with these tasks.
    #[must_use]
    pub fn new(job_id: i64, run_id: i64, start: UnixMillis, tasks: Vec<Task>) -> Self {
        Self {
            run_id,
            job_id,
            name: format!("job-{job_id}"),
            start,
            queue: Duration::ZERO,
            tasks,
            outcome: Outcome::Success,
            trigger: periodic(),
            run_type: job_run(),
            creator: creator(),
            attempt: 0,
            original_run_id: None,
            repairs: Vec::new(),
            quirks: Vec::new(),
        }
    }

    /// The next attempt at a run, `RETRY`, with the same tasks and succeeding.
    #[must_use]
    pub fn retry_of(failed: &Self, run_id: i64, start: UnixMillis) -> Self {
        let mut tasks = failed.tasks.clone();
        tasks.iter_mut().for_each(|task| task.outcome = Outcome::Success);
        Self {
            name: failed.name.clone(),
            trigger: "RETRY".to_owned(),
            run_type: failed.run_type.clone(),
            attempt: failed.attempt + 1,
            original_run_id: Some(failed.original_run_id.unwrap_or(failed.run_id)),
            ..Self::new(failed.job_id, run_id, start, tasks)
        }
    }

    /// The same, repaired at a time with these tasks, whose last decides how it ends.
    #[must_use]
    pub fn repaired(mut self, at: UnixMillis, tasks: Vec<Task>) -> Self {
        let outcome = tasks.last().map(|task| task.outcome.clone()).unwrap_or_default();
        self.repairs.push(Repair { at, tasks, outcome });
        self
    }

    /// The same, told oddly.
    #[must_use]
    pub fn with_quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.push(quirk);
        self
    }

    /// The same, ending otherwise; the last task of the plan ends likewise.
    #[must_use]
    pub fn ending(mut self, outcome: Outcome) -> Self {
        if let Some(task) = self.tasks.last_mut() {
            task.outcome = outcome.clone();
        }
        self.outcome = outcome;
        self
    }

    /// The id of the run that the API gives to a task of this run.
    #[must_use]
    pub fn task_run_id(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.run_id.wrapping_mul(1000).wrapping_add(index.saturating_add(1))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::view::Phase;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repair_makes_a_run_active_again_and_its_end_later() {
        let failed = Task { outcome: Outcome::Failed("no".to_owned()), ..Task::new("load", seconds(10)) };
        let run = Run::new(1, 2, START, vec![Task::new("extract", seconds(5)), failed.after(&["extract"])])
            .ending(Outcome::Failed("no".to_owned()))
            .repaired(START.plus(seconds(100)), vec![Task::new("load", seconds(20))]);
        let at = |second| run.at(START.plus(seconds(second))).unwrap();
        let seen: Vec<_> = [14, 15, 99, 100, 119, 120].map(|second| at(second).is_active()).into();
        assert_eq!(seen, [true, false, false, true, true, false]);
        let (first, last) = (at(50), at(200));
        assert_eq!((first.end, first.run_duration()), (Some(START.plus(seconds(15))), seconds(15)));
        assert_eq!((last.end, last.run_duration()), (Some(START.plus(seconds(120))), seconds(35)));
        assert_eq!((first.result_state().as_str(), last.result_state().as_str()), ("FAILED", "SUCCESS"));
        let attempts: Vec<_> = last.tasks.iter().map(|task| (task.task.key.as_str(), task.attempt)).collect();
        assert_eq!(attempts, [("extract", 0), ("load", 0), ("load", 1)]);
        assert_eq!(run.ends(), (START.plus(seconds(15)), START.plus(seconds(120))));
    }

    #[test]
    fn a_repair_asked_for_too_early_waits_for_the_end() {
        let run = Run::new(1, 2, START, vec![Task::new("load", seconds(10))])
            .repaired(START, vec![Task::new("load", seconds(1))]);
        assert_eq!(run.at(START.plus(seconds(60))).unwrap().end, Some(START.plus(seconds(11))));
    }

    const START: UnixMillis = UnixMillis(1_000_000);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn phases_at(run: &Run, second: u64) -> (Phase, Vec<Phase>) {
        let view = run.at(START.plus(seconds(second))).unwrap();
        (view.phase, view.tasks.iter().map(|t| t.phase).collect())
    }

    #[test]
    fn a_run_does_not_exist_before_it_is_triggered() {
        let run = Run::new(1, 2, START, vec![Task::new("only", seconds(1))]);
        assert!(run.at(UnixMillis(START.0 - 1)).is_none());
        assert!(run.at(START).is_some());
    }

    #[test]
    fn a_run_goes_through_every_phase_in_order() {
        let mut run = Run::new(1, 2, START, vec![Task::new("only", seconds(10))]);
        run.queue = seconds(5);
        run.tasks[0].setup = seconds(3);
        run.tasks[0].cleanup = seconds(2);
        let phases: Vec<_> = [0, 5, 8, 18, 20].map(|second| phases_at(&run, second).0).into();
        use Phase::{Pending, Queued, Running, Terminated, Terminating};
        assert_eq!(phases, [Queued, Pending, Running, Terminating, Terminated]);
        let view = run.at(START.plus(seconds(20))).unwrap();
        assert_eq!(view.run_duration(), seconds(15));
        assert_eq!(view.queue_duration(), seconds(5));
        assert_eq!(view.end, Some(START.plus(seconds(20))));
    }

    #[test]
    fn a_task_waits_for_the_tasks_it_depends_on_and_for_its_earlier_attempts() {
        let mut retry = Task::new("extract", seconds(4));
        retry.attempt = 1;
        let tasks = vec![Task::new("load", seconds(1)).after(&["extract"]), Task::new("extract", seconds(2)), retry];
        let run = Run::new(1, 2, START, tasks);
        use Phase::{Blocked, Running, Terminated};
        assert_eq!(phases_at(&run, 1).1, [Blocked, Running, Blocked]);
        assert_eq!(phases_at(&run, 3).1, [Blocked, Terminated, Running]);
        assert_eq!(phases_at(&run, 6).1, [Running, Terminated, Terminated]);
        assert_eq!(phases_at(&run, 7).0, Terminated);
    }

    #[test]
    fn tasks_that_depend_on_each_other_or_on_nothing_known_still_end() {
        let tasks = vec![
            Task::new("a", seconds(1)).after(&["b"]),
            Task::new("b", seconds(1)).after(&["a"]),
            Task::new("c", seconds(1)).after(&["missing"]),
        ];
        let run = Run::new(1, 2, START, tasks);
        assert_eq!(phases_at(&run, 1).0, Phase::Terminated);
    }

    fn any_run() -> impl Strategy<Value = Run> {
        let task =
            (0..4u32, 0..3u32, prop::collection::vec(0..4u32, 0..3)).prop_flat_map(|(key, attempt, depends_on)| {
                (0..50u64, 0..500u64, 0..50u64).prop_map(move |(setup, execution, cleanup)| Task {
                    key: format!("t{key}"),
                    attempt,
                    depends_on: depends_on.iter().map(|key| format!("t{key}")).collect(),
                    setup: Duration::from_millis(setup),
                    execution: Duration::from_millis(execution),
                    cleanup: Duration::from_millis(cleanup),
                    ..Task::default()
                })
            });
        (prop::collection::vec(task, 0..6), 0..100u64).prop_map(|(tasks, queue)| {
            let mut run = Run::new(1, 2, START, tasks);
            run.queue = Duration::from_millis(queue);
            run
        })
    }

    proptest! {
        #[test]
        fn no_phase_ever_goes_back(run in any_run(), step in 1..70i64) {
            let order = |phase| match phase {
                Phase::Queued => 0, Phase::Blocked => 1, Phase::Pending => 2,
                Phase::Running => 3, Phase::Terminating => 4, Phase::Terminated => 5,
            };
            let mut last_tasks = vec![0; run.tasks.len()];
            let mut ended = false;
            for tick in 0..200 {
                let view = run.at(UnixMillis(START.0 + tick * step)).unwrap();
                for (last, task) in last_tasks.iter_mut().zip(&view.tasks) {
                    prop_assert!(order(task.phase) >= *last);
                    *last = order(task.phase);
                }
                prop_assert!(!(ended && view.is_active()));
                ended |= !view.is_active();
                prop_assert_eq!(view.end.is_some(), !view.is_active());
                let over = view.tasks.iter().all(|task| task.phase == Phase::Terminated);
                prop_assert!(view.is_active() || over);
            }
        }

        #[test]
        fn a_run_lasts_as_long_as_its_longest_path_and_no_longer(run in any_run()) {
            let view = run.at(UnixMillis(i64::MAX)).unwrap();
            let total: Duration = run.tasks.iter().map(|t| t.setup + t.execution + t.cleanup).sum();
            let longest = run.tasks.iter().map(|t| t.setup + t.execution + t.cleanup).max();
            prop_assert!(view.run_duration() <= total);
            prop_assert!(view.run_duration() >= longest.unwrap_or_default());
        }
    }
}
