//! `deploy/databricks/kiln.yaml` and `kiln-worker.yaml` are valid with the environment the init script gives them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use kiln_cluster::spark_settings::{SPARK_SETTINGS, policy_json};
use kiln_config::{Config, ExporterKind};

const ENDPOINT: &str = "http://spark-ui.internal";

fn read(variables: &[(&str, &str)]) -> Config {
    read_file("kiln.yaml", variables)
}

fn read_file(name: &str, variables: &[(&str, &str)]) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/databricks").join(name);
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::read(&path, &|name| variables.get(name).cloned()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a plugin of this repository accepts.
fn schema_of(plugin: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../plugins/{plugin}/plugin.toml"));
    let manifest: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    serde_json::to_value(&manifest["config"]).unwrap()
}

/// Scenario: a job's cluster whose name would break YAML, with a backend that wants a token.
/// Guarantees: it fits the plugins' schemas without a warning; Spark's origin alone is granted; the token goes to the backend of the environment.
#[test]
fn the_deployed_configuration_is_valid() {
    let config = read(&[
        ("DB_CLUSTER_ID", "1122-101010-abcdefgh"),
        ("DB_CLUSTER_NAME", "a: b # \"c\" ${env:HOME} {\n- d"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example.com"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret"),
    ]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(config.telemetry.endpoint.is_none());
    assert_eq!(config.instances.len(), 2);
    let grants = serde_json::to_value(&config.instances[0].grants).unwrap();
    assert_eq!(grants["http"].as_array().unwrap().len(), 1, "{grants}");
    assert_eq!(grants["http"][0]["origin"], ENDPOINT);
    assert_eq!(grants["http"][0]["addresses"], serde_json::json!(["spark_ui"]));
    let schema = schema_of("resource-detection");
    config.instances[1].body.settings(&schema).unwrap_or_else(|errors| panic!("{errors}"));
    // Names of variables and not their values: nothing of a cluster's name is ever part of the file.
    let grants = serde_json::to_value(&config.instances[1].grants).unwrap();
    assert_eq!(grants["env"][1], "DB_CLUSTER_NAME", "{grants}");
    config.instances[0].body.settings(&schema_of("spark")).unwrap_or_else(|errors| panic!("{errors}"));
    let ExporterKind::OtlpHttp(exporter) = &config.exporters[0].kind else { panic!("{:?}", config.exporters[0]) };
    assert_eq!(exporter.destinations.metrics.url.as_str(), "https://otlp.example.com/v1/metrics");
    assert_eq!(exporter.destinations.metrics.headers.len(), 1);
}

/// Scenario: an all-purpose cluster, which has no job; and a start without the script.
/// Guarantees: both are valid: nothing that Databricks may leave out is needed.
#[test]
fn a_cluster_without_a_job_is_fine() {
    read(&[("DB_CLUSTER_ID", "1122-101010-abcdefgh"), ("DB_CLUSTER_NAME", "nightly")]);
    read(&[]);
}

/// Scenario: a worker of a job's cluster.
/// Guarantees: its configuration fits the plugins' schemas without a warning, needs nothing of Spark, reads two
/// directories and talks to nobody but the backend.
#[test]
fn the_configuration_of_workers_is_valid() {
    let config = read_file("kiln-worker.yaml", &[("DB_CLUSTER_ID", "1"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://o")]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    for (instance, plugin) in config.instances.iter().zip(["host-metrics", "resource-detection"]) {
        instance.body.settings(&schema_of(plugin)).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(instance.grants.http.is_empty());
    }
    assert_eq!(config.instances[0].grants.files.len(), 2);
}

/// Scenario: the examples of a cluster policy, of Terraform and of an Asset Bundle.
/// Guarantees: each has every setting of Spark that Kiln needs, with its value; the policy has what `kiln init-script` prints.
#[test]
fn every_example_has_what_spark_needs() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/databricks").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let policy: serde_json::Value = serde_json::from_str(&read("cluster-policy.json")).unwrap();
    let printed: serde_json::Value = serde_json::from_str(&policy_json()).unwrap();
    for (key, rule) in printed.as_object().unwrap() {
        assert_eq!(&policy[key], rule, "{key}");
    }
    let (terraform, assets) = (read("terraform/main.tf"), read("asset-bundle.yml"));
    let plain = |text: &str| text.replace(['"', ' '], "");
    for setting in SPARK_SETTINGS {
        assert!(plain(&terraform).contains(&format!("{}={}\n", setting.key, setting.value)), "{}", setting.key);
        assert!(plain(&assets).contains(&format!("{}:{}\n", setting.key, setting.value)), "{}", setting.key);
    }
}
