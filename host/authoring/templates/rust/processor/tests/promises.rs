//! What the processor promises.

use {{ident}}::{Mask, telemetry};
use kiln_plugin::processor::{Edit, ResourceView, Signal, View};
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::testing::TestHost;
use serde_json::json;

#[test]
fn named_attributes_are_masked_and_no_others() {
    let view = View {
        signal: Signal::Metrics,
        resources: vec![ResourceView { attributes: vec![Attribute::new("owner", "ann"), Attribute::new("zone", "a")] }],
        metrics: Vec::new(),
        points: Vec::new(),
        strings: Vec::new(),
    };
    let host = TestHost::new(telemetry::MANIFEST);
    let mut mask = host.configure_processor::<Mask>(json!({ "keys": ["user", "owner"] })).unwrap();
    assert_eq!(mask.process(&view).unwrap(), [Edit::set_resource_attribute(0, "owner", "***")]);
}
