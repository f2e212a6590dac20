//! Each finished run is counted exactly once, at its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::cell::Cell;
use std::time::Duration;

use kiln_plugin::UnixNanos;
use kiln_plugin::testing::Reply;
use kiln_testbed::databricks::Fault;
use kiln_testbed::databricks::world::{Run, Task, UnixMillis};
use serde_json::json;
use support::*;

#[test]
fn without_a_lookback_counting_starts_with_the_first_collection() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.plan(1, simulation.ago(30 * MINUTE), 10 * MINUTE);
    let began = simulation.host.now();
    assert_eq!(counted(&instance.collect().unwrap()), 0.0);

    simulation.plan(2, simulation.later(MINUTE), MINUTE);
    simulation.advance(5 * MINUTE);
    let collected = instance.collect().unwrap();
    assert_eq!(counted(&collected), 1.0);
    assert_eq!(starts(&collected), [began]);
}

/// Scenario: runs ended before the first start: within the lookback, before it, and within it after having started long
/// before it.
/// Guarantees: what ended within the lookback is counted, with a start time that matches.
#[test]
fn what_ended_within_the_lookback_is_counted_with_the_matching_start() {
    let simulation = Simulation::new();
    simulation.plan(1, simulation.ago(20 * HOUR), HOUR);
    simulation.plan(2, simulation.ago(30 * HOUR), HOUR);
    simulation.plan(3, simulation.ago(40 * HOUR), 30 * HOUR);
    let lookback = json!({ "initial_lookback": "24h" });
    let mut instance = simulation.configure_with(with(only(&["runs"]), lookback));
    let began = simulation.host.now().before(DAY);
    let collected = instance.collect().unwrap();
    assert_eq!(counted(&collected), 2.0);
    assert_eq!(starts(&collected), [began]);
    assert_eq!(counted(&instance.collect().unwrap()), 2.0);
}

#[test]
fn a_run_is_counted_once_however_often_it_is_listed() {
    let simulation = Simulation::new();
    simulation.job(7, "job 7");
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    simulation.plan(1, simulation.later(MINUTE), 2 * MINUTE);
    for _ in 0..20 {
        simulation.advance(MINUTE);
        instance.collect().unwrap();
    }
    let collected = instance.collect().unwrap();
    assert_eq!(counted(&collected), 1.0);
    let attributes =
        [("result_state", "SUCCESS"), ("databricks.job.id", "7"), ("job_name", "job 7"), ("run_type", "JOB_RUN")];
    let durations = collected.metrics.histogram("databricks.job.duration.run", &attributes);
    assert_eq!((durations.count, durations.sum), (1, Some(120.0)));
    assert_eq!((durations.min, durations.max), (Some(120.0), Some(120.0)));
}

#[test]
fn counts_survive_a_restart_and_a_collection_that_is_lost() {
    let simulation = Simulation::new();
    simulation.configure().collect().unwrap();
    let began = simulation.host.now();
    simulation.plan(1, simulation.later(MINUTE), MINUTE);
    simulation.advance(5 * MINUTE);
    assert_eq!(counted(&simulation.configure().collect().unwrap()), 1.0);

    // What a collection counts is not remembered when the collection is not accepted.
    simulation.plan(2, simulation.later(MINUTE), MINUTE);
    simulation.advance(5 * MINUTE);
    let before = simulation.host.save_state();
    assert_eq!(counted(&simulation.configure().collect().unwrap()), 2.0);
    simulation.host.restore_state(&before);
    let collected = simulation.configure().collect().unwrap();
    assert_eq!(counted(&collected), 2.0);
    assert_eq!(starts(&collected), [began]);
}

#[test]
fn a_run_that_started_before_every_list_is_asked_for_when_it_is_gone() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.plan(1, simulation.ago(3 * DAY), 3 * DAY + 90 * MINUTE);
    instance.collect().unwrap();
    simulation.advance(HOUR);
    instance.collect().unwrap();
    assert!(!simulation.requested().contains(&RUN.to_owned()));
    simulation.advance(HOUR);
    assert_eq!(counted(&instance.collect().unwrap()), 1.0);
    assert!(simulation.requested().contains(&RUN.to_owned()));
    simulation.advance(MINUTE);
    assert_eq!(counted(&instance.collect().unwrap()), 1.0);
    assert!(!simulation.requested().contains(&RUN.to_owned()));
}

#[test]
fn asking_for_runs_is_bounded_and_nothing_is_lost() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let start = simulation.ago(3 * DAY);
    (1..=120).for_each(|id| simulation.plan(id, start, 3 * DAY + MINUTE));
    instance.collect().unwrap();
    simulation.advance(2 * MINUTE);
    for expected in [50.0, 100.0, 120.0, 120.0] {
        assert_eq!(counted(&instance.collect().unwrap()), expected);
    }
    assert_eq!(simulation.requested().iter().filter(|path| *path == RUN).count(), 120);
}

#[test]
fn a_run_that_cannot_be_asked_for_is_asked_for_again_and_one_that_is_deleted_is_not() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    let start = simulation.ago(3 * DAY);
    (1..=2).for_each(|id| simulation.plan(id, start, 3 * DAY + MINUTE));
    instance.collect().unwrap();
    simulation.workspace.change(|scene| scene.runs.pop());
    simulation.advance(2 * MINUTE);
    simulation.fails(RUN, Fault::InternalError);
    let collected = instance.collect().unwrap();
    assert_eq!((counted(&collected), collected.failed_sources()), (0.0, vec!["runs"]));
    assert_eq!(
        collected.metrics.value("databricks.scraper.errors", &[("collector", "runs"), ("error.type", "500")]),
        1.0
    );

    simulation.works_again();
    let collected = instance.collect().unwrap();
    assert_eq!((counted(&collected), collected.failed_sources().len()), (1.0, 0));
    let _ = simulation.requested();
    instance.collect().unwrap();
    assert!(!simulation.requested().contains(&RUN.to_owned()));
}

/// Scenario: 60 runs ended since the last collection, and the list of them breaks off after its first page.
/// Guarantees: what was read is counted at once, the rest once the list can be read again.
#[test]
fn what_a_broken_list_did_not_show_is_found_later() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    for id in 0..60 {
        let start = simulation.later(Duration::from_secs(50) * u32::try_from(id).unwrap());
        simulation.plan(id, start, Duration::from_secs(10));
    }
    simulation.advance(51 * MINUTE);
    let pages = Cell::new(0);
    simulation.intercept(move |request| {
        pages.set(pages.get() + u32::from(request.url.contains("completed_only")));
        (pages.get() > 1).then(|| Reply::status(500, "no"))
    });
    assert_eq!(counted(&instance.collect().unwrap()), 24.0);
    simulation.works_again();
    simulation.advance(MINUTE);
    assert_eq!(counted(&instance.collect().unwrap()), 60.0);
    assert_eq!(counted(&instance.collect().unwrap()), 60.0);
}

#[test]
fn without_a_list_of_active_runs_nothing_seems_to_have_vanished() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    simulation.plan(1, simulation.ago(5 * MINUTE), 65 * MINUTE);
    instance.collect().unwrap();
    simulation.intercept(|request| request.url.contains("active_only").then(|| Reply::status(503, "")));
    let collected = instance.collect().unwrap();
    assert!(collected.metrics.points("databricks.job_runs.active").is_empty());
    assert!(!simulation.requested().contains(&RUN.to_owned()));
}

#[test]
fn after_an_outage_everything_since_is_found() {
    let simulation = Simulation::new();
    simulation.configure().collect().unwrap();
    for (id, later) in [(1, 10), (2, 20), (3, 39)] {
        simulation.plan(id, simulation.later(later * HOUR), MINUTE);
    }
    simulation.advance(40 * HOUR);
    assert_eq!(counted(&simulation.configure().collect().unwrap()), 3.0);
}

/// Scenario: 1,000 runs within the lookback, and a budget of 10 requests.
/// Guarantees: no collection spends more, each run is counted once, and the rate is not reported of a part.
#[test]
fn a_backlog_is_read_within_the_budget() {
    let simulation = Simulation::new();
    for id in 1..=1_000_u32 {
        simulation.plan(i64::from(id), simulation.ago(MINUTE * id), 30 * Duration::from_secs(1));
    }
    let config = with(only(&["runs"]), json!({ "requests_per_cycle": 10, "initial_lookback": "24h" }));
    let mut instance = simulation.configure_with(config);
    let mut counts = Vec::new();
    for _ in 0..40 {
        let collected = instance.collect().unwrap();
        assert!(simulation.requested().len() <= 13, "a round of the backlog may end beyond the budget, not begin");
        counts.push(counted(&collected));
        let has_rate = collected.metrics.names().contains(&"databricks.job.success_rate");
        assert_eq!(has_rate, counted(&collected) == 1_000.0 && has_rate);
    }
    assert!(counts.is_sorted() && counts[0] < 300.0, "{counts:?}");
    assert_eq!(counts.last(), Some(&1_000.0));
    let collected = instance.collect().unwrap();
    assert_eq!(collected.metrics.value("databricks.job.success_rate", &[]), 100.0);
}

/// Scenario: 60 runs end at once, each with more tasks than a list shows, and a budget of 20 requests.
/// Guarantees: their tasks are asked for within the budget, every run is counted once, and every task of it.
#[test]
fn tasks_that_no_list_shows_are_asked_for_within_the_budget() {
    let simulation = Simulation::new();
    let config = with(only(&["runs"]), json!({ "requests_per_cycle": 20, "initial_lookback": "0s" }));
    let mut instance = simulation.configure_with(config);
    instance.collect().unwrap();
    for id in 1..=60 {
        let tasks = (0..101).map(|n| Task::new(&format!("t{n}"), MINUTE)).collect();
        simulation.workspace.add_run(Run::new(7, id, simulation.later(MINUTE), tasks));
    }
    simulation.advance(5 * MINUTE);
    let mut collected = instance.collect().unwrap();
    for _ in 0..20 {
        let requests = simulation.requested().len();
        assert!(requests <= 50, "{requests}");
        collected = instance.collect().unwrap();
    }
    assert_eq!(counted(&collected), 60.0);
    let tasks = collected.metrics.histogram("databricks.tasks.duration", &[("task_key", "t100")]);
    assert_eq!((tasks.count, tasks.sum), (60, Some(3_600.0)));
}

/// Scenario: a budget of 10 requests, and so many active runs that listing them takes 20, in every collection; runs
/// end that no short list shows, two of them with more tasks than any list does.
/// Guarantees: each of them is counted all the same, a few requests beyond the budget at a time.
#[test]
fn what_waits_gets_on_though_the_active_runs_take_the_whole_budget() {
    let simulation = Simulation::new();
    simulation.page_runs_by(5);
    let config = with(only(&["runs"]), json!({ "requests_per_cycle": 10, "initial_lookback": "2h" }));
    for id in 1..=100 {
        simulation.plan(id, simulation.ago(HOUR), 90 * HOUR);
    }
    for (id, minutes) in (101..).zip(41..=60) {
        simulation.plan(id, simulation.ago(MINUTE * minutes), MINUTE);
    }
    for id in 121..=122 {
        let tasks = (0..101).map(|n| Task::new(&format!("t{n}"), 90 * MINUTE)).collect();
        simulation.workspace.add_run(Run::new(7, id, simulation.ago(HOUR), tasks));
    }
    let mut instance = simulation.configure_with(config);
    instance.collect().unwrap();
    for (id, minutes) in (123..).zip(1..=20) {
        simulation.plan(id, simulation.later(MINUTE * minutes), MINUTE);
    }
    simulation.advance(2 * HOUR);
    simulation.requested();
    let mut count = 0.0;
    for _ in 0..30 {
        count = counted(&instance.collect().unwrap());
        let requests = simulation.requested().len();
        assert!((20..=40).contains(&requests), "{requests}");
    }
    assert_eq!(count, 42.0);
}

#[test]
fn what_is_remembered_follows_what_lists_can_show() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    for id in 0..200 {
        simulation.plan(id, simulation.later(MINUTE), MINUTE);
        simulation.advance(3 * MINUTE);
        instance.collect().unwrap();
    }
    let remembered = simulation.host.state("runs").unwrap()["ledger"]["seen"].as_object().unwrap().len();
    assert!((3..=6).contains(&remembered), "{remembered}");
    assert_eq!(counted(&instance.collect().unwrap()), 200.0);
}

#[test]
fn state_that_cannot_be_read_begins_a_new_count_where_everyone_sees_it() {
    let simulation = Simulation::new();
    simulation.host.set_state("runs", &json!({ "of": "another version" }));
    simulation.plan(1, simulation.ago(9 * MINUTE), MINUTE);
    simulation.configure().collect().unwrap();
    assert!(simulation.host.take_log()[0].message.contains("starts anew"));
    simulation.plan(2, simulation.later(MINUTE), MINUTE);
    let began = simulation.host.now();
    simulation.advance(5 * MINUTE);
    let collected = simulation.configure().collect().unwrap();
    assert_eq!((counted(&collected), starts(&collected)), (1.0, vec![began]));
}

/// Scenario: the host's clock is an hour behind the workspace's, or an hour ahead, and jumps while runs end.
/// Guarantees: what ends after the first collection is counted, once; the workspace's time decides.
#[test]
fn the_clock_of_the_host_changes_no_count() {
    for wrong in [HOUR, 30 * DAY] {
        for ahead in [true, false] {
            let simulation = Simulation::new();
            let right = simulation.host.now();
            let skewed = if ahead { right.after(wrong) } else { right.before(wrong) };
            simulation.host.set_clock(skewed);
            let mut instance = simulation.configure();
            simulation.plan(1, simulation.ago(5 * MINUTE), MINUTE);
            assert_eq!(counted(&instance.collect().unwrap()), 0.0);
            simulation.plan(2, simulation.later(MINUTE), MINUTE);
            simulation.advance(5 * MINUTE);
            assert_eq!(counted(&instance.collect().unwrap()), 1.0);
            simulation.host.set_clock(right.after(DAY));
            simulation.plan(3, simulation.later(MINUTE), MINUTE);
            simulation.advance(5 * MINUTE);
            let collected = instance.collect().unwrap();
            assert_eq!(counted(&collected), 2.0);
            assert_eq!(starts(&collected), [UnixNanos::from_millis(right.as_millis())]);
        }
    }
}

/// Scenario: a workspace that answers nothing, then only 401, then as it should.
/// Guarantees: the collection fails with the cause, leaves no trace in the counts, and the failures are counted later.
#[test]
fn a_collection_that_read_nothing_fails() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    simulation.fails("/api", Fault::Reset);
    assert!(matches!(instance.collect().unwrap_err(), kiln_plugin::CollectError::Unavailable(_)));
    simulation.works_again();
    simulation.intercept(|_| Some(Reply::status(401, "Invalid access token.")));
    let error = instance.collect().unwrap_err();
    assert!(matches!(error, kiln_plugin::CollectError::Unauthorized(_)));
    assert!(message(error).contains("Invalid access token."));
    simulation.works_again();
    let collected = instance.collect().unwrap();
    assert!(collected.failed_sources().is_empty());
    assert!(collected.metrics.value("databricks.scraper.errors", &[("error.type", "401")]) >= 1.0);
    assert!(collected.metrics.value("databricks.scraper.errors", &[("error.type", "connect")]) >= 1.0);
}

/// Scenario: the identity may not list runs, for more than an hour, and then may.
/// Guarantees: one report that names the permission; an hour of silence; everything else goes on; the runs of the
/// meantime are counted when they can be read.
#[test]
fn what_is_forbidden_is_reported_once_and_tried_again_in_an_hour() {
    let simulation = Simulation::new();
    simulation.job(7, "job 7");
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    simulation.fails(RUNS, Fault::Forbidden);
    simulation.plan(1, simulation.later(2 * MINUTE), MINUTE);
    let reports = Cell::new(0);
    let mut collect = || {
        simulation.advance(MINUTE);
        let collected = instance.collect().unwrap();
        assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 1.0);
        let failures = &collected.outcome.failures;
        reports.set(reports.get() + failures.len());
        assert!(failures.iter().all(|failure| failure.message.contains("the identity needs Can view on the jobs")));
        collected
    };
    for _ in 0..130 {
        collect();
    }
    assert_eq!(reports.get(), 1);
    let asked = simulation.requested().iter().filter(|path| *path == RUNS).count();
    assert!((3..=6).contains(&asked), "{asked}");
    simulation.works_again();
    for _ in 0..61 {
        collect();
    }
    assert_eq!(counted(&collect()), 1.0);
}

#[test]
fn ids_of_a_run_older_than_any_epoch_or_far_in_the_future_disturb_nothing() {
    let simulation = Simulation::new();
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    simulation.plan(i64::MIN, simulation.later(MINUTE), MINUTE);
    simulation.plan(i64::MAX / 2_000, UnixMillis(simulation.now().0 + 120_000), MINUTE);
    simulation.advance(5 * MINUTE);
    assert_eq!(counted(&instance.collect().unwrap()), 2.0);
}
