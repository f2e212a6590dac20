//! Whatever happens to the requests, the process and the clock: counts, sums and traces are those of the truth.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kiln_plugin::http::{HttpError, Request};
use kiln_plugin::telemetry::{AttributeValue, MetricData};
use kiln_plugin::testing::{Collected, Reply};
use kiln_testbed::databricks::world::{Outcome, Quirk, Repair, Run, Task, Truth, UnixMillis};
use proptest::prelude::*;
use serde_json::json;
use support::*;

/// How a workspace answers for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Status(u16),
    Reset,
    Cut,
    NoJson,
    Nulls,
}

impl Trouble {
    fn reply(self) -> Reply {
        match self {
            Self::Status(status) => Reply::status(status, "{}"),
            Self::Reset => Reply::error(HttpError::Connect("reset".to_owned())),
            Self::Cut => Reply::new("application/json", "{\"runs\": [{\"run_id\": 1, \"sta"),
            Self::NoJson => Reply::new("text/html", "<html>"),
            Self::Nulls => Reply::new("application/json", "{\"runs\": [null, 7, \"x\"], \"next_page_token\": null}"),
        }
    }
}

#[derive(Clone, Debug)]
struct Step {
    minutes: u32,
    trouble: Vec<(&'static str, Trouble)>,
    /// The first so many requests of a step are answered.
    after: usize,
    lost: bool,
    restart: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let trouble = prop_oneof![
        3 => prop_oneof![Just(500_u16), Just(503), Just(429), Just(404)].prop_map(Trouble::Status),
        1 => Just(Trouble::Reset),
        1 => Just(Trouble::Cut),
        1 => Just(Trouble::NoJson),
    ];
    let place = prop_oneof![Just("active_only"), Just("completed_only"), Just("runs/get"), Just("jobs/list")];
    let troubles = prop::collection::vec((place, trouble), 0..3);
    (1_u32..90, troubles, 0_usize..6, prop::bool::weighted(0.2), prop::bool::weighted(0.2))
        .prop_map(|(minutes, trouble, after, lost, restart)| Step { minutes, trouble, after, lost, restart })
}

#[derive(Clone, Debug)]
struct Plan {
    start: i64,
    minutes: u64,
    queue: u64,
    tasks: usize,
    job: i64,
    outcome: Outcome,
    run_type: &'static str,
    quirk: Option<Quirk>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        1 => Just(Outcome::Failed("no".into())),
        1 => Just(Outcome::Canceled),
        1 => Just(Outcome::MaxConcurrentRuns),
        1 => Just(Outcome::InternalError("broken".into())),
    ];
    let quirk = prop_oneof![
        Just(Quirk::NoStatus),
        Just(Quirk::NoState),
        Just(Quirk::NoEndTime),
        Just(Quirk::NegativeDurations),
        Just(Quirk::NoRunDuration),
        Just(Quirk::NoQueueDuration),
        Just(Quirk::NullObjects),
    ];
    let quirk = prop::option::weighted(0.2, quirk);
    let minutes = prop_oneof![6 => 1_u64..60, 2 => 60_u64..1_400, 1 => 1_400_u64..5_000];
    let run_type = prop_oneof![4 => Just("JOB_RUN"), 1 => Just("SUBMIT_RUN")];
    let tasks = prop_oneof![60 => 1_usize..4, 1 => Just(101_usize)];
    (-2_800_i64..1_200, minutes, 0_u64..600, tasks, 1_i64..4, outcome, run_type, quirk).prop_map(
        |(start, minutes, queue, tasks, job, outcome, run_type, quirk)| Plan {
            start,
            minutes,
            queue,
            tasks,
            job,
            outcome,
            run_type,
            quirk,
        },
    )
}

impl Plan {
    fn run(&self, id: i64, zero: UnixMillis) -> Run {
        let task = |n: usize| {
            let mut task = Task::new(&format!("t{n}"), Duration::from_secs(60 * self.minutes));
            task.setup = Duration::from_millis(1_500);
            task
        };
        // No two runs start in the same millisecond.
        let start = UnixMillis(zero.0 + self.start * 60_000 + id);
        let mut run = Run::new(self.job, id, start, (0..self.tasks).map(task).collect()).ending(self.outcome.clone());
        run.queue = Duration::from_secs(self.queue);
        run.run_type = self.run_type.to_owned();
        run.quirks = self.quirk.into_iter().collect();
        run
    }
}

/// Count and sums of run, queue, setup, execution and cleanup, by job, type and result. Milliseconds, so that sums can
/// be compared exactly.
type Sums = BTreeMap<(String, String, String), (u64, [u64; 5])>;

fn reported(collected: &Collected) -> Sums {
    let mut sums = Sums::new();
    for point in collected.metrics.points("databricks.job_runs.count") {
        let key = ["job_name", "run_type", "result_state"].map(|key| attribute(&point, key).unwrap_or_default());
        sums.entry(key.into()).or_default().0 = point.value as u64;
    }
    for (index, phase) in ["run", "queue", "setup", "execution", "cleanup"].into_iter().enumerate() {
        let Some(metric) = collected.metrics.metric(&format!("databricks.job.duration.{phase}")) else { continue };
        let MetricData::Histogram(histogram) = &metric.data else { panic!("a histogram") };
        for point in &histogram.points {
            let key =
                ["job_name", "run_type", "result_state"].map(|key| text(&point.attributes, key).unwrap_or_default());
            let sum = sums.entry(key.into()).or_default();
            sum.1[index] = (point.sum.unwrap() * 1_000.0).round() as u64;
            assert!(point.count <= sum.0, "no more durations than runs");
        }
    }
    sums
}

fn expected(truth: &Truth) -> Sums {
    let mut sums = Sums::new();
    for group in &truth.runs {
        let result = if group.result_state.is_empty() { "UNKNOWN" } else { &group.result_state };
        let key = (group.run_name.clone(), group.run_type.clone(), result.to_owned());
        let durations = &group.durations;
        let phases = [durations.run, durations.queue, durations.setup, durations.execution, durations.cleanup];
        sums.insert(key, (group.count, phases.map(|sum| u64::try_from(sum.ms).unwrap())));
    }
    sums
}

/// The traces a collection told: how many spans, by run.
fn told(collected: &Collected, into: &mut BTreeMap<i64, usize>) {
    let mut spans_of: BTreeMap<i64, usize> = BTreeMap::new();
    for span in spans(collected) {
        let id = span.attributes.iter().find(|attribute| attribute.key == "databricks.run.id").unwrap();
        let AttributeValue::Integer(id) = id.value else { panic!("an integer") };
        *spans_of.entry(id).or_default() += 1;
    }
    into.extend(spans_of);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Scenario: random runs, some long over, some still active; random polls, restarts, lost collections, broken
    /// answers; a random lookback and budget.
    /// Guarantees: once the workspace answers again, counts and sums are exactly the truth since the start time, and
    /// every counted run has been told as a whole trace.
    #[test]
    fn whatever_happens_the_counts_are_the_truth(
        steps in prop::collection::vec(step(), 1..14),
        plans in prop::collection::vec(plan(), 0..160),
        lookback in prop_oneof![Just("0s"), Just("2h"), Just("24h")],
        budget in 10_u32..60,
        page in prop_oneof![Just(2_u32), Just(5), Just(24)],
    ) {
        let simulation = Simulation::new();
        simulation.page_runs_by(page);
        let zero = simulation.now();
        let began = match lookback { "0s" => zero, "2h" => simulation.ago(2 * HOUR), _ => simulation.ago(DAY) };
        let mut runs = Vec::new();
        for (id, plan) in (1..).zip(&plans) {
            let run = plan.run(id, zero);
            let view = run.at(UnixMillis(i64::MAX)).unwrap();
            // What ended before the first start and took longer than a day is outside of the promise.
            let is_found = view.planned_end >= zero || view.planned_end.0 - run.start.0 <= 24 * 3_600_000;
            if is_found {
                runs.push(run);
            }
        }
        simulation.workspace.set_runs(runs.clone());
        let config = json!({ "initial_lookback": lookback, "requests_per_cycle": budget });
        let configure = || simulation.configure_with(with(only(&["jobs", "runs"]), config.clone()));
        let mut instance = configure();
        let mut traces = BTreeMap::new();
        told(&instance.collect().unwrap(), &mut traces);

        for step in &steps {
            simulation.advance(MINUTE * step.minutes);
            let (trouble, left) = (step.trouble.clone(), std::cell::Cell::new(step.after));
            simulation.intercept(move |request: &Request| {
                left.set(left.get().saturating_sub(1));
                let hit = trouble.iter().find(|(place, _)| request.url.contains(place));
                hit.filter(|_| left.get() == 0).map(|(_, trouble)| trouble.reply())
            });
            let before = simulation.host.save_state();
            let collected = instance.collect();
            if step.lost {
                simulation.host.restore_state(&before);
            } else if let Ok(collected) = collected {
                told(&collected, &mut traces);
            }
            if step.restart || step.lost {
                instance = configure();
            }
        }

        simulation.works_again();
        let mut collected = instance.collect().unwrap();
        told(&collected, &mut traces);
        for _ in 0..100 {
            collected = instance.collect().unwrap();
            told(&collected, &mut traces);
        }
        let truth = simulation.truth(began);
        prop_assert_eq!(reported(&collected), expected(&truth));
        let now = simulation.now();
        let ended = |run: &&Run| run.at(now).is_some_and(|view| view.end.is_some_and(|end| end >= began));
        let ended: BTreeMap<i64, usize> =
            runs.iter().filter(ended).map(|run| (run.run_id, 1 + run.tasks.len())).collect();
        prop_assert_eq!(traces, ended);
        prop_assert!(simulation.host.state_bytes() < 100_000);
    }

    /// Scenario: pages whose items are no runs at all.
    /// Guarantees: they cost themselves only, are reported once per collection, and nothing else is lost.
    #[test]
    fn items_that_are_no_runs_are_passed_over(times in 1_u32..4) {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        instance.collect().unwrap();
        simulation.plan(1, simulation.later(MINUTE), MINUTE);
        simulation.advance(5 * MINUTE);
        simulation.intercept(|request| request.url.contains("completed_only").then(|| Trouble::Nulls.reply()));
        for _ in 0..times {
            let collected = instance.collect().unwrap();
            prop_assert_eq!(collected.failed_sources(), ["runs"]);
            prop_assert!(collected.outcome.failures[0].message.contains("3 items"));
        }
        simulation.works_again();
        prop_assert_eq!(counted(&instance.collect().unwrap()), 1.0);
    }
}

/// Scenario: a run fails, is repaired twice — soon, and days later — and succeeds.
/// Guarantees: it is counted once, as it ended first; each time it ends its whole trace is told, under the same ids,
/// with all attempts linked to the first.
#[test]
fn a_repaired_run_is_counted_once_and_told_again() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    let start = simulation.later(MINUTE);
    let tasks = vec![Task::new("a", MINUTE), Task::new("b", MINUTE).after(&["a"])];
    let mut run = Run::new(7, 1, start, tasks).ending(Outcome::Failed("no".to_owned()));
    let repair = |at, attempt, outcome: Outcome| {
        let task = Task { attempt, outcome: outcome.clone(), ..Task::new("b", MINUTE) };
        Repair { at, tasks: vec![task], outcome }
    };
    run.repairs = vec![
        repair(start.plus(5 * MINUTE), 1, Outcome::Failed("no".to_owned())),
        repair(start.plus(3 * DAY), 2, Outcome::Success),
    ];
    simulation.workspace.add_run(run);
    let mut told = Vec::new();
    for _ in 0..4_400 {
        simulation.advance(MINUTE);
        let collected = instance.collect().unwrap();
        if !collected.spans.is_empty() {
            told.push(spans(&collected));
        }
    }
    let collected = instance.collect().unwrap();
    assert_eq!(collected.metrics.value("databricks.job_runs.count", &[]), 1.0);
    assert_eq!(collected.metrics.point("databricks.job_runs.count", &[]).attributes["result_state"], "FAILED");
    assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [3, 4, 5]);
    let ids: BTreeSet<_> = told.iter().flatten().map(|span| &span.trace_id).collect();
    assert_eq!(ids.len(), 1);
    let last = told.last().unwrap();
    let attempts: Vec<_> = last.iter().filter(|span| span.name == "b").collect();
    assert_eq!(attempts.len(), 3);
    for later in &attempts[1..] {
        assert!(later.links.iter().any(|link| link.span_id == attempts[0].span_id));
    }
    let roots: BTreeSet<_> = told.iter().map(|spans| spans[0].span_id.clone()).collect();
    assert_eq!(roots.len(), 1);
}

/// Scenario: random runs, some of which are repaired, polled at random.
/// Guarantees: each is counted once.
#[test]
fn however_often_runs_are_repaired_each_is_counted_once() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let repaired = (plan(), prop::collection::vec((1_u32..2_000, 1_u64..200), 0..3));
    let strategy = (prop::collection::vec(repaired, 1..60), prop::collection::vec(1_u32..120, 1..25));
    let result = runner.run(&strategy, |(plans, polls)| {
        let simulation = Simulation::new();
        let zero = simulation.now();
        let mut expected = 0;
        let end = simulation.later(MINUTE * polls.iter().sum::<u32>());
        let mut instance = simulation.configure();
        instance.collect().unwrap();
        for (id, (plan, repairs)) in (1..).zip(&plans) {
            // What had ended before counting began may be counted when its repair ends: nobody can know.
            let plan = Plan { start: plan.start.max(1), quirk: None, ..plan.clone() };
            let mut run = plan.run(id, zero);
            let mut at = run.at(UnixMillis(i64::MAX)).unwrap().planned_end;
            expected += u32::from(at <= end);
            for (attempt, (after, takes)) in (1..).zip(repairs) {
                at = at.plus(MINUTE * *after);
                let task = Task { attempt, ..Task::new("t0", Duration::from_secs(60 * takes)) };
                run.repairs.push(Repair { at, tasks: vec![task], outcome: Outcome::Success });
                at = at.plus(Duration::from_secs(60 * takes));
            }
            simulation.workspace.add_run(run);
        }
        for minutes in &polls {
            simulation.advance(MINUTE * *minutes);
            instance.collect().unwrap();
        }
        let mut collected = instance.collect().unwrap();
        for _ in 0..20 {
            collected = instance.collect().unwrap();
        }
        let active: BTreeSet<i64> = simulation.workspace.world(|world| {
            let now = world.now();
            world
                .runs(now)
                .iter()
                .filter(|run| run.at(now).is_some_and(|view| view.is_active()))
                .map(|run| run.run_id)
                .collect()
        });
        let total = counted(&collected) as u32;
        // A run that was repaired before anybody saw it end is counted when the repair has ended.
        prop_assert!(
            total <= expected && expected - total <= u32::try_from(active.len()).unwrap(),
            "{total} of {expected}"
        );
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_trace_has_the_same_ids_whoever_tells_it() {
    let tell = || {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        instance.collect().unwrap();
        simulation.plan(1, simulation.later(MINUTE), MINUTE);
        simulation.advance(5 * MINUTE);
        spans(&instance.collect().unwrap())
    };
    let ids: BTreeSet<_> = tell().into_iter().chain(tell()).map(|span| (span.trace_id, span.span_id)).collect();
    assert_eq!(ids.len(), 2, "a run and its task, told twice");
}
