//! Each finished run is counted exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod simulated;

use kiln_plugin::UnixNanos;
use kiln_plugin::testing::Reply;
use proptest::prelude::*;
use serde_json::json;
use simulated::{JOBS, RUN, RUNS, SimulatedRun, Simulation, millis, starts, total};

const DAY: u64 = 24 * 60;

#[test]
fn counting_starts_with_the_first_collection() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(30), simulation.minutes_ago(20)));
    let began = simulation.host.now();
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 0.0);

    simulation.add_run(SimulatedRun::new(2, simulation.in_minutes(1), simulation.in_minutes(2)));
    simulation.advance_minutes(5);
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!(total(&collected), 1.0);
    assert_eq!(starts(&collected), [began].into());
}

#[test]
fn a_run_is_counted_once_however_often_it_is_listed() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    simulation.add_run(SimulatedRun::new(1, simulation.in_minutes(1), simulation.in_minutes(3)));
    for _ in 0..20 {
        simulation.advance_minutes(1);
        simulation.collect(&mut instance).unwrap();
    }
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!(total(&collected), 1.0);
    let attributes = [("result_state", "SUCCESS"), ("databricks.job.id", "7"), ("job_name", "job 7")];
    let durations = collected.metrics.histogram("databricks.job.duration.run", &attributes);
    assert_eq!((durations.count, durations.sum), (1, Some(120.0)));
}

#[test]
fn counts_survive_a_restart_and_a_collection_that_is_lost() {
    let simulation = Simulation::new();
    simulation.collect(&mut simulation.configure()).unwrap();
    let began = simulation.host.now();
    simulation.add_run(SimulatedRun::new(1, simulation.in_minutes(1), simulation.in_minutes(2)));
    simulation.advance_minutes(5);
    assert_eq!(total(&simulation.collect(&mut simulation.configure()).unwrap()), 1.0);

    // What a collection counts is not remembered when the collection is not accepted.
    simulation.add_run(SimulatedRun::new(2, simulation.in_minutes(1), simulation.in_minutes(2)));
    simulation.advance_minutes(5);
    let before = simulation.host.state("runs").unwrap();
    assert_eq!(total(&simulation.collect(&mut simulation.configure()).unwrap()), 2.0);
    simulation.host.set_state("runs", &before);
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    assert_eq!(total(&collected), 2.0);
    assert_eq!(starts(&collected), [began].into());
}

#[test]
fn a_run_that_started_before_the_lookback_is_asked_for_when_it_is_gone() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(3 * DAY), simulation.in_minutes(90)));
    simulation.collect(&mut instance).unwrap();
    simulation.advance_minutes(60);
    simulation.collect(&mut instance).unwrap();
    assert!(!simulation.host.take_requests().iter().any(|request| request.contains(RUN)));
    simulation.advance_minutes(60);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 1.0);
    assert!(simulation.host.take_requests().contains(&format!("GET {RUN}?run_id=1")));
    simulation.advance_minutes(1);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 1.0);
    assert!(!simulation.host.take_requests().iter().any(|request| request.contains(RUN)));
}

#[test]
fn asking_for_runs_is_bounded_and_nothing_is_lost() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let start = simulation.minutes_ago(3 * DAY);
    (1_i64..=120).for_each(|id| simulation.add_run(SimulatedRun::new(id, start, simulation.in_minutes(1))));
    simulation.collect(&mut instance).unwrap();
    simulation.advance_minutes(2);
    let _ = simulation.host.take_requests();
    for counted in [50.0, 100.0, 120.0, 120.0] {
        assert_eq!(total(&simulation.collect(&mut instance).unwrap()), counted);
    }
    let asked = simulation.host.take_requests().iter().filter(|request| request.contains(RUN)).count();
    assert_eq!(asked, 120);
}

#[test]
fn a_run_that_cannot_be_asked_for_is_asked_for_again_and_one_that_is_deleted_is_not() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let start = simulation.minutes_ago(3 * DAY);
    (1..=2).for_each(|id| simulation.add_run(SimulatedRun::new(id, start, simulation.in_minutes(1))));
    simulation.collect(&mut instance).unwrap();
    simulation.world.borrow_mut().runs.pop();
    simulation.advance_minutes(2);
    simulation.fail(&[(RUN, 500)]);
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!(collected.failed_sources(), [RUN, RUN]);
    assert_eq!(collected.metrics.value("databricks.scraper.errors", &[("endpoint", RUN)]), 2.0);

    simulation.fail(&[]);
    let _ = simulation.host.take_requests();
    let collected = simulation.collect(&mut instance).unwrap();
    assert_eq!((total(&collected), collected.failed_sources().len()), (1.0, 0));
    simulation.collect(&mut instance).unwrap();
    let asked = simulation.host.take_requests().iter().filter(|request| request.contains(RUN)).count();
    assert_eq!(asked, 2);
}

#[test]
fn what_a_broken_list_did_not_show_is_found_by_the_next() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    for id in 0..60_i64 {
        let start = simulation.in_minutes(0) + 50_000 * id.unsigned_abs();
        simulation.add_run(SimulatedRun::new(id, start, start + 10_000));
    }
    simulation.advance_minutes(51);
    simulation.world.borrow_mut().breaks_after = Some(1);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 24.0);
    simulation.world.borrow_mut().breaks_after = None;
    simulation.advance_minutes(1);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 60.0);
}

#[test]
fn a_run_that_ended_before_the_first_collection_and_appears_later_is_not_counted() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(5), simulation.minutes_ago(4)));
    simulation.advance_minutes(1);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 0.0);
}

#[test]
fn without_a_list_of_active_runs_nothing_seems_to_have_vanished() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(5), simulation.in_minutes(60)));
    simulation.collect(&mut instance).unwrap();
    simulation.fail(&[("active", 503)]);
    simulation.collect(&mut instance).unwrap();
    assert!(!simulation.host.take_requests().iter().any(|request| request.contains(RUN)));
}

#[test]
fn after_an_outage_the_lookback_is_searched() {
    let simulation = Simulation::new();
    simulation.collect(&mut simulation.configure()).unwrap();
    for (id, ago) in [(1, 30), (2, 20), (3, 1)] {
        let start = simulation.in_minutes(40 * 60 - ago * 60);
        simulation.add_run(SimulatedRun::new(id, start, start + 60_000));
    }
    simulation.advance_minutes(40 * 60);
    assert_eq!(total(&simulation.collect(&mut simulation.configure()).unwrap()), 2.0);
}

/// Scenario: a run started in every minute of the last day.
/// Guarantees: a collection lists what is new; two hours of it at first and every hour, never the whole day.
#[test]
fn however_many_runs_there_are_a_collection_lists_few() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    (1_i64..=24 * 60).for_each(|id| {
        let start = simulation.minutes_ago(id.unsigned_abs());
        simulation.add_run(SimulatedRun::new(id, start, start + 60_000));
    });
    simulation.collect(&mut instance).unwrap();
    let pages = || simulation.host.take_requests().iter().filter(|request| request.contains("completed_only")).count();
    assert_eq!(pages(), 5, "120 runs, 24 to a page");
    simulation.advance_minutes(1);
    simulation.collect(&mut instance).unwrap();
    assert_eq!(pages(), 1);
    simulation.advance_minutes(60);
    simulation.collect(&mut instance).unwrap();
    assert_eq!(pages(), 3, "the last two hours again, of which one had runs");
}

#[test]
fn what_the_state_remembers_is_bounded_by_the_lookback() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    for id in 0..200 {
        simulation.add_run(SimulatedRun::new(id, simulation.in_minutes(1), simulation.in_minutes(2)));
        simulation.advance_minutes(60);
        simulation.collect(&mut instance).unwrap();
    }
    let state = simulation.host.state("runs").unwrap();
    let remembered = state["seen"].as_object().unwrap().len();
    assert!((24..=26).contains(&remembered), "{remembered}");
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 200.0);
}

#[test]
fn a_larger_lookback_counts_nothing_again() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    for id in 0..48 {
        simulation.add_run(SimulatedRun::new(id, simulation.in_minutes(1), simulation.in_minutes(2)));
        simulation.advance_minutes(60);
        simulation.collect(&mut instance).unwrap();
    }
    let config = json!({ "host": "https://example.cloud.databricks.com", "lookback": "30d" });
    let mut larger = simulation.host.configure(config).unwrap();
    simulation.advance_minutes(120);
    assert_eq!(total(&simulation.collect(&mut larger).unwrap()), 48.0);
}

#[test]
fn results_the_api_may_add_pass_through() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    let (start, end) = (simulation.in_minutes(1), simulation.in_minutes(2));
    let ended = |id: i64, state: serde_json::Value| {
        json!({ "run_id": id, "job_id": 7, "run_name": "j", "start_time": start, "end_time": end, "state": state,
            "status": { "state": "TERMINATED", "termination_details": { "code": "BUDGET_EXCEEDED" } } })
    };
    let runs = [
        ended(1, json!({ "life_cycle_state": "TERMINATED", "result_state": "SUCCESS_WITH_GLITTER" })),
        ended(2, json!({ "life_cycle_state": "SKIPPED" })),
        ended(3, json!({ "life_cycle_state": "INTERNAL_ERROR" })),
        ended(4, json!(null)),
        ended(5, json!({ "life_cycle_state": "TERMINATED", "result_state": "FAILED", "new_field": [1] })),
    ];
    let active = json!({ "runs": [{ "run_id": 9, "job_id": 7, "run_name": "j", "status": { "state": "DREAMING" } }] });
    let completed = json!({ "runs": runs });
    simulation.host.on_path(RUNS, move |request| {
        Reply::json(if request.url.contains("active_only") { &active } else { &completed })
    });
    simulation.advance_minutes(5);
    let collected = simulation.collect(&mut instance).unwrap();
    for result in ["SUCCESS_WITH_GLITTER", "SKIPPED", "INTERNAL_ERROR", "BUDGET_EXCEEDED", "FAILED"] {
        assert_eq!(collected.metrics.value("databricks.job_runs.count", &[("result_state", result)]), 1.0, "{result}");
    }
    assert_eq!(collected.metrics.value("databricks.job_runs.active", &[("run_state", "DREAMING")]), 1.0);
}

#[test]
fn runs_that_belong_to_no_job_share_one_series() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    for (id, run_type) in [(1, "SUBMIT_RUN"), (2, "SUBMIT_RUN"), (3, "WORKFLOW_RUN"), (4, "JOB_RUN")] {
        let mut run = SimulatedRun::new(id, simulation.in_minutes(1), simulation.in_minutes(2));
        (run.run_type, run.job_id) = (run_type, id);
        simulation.add_run(run);
    }
    simulation.advance_minutes(5);
    let points = simulation.collect(&mut instance).unwrap().metrics.points("databricks.job_runs.count");
    let found: Vec<_> = points.iter().map(|point| (point.attributes.get("job_name").cloned(), point.value)).collect();
    assert_eq!(found, [(None, 3.0), (Some("job 4".to_owned()), 1.0)]);
}

#[test]
fn state_that_cannot_be_read_begins_a_new_count_where_everyone_sees_it() {
    let simulation = Simulation::new();
    simulation.host.set_state("runs", &json!({ "of": "another version" }));
    simulation.add_run(SimulatedRun::new(1, simulation.minutes_ago(9), simulation.minutes_ago(8)));
    simulation.collect(&mut simulation.configure()).unwrap();
    assert!(simulation.host.take_log()[0].message.contains("starts anew"));
    simulation.add_run(SimulatedRun::new(2, simulation.in_minutes(1), simulation.in_minutes(2)));
    let began = simulation.host.now();
    simulation.advance_minutes(5);
    let collected = simulation.collect(&mut simulation.configure()).unwrap();
    assert_eq!((total(&collected), starts(&collected)), (1.0, [began].into()));
}

#[test]
fn a_clock_that_jumps_changes_no_count() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.collect(&mut instance).unwrap();
    simulation.add_run(SimulatedRun::new(1, simulation.in_minutes(1), simulation.in_minutes(2)));
    simulation.advance_minutes(5);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 1.0);

    // The world's time does not follow Kiln's clock here.
    let right = simulation.host.now();
    for wrong in [right.before(core::time::Duration::from_secs(86_400 * 30)), UnixNanos::from_millis(4_000_000_000_000)]
    {
        simulation.host.set_clock(wrong);
        instance.collect().unwrap();
    }
    simulation.host.set_clock(right);
    simulation.add_run(SimulatedRun::new(2, simulation.in_minutes(1), simulation.in_minutes(2)));
    simulation.advance_minutes(5);
    assert_eq!(total(&simulation.collect(&mut instance).unwrap()), 2.0);
}

#[derive(Clone, Debug)]
struct Step {
    minutes: u64,
    failing: Vec<(&'static str, u16)>,
    breaks_after: Option<usize>,
    lost: bool,
    restart: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let failing = prop::sample::subsequence(vec![(JOBS, 403), ("active", 500), ("completed", 503), (RUN, 500)], 0..=4);
    let breaks_after = prop_oneof![4 => Just(None), 1 => (0_usize..3).prop_map(Some)];
    (1_u64..90, failing, breaks_after, prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
        |(minutes, failing, breaks_after, lost, restart)| Step { minutes, failing, breaks_after, lost, restart },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_each_run_that_ends_after_the_first_collection_is_counted_once(
        steps in prop::collection::vec(step(), 1..16),
        runs in prop::collection::vec((-3_000_i64..1_200, 1_u64..3_000), 0..150),
    ) {
        let simulation = Simulation::new();
        let mut instance = simulation.configure();
        let zero = i64::try_from(millis(&simulation.host)).unwrap();
        for (id, (start, duration)) in (1_i64..).zip(&runs) {
            let start = u64::try_from(zero + start * 60_000 + id).unwrap();
            simulation.add_run(SimulatedRun::new(id, start, start + duration * 60_000));
        }
        simulation.collect(&mut instance).unwrap();
        let began = millis(&simulation.host);
        for step in &steps {
            simulation.advance_minutes(step.minutes);
            simulation.fail(&step.failing);
            simulation.world.borrow_mut().breaks_after = step.breaks_after;
            let before = simulation.host.state("runs").unwrap();
            let _ = simulation.collect(&mut instance);
            if step.lost {
                simulation.host.set_state("runs", &before);
            }
            if step.restart || step.lost {
                instance = simulation.configure();
            }
        }
        simulation.fail(&[]);
        simulation.world.borrow_mut().breaks_after = None;
        let mut collected = simulation.collect(&mut instance).unwrap();
        for _ in 0..4 {
            collected = simulation.collect(&mut instance).unwrap();
        }
        let now = millis(&simulation.host);
        let ended = |run: &&SimulatedRun| run.start <= now && began < run.end && run.end <= now;
        let expected = simulation.world.borrow().runs.iter().filter(ended).count();
        prop_assert_eq!(total(&collected), expected as f64);
    }
}
