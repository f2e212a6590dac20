//! The contract in `wit/v0.1` reads, and says what it means.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use wit_parser::{PackageId, Resolve, TypeDefKind, WorldItem, WorldKey};

fn contract() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1")).unwrap();
    (resolve, package)
}

fn interfaces(resolve: &Resolve, world: &str) -> Vec<String> {
    let (_, world) = resolve.worlds.iter().find(|(_, candidate)| candidate.name == world).unwrap();
    let imported = world.imports.iter().filter(|(_, item)| matches!(item, WorldItem::Interface { .. }));
    imported
        .filter_map(|(key, _)| match key {
            WorldKey::Interface(id) => resolve.interfaces[*id].name.clone(),
            WorldKey::Name(_) => None,
        })
        .collect()
}

#[test]
fn each_kind_of_plugin_has_its_world() {
    let (resolve, package) = contract();
    assert_eq!(resolve.packages[package].name.to_string(), "kiln:plugin@0.1.0");
    let (receiver, processor) = (interfaces(&resolve, "receiver"), interfaces(&resolve, "processor"));
    for shared in ["clock", "configuration", "http", "log", "state", "telemetry"] {
        assert!(receiver.iter().any(|name| name == shared) && processor.iter().any(|name| name == shared), "{shared}");
    }
    assert!(receiver.iter().any(|name| name == "emit"));
    assert!(!processor.iter().any(|name| name == "emit"), "a processor adds no telemetry of its own");
}

#[test]
fn every_interface_and_world_is_documented() {
    let (resolve, package) = contract();
    let package = &resolve.packages[package];
    let silent_interfaces =
        package.interfaces.iter().filter(|(_, id)| resolve.interfaces[**id].docs.is_empty()).map(|(name, _)| name);
    let silent_worlds =
        package.worlds.iter().filter(|(_, id)| resolve.worlds[**id].docs.is_empty()).map(|(name, _)| name);
    let silent: Vec<_> = silent_interfaces.chain(silent_worlds).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

/// Scenario: an instance is dropped and started afresh between two calls.
/// Guarantees: nothing in the contract is a handle that could outlive it, but for a body, which the end of a call closes.
#[test]
fn everything_but_a_body_passes_by_value() {
    let (resolve, _) = contract();
    let mut resources = Vec::new();
    for (_, definition) in &resolve.types {
        match definition.kind {
            TypeDefKind::Resource => resources.push(definition.name.as_deref().unwrap_or_default()),
            TypeDefKind::Stream(_) | TypeDefKind::Future(_) => panic!("{:?}", definition.name),
            _ => {}
        }
    }
    assert_eq!(resources, ["body"]);
}
