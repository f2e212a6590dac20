//! A table that changes while Kiln runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod process;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kiln_testbed::pages::{Page, Target};
use kiln_testbed::sink::{Sink, Telemetry};

use crate::process::{Kiln, PATIENCE};

fn configure(folder: &Path, sink: &Sink, target: &Target) {
    let config = format!(
        r#"
plugins_dir: {plugins}
receivers:
  prometheus:
    collection_interval: 1s
    initial_delay: 0s
    grants: {{ http: [ {{ origin: "http://{target}", addresses: [loopback] }} ] }}
    scrape_configs: [ {{ job_name: shop, static_configs: [ {{ targets: [ "{target}" ] }} ] }} ]
processors:
  lookup:
    path: /lookup/teams.csv
    from_attribute: job_id
    reload_interval_seconds: 1
    grants: {{ files: [ {{ host: "{folder}/tables", guest: /lookup }} ] }}
exporters:
  otlp_http: {{ endpoint: "{sink}" }}
service:
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [prometheus], processors: [lookup], exporters: [otlp_http] }}
"#,
        plugins = std::env::var("KILN_PLUGINS").expect("KILN_PLUGINS: run `scripts/test cases`"),
        target = target.address(),
        folder = folder.display(),
        sink = sink.url(),
    );
    fs::write(folder.join("kiln.yaml"), config).unwrap();
}

/// Replaces the table as a careful program does: in one step.
fn write(folder: &Path, content: &str) {
    fs::write(folder.join("tables/new"), content).unwrap();
    fs::rename(folder.join("tables/new"), folder.join("tables/teams.csv")).unwrap();
}

/// Scenario: a table is replaced by another, by one with a line too few, and by a good one again, while Kiln collects.
/// Guarantees: the new one is used without a reload; the broken one changes nothing and is told of once.
#[test]
fn a_table_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("tables")).unwrap();
    let page = Page { content_type: "text/plain; version=0.0.4".to_owned(), body: "runs{job_id=\"1\"} 1\n".to_owned() };
    let target = Target::start(BTreeMap::from([("/metrics".to_owned(), page)])).unwrap();
    let sink = Sink::start().unwrap();
    configure(folder, &sink, &target);
    write(folder, "job_id,team\n1,orders\n");
    let mut kiln = Kiln::start(folder);
    let log = || fs::read_to_string(folder.join("log")).unwrap();
    let has_team = |team: &str| {
        let arrived = |telemetry: &Telemetry| telemetry.points_of("runs").any(|point| point.text("team") == Some(team));
        assert!(sink.wait_for(PATIENCE, arrived).is_ok(), "{team}: {}", log());
    };
    has_team("orders");
    write(folder, "job_id,team\n1,search\n");
    has_team("search");

    write(folder, "job_id,team\n1\n");
    let complaint = "/lookup/teams.csv line 2: the number of fields is 1, and 2 in the first line";
    kiln.wait_until(|| log().contains(complaint));
    sink.forget();
    has_team("search");
    write(folder, "job_id,team\n1,billing\n");
    has_team("billing");
    assert_eq!(log().matches(complaint).count(), 1, "{}", log());
    kiln.stop();
}
