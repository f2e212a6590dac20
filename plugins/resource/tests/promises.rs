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
    let expected = [set("b", false.into()), set("f", 1.5.into()), set("i", (-1).into()), set("s", "1".into())];
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
    assert!(refused(json!([{ "key": "a", "value": 1, "action": "rename" }])).1.contains("rename"));
    assert!(try_configure(json!([{ "key": "a", "value": 1, "action": "insert" }])).is_ok());
}

#[test]
fn a_value_comes_from_another_attribute_if_that_is_there() {
    let copy = |action: &str| json!([{ "key": "env", "from_attribute": "stage", "action": action }]);
    let there = [Attribute::new("stage", 7)];
    assert_eq!(edits(copy("insert"), &view(&[&there, &[]])), [Edit::set_resource_attribute(0, "env", 7)]);
    let both = [Attribute::new("stage", 7), Attribute::new("env", "dev")];
    assert_eq!(edits(copy("insert"), &view(&[&both])), []);
    assert_eq!(edits(copy("update"), &view(&[&both])), [Edit::set_resource_attribute(0, "env", 7)]);
    // What the action before has left is what the next one sees.
    let renamed = json!([
        { "key": "env", "from_attribute": "stage", "action": "upsert" },
        { "key": "stage", "action": "delete" },
    ]);
    let expected = [Edit::set_resource_attribute(0, "env", 7), Edit::remove_resource_attribute(0, "stage")];
    assert_eq!(edits(renamed, &view(&[&there])), expected);
}

/// Scenario: values of every kind are hashed, one of them text.
/// Guarantees: the digest is that of `printf VALUE | sha256sum`, numbers as the Collector writes them; lists and what is empty stay.
#[test]
fn a_hash_is_that_of_the_collector() {
    let hash = json!([{ "key": "a", "action": "hash" }]);
    let hashed = |value: AttributeValue| edits(hash.clone(), &view(&[&[Attribute { key: "a".to_owned(), value }]]));
    let set = |digest: &str| [Edit::set_resource_attribute(0, "a", digest)];
    // printf secret | sha256sum
    assert_eq!(hashed("secret".into()), set("2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"));
    // printf '\52\0\0\0\0\0\0\0' | sha256sum
    assert_eq!(hashed(42.into()), set("ed049108bc18f2c64369e8d0ea42850bdd1a7d1dd340cfde716315579702a76c"));
    assert_eq!(hashed(AttributeValue::TextList(vec!["secret".to_owned()])), []);
    assert_eq!(hashed("".into()), []);
    assert_eq!(edits(hash, &view(&[&[]])), []);
}

#[test]
fn extract_takes_attributes_out_of_a_text() {
    let pattern = r"^job-(?P<databricks.job.id>[0-9]+)-run-(?P<databricks.run.id>[0-9]+)(?:-.*)?$";
    let extract = json!([
        { "key": "cluster", "pattern": pattern, "action": "extract" },
        { "key": "databricks.job.id", "converted_type": "int", "action": "convert" },
    ]);
    let found = edits(extract.clone(), &view(&[&[Attribute::new("cluster", "job-12-run-34-main")]]));
    let expected = [
        Edit::set_resource_attribute(0, "databricks.job.id", 12),
        Edit::set_resource_attribute(0, "databricks.run.id", "34"),
    ];
    assert_eq!(found, expected);
    for other in
        [Attribute::new("cluster", "shared"), Attribute::new("cluster", 12), Attribute::new("other", "job-1-run-2")]
    {
        assert_eq!(edits(extract.clone(), &view(&[&[other]])), []);
    }
}

/// Scenario: an expression on which a backtracking engine takes for ever, and a text made for it.
/// Guarantees: it ends.
#[test]
fn no_expression_takes_for_ever() {
    let text = "b".repeat(10_000);
    let extract = json!([{ "key": "a", "pattern": "(?P<x>(?:b|b|bb)*)c$", "action": "extract" }]);
    assert_eq!(edits(extract, &view(&[&[Attribute::new("a", text.as_str())]])), []);
}

#[test]
fn convert_changes_the_type_or_nothing() {
    let converted = |to: &str, value: AttributeValue| {
        let convert = json!([{ "key": "a", "converted_type": to, "action": "convert" }]);
        match edits(convert, &view(&[&[Attribute { key: "a".to_owned(), value }]])).pop() {
            Some(Edit::SetResourceAttribute(set)) => Some(set.value),
            None => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(converted("int", "12".into()), Some(12.into()));
    assert_eq!(converted("int", 12.9.into()), Some(12.into()));
    assert_eq!(converted("int", true.into()), Some(1.into()));
    assert_eq!(converted("double", "1.5".into()), Some(1.5.into()));
    assert_eq!(converted("double", 2.into()), Some(2.0.into()));
    assert_eq!(converted("string", 2.into()), Some("2".into()));
    assert_eq!(converted("string", false.into()), Some("false".into()));
    for (to, value) in [("int", "twelve".into()), ("int", f64::NAN.into()), ("int", 1e300.into()), ("int", 1.into())] {
        assert_eq!(converted(to, value), None, "{to}");
    }
}

#[test]
fn an_action_is_for_the_resources_its_condition_holds_for() {
    let when = |when: Value| json!([{ "key": "env", "value": "prod", "action": "upsert", "when": when }]);
    let text = [Attribute::new("cloud", "aws-eu")];
    let number = [Attribute::new("cloud", 1)];
    let set = [Edit::set_resource_attribute(0, "env", "prod")];
    for (condition, holds_for_text, holds_for_number, holds_for_none) in [
        (json!({ "key": "cloud", "equals": "aws-eu" }), true, false, false),
        (json!({ "key": "cloud", "equals": 1 }), false, true, false),
        (json!({ "key": "cloud", "matches": "^aws" }), true, false, false),
        (json!({ "key": "cloud", "present": true }), true, true, false),
        (json!({ "key": "cloud", "present": false }), false, false, true),
    ] {
        for (resource, holds) in [(&text[..], holds_for_text), (&number[..], holds_for_number), (&[], holds_for_none)] {
            let expected: &[Edit] = if holds { &set } else { &[] };
            assert_eq!(edits(when(condition.clone()), &view(&[resource])), expected, "{condition} on {resource:?}");
        }
    }
    for wrong in [
        json!({ "key": "a" }),
        json!({ "key": "a", "equals": 1, "present": true }),
        json!({ "key": "a", "matches": "(" }),
    ] {
        assert!(try_configure(when(wrong.clone())).unwrap_err().field.starts_with("/attributes/0/when"), "{wrong}");
    }
}

#[test]
fn what_does_not_go_with_an_action_is_refused() {
    for (action, field) in [
        (json!({ "key": "a", "action": "delete", "from_attribute": "b" }), "from_attribute"),
        (json!({ "key": "a", "action": "hash", "value": 1 }), "value"),
        (json!({ "key": "a", "action": "insert", "value": 1, "from_attribute": "b" }), "from_attribute"),
        (json!({ "key": "a", "action": "insert", "value": 1, "pattern": "(?P<b>.)" }), "pattern"),
        (json!({ "key": "a", "action": "extract" }), "pattern"),
        (json!({ "key": "a", "action": "extract", "pattern": "no group" }), "pattern"),
        (json!({ "key": "a", "action": "extract", "pattern": "(unnamed)" }), "pattern"),
        (json!({ "key": "a", "action": "convert" }), "converted_type"),
        (json!({ "key": "a", "action": "upsert", "value": 1, "converted_type": "int" }), "converted_type"),
    ] {
        let error = try_configure(json!([action])).unwrap_err();
        assert_eq!(error.field, format!("/attributes/0/{field}"), "{action}: {}", error.message);
    }
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
