//! The test harness for processors shows and edits as the host does.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use kiln_guest_editor::{Editor, telemetry};
use kiln_plugin::processor::MetricKind;
use kiln_plugin::testing::{Telemetry, TestBatch, TestHost};
use serde_json::{Value, json};

fn batch() -> Telemetry {
    TestBatch::new()
        .resource(&[("service.name", "shop"), ("secret", "s")])
        .metric(
            "paint",
            MetricKind::Sum,
            &[
                &[("colour", "red"), ("shape", "round")],
                &[("colour", "red"), ("shape", "square")],
                &[("colour", "blue"), ("shape", "round"), ("secret", "s")],
            ],
        )
        .metric("noise", MetricKind::Gauge, &[&[("colour", "red")]])
        .build()
}

fn run(actions: Value) -> Telemetry {
    let host = TestHost::new(telemetry::MANIFEST);
    host.configure_processor::<Editor>(json!({ "actions": actions })).unwrap().process_batch(&batch()).unwrap()
}

#[test]
fn each_edit_does_what_it_says() {
    let after = run(json!([
        { "action": "set_resource", "key": "tag", "value": "x" },
        { "action": "remove_resource", "key": "service.name" },
        { "action": "drop_metric", "metric": "noise" },
        { "action": "rename_metric", "metric": "paint", "value": "paint.used" },
        { "action": "drop_point", "key": "colour", "value": "blue" },
        { "action": "set_point", "key": "tag", "value": "y" },
        { "action": "aggregate", "metric": "paint", "key": "shape" },
    ]));
    assert_eq!(after.resources(), [r#"{secret="s",tag="x"}"#]);
    assert_eq!(after.series(), [r#"paint.used{colour="red",tag="y"}"#]);
    assert_eq!(after.points(), 1);
    let after = run(json!([{ "action": "remove_point", "key": "colour" }]));
    assert_eq!(after.series().last().unwrap(), "noise{}");
}

#[test]
fn what_is_not_read_is_not_shown() {
    let host = TestHost::new(telemetry::MANIFEST);
    let mut editor = host.configure_processor::<Editor>(json!({ "actions": [{ "action": "tell" }] })).unwrap();
    assert_eq!(editor.process_batch(&batch()).unwrap(), batch());
    let [line] = &host.take_log()[..] else { panic!("one line") };
    let seen = format!("{:?}", line.attributes);
    assert!(seen.contains("service.name paint 1 colour noise") && !seen.contains("secret"), "{seen}");
}

#[test]
#[should_panic(expected = "returned an edit of `secret`, which its manifest does not say it writes")]
fn an_edit_that_is_not_declared_fails_the_test() {
    run(json!([{ "action": "remove_point", "key": "secret" }]));
}

#[test]
#[should_panic(expected = "an edit names point 4294967295 of a view with 4")]
fn an_edit_of_nothing_fails_the_test() {
    run(json!([{ "action": "name_nobody" }]));
}
