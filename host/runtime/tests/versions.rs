//! No version of the contract is a way around a policy.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kiln_config::Limits;
use kiln_policy::{Capability, Grants, Manifest, Policy};
use kiln_runtime::{
    Clock, ComponentFile, Engine, EngineSpec, FileError, Instance, InstanceSpec, PackError, StateStore, pack,
};
use kiln_telemetry::{Metrics, Subject};

/// The versions of the contract: the folder in `wit/`, the version in a manifest, and that of the interfaces.
const VERSIONS: [(&str, &str, &str); 1] = [("v0.1", "0.1", "0.1.0")];

/// What a component has to import of an interface in order to need it, for each capability that can be withheld.
fn surface(capability: Capability) -> Option<&'static str> {
    match capability {
        // They carry no authority: a receiver without them could not say anything at all.
        Capability::Emit | Capability::Log | Capability::Clock => None,
        // The contract has no interface for them: they come with WASI, which finds nothing where nothing is granted.
        Capability::Files | Capability::Env => None,
        Capability::Http => Some(r#"(export "body" (type (sub resource)))"#),
        Capability::State => Some(
            r#"(type (variant (case "full" string) (case "unavailable" string)))
               (export "error" (type (eq 0)))
               (type (result (error 1)))
               (export "delete" (func (param "key" string) (result 2)))"#,
        ),
    }
}

fn manifest(wit: &str, requests: &str) -> String {
    format!(
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\nlicense = 'Apache-2.0'\n\
         wit = '{wit}'\n{requests}"
    )
}

const REQUESTS: &str = "[[requests.http]]\norigin = 'https://a.example'\nmethods = ['GET']\npaths = ['/*']\n\
                        reason = 'a test'\n[requests.state]\nreason = 'a test'\n";

fn component(capability: Capability, version: &str, manifest: &str) -> Result<ComponentFile, PackError> {
    let surface = surface(capability).unwrap();
    let text = format!(
        r#"(component
             (import "kiln:plugin/{capability}@{version}" (instance {surface}))
             (core module $m (func (export "f")))
             (core instance $i (instantiate $m))
             (func $f (canon lift (core func $i "f")))
             (export "configure" (func $f))
             (export "collect" (func $f)))"#
    );
    pack(&wat::parse_str(text).unwrap(), manifest, &[])
}

async fn link(engine: &Engine, file: &ComponentFile, policy: Policy) -> String {
    let spec = InstanceSpec {
        id: "example".to_owned(),
        plugin: engine.compile(file).await.unwrap(),
        policy: Arc::new(policy),
        config: "{}".to_owned(),
        egress: None,
        state: StateStore::in_memory(),
        limits: Limits::default(),
        timeout: Duration::from_secs(1),
        metrics: Metrics::new("").instance("example"),
        denials: Metrics::new("").denials().of(Subject::default()),
        clock: Clock::default(),
    };
    // The exports are not those of a receiver, so it never links; what matters is whether the import is the reason.
    Instance::spawn(engine, spec).unwrap_err().to_string()
}

#[test]
fn every_version_there_is_takes_part() {
    let entries = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // A version is a folder such as `v0.1`; beside them lie what Kiln offers of WASI, what is frozen, and what tells of both.
    let is_version =
        |name: &String| name.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    let folders: BTreeSet<_> = names.filter(is_version).collect();
    assert_eq!(folders, VERSIONS.map(|(folder, ..)| folder.to_owned()).into());
}

/// Scenario: of each version, a plugin that requests each capability, imports it, and is not granted it.
/// Guarantees: it is not linked. Its twin that is granted it gets past the import.
#[tokio::test]
async fn what_is_not_granted_is_not_linked_in_any_version() {
    let engine = Engine::new(EngineSpec::unbounded()).unwrap();
    let mut tried = 0;
    for (_, wit, version) in VERSIONS {
        for capability in Capability::ALL.into_iter().filter(|capability| surface(*capability).is_some()) {
            let manifest = manifest(wit, REQUESTS);
            let file = component(capability, version, &manifest).unwrap();
            let import = format!("kiln:plugin/{capability}@{version}");
            let denied = link(&engine, &file, Policy::default()).await;
            assert!(denied.contains(&import), "{denied}");

            let grants = serde_json::json!({ "http": [{ "origin": "https://a.example" }], "state": true });
            let grants: Grants = serde_json::from_value(grants).unwrap();
            let granted = Policy::resolve(&Manifest::parse(&manifest).unwrap(), &grants, true, |_| None).unwrap();
            let granted = link(&engine, &file, granted).await;
            assert!(!granted.contains(&import), "{granted}");
            tried += 1;
        }
    }
    assert_eq!(tried, 2 * VERSIONS.len());
}

/// Guarantees: what a policy that grants nothing links is what carries no authority.
#[test]
fn nothing_granted_links_nothing_with_authority() {
    for capability in Capability::ALL {
        let carries_none = matches!(capability, Capability::Emit | Capability::Log | Capability::Clock);
        assert_eq!(Policy::default().links(capability), carries_none, "{capability}");
    }
}

/// Scenario: of each version, a plugin that imports what its manifest does not request.
/// Guarantees: it is refused before it is compiled.
#[test]
fn what_is_not_requested_is_refused_in_any_version() {
    for (_, wit, version) in VERSIONS {
        for capability in Capability::ALL.into_iter().filter(|capability| surface(*capability).is_some()) {
            let refused = component(capability, version, &manifest(wit, ""));
            assert!(matches!(refused, Err(PackError::File(FileError::Imports { .. }))), "{refused:?}");
        }
    }
}
