//! Files and environment variables: requests ∩ grants, and what is said when they do not meet.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use kiln_policy::{Capability, Grants, Manifest, Policy, Reach};
use serde_json::{Value, json};

const FILES: &str = "[[requests.files]]\nguest = '/proc'\npaths = ['stat', 'net/dev']\nreason = 'the counters'\n\
                     [[requests.files]]\nguest = '/proc'\npaths = ['*/stat']\nreason = 'the processes'\n";
const ENV: &str = "[[requests.env]]\nname = 'CLUSTER'\nreason = 'an attribute'\n";

fn manifest(requests: &str) -> Manifest {
    let text =
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n";
    Manifest::parse(&format!("{text}{requests}")).unwrap()
}

fn resolve(requests: &str, grants: Value) -> Result<Policy, Vec<String>> {
    let grants: Grants = serde_json::from_value(grants).unwrap();
    // Neither is ever derived from the configuration.
    let policy = Policy::resolve(&manifest(requests), &grants, false, |_| None);
    policy.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn requests_of_one_directory_are_one_rule() {
    let policy = resolve(FILES, json!({ "files": [{ "host": "/host/proc", "guest": "/proc" }] })).unwrap();
    let [rule] = policy.files() else { panic!("{:?}", policy.files()) };
    assert_eq!((rule.host.to_string(), rule.guest.to_string()), ("/host/proc".to_owned(), "/proc".to_owned()));
    assert_eq!(rule.reach(&["stat"]), Reach::Covered);
    assert_eq!(rule.reach(&["42", "stat"]), Reach::Covered);
    assert_eq!(rule.reach(&["42"]), Reach::Leads);
    assert_eq!(rule.reach(&["42", "environ"]), Reach::Outside);
    assert!(policy.links(Capability::Files) && !policy.links(Capability::Env));
}

#[test]
fn a_grant_narrows_and_never_widens() {
    let grants = json!({ "files": [{ "host": "/proc", "paths": ["stat", "environ", "meminfo"] }] });
    let policy = resolve(FILES, grants).unwrap();
    let rule = &policy.files()[0];
    assert_eq!(rule.reach(&["stat"]), Reach::Covered);
    for outside in [&["environ"][..], &["net", "dev"], &["42", "stat"]] {
        assert_eq!(rule.reach(outside), Reach::Outside, "{outside:?}");
    }
    // `*/stat` would lead on from a directory of that name; a file of it is not covered.
    assert_eq!(rule.reach(&["meminfo"]), Reach::Leads);
    assert!(rule.is_requested(&["net", "dev"], Reach::Covered) && !rule.is_requested(&["meminfo"], Reach::Covered));
}

#[test]
fn what_is_not_granted_is_said_once_with_the_lines_to_add() {
    let errors = resolve(&format!("{FILES}{ENV}"), json!({})).unwrap_err();
    assert_eq!(
        errors,
        [
            "requests files of /proc (the counters; the processes), namely stat, net/dev, */stat, which are not granted; to grant \
             them, read-only, add\n    grants:\n      files: [ { host: /proc, guest: /proc } ]",
            "requests the environment variable CLUSTER (an attribute), which is not granted; to grant it, add\n    \
             grants:\n      env: [ CLUSTER ]",
        ]
    );
}

#[test]
fn two_directories_cannot_stand_for_one() {
    let grants = json!({ "files": [{ "host": "/proc" }, { "host": "/host/proc", "guest": "/proc" }] });
    let errors = resolve(FILES, grants).unwrap_err();
    assert!(errors.iter().all(|error| error == "`grants.files` has two entries for /proc: keep one"), "{errors:?}");
}

#[test]
fn grants_nobody_asked_for_are_named() {
    let grants = json!({ "files": [{ "host": "/proc" }, { "host": "/etc" }], "env": ["CLUSTER", "HOME"] });
    let policy = resolve(&format!("{FILES}{ENV}"), grants).unwrap();
    assert_eq!(policy.env()[0].as_str(), "CLUSTER");
    assert_eq!((policy.env().len(), policy.unused_env()[0].as_str()), (1, "HOME"));
    assert_eq!(policy.unused_files().iter().map(ToString::to_string).collect::<Vec<_>>(), ["/etc"]);
}

#[test]
fn grants_that_cannot_be_meant_are_refused() {
    for grants in [
        json!({ "files": [{ "host": "/" }] }),
        json!({ "files": [{ "host": "proc" }] }),
        json!({ "files": [{ "host": "/proc/../etc" }] }),
        json!({ "files": [{ "host": "/proc/" }] }),
        json!({ "files": [{ "host": "/proc", "writable": true }] }),
        json!({ "files": [{ "host": "/proc", "paths": ["../etc"] }] }),
        json!({ "files": ["/proc"] }),
        json!({ "env": ["A=B"] }),
        json!({ "env": [""] }),
        json!({ "environment": ["A"] }),
    ] {
        assert!(serde_json::from_value::<Grants>(grants.clone()).is_err(), "{grants}");
    }
}

#[test]
fn requests_nobody_can_judge_are_refused() {
    let text =
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n";
    for (request, problem) in [
        ("[[requests.files]]\nguest = '/proc'\npaths = []\nreason = 'x'", "needs paths"),
        ("[[requests.files]]\nguest = '/proc'\npaths = ['stat']\nreason = ' '", "needs a reason"),
        ("[[requests.files]]\nguest = '/'\npaths = ['**']\nreason = 'x'", "no directory that can be granted"),
        ("[[requests.files]]\nguest = '/proc'\npaths = ['/stat']\nreason = 'x'", "no path below a directory"),
        ("[[requests.env]]\nname = 'A'\nreason = ''", "needs a reason"),
    ] {
        let error = Manifest::parse(&format!("{text}{request}")).unwrap_err().to_string();
        assert!(error.contains(problem), "{request}: {error}");
    }
}

const CONDITIONAL: &str = "[config.properties.detectors]\ntype = 'array'\n\
    [[requests.files]]\nguest = '/sys'\npaths = ['a']\nwhen = { config = 'detectors', has = 'cloud' }\nreason = 'the cloud'\n\
    [[requests.env]]\nname = 'POD'\nwhen = { config = 'detectors', has = 'k8s' }\nreason = 'the pod'\n\
    [[requests.env]]\nname = 'NODE'\nwhen = { config = 'detectors', has = 'k8s' }\nreason = 'the pod'\n\
    [[requests.env]]\nname = 'REGION'\nwhen = { config = 'detectors', has = 'cloud' }\nreason = 'where'\n";

fn resolve_for(config: &Value, grants: Value) -> Result<Policy, Vec<String>> {
    let grants: Grants = serde_json::from_value(grants).unwrap();
    let policy =
        Policy::resolve(&manifest(CONDITIONAL), &grants, false, |field| kiln_policy::Setting::find(config, field));
    policy.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// Scenario: requests with conditions, of which none, one or all hold.
/// Guarantees: those that hold have to be granted, told of in one sentence each kind; the others cannot be.
#[test]
fn a_request_counts_only_if_its_condition_holds() {
    let none = resolve_for(&json!({}), json!({ "env": ["POD"], "files": [{ "host": "/sys" }] })).unwrap();
    assert!(!none.links(Capability::Env) && !none.links(Capability::Files));
    assert_eq!((none.unused_env().len(), none.unused_files().len()), (1, 1));

    let errors = resolve_for(&json!({ "detectors": ["k8s", "cloud"] }), json!({})).unwrap_err();
    assert_eq!(
        errors,
        [
            "requests files of /sys (the cloud), namely a, which are not granted; to grant them, read-only, add\n    \
             grants:\n      files: [ { host: /sys, guest: /sys } ]",
            "requests the environment variables POD, NODE (the pod), REGION (where), which are not granted; to grant them, \
             add\n    grants:\n      env: [ POD, NODE, REGION ]",
        ]
    );
    // A single text is a list of one.
    let errors = resolve_for(&json!({ "detectors": "k8s" }), json!({ "env": ["NODE"] })).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("the environment variable POD (the pod), which is not granted"), "{errors:?}");
    let granted = resolve_for(&json!({ "detectors": ["k8s"] }), json!({ "env": ["NODE", "POD"] })).unwrap();
    assert_eq!(granted.env().iter().map(ToString::to_string).collect::<Vec<_>>(), ["POD", "NODE"]);
    assert!(!granted.links(Capability::Files));
}

#[test]
fn a_condition_nobody_can_meet_is_refused() {
    let text = "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n\
         [config.properties.a]\ntype = 'string'\n";
    let parse = |when: &str| {
        let request = format!("[[requests.env]]\nname = 'A'\nwhen = {when}\nreason = 'x'\n");
        Manifest::parse(&format!("{text}{request}")).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(parse("{ config = 'a', has = 'x' }"), Ok(()));
    for when in ["{ config = 'b', has = 'x' }", "{ config = 'a', has = '' }", "{ config = 'a.b', has = 'x' }"] {
        assert!(parse(when).unwrap_err().contains("nobody could configure it"), "{when}");
    }
    assert!(parse("{ config = 'a', has = 'x', not = 'y' }").is_err());
}
