//! What a receiver is for at the end of its life.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod process;

use std::path::Path;

use kiln_testbed::sink::{Sink, Telemetry};
use tempfile::TempDir;

use crate::process::{Kiln, PATIENCE};

/// A receiver whose second collection is an hour away, unless it is told to collect at the end.
fn configure(sink: &Sink, key: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    std::fs::copy(Path::new(&plugins).join("steady.wasm"), folder.path().join("plugins/steady.wasm")).unwrap();
    let config = format!(
        "receivers:\n  steady: {{ collection_interval: 1h, initial_delay: 0s{key} }}\nexporters:\n  \
         otlp_http: {{ endpoint: \"{}\" }}\nservice:\n  telemetry: {{ endpoint: none }}\n  pipelines:\n    metrics: {{ receivers: \
         [steady], exporters: [otlp_http] }}\n",
        sink.url()
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    folder
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

/// Scenario: Kiln is stopped long before the next collection of a receiver is due.
/// Guarantees: one that is to collect at the end does so, once, and what it brought has arrived when Kiln has ended; one
/// that is not does not.
#[test]
fn a_receiver_collects_once_more_if_it_is_to() {
    for (key, collections) in [(", final_collection: true", 2), (", final_collection: false", 1), ("", 1)] {
        let sink = Sink::start().unwrap();
        let folder = configure(&sink, key);
        let mut kiln = Kiln::start(folder.path());
        let has_begun = |telemetry: &Telemetry| !telemetry.points.is_empty();
        assert!(sink.wait_for(PATIENCE, has_begun).is_ok(), "{}", log(folder.path()));
        kiln.stop();
        assert_eq!(sink.telemetry().requests.len(), collections, "{key}\n{}", log(folder.path()));
    }
}
