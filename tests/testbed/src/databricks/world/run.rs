//! A job run as a plan, and what of it has come true at a given time.
//!
//! A [`Run`] says in advance when it starts, how long it queues, how long each task sets up, executes and
//! cleans up, and how it ends. [`Run::at`] is a pure function of the plan and the time, so a world needs no
//! background thread, two readers at the same time see the same thing, and a test can jump anywhere.
//!
//! Where the API's documentation is silent these choices were made: `start_time` is when the run was
//! triggered, so queueing lies between `start_time` and the first task; a phase's duration is 0 until the
//! phase is over; `run_duration` counts from the end of the queue to the end of the last task.
//!
//! Invariant: every plan has a timeline, even one whose tasks depend on each other in a circle or on tasks
//! that do not exist (such a dependency is ignored).

use super::outcome::Outcome;
use super::time::{UnixMillis, as_millis, millis};
use super::truth::Told;
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

/// Where a run or a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a place to run.
    Queued,
    /// A task that waits for another.
    Blocked,
    /// Waits for its cluster.
    Pending,
    /// Executes.
    Running,
    /// Cleans up.
    Terminating,
    /// Has ended.
    Terminated,
}

/// What a run looks like at some moment.
#[derive(Clone, Debug)]
pub struct RunView<'a> {
    /// Its plan.
    pub run: &'a Run,
    /// Its phase now.
    pub phase: Phase,
    /// When it left the queue, or will.
    pub begin: UnixMillis,
    /// When it ended, if it has.
    pub end: Option<UnixMillis>,
    /// When it will have ended, known to the world though not to its readers.
    pub planned_end: UnixMillis,
    /// Its tasks, in the order of the plan.
    pub tasks: Vec<TaskView<'a>>,
}

/// What a task looks like at some moment.
#[derive(Clone, Debug)]
pub struct TaskView<'a> {
    /// Its plan.
    pub task: &'a Task,
    /// Its phase now.
    pub phase: Phase,
    /// When each of its phases begins, or will.
    pub slot: Slot,
}

/// The four moments of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Setup begins.
    pub start: UnixMillis,
    /// Execution begins.
    pub executing: UnixMillis,
    /// Clean-up begins.
    pub cleaning: UnixMillis,
    /// It is over.
    pub end: UnixMillis,
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

    fn slot(&self, start: UnixMillis) -> Slot {
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
        }
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

    /// What the run looks like at `now`; nothing before it was triggered.
    #[must_use]
    pub fn at(&self, now: UnixMillis) -> Option<RunView<'_>> {
        if now < self.start {
            return None;
        }
        let begin = self.start.plus(self.queue);
        let slots = self.timeline(begin);
        let planned_end = slots.iter().map(|slot| slot.end).max().unwrap_or(begin).max(begin);
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .zip(slots)
            .map(|(task, slot)| TaskView { task, phase: task_phase(now, begin, slot), slot })
            .collect();
        let phase = run_phase(now, begin, planned_end, &tasks);
        Some(RunView {
            run: self,
            phase,
            begin,
            end: (phase == Phase::Terminated).then_some(planned_end),
            planned_end,
            tasks,
        })
    }

    /// When it ends for the first and for the last time.
    pub(crate) fn ends(&self) -> (UnixMillis, UnixMillis) {
        let begin = self.start.plus(self.queue);
        let end = self.timeline(begin).iter().map(|slot| slot.end).max().unwrap_or(begin).max(begin);
        (end, end)
    }

    fn timeline(&self, begin: UnixMillis) -> Vec<Slot> {
        let mut slots: Vec<Option<Slot>> = vec![None; self.tasks.len()];
        loop {
            let mut progress = false;
            for (index, task) in self.tasks.iter().enumerate() {
                if slots.get(index).is_some_and(Option::is_some) {
                    continue;
                }
                let start = self.earliest_start(task, begin, &slots);
                if let (Some(start), Some(slot)) = (start, slots.get_mut(index)) {
                    *slot = Some(task.slot(start));
                    progress = true;
                }
            }
            if !progress {
                break;
            }
        }
        // Whatever is left waits for itself.
        self.tasks.iter().zip(slots).map(|(task, slot)| slot.unwrap_or_else(|| task.slot(begin))).collect()
    }

    /// When a task can start, if everything it waits for has a place on the timeline already.
    fn earliest_start(&self, task: &Task, begin: UnixMillis, slots: &[Option<Slot>]) -> Option<UnixMillis> {
        let mut start = begin;
        for (other, slot) in self.tasks.iter().zip(slots) {
            let earlier_attempt = other.key == task.key && other.attempt < task.attempt;
            if earlier_attempt || task.depends_on.contains(&other.key) {
                start = start.max((*slot)?.end);
            }
        }
        Some(start)
    }
}

fn task_phase(now: UnixMillis, begin: UnixMillis, slot: Slot) -> Phase {
    if now < begin {
        Phase::Queued
    } else if now < slot.start {
        Phase::Blocked
    } else if now < slot.executing {
        Phase::Pending
    } else if now < slot.cleaning {
        Phase::Running
    } else if now < slot.end {
        Phase::Terminating
    } else {
        Phase::Terminated
    }
}

fn run_phase(now: UnixMillis, begin: UnixMillis, planned_end: UnixMillis, tasks: &[TaskView<'_>]) -> Phase {
    if now < begin {
        return Phase::Queued;
    }
    if now >= planned_end {
        return Phase::Terminated;
    }
    let any = |phase| tasks.iter().any(|task| task.phase == phase);
    if tasks.iter().all(|task| now < task.slot.executing) {
        Phase::Pending
    } else if any(Phase::Terminating) && !any(Phase::Pending) && !any(Phase::Running) && !any(Phase::Blocked) {
        Phase::Terminating
    } else {
        Phase::Running
    }
}

impl RunView<'_> {
    /// Whether the API counts it as active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase != Phase::Terminated
    }

    /// From the end of the queue to the end of the run; 0 until it has ended.
    #[must_use]
    pub fn run_duration(&self) -> Duration {
        self.end.map_or(Duration::ZERO, |end| since(end, self.begin))
    }

    /// The run's durations as the API tells them: with several tasks the phases are 0.
    pub(crate) fn told(&self) -> Told {
        let [setup, execution, cleanup] = match self.tasks.as_slice() {
            [only] => only.durations(),
            _ => [Duration::ZERO; 3],
        }
        .map(|phase| Some(millis(phase)));
        Told {
            run: Some(millis(self.run_duration())),
            queue: Some(millis(self.queue_duration())),
            setup,
            execution,
            cleanup,
        }
    }

    /// The same of one of its tasks.
    pub(crate) fn told_of(&self, task: &TaskView<'_>) -> Told {
        let [setup, execution, cleanup] = task.durations().map(|phase| Some(millis(phase)));
        let run = match task.phase {
            Phase::Terminated => since(task.slot.end, task.slot.start),
            _ => Duration::ZERO,
        };
        Told { run: Some(millis(run)), queue: Some(millis(self.queue_duration())), setup, execution, cleanup }
    }

    /// How it ended, in one word (see [`super::Truth`] for the rule).
    pub(crate) fn result_state(&self) -> String {
        self.run.outcome.verdict().in_one_word()
    }

    /// The same of one of its tasks.
    pub(crate) fn result_state_of(&self, task: &TaskView<'_>) -> String {
        task.task.outcome.verdict().in_one_word()
    }

    /// Time in the queue; 0 until it has left it.
    #[must_use]
    pub fn queue_duration(&self) -> Duration {
        match self.phase {
            Phase::Queued => Duration::ZERO,
            _ => self.run.queue,
        }
    }
}

impl TaskView<'_> {
    /// Setup, execution and clean-up, each 0 until it is over.
    #[must_use]
    pub fn durations(&self) -> [Duration; 3] {
        let done = |phases: &[Phase], duration: Duration| match phases.contains(&self.phase) {
            true => duration,
            false => Duration::ZERO,
        };
        use Phase::{Running, Terminated, Terminating};
        [
            done(&[Running, Terminating, Terminated], self.task.setup),
            done(&[Terminating, Terminated], self.task.execution),
            done(&[Terminated], self.task.cleanup),
        ]
    }

    /// Whether it has been given its cluster.
    #[must_use]
    pub fn has_started(&self) -> bool {
        !matches!(self.phase, Phase::Queued | Phase::Blocked)
    }
}

fn since(later: UnixMillis, earlier: UnixMillis) -> Duration {
    let millis = later.0.saturating_sub(earlier.0);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
