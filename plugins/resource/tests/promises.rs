//! What the resource processor promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;

use kiln_plugin::ConfigError;
use kiln_plugin::processor::{Edit, ResourceView, Signal, View};
use kiln_plugin::telemetry::{Attribute, AttributeValue};
use kiln_plugin::testing::TestHost;
use kiln_plugin_resource::{Resource, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};

fn view(resources: &[&[Attribute]]) -> View {
    View {
        signal: Signal::Metrics,
        resources: resources.iter().map(|attributes| ResourceView { attributes: attributes.to_vec() }).collect(),
        metrics: Vec::new(),
        points: Vec::new(),
        strings: Vec::new(),
    }
}

fn try_configure(attributes: Value) -> Result<(), ConfigError> {
    let host = TestHost::new(telemetry::MANIFEST);
    host.configure_processor::<Resource>(json!({ "attributes": attributes })).map(|_| ())
}

fn edits(attributes: Value, view: &View) -> Vec<Edit> {
    let host = TestHost::new(telemetry::MANIFEST);
    let mut resource = host.configure_processor::<Resource>(json!({ "attributes": attributes })).unwrap();
    resource.process(view).unwrap()
}

fn action(action: &str) -> Value {
    match action {
        "delete" => json!([{ "key": "env", "action": "delete" }]),
        _ => json!([{ "key": "env", "value": "prod", "action": action }]),
    }
}

#[test]
fn insert_sets_what_is_absent_and_nothing_else() {
    assert_eq!(edits(action("insert"), &view(&[&[]])), [Edit::set_resource_attribute(0, "env", "prod")]);
    assert_eq!(edits(action("insert"), &view(&[&[Attribute::new("env", "dev")]])), []);
}

/// Scenario: a value that comes from an environment variable which is empty.
/// Guarantees: nothing is set, and what is there stays.
#[test]
fn an_empty_text_sets_nothing() {
    for action in ["insert", "update", "upsert"] {
        let empty = json!([{ "key": "env", "value": "", "action": action }]);
        assert_eq!(edits(empty.clone(), &view(&[&[]])), []);
        assert_eq!(edits(empty, &view(&[&[Attribute::new("env", "dev")]])), []);
    }
}

#[test]
fn update_sets_what_is_present_and_nothing_else() {
    let set = Edit::set_resource_attribute(0, "env", "prod");
    assert_eq!(edits(action("update"), &view(&[&[Attribute::new("env", "dev")]])), [set]);
    assert_eq!(edits(action("update"), &view(&[&[]])), []);
}

#[test]
fn upsert_sets_either_way() {
    let set = [Edit::set_resource_attribute(0, "env", "prod")];
    assert_eq!(edits(action("upsert"), &view(&[&[]])), set);
    assert_eq!(edits(action("upsert"), &view(&[&[Attribute::new("env", "dev")]])), set);
    assert_eq!(edits(action("upsert"), &view(&[&[Attribute::new("env", 1)]])), set);
}

#[test]
fn delete_removes_what_is_there() {
    let removed = [Edit::remove_resource_attribute(0, "env")];
    assert_eq!(edits(action("delete"), &view(&[&[Attribute::new("env", "dev")]])), removed);
    assert_eq!(edits(action("delete"), &view(&[&[]])), []);
}

#[test]
fn what_is_already_right_is_not_touched() {
    assert_eq!(edits(action("upsert"), &view(&[&[Attribute::new("env", "prod")]])), []);
    let and_back = json!([
        { "key": "a", "value": 1, "action": "insert" },
        { "key": "a", "action": "delete" },
    ]);
    assert_eq!(edits(and_back, &view(&[&[]])), []);
}

#[test]
fn actions_run_in_their_order() {
    let renew = json!([
        { "key": "a", "action": "delete" },
        { "key": "a", "value": true, "action": "insert" },
        { "key": "a", "value": false, "action": "insert" },
    ]);
    let set = [Edit::set_resource_attribute(0, "a", true)];
    assert_eq!(edits(renew, &view(&[&[Attribute::new("a", 1)]])), set);
}

#[test]
fn every_resource_is_treated_alike_and_named_by_its_index() {
    let found = edits(action("insert"), &view(&[&[], &[Attribute::new("env", "dev")], &[]]));
    let set = |index| Edit::set_resource_attribute(index, "env", "prod");
    assert_eq!(found, [set(0), set(2)]);
}

#[test]
fn values_keep_their_types() {
    let values = json!([
        { "key": "s", "value": "1", "action": "insert" },
        { "key": "i", "value": -1, "action": "insert" },
        { "key": "f", "value": 1.5, "action": "insert" },
        { "key": "b", "value": false, "action": "insert" },
    ]);
    let set = |key, value: AttributeValue| Edit::set_resource_attribute(0, key, value);
    let expected = [set("s", "1".into()), set("i", (-1).into()), set("f", 1.5.into()), set("b", false.into())];
    assert_eq!(edits(values, &view(&[&[]])), expected);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_where_it_is_wrong() {
    let refused = |attributes| try_configure(attributes).map_err(|error| (error.field, error.message)).unwrap_err();
    let (field, message) =
        refused(json!([{ "key": "a", "value": 1, "action": "insert" }, { "key": "b", "action": "upsert" }]));
    assert_eq!(field, "/attributes/1/value");
    assert!(message.contains("missing"), "{message}");
    assert_eq!(refused(json!([{ "key": "a", "value": 1, "action": "delete" }])).0, "/attributes/0/value");
    assert_eq!(refused(json!([{ "key": "a", "value": u64::MAX, "action": "insert" }])).0, "/attributes/0/value");
    assert_eq!(refused(json!([{ "key": "a", "value": [1], "action": "insert" }])).0, "/attributes/0/value");
    assert_eq!(refused(json!([{ "key": "", "value": 1, "action": "insert" }])).0, "/attributes/0/key");
    assert!(refused(json!([{ "key": "a", "value": 1, "action": "hash" }])).1.contains("hash"));
    assert!(try_configure(json!([{ "key": "a", "value": 1, "action": "insert" }])).is_ok());
}

/// The Collector's meaning, written down naively.
fn collector(attributes: &mut BTreeMap<String, i64>, key: &str, value: i64, action: &str) {
    match action {
        "insert" => {
            attributes.entry(key.to_owned()).or_insert(value);
        }
        "update" => {
            attributes.entry(key.to_owned()).and_modify(|current| *current = value);
        }
        "upsert" => {
            attributes.insert(key.to_owned(), value);
        }
        _ => {
            attributes.remove(key);
        }
    }
}

proptest! {
    #[test]
    fn the_edits_bring_about_what_the_collector_would(
        before in proptest::collection::btree_map("[a-d]", 0_i64..3, 0..4),
        actions in proptest::collection::vec(("[a-d]", 0_i64..3, prop::sample::select(vec!["insert", "update", "upsert", "delete"])), 1..8),
    ) {
        let config: Vec<Value> = actions.iter().map(|(key, value, action)| match *action {
            "delete" => json!({ "key": key, "action": action }),
            _ => json!({ "key": key, "value": value, "action": action }),
        }).collect();
        let mut expected = before.clone();
        for (key, value, action) in &actions {
            collector(&mut expected, key, *value, action);
        }
        let attributes: Vec<_> = before.iter().map(|(key, value)| Attribute::new(key, *value)).collect();
        let edits = edits(Value::Array(config), &view(&[&attributes]));
        let mut found = before.clone();
        for edit in &edits {
            let changed = match edit {
                Edit::SetResourceAttribute(set) => {
                    let AttributeValue::Integer(value) = set.value else { panic!("an integer") };
                    found.insert(set.key.clone(), value) != Some(value)
                }
                Edit::RemoveResourceAttribute(remove) => found.remove(&remove.key).is_some(),
                other => panic!("unexpected {other:?}"),
            };
            prop_assert!(changed, "an edit that changes nothing: {edit:?}");
        }
        prop_assert_eq!(found, expected);
    }
}
