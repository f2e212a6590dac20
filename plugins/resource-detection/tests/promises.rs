//! What the resource-detection processor promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::fs;

use kiln_plugin::Level;
use kiln_plugin::processor::{Edit, ResourceView, Signal, View};
use kiln_plugin::telemetry::{Attribute, AttributeValue};
use kiln_plugin::testing::{Instance, TestHost};
use kiln_plugin_resource_detection::{ResourceDetection, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A machine with these files and variables.
fn machine(files: &[(&str, &str)], variables: &[(&str, &str)]) -> (TestHost, TempDir) {
    let root = tempfile::tempdir().unwrap();
    let host = TestHost::new(telemetry::MANIFEST);
    for guest in ["/proc", "/etc", "/usr/lib", "/sys", "/run"] {
        fs::create_dir_all(root.path().join(&guest[1..])).unwrap();
        host.on_directory(guest, root.path().join(&guest[1..]));
    }
    for (path, content) in files {
        let path = root.path().join(&path[1..]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    variables.iter().for_each(|(name, value)| host.set_variable(name, value));
    (host, root)
}

fn configured(host: &TestHost, config: Value) -> Instance<ResourceDetection> {
    host.configure_processor(config).unwrap_or_else(|error| panic!("{error:?}"))
}

fn view(attributes: &[Attribute]) -> View {
    View {
        signal: Signal::Metrics,
        resources: vec![ResourceView { attributes: attributes.to_vec() }],
        metrics: Vec::new(),
        points: Vec::new(),
        strings: Vec::new(),
    }
}

/// What is set on a resource without attributes.
fn found(host: &TestHost, detectors: &[&str]) -> BTreeMap<String, AttributeValue> {
    let edits = configured(host, json!({ "detectors": detectors })).process(&view(&[])).unwrap();
    let set = |edit| match edit {
        Edit::SetResourceAttribute(set) => (set.key, set.value),
        edit => panic!("{edit:?}"),
    };
    edits.into_iter().map(set).collect()
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, AttributeValue> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), AttributeValue::from(*value))).collect()
}

fn warnings(host: &TestHost) -> Vec<String> {
    host.take_log().into_iter().filter(|line| line.level == Level::Warn).map(|line| line.message).collect()
}

const NAME: &str = "job-4711-run-1234-main: \"nightly\" 🔥 # 'x' ${env:HOME} {\n- d";

/// Scenario: the driver of a job's cluster on Azure whose name would break YAML, JSON and shells.
/// Guarantees: cluster, job and run, runtime, kind of machine, cloud and workspace, with the types of the workspace tier.
#[test]
fn the_driver_of_a_jobs_cluster() {
    let (host, _root) = machine(
        &[],
        &[
            ("DB_CLUSTER_ID", "1122-101010-abcdefgh"),
            ("DB_CLUSTER_NAME", NAME),
            ("DB_INSTANCE_TYPE", "Standard_DS3_v2"),
            ("DATABRICKS_RUNTIME_VERSION", "15.4"),
            ("DATABRICKS_HOST", "https://adb-1234567890123456.7.azuredatabricks.net/"),
            ("DATABRICKS_TOKEN", "secret"),
        ],
    );
    let mut expected = texts(&[
        ("databricks.cluster.id", "1122-101010-abcdefgh"),
        ("databricks.cluster.name", NAME),
        ("databricks.job.id", "4711"),
        ("databricks.runtime.version", "15.4"),
        ("databricks.host", "https://adb-1234567890123456.7.azuredatabricks.net"),
        ("databricks.workspace.id", "1234567890123456"),
        ("host.type", "Standard_DS3_v2"),
        ("cloud.provider", "azure"),
    ]);
    expected.insert("databricks.run.id".to_owned(), AttributeValue::Integer(1234));
    assert_eq!(found(&host, &["databricks"]), expected);
    assert_eq!(warnings(&host), Vec::<String>::new());
}

#[test]
fn an_all_purpose_cluster_has_no_job() {
    let (host, _root) =
        machine(&[], &[("DB_CLUSTER_ID", "1"), ("DB_CLUSTER_NAME", "shared"), ("DB_INSTANCE_TYPE", "")]);
    let expected = texts(&[("databricks.cluster.id", "1"), ("databricks.cluster.name", "shared")]);
    assert_eq!(found(&host, &["databricks"]), expected);
}

/// Scenario: a detector is configured and others are not.
/// Guarantees: only what it needs is requested, so nothing else is seen although it is there.
#[test]
fn what_is_not_configured_is_not_requested() {
    let (host, _root) =
        machine(&[("/etc/machine-id", &"a".repeat(32))], &[("DB_CLUSTER_ID", "1"), ("K8S_POD_NAME", "p")]);
    assert_eq!(found(&host, &["k8s"]), texts(&[("k8s.pod.name", "p")]));
}

#[test]
fn a_machine_and_its_system() {
    let id = "0123456789abcdef0123456789abcdef";
    let (host, _root) = machine(
        &[
            ("/proc/sys/kernel/hostname", "db-7\n"),
            ("/proc/sys/kernel/arch", "aarch64\n"),
            ("/etc/machine-id", &format!("{id}\n")),
            ("/usr/lib/os-release", "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nPRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\n"),
        ],
        &[],
    );
    let expected = texts(&[
        ("host.name", "db-7"),
        ("host.arch", "arm64"),
        ("host.id", id),
        ("os.type", "linux"),
        ("os.name", "Ubuntu"),
        ("os.version", "22.04"),
        ("os.description", "Ubuntu 22.04.4 LTS"),
    ]);
    assert_eq!(found(&host, &["system"]), expected);
    let (bare, _root) =
        machine(&[("/etc/machine-id", "uninitialized\n"), ("/proc/sys/kernel/hostname", "(none)\n")], &[]);
    assert_eq!(found(&bare, &["system"]), texts(&[("os.type", "linux")]));
}

#[test]
fn a_pod_and_its_container() {
    let id = "f".repeat(64);
    let (host, _root) = machine(
        &[("/proc/self/cgroup", "0::/\n"), ("/proc/self/mountinfo", &format!("1 2 8:1 /c/{id}/hosts /etc/hosts rw\n"))],
        &[
            ("K8S_NAMESPACE_NAME", "telemetry"),
            ("K8S_POD_NAME", "kiln-0"),
            ("K8S_POD_UID", "9f86d081-884c-4d65-9a2f-eaa0c55ad015"),
            ("K8S_NODE_NAME", "node-1"),
            ("K8S_CLUSTER_NAME", "prod"),
        ],
    );
    let expected = texts(&[
        ("k8s.namespace.name", "telemetry"),
        ("k8s.pod.name", "kiln-0"),
        ("k8s.pod.uid", "9f86d081-884c-4d65-9a2f-eaa0c55ad015"),
        ("k8s.node.name", "node-1"),
        ("k8s.cluster.name", "prod"),
        ("container.id", &id),
    ]);
    assert_eq!(found(&host, &["k8s", "container"]), expected);
}

#[test]
fn a_machine_of_aws() {
    let (host, _root) = machine(
        &[
            ("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
            ("/sys/class/dmi/id/product_name", "m5.large\n"),
            ("/sys/class/dmi/id/board_asset_tag", "i-0abcd1234ef567890\n"),
            (
                "/run/cloud-init/instance-data.json",
                r#"{"ds": {}, "v1": {"cloud_name": "aws", "region": "eu-west-1", "availability_zone": "eu-west-1b"}}"#,
            ),
        ],
        &[("AWS_REGION", "us-east-1")],
    );
    let expected = texts(&[
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_ec2"),
        ("cloud.region", "eu-west-1"),
        ("cloud.availability_zone", "eu-west-1b"),
        ("host.id", "i-0abcd1234ef567890"),
        ("host.type", "m5.large"),
    ]);
    assert_eq!(found(&host, &["cloud"]), expected);
}

/// Scenario: cloud-init's file is no JSON, or of another shape; the firmware says nothing.
/// Guarantees: it is told once, and nothing is made up.
#[test]
fn what_makes_no_sense_is_told_and_left_out() {
    for content in ["{", r#"{"v1": {"region": {}}}"#, "3"] {
        let (host, _root) = machine(&[("/run/cloud-init/instance-data.json", content)], &[("AWS_REGION", "us-east-1")]);
        assert_eq!(found(&host, &["cloud"]), BTreeMap::new(), "{content}");
        let told = warnings(&host);
        assert!(
            told.len() == 1 && told[0].starts_with("/run/cloud-init/instance-data.json makes no sense"),
            "{told:?}"
        );
    }
    let (host, _root) = machine(&[], &[("DATABRICKS_HOST", "https://user:secret@x/y"), ("DB_CLUSTER_ID", "1")]);
    assert_eq!(found(&host, &["databricks"]), texts(&[("databricks.cluster.id", "1")]));
    assert_eq!(warnings(&host), ["DATABRICKS_HOST is no https://host; it is left out"]);
    let (host, _root) = machine(&[], &[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"), ("OTEL_SERVICE_NAME", "kiln")]);
    assert_eq!(found(&host, &["env"]), texts(&[("service.name", "kiln")]));
    assert_eq!(warnings(&host), ["OTEL_RESOURCE_ATTRIBUTES: `b` is no key=value; all of it is left out"]);
}

/// Scenario: two detectors find the same attribute, in either order.
/// Guarantees: the first one's value counts, as in the Collector.
#[test]
fn the_first_detector_wins() {
    let (host, _root) = machine(
        &[("/proc/sys/kernel/hostname", "machine\n")],
        &[("OTEL_RESOURCE_ATTRIBUTES", "host.name=operator,service.name=other"), ("OTEL_SERVICE_NAME", "kiln")],
    );
    let name = |detectors| found(&host, detectors)["host.name"].clone();
    assert_eq!(name(&["env", "system"]), AttributeValue::from("operator"));
    assert_eq!(name(&["system", "env"]), AttributeValue::from("machine"));
    assert_eq!(found(&host, &["env"])["service.name"], AttributeValue::from("kiln"));
}

#[test]
fn what_a_resource_has_is_replaced_or_kept() {
    let (host, _root) = machine(&[], &[("K8S_POD_NAME", "kiln-0"), ("K8S_NODE_NAME", "n")]);
    let resource = view(&[Attribute::new("k8s.pod.name", "shop-1"), Attribute::new("k8s.node.name", "n")]);
    let mut replacing = configured(&host, json!({ "detectors": ["k8s"] }));
    let replaced = [Edit::set_resource_attribute(0, "k8s.pod.name", "kiln-0")];
    assert_eq!(replacing.process(&resource).unwrap(), replaced, "what is right is not touched");
    let mut keeping = configured(&host, json!({ "detectors": ["k8s"], "override": false }));
    assert_eq!(keeping.process(&resource).unwrap(), []);
    assert_eq!(keeping.process(&view(&[])).unwrap().len(), 2);
}

/// Scenario: a name, a number of attributes and a file at their bound, and one beyond.
/// Guarantees: the first is taken; the second is left out, and told of with its bound.
#[test]
fn every_bound_is_told() {
    let cluster = |bytes: usize| {
        let (host, _root) = machine(&[], &[("DB_CLUSTER_NAME", &"é".repeat(bytes / 2))]);
        (found(&host, &["databricks"]).len(), warnings(&host))
    };
    assert_eq!(cluster(1024), (1, Vec::new()));
    let told = "DB_CLUSTER_NAME: the value of databricks.cluster.name has 1026 bytes, more than 1024; it is left out";
    assert_eq!(cluster(1026), (0, vec![told.to_owned()]));

    let many = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|index| format!("k{index}=v")).collect();
        let (host, _root) = machine(&[], &[("OTEL_RESOURCE_ATTRIBUTES", &pairs.join(","))]);
        (found(&host, &["env"]).len(), warnings(&host))
    };
    assert_eq!(many(64), (64, Vec::new()));
    let told = "OTEL_RESOURCE_ATTRIBUTES: k64 would be one attribute more than 64; it is left out";
    assert_eq!(many(65), (64, vec![told.to_owned()]));

    let release = |bytes: usize| {
        let content = format!("NAME=x\n{}", "#".repeat(bytes - 7));
        let (host, _root) = machine(&[("/usr/lib/os-release", &content)], &[]);
        (found(&host, &["system"]).contains_key("os.name"), warnings(&host))
    };
    assert_eq!(release(1 << 20), (true, Vec::new()));
    let told = "/usr/lib/os-release is larger than 1048576 bytes; it is left out";
    assert_eq!(release((1 << 20) + 1), (false, vec![told.to_owned()]));
}

proptest! {
    /// Whatever the environment and the files hold, the instance starts, and what it sets is within the host's bounds.
    #[test]
    fn no_environment_stops_it(variable in ".*", page in prop::collection::vec(any::<u8>(), 0..300)) {
        let names = ["OTEL_RESOURCE_ATTRIBUTES", "K8S_POD_NAME", "DB_CLUSTER_NAME", "DB_INSTANCE_TYPE", "DATABRICKS_HOST"];
        let variables: Vec<_> = names.iter().map(|name| (*name, variable.as_str())).collect();
        let page = String::from_utf8_lossy(&page).into_owned();
        let paths = ["/proc/self/cgroup", "/proc/self/mountinfo", "/etc/machine-id", "/usr/lib/os-release",
            "/sys/class/dmi/id/sys_vendor", "/run/cloud-init/instance-data.json"];
        let files: Vec<_> = paths.iter().map(|path| (*path, page.as_str())).collect();
        let (host, _root) = machine(&files, &variables);
        let attributes = found(&host, &["env", "system", "container", "k8s", "cloud", "databricks"]);
        prop_assert!(attributes.len() <= 64);
        prop_assert!(attributes.keys().all(|key| !key.is_empty() && key.len() <= 1024));
    }
}
