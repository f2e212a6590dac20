//! Whatever a server answers: it is reported, it is bounded, and nothing is lost or counted twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use kiln_testbed::databricks::{Fault, Tokens};
use serde_json::json;
use support::*;

fn faults() -> Vec<Fault> {
    vec![
        Fault::RateLimited { retry_after: Some(1) },
        Fault::Unavailable { retry_after: None },
        Fault::BadGateway,
        Fault::InternalError,
        Fault::Reset,
        Fault::CutBody,
        Fault::EndlessBody,
        Fault::Hang,
        Fault::TruncatedJson,
        Fault::InvalidJson,
        Fault::Html,
        Fault::NullElements,
        Fault::NullObjects,
        Fault::OversizedPages,
        Fault::RepeatedItems,
        Fault::EndlessPages { tokens: Tokens::Same },
        Fault::EndlessPages { tokens: Tokens::Alternating },
        Fault::EndlessPages { tokens: Tokens::New },
        Fault::Unfamiliar,
    ]
}

/// Scenario: every kind of trouble, for one endpoint or for all, while 60 runs end; then none.
/// Guarantees: collections do not ask without end, state stays small, and afterwards each run is counted once.
#[test]
fn trouble_is_bounded_and_costs_no_run() {
    for fault in faults() {
        for place in ["/api/2.2/jobs/runs/list", "/api/2.2/jobs/runs", "/api/2.2/jobs/list", "/api/"] {
            let simulation = Simulation::new();
            simulation.job(7, "job-7");
            let mut instance = simulation.configure_with(json!({ "initial_lookback": "0s" }));
            simulation.plan(60, simulation.ago(2 * DAY), 2 * DAY + 2 * MINUTE);
            instance.collect().unwrap();
            for id in 0..60 {
                simulation.plan(id, simulation.later(MINUTE), MINUTE);
            }
            simulation.fails(place, fault.clone());
            for _ in 0..3 {
                simulation.advance(MINUTE);
                let _ = simulation.host.take_requests();
                // It may fail as a whole, and then it says why.
                if let Err(error) = instance.collect() {
                    assert!(!message(error).is_empty());
                }
                let requests = simulation.host.take_requests().len();
                assert!(requests <= 5_000, "{fault:?} {place}: {requests} requests");
            }
            simulation.works_again();
            // Longer than anything that is forbidden is left alone.
            simulation.advance(2 * HOUR);
            let mut collected = instance.collect().unwrap();
            for _ in 0..3 {
                collected = instance.collect().unwrap();
            }
            assert_eq!(counted(&collected), 61.0, "{fault:?} {place}");
            assert!(simulation.host.state_bytes() < 200_000, "{fault:?} {place}");
        }
    }
}

/// Scenario: the list of jobs fails in every way.
/// Guarantees: there is no count of half a list, one report a collection, and the errors are counted by their kind.
#[test]
fn a_list_that_fails_gives_no_number() {
    for (fault, kind) in [
        (Fault::RateLimited { retry_after: None }, "429"),
        (Fault::BadGateway, "502"),
        (Fault::Reset, "connect"),
        (Fault::CutBody, "protocol"),
        (Fault::Hang, "timeout"),
        (Fault::TruncatedJson, "invalid_data"),
        (Fault::Html, "invalid_data"),
        (Fault::EndlessPages { tokens: Tokens::Same }, "endless"),
        (Fault::EndlessPages { tokens: Tokens::Alternating }, "endless"),
    ] {
        let simulation = Simulation::new();
        simulation.job(7, "job-7");
        let mut instance = simulation.configure();
        simulation.fails("/api/2.2/jobs/list", fault.clone());
        let collected = instance.collect().unwrap();
        assert!(!collected.metrics.names().contains(&"databricks.jobs.total"), "{fault:?}");
        assert_eq!(collected.failed_sources(), ["jobs"], "{fault:?}");
        let attributes = [("collector", "jobs"), ("error.type", kind)];
        assert_eq!(collected.metrics.value("databricks.scraper.errors", &attributes), 1.0, "{fault:?}");
        simulation.works_again();
        let collected = instance.collect().unwrap();
        assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 1.0, "{fault:?}");
        assert_eq!(collected.metrics.value("databricks.scraper.errors", &attributes), 1.0, "{fault:?}");
    }
}

/// Scenario: answers that are right but for words and fields of a later release, repeated items, or nulls between them.
/// Guarantees: the numbers are right all the same.
#[test]
fn what_can_be_read_is_read() {
    for fault in [Fault::Unfamiliar, Fault::RepeatedItems, Fault::NullElements, Fault::OversizedPages] {
        let simulation = Simulation::new();
        (0..250).for_each(|id| simulation.job(id, &format!("job-{id}")));
        let mut instance = simulation.configure();
        simulation.fails("/api/", fault.clone());
        let collected = instance.collect().unwrap();
        assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 250.0, "{fault:?}");
    }
}

/// Scenario: what is to be remembered of runs grows beyond what the operator allows, and later there is more room.
/// Guarantees: runs are not reported while they cannot be remembered, everything else is; the report is the same in every
/// collection and says what to do; afterwards each run is counted once.
#[test]
fn without_room_in_state_only_what_needs_it_is_missing() {
    let simulation = Simulation::new();
    simulation.job(7, "job-7");
    let mut instance = simulation.configure();
    instance.collect().unwrap();
    simulation.host.limit_state(700);
    (0..40).for_each(|id| simulation.plan(id, simulation.later(MINUTE), MINUTE));
    simulation.advance(5 * MINUTE);
    let mut messages = Vec::new();
    for _ in 0..3 {
        let collected = instance.collect().unwrap();
        assert_eq!(collected.metrics.value("databricks.jobs.total", &[]), 1.0);
        assert!(collected.metrics.points("databricks.job_runs.count").is_empty() && collected.spans.is_empty());
        messages.extend(collected.outcome.failures.iter().map(|failure| failure.message.clone()));
        simulation.advance(MINUTE);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].contains("raise `limits.state_bytes`"), "{}", messages[0]);
    simulation.host.limit_state(100_000);
    let collected = instance.collect().unwrap();
    assert_eq!(counted(&collected), 40.0);
    let attributes = [("collector", "runs"), ("error.type", "state_full")];
    assert_eq!(collected.metrics.value("databricks.scraper.errors", &attributes), 3.0);
}
