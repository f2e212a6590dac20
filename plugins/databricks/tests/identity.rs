//! What the receiver promises about tokens, users, groups and cluster policies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alone;

use alone::{configure, errors, host, next, only, parameters};
use kiln_plugin::testing::{Reply, TestHost};
use serde_json::{Value, json};

const TOKENS: &str = "/api/2.0/token-management/tokens";
const USERS: &str = "/api/2.0/preview/scim/v2/Users";
const GROUPS: &str = "/api/2.0/preview/scim/v2/Groups";
const POLICIES: &str = "/api/2.0/policies/clusters/list";
const DAY: i64 = 86_400_000;

/// How a server treats a filter.
#[derive(Clone, Copy, Debug)]
enum Filter {
    Known,
    Ignored,
    Refused,
}

/// A SCIM server: `active` says of each user whether they are.
fn serve_users(host: &TestHost, active: Vec<bool>, filter: Filter) {
    host.on_path(USERS, move |request| {
        let parameters = parameters(request);
        let wanted = parameters.get("filter").map(|text| text == "active eq true");
        if wanted.is_some() && matches!(filter, Filter::Refused) {
            return Reply::status(400, "invalidFilter");
        }
        let wanted = wanted.filter(|_| matches!(filter, Filter::Known));
        let users = active.iter().enumerate().filter(|(_, active)| wanted.is_none_or(|wanted| wanted == **active));
        let users: Vec<Value> = users.map(|(id, active)| json!({ "id": id.to_string(), "active": active })).collect();
        page(&users, &parameters)
    });
}

fn page(resources: &[Value], parameters: &std::collections::BTreeMap<String, String>) -> Reply {
    let number = |name: &str, default: usize| parameters.get(name).map_or(default, |text| text.parse().unwrap());
    let shown: Vec<&Value> = resources.iter().skip(number("startIndex", 1) - 1).take(number("count", 100)).collect();
    Reply::json(&json!({ "totalResults": resources.len(), "itemsPerPage": shown.len(), "Resources": shown }))
}

fn empty(host: &TestHost) {
    host.on_get(TOKENS, Reply::json(&json!({})));
    host.on_path(USERS, |_| Reply::json(&json!({ "totalResults": 0 })));
    host.on_path(GROUPS, |_| Reply::json(&json!({ "totalResults": 0 })));
    host.on_get(POLICIES, Reply::json(&json!({})));
}

#[test]
fn tokens_are_counted_until_they_expire_and_tell_how_long_that_is() {
    let host = host();
    empty(&host);
    let now = i64::try_from(host.now().as_millis()).unwrap() + 60_000;
    let tokens = json!({ "token_infos": [
        { "token_id": "lasting", "expiry_time": -1 },
        { "token_id": "soon", "expiry_time": now + DAY / 2, "created_by_username": "ada@example", "comment": "laptop" },
        { "token_id": "gone", "expiry_time": now - 2 * DAY },
        { "token_id": "soon", "expiry_time": now + DAY / 2 },
        null,
    ] });
    host.on_get(TOKENS, Reply::json(&tokens));
    let mut instance = configure(&host, only("identity", json!({})));
    let collected = next(&host, &mut instance);
    assert_eq!(collected.metrics.value("databricks.tokens.count", &[]), 2.0);
    let points = collected.metrics.points("databricks.tokens.days_until_expiry");
    assert_eq!(points.len(), 2);
    let days = |id| collected.metrics.value("databricks.tokens.days_until_expiry", &[("databricks.token.id", id)]);
    assert_eq!((days("soon"), days("gone")), (0.5, -2.0));
    let soon = points.iter().find(|point| point.attributes["databricks.token.id"] == "soon").unwrap();
    assert_eq!(soon.attributes["databricks.user.name"], "ada@example");
    assert_eq!(soon.attributes.get("token_comment"), None);
    // What was read an hour ago tells what has expired since.
    host.advance(core::time::Duration::from_secs(50 * 60));
    let _ = host.take_requests();
    let collected = next(&host, &mut instance);
    assert_eq!(host.take_requests(), Vec::<String>::new());
    let left = collected.metrics.value("databricks.tokens.days_until_expiry", &[("databricks.token.id", "soon")]);
    assert!(left < 0.5);
}

#[test]
fn a_token_s_comment_is_told_by_option_only() {
    let host = host();
    empty(&host);
    host.on_get(
        TOKENS,
        Reply::json(&json!({ "token_infos": [{ "token_id": "a", "expiry_time": 1, "comment": "c" }] })),
    );
    let mut instance = configure(&host, only("identity", json!({ "token_comments": true })));
    let collected = next(&host, &mut instance);
    let point = collected.metrics.point("databricks.tokens.days_until_expiry", &[("databricks.token.id", "a")]);
    assert_eq!(point.attributes["token_comment"], "c");
}

#[test]
fn no_more_tokens_than_5000_have_a_point_and_those_that_expire_first_do() {
    let host = host();
    empty(&host);
    let tokens: Vec<Value> =
        (1..=6_000).map(|n| json!({ "token_id": n.to_string(), "expiry_time": n * DAY })).collect();
    host.on_get(TOKENS, Reply::json(&json!({ "token_infos": tokens })));
    let collected = next(&host, &mut configure(&host, only("identity", json!({}))));
    let points = collected.metrics.points("databricks.tokens.days_until_expiry");
    assert_eq!(points.len(), 5_000);
    assert!(points.iter().all(|point| point.attributes["databricks.token.id"].parse::<i64>().unwrap() <= 5_000));
}

#[test]
fn users_are_counted_whatever_the_server_makes_of_a_filter() {
    let mixed: Vec<bool> = (0..250).map(|n| n % 5 != 0).collect();
    let first_active: Vec<bool> = (0..250).map(|n| n % 5 != 1).collect();
    let cases = [(mixed, 200.0, 50.0), (first_active, 200.0, 50.0), (vec![true; 250], 250.0, 0.0), (vec![], 0.0, 0.0)];
    for (users, active, inactive) in cases {
        for filter in [Filter::Known, Filter::Ignored, Filter::Refused] {
            let host = host();
            empty(&host);
            serve_users(&host, users.clone(), filter);
            let collected = next(&host, &mut configure(&host, only("identity", json!({}))));
            let count = |status| collected.metrics.value("databricks.users.count", &[("user_status", status)]);
            assert_eq!((count("active"), count("inactive")), (active, inactive), "{filter:?}");
            assert_eq!(collected.failed_sources(), Vec::<&str>::new());
            let asked = host.take_requests().iter().filter(|request| request.contains("Users")).count();
            let is_paged = !users.is_empty() && !matches!(filter, Filter::Known);
            assert_eq!(asked > 3, is_paged, "{filter:?} {asked}");
        }
    }
}

#[test]
fn a_list_of_users_that_never_ends_is_an_error_and_not_a_count() {
    let host = host();
    empty(&host);
    host.on_path(USERS, |request| {
        let parameters = parameters(request);
        if parameters.contains_key("filter") {
            return Reply::status(400, "");
        }
        let start = parameters.get("startIndex").cloned().unwrap_or_default();
        let users: Vec<Value> = (0..100).map(|n| json!({ "id": format!("{start}-{n}") })).collect();
        Reply::json(&json!({ "Resources": users }))
    });
    let collected = next(&host, &mut configure(&host, only("identity", json!({}))));
    assert_eq!(collected.metrics.points("databricks.users.count"), []);
    assert_eq!(collected.failed_sources(), ["identity"]);
    assert_eq!(collected.metrics.value("databricks.groups.count", &[]), 0.0);
}

#[test]
fn groups_are_counted_and_by_option_their_members() {
    for with_members in [false, true] {
        let host = host();
        empty(&host);
        host.on_path(GROUPS, |request| {
            let members = |n: usize| vec![json!({ "value": "7" }); n];
            let groups: Vec<Value> = (0..150)
                .map(|n| json!({ "id": n.to_string(), "displayName": format!("group {n}"), "members": members(n % 3) }))
                .collect();
            page(&groups, &parameters(request))
        });
        let options = json!({ "group_members": with_members });
        let collected = next(&host, &mut configure(&host, only("identity", options)));
        assert_eq!(collected.metrics.value("databricks.groups.count", &[]), 150.0);
        let points = collected.metrics.points("databricks.groups.members");
        assert_eq!(points.len(), if with_members { 150 } else { 0 });
        if with_members {
            assert_eq!(collected.metrics.value("databricks.groups.members", &[("group_name", "group 5")]), 2.0);
        }
        let asked = host.take_requests().iter().filter(|request| request.contains("Groups")).count();
        assert_eq!(asked, if with_members { 2 } else { 1 });
    }
}

#[test]
fn policies_are_counted_and_by_option_by_type() {
    for by_type in [false, true] {
        let host = host();
        empty(&host);
        let policies = json!({ "policies": [
            { "policy_id": "1", "is_default": true }, { "policy_id": "2" }, { "policy_id": "3", "is_default": null },
        ] });
        host.on_get(POLICIES, Reply::json(&policies));
        let collected = next(&host, &mut configure(&host, only("identity", json!({ "policy_types": by_type }))));
        assert_eq!(collected.metrics.value("databricks.policies.count", &[]), 3.0);
        let points = collected.metrics.points("databricks.policies.by_type");
        assert_eq!(points.len(), if by_type { 2 } else { 0 });
        if by_type {
            let count = |kind| collected.metrics.value("databricks.policies.by_type", &[("policy_type", kind)]);
            assert_eq!((count("default"), count("custom")), (1.0, 2.0));
        }
    }
}

#[test]
fn one_of_the_four_that_may_not_be_read_costs_only_itself_and_says_what_is_missing() {
    let metrics = [
        (TOKENS, "databricks.tokens.count", "to list the tokens"),
        (USERS, "databricks.users.count", "to count users"),
        (GROUPS, "databricks.groups.count", "to count groups"),
        (POLICIES, "databricks.policies.count", "to count policies"),
    ];
    for (path, missing, permission) in metrics {
        let host = host();
        empty(&host);
        host.on_get(path, Reply::status(403, "no"));
        host.on_path(path, |_| Reply::status(403, "no"));
        let collected = next(&host, &mut configure(&host, only("identity", json!({}))));
        for (_, name, _) in metrics {
            assert_eq!(collected.metrics.points(name).is_empty(), name == missing, "{path}: {name}");
        }
        assert_eq!(collected.failed_sources(), ["identity"]);
        let message = &collected.outcome.failures[0].message;
        assert!(message.starts_with(path) && message.contains(permission), "{message}");
        assert_eq!(errors(&collected, "identity"), 1.0);
    }
}
