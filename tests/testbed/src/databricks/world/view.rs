//! What of a run's plan has come true at a given time.
//!
//! Where the API's documentation is silent these choices were made: `start_time` is when the run was
//! triggered, so queueing lies between `start_time` and the first task; a phase's duration is 0 until the
//! phase is over; `run_duration` counts from the end of the queue to the end of the last task, plus the same
//! of each repair ("the time it took the job run and all of its repairs to finish", `BaseRun.run_duration`).
//!
//! Invariant: every plan has a timeline, even one whose tasks depend on each other in a circle or on tasks
//! that do not exist (such a dependency is ignored); a repair begins when what went before has ended.

use super::outcome::Outcome;
use super::run::{Quirk, Run, Task};
use super::time::{UnixMillis, millis};
use super::truth::Told;
use std::time::Duration;

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
    /// Its tasks, in the order of the plan; those of repairs follow when the repair has begun.
    pub tasks: Vec<TaskView<'a>>,
    /// The original run, and the repairs that have begun.
    pub history: Vec<Episode<'a>>,
}

/// What a task looks like at some moment.
#[derive(Clone, Debug)]
pub struct TaskView<'a> {
    /// Its plan.
    pub task: &'a Task,
    /// `attempt_number`: a repair counts on from what went before.
    pub attempt: u32,
    /// Its phase now.
    pub phase: Phase,
    /// When each of its phases begins, or will.
    pub slot: Slot,
}

/// A run or a repair of it.
#[derive(Clone, Debug)]
pub struct Episode<'a> {
    /// Its phase now.
    pub phase: Phase,
    /// When it began, or left the queue.
    pub begin: UnixMillis,
    /// When it ended or will.
    pub planned_end: UnixMillis,
    /// How it ends.
    pub outcome: &'a Outcome,
    /// Which of the run's tasks are its own.
    pub tasks: std::ops::Range<usize>,
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

impl Run {
    /// What the run looks like at `now`; nothing before it was triggered.
    #[must_use]
    pub fn at(&self, now: UnixMillis) -> Option<RunView<'_>> {
        if now < self.start {
            return None;
        }
        let (mut tasks, mut history): (Vec<TaskView<'_>>, Vec<Episode<'_>>) = Default::default();
        for (begin, plan, outcome) in self.episodes() {
            let earliest = history.last().map_or(begin, |before| begin.max(before.planned_end));
            if !history.is_empty() && now < earliest {
                break;
            }
            let slots = timeline(plan, earliest);
            let planned_end = end_of(&slots, earliest);
            let first = tasks.len();
            for (task, slot) in plan.iter().zip(slots) {
                let before = tasks.iter().take(first).filter(|before| before.task.key == task.key);
                let attempt = before.map(|before| before.attempt + 1).max().unwrap_or(0) + task.attempt;
                tasks.push(TaskView { task, attempt, phase: task_phase(now, earliest, slot), slot });
            }
            let own = tasks.get(first..).unwrap_or_default();
            let phase = run_phase(now, earliest, planned_end, own);
            history.push(Episode { phase, begin: earliest, planned_end, outcome, tasks: first..tasks.len() });
        }
        let last = history.last()?;
        let (phase, planned_end) = (last.phase, last.planned_end);
        Some(RunView {
            run: self,
            phase,
            begin: self.start.plus(self.queue),
            end: (phase == Phase::Terminated).then_some(planned_end),
            planned_end,
            tasks,
            history,
        })
    }

    /// When it ends for the first and for the last time.
    pub(crate) fn ends(&self) -> (UnixMillis, UnixMillis) {
        let mut ends: Option<(UnixMillis, UnixMillis)> = None;
        for (begin, plan, _) in self.episodes() {
            let begin = ends.map_or(begin, |(_, end)| begin.max(end));
            let end = end_of(&timeline(plan, begin), begin);
            ends = Some((ends.map_or(end, |(first, _)| first), end));
        }
        ends.unwrap_or((self.start, self.start))
    }

    /// The run and its repairs: when each begins at the earliest, what it does, how it ends.
    fn episodes(&self) -> impl Iterator<Item = (UnixMillis, &[Task], &Outcome)> {
        let original = (self.start.plus(self.queue), self.tasks.as_slice(), &self.outcome);
        let repairs = self.repairs.iter().map(|repair| (repair.at, repair.tasks.as_slice(), &repair.outcome));
        std::iter::once(original).chain(repairs)
    }
}

fn end_of(slots: &[Slot], begin: UnixMillis) -> UnixMillis {
    slots.iter().map(|slot| slot.end).max().unwrap_or(begin).max(begin)
}

fn timeline(tasks: &[Task], begin: UnixMillis) -> Vec<Slot> {
    let mut slots: Vec<Option<Slot>> = vec![None; tasks.len()];
    loop {
        let mut progress = false;
        for (index, task) in tasks.iter().enumerate() {
            if slots.get(index).is_some_and(Option::is_some) {
                continue;
            }
            let start = earliest_start(tasks, task, begin, &slots);
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
    tasks.iter().zip(slots).map(|(task, slot)| slot.unwrap_or_else(|| task.slot(begin))).collect()
}

/// When a task can start, if everything it waits for has a place on the timeline already.
fn earliest_start(tasks: &[Task], task: &Task, begin: UnixMillis, slots: &[Option<Slot>]) -> Option<UnixMillis> {
    let mut start = begin;
    for (other, slot) in tasks.iter().zip(slots) {
        let earlier_attempt = other.key == task.key && other.attempt < task.attempt;
        if earlier_attempt || task.depends_on.contains(&other.key) {
            start = start.max((*slot)?.end);
        }
    }
    Some(start)
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

impl<'a> RunView<'a> {
    /// Whether the API counts it as active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase != Phase::Terminated
    }

    /// From the end of the queue to the end of the run, and the same of its repairs; 0 until it has ended.
    #[must_use]
    pub fn run_duration(&self) -> Duration {
        match self.end {
            None => Duration::ZERO,
            Some(_) => self.history.iter().map(|episode| since(episode.planned_end, episode.begin)).sum(),
        }
    }

    /// How it ended, or will as far as is known now.
    #[must_use]
    pub fn outcome(&self) -> &'a Outcome {
        self.history.last().map_or(&self.run.outcome, |episode| episode.outcome)
    }

    /// Whether the API tells of it in this odd way.
    #[must_use]
    pub fn has(&self, quirk: Quirk) -> bool {
        self.run.quirks.contains(&quirk)
    }

    /// The run's durations as the API tells them: with several tasks the phases are 0.
    pub(crate) fn told(&self) -> Told {
        let phases = match self.tasks.as_slice() {
            [only] => only.durations(),
            _ => [Duration::ZERO; 3],
        };
        self.oddly(self.run_duration(), phases)
    }

    /// The same of one of its tasks.
    pub(crate) fn told_of(&self, task: &TaskView<'_>) -> Told {
        let run = match task.phase {
            Phase::Terminated => since(task.slot.end, task.slot.start),
            _ => Duration::ZERO,
        };
        self.oddly(run, task.durations())
    }

    fn oddly(&self, run: Duration, phases: [Duration; 3]) -> Told {
        let tell = |duration| match self.has(Quirk::NegativeDurations) {
            true => Some(-1 - millis(duration)),
            false => Some(millis(duration)),
        };
        let [setup, execution, cleanup] = phases.map(tell);
        Told {
            run: tell(run).filter(|_| !self.has(Quirk::NoRunDuration)),
            queue: tell(self.queue_duration()).filter(|_| !self.has(Quirk::NoQueueDuration)),
            setup,
            execution,
            cleanup,
        }
    }

    /// How it ended, in one word (see [`super::Truth`] for the rule).
    pub(crate) fn result_state(&self) -> String {
        self.in_one_word(self.outcome())
    }

    /// The same of one of its tasks.
    pub(crate) fn result_state_of(&self, task: &TaskView<'_>) -> String {
        self.in_one_word(&task.task.outcome)
    }

    fn in_one_word(&self, outcome: &Outcome) -> String {
        let verdict = outcome.verdict();
        let no_status = self.has(Quirk::NoStatus) || self.has(Quirk::NullObjects);
        match (self.has(Quirk::NoState), no_status) {
            (false, false) => verdict.in_one_word(),
            (false, true) => verdict.of_state().unwrap_or_default(),
            (true, false) => verdict.code,
            (true, true) => String::new(),
        }
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

pub(super) fn since(later: UnixMillis, earlier: UnixMillis) -> Duration {
    let millis = later.0.saturating_sub(earlier.0);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
