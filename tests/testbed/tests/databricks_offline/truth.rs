//! What a careful reader counts is the truth.

use super::{NOW, RUNS, read, seconds};
use kiln_testbed::databricks::Offline;
use kiln_testbed::databricks::world::{Outcome, Quirk, Run, Task, UnixMillis};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        2 => Just(Outcome::Failed("no".to_owned())),
        1 => Just(Outcome::Canceled),
        1 => Just(Outcome::Skipped),
        1 => Just(Outcome::Crashed("gone".to_owned())),
        1 => Just(Outcome::MaxConcurrentRuns),
    ]
}

fn task() -> impl Strategy<Value = Task> {
    (0..4u32, 0..3u64, 0..60u64, 0..3u64, outcome()).prop_map(|(key, setup, execution, cleanup, outcome)| Task {
        setup: seconds(setup),
        cleanup: seconds(cleanup),
        outcome,
        ..Task::new(&format!("t{key}"), seconds(execution))
    })
}

fn tasks() -> impl Strategy<Value = Vec<Task>> {
    prop::collection::vec(task(), 0..4)
}

fn run() -> impl Strategy<Value = Run> {
    let quirk = prop::sample::select(vec![
        Quirk::NoEndTime,
        Quirk::NegativeDurations,
        Quirk::NoRunDuration,
        Quirk::NoQueueDuration,
        Quirk::NoStatus,
        Quirk::NoState,
        Quirk::NullObjects,
    ]);
    let repairs = prop::collection::vec((0..300u64, tasks()), 0..2);
    (0..3i64, 0..400u64, tasks(), outcome(), repairs, 0..9u64, prop::option::weighted(0.3, quirk)).prop_map(
        |(job_id, ago, tasks, outcome, repairs, queue, quirk)| {
            let start = NOW.minus(seconds(ago));
            let mut run = Run::new(job_id, 0, start, tasks).ending(outcome);
            run.queue = seconds(queue);
            for (later, tasks) in repairs {
                run = run.repaired(start.plus(seconds(later)), tasks);
            }
            run.quirks.extend(quirk);
            run
        },
    )
}

/// Job, result; then runs, and the number and sum of durations of runs.
type Counted = BTreeMap<(i64, String), (u64, u64, i64)>;

fn result_of(run: &Value) -> String {
    let text = |pointer: &str| run.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let life_cycle = text("/state/life_cycle_state").filter(|state| state == "SKIPPED" || state == "INTERNAL_ERROR");
    let code = || text("/status/termination_details/code");
    text("/state/result_state").or(life_cycle).or_else(code).unwrap_or_default()
}

fn duration_of(run: &Value) -> Option<i64> {
    let several = run["tasks"].as_array().filter(|tasks| tasks.len() > 1);
    let phase = |field: &str| match several {
        None => run[field].as_i64(),
        Some(tasks) => tasks.iter().filter_map(|task| task[field].as_i64()).filter(|ms| *ms >= 0).reduce(|a, b| a + b),
    };
    let phases = || Some(phase("setup_duration")? + phase("execution_duration")? + phase("cleanup_duration")?);
    run["run_duration"].as_i64().filter(|ms| *ms != 0).or_else(phases).filter(|ms| *ms >= 0)
}

fn count(workspace: &Offline) -> Counted {
    let (mut counted, mut token) = (Counted::new(), String::new());
    loop {
        let page = read(
            workspace,
            &format!("{RUNS}?completed_only=true&expand_tasks=true&limit=7&page_token={}", token.replace('+', "%2B")),
        );
        for run in page["runs"].as_array().into_iter().flatten() {
            let (runs, told, ms) = counted.entry((run["job_id"].as_i64().unwrap(), result_of(run))).or_default();
            *runs += 1;
            if let Some(duration) = duration_of(run) {
                (*told, *ms) = (*told + 1, *ms + duration);
            }
        }
        match page["next_page_token"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => return counted,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Scenario: any runs, some repaired, some told oddly, read page by page as time goes on.
    /// Guarantees: whoever reads every page and follows the rules counts what the world says has happened.
    #[test]
    fn whoever_reads_every_page_counts_the_truth(
        mut runs in prop::collection::vec(run(), 0..40),
        steps in prop::collection::vec(0..200u64, 1..5),
    ) {
        for (run, id) in runs.iter_mut().zip(1..) {
            run.run_id = id;
        }
        let workspace = Offline::scripted(NOW.minus(seconds(300)));
        workspace.set_runs(runs);
        for step in steps {
            workspace.advance(seconds(step));
            let truth = workspace.truth(UnixMillis(i64::MIN), UnixMillis(i64::MAX));
            let mut expected = Counted::new();
            for group in truth.runs {
                let (runs, told, ms) = expected.entry((group.job_id, group.result_state)).or_default();
                *runs += group.count;
                (*told, *ms) = (*told + group.durations.run.count, *ms + group.durations.run.ms);
            }
            prop_assert_eq!(count(&workspace), expected);
        }
    }
}

#[test]
fn a_workspace_without_a_socket_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&Offline::scripted(NOW));
}
