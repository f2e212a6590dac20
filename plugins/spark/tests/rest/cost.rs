//! What a collection costs follows what is new, not what has been.

use super::*;

/// Requests and bytes of a collection in which nothing is new but one job of two stages, beside one that runs.
fn cost_with_history(jobs: u64) -> (usize, usize) {
    let (driver, _host, mut spark) = observed();
    driver.with(|model| {
        for _ in 0..jobs {
            model.run_job(1);
            let id = model.begin_execution();
            model.end_execution(id, false);
        }
        let id = model.begin_job(1);
        let stage = model.jobs[&id].stages[0];
        model.begin_stage((stage, 0));
    });
    collect_all(&mut spark);
    collect(&mut spark);
    driver.take_served();
    driver.with(|model| {
        model.run_job(2);
    });
    collect(&mut spark);
    let (requests, bytes) = driver.take_served();
    (requests.len(), bytes)
}

#[test]
fn a_thousand_retained_stages_cost_no_more_than_ten() {
    let few = cost_with_history(10);
    let many = cost_with_history(900);
    assert_eq!(few.0, many.0, "requests");
    // Ids have more digits.
    assert!(many.1 <= few.1 + 200, "{few:?} {many:?}");
    assert!(few.0 <= 28, "{few:?}");
}

#[test]
fn a_first_collection_of_a_large_history_stays_within_its_budget() {
    let (driver, _host, mut spark) = configured(json!({ "rest": { "requests_per_collection": 100 } }));
    driver.with(|model| {
        (0..500).for_each(|_| {
            model.run_job(1);
        })
    });
    let mut rounds = 0;
    loop {
        let collected = spark.collect().unwrap();
        rounds += 1;
        let asked = driver.take_served().0.len();
        // Pages of metrics, lists and facts come on top of the budget.
        assert!(asked <= 110, "{asked}");
        if !collected.outcome.more {
            assert_eq!(collected.metrics.value("spark.stages.finished", &[("status", "complete")]), 500.0);
            assert_eq!(collected.metrics.value("spark.stages.backlog", &[]), 0.0);
            break;
        }
        assert!(rounds < 20);
    }
    assert!(rounds > 3);
}
