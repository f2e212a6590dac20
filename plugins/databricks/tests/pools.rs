//! What the receiver promises about instance pools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alone;

use alone::{configure, errors, host, next, only};
use kiln_plugin::testing::Reply;
use serde_json::json;

const PATH: &str = "/api/2.0/instance-pools/list";
const COUNT: &str = "databricks.instance_pools.count";
const INSTANCES: &str = "databricks.instance_pool.instances";

#[test]
fn pools_are_counted_by_state_and_instances_by_what_they_do() {
    let host = host();
    let stats = json!({ "idle_count": 2, "used_count": 3, "pending_idle_count": 0, "pending_used_count": 1 });
    let pools = json!({ "instance_pools": [
        { "instance_pool_id": "a", "instance_pool_name": "small", "state": "ACTIVE", "stats": stats },
        { "instance_pool_id": "b", "state": "ACTIVE" },
    ] });
    host.on_get(PATH, Reply::json(&pools));
    let collected = next(&host, &mut configure(&host, only("pools", json!({}))));
    let count = |state| collected.metrics.value(COUNT, &[("pool_state", state)]);
    assert_eq!(["ACTIVE", "STOPPED", "DELETED"].map(count), [2.0, 0.0, 0.0]);
    let instances = |state| {
        let attributes = [("databricks.instance_pool.name", "small"), ("instance_state", state)];
        collected.metrics.value(INSTANCES, &attributes)
    };
    assert_eq!(["idle", "used", "pending_idle", "pending_used"].map(instances), [2.0, 3.0, 0.0, 1.0]);
    assert_eq!(collected.metrics.points(INSTANCES).len(), 4);
}

#[test]
fn a_workspace_without_pools_has_none() {
    for nothing in [json!({}), json!({ "instance_pools": null }), json!({ "instance_pools": [] })] {
        let host = host();
        host.on_get(PATH, Reply::json(&nothing));
        let collected = next(&host, &mut configure(&host, only("pools", json!({}))));
        assert_eq!(collected.metrics.value(COUNT, &[("pool_state", "ACTIVE")]), 0.0);
        assert_eq!(collected.failed_sources(), Vec::<&str>::new());
    }
}

#[test]
fn an_odd_pool_costs_only_itself() {
    let host = host();
    let pools = json!({ "instance_pools": [
        null, 7, { "instance_pool_id": 5, "state": null, "stats": "none" },
        { "instance_pool_id": "a", "state": "RESTING", "stats": { "idle_count": -1, "used_count": 3 } },
        { "instance_pool_id": "a", "state": "RESTING", "stats": { "used_count": 9 } },
    ] });
    host.on_get(PATH, Reply::json(&pools));
    let collected = next(&host, &mut configure(&host, only("pools", json!({}))));
    assert_eq!(collected.metrics.value(COUNT, &[("pool_state", "RESTING")]), 1.0);
    assert_eq!(collected.metrics.points(INSTANCES).len(), 1);
    assert_eq!(collected.metrics.value(INSTANCES, &[("instance_state", "used")]), 3.0);
    assert_eq!(errors(&collected, "pools"), 1.0);
}

#[test]
fn pools_that_may_not_be_read_are_not_reported_and_asked_for_again_in_an_hour() {
    let host = host();
    host.on_get(PATH, Reply::status(403, "no"));
    let mut instance = configure(&host, only("pools", json!({})));
    let collected = next(&host, &mut instance);
    assert_eq!(collected.metrics.points(COUNT), []);
    assert!(collected.outcome.failures[0].message.contains("Can attach to on the instance pools"));
    host.on_get(PATH, Reply::json(&json!({})));
    assert_eq!(next(&host, &mut instance).metrics.points(COUNT), []);
    host.advance(core::time::Duration::from_secs(3_600));
    assert_eq!(next(&host, &mut instance).metrics.points(COUNT).len(), 3);
}
