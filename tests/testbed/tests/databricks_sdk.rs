#![allow(clippy::expect_used, clippy::panic)]
//! The official Databricks client accepts the simulated workspace.
//!
//! Runs `tests/databricks-sdk/check.py` with the Python that `KILN_DATABRICKS_SDK_PYTHON` names: one whose
//! environment has what `tests/databricks-sdk/requirements.txt` lists.

use kiln_testbed::databricks::Workspace;
use std::io::Write;
use std::process::Command;

#[test]
fn the_official_client_accepts_the_simulated_workspace() {
    let Some(python) = std::env::var_os("KILN_DATABRICKS_SDK_PYTHON") else {
        // Straight to the process's stderr: the test harness would hide what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the_official_client_accepts_the_simulated_workspace \
             (KILN_DATABRICKS_SDK_PYTHON names no Python that has the databricks-sdk)"
        );
        return;
    };
    let workspace = Workspace::start().expect("a free port");
    let output = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../databricks-sdk/check.py"))
        .args([&workspace.url(), workspace.token(), &workspace.client().id, &workspace.client().secret])
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", python.display()));
    assert!(
        output.status.success(),
        "the check failed\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
