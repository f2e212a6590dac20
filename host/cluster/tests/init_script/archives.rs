//! Bundles that are one file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kiln_cluster::{Bundle, Nodes};

use crate::support::Driver;

/// Scenario: the bundle is one file, on a driver without and with systemd.
/// Guarantees: what is in it is installed, for root alone; Kiln is told by which digest it may trust the native code of
/// the bundle; the file itself is not kept.
#[test]
fn an_archive_is_unpacked_and_kiln_is_told_its_digest() {
    for systemd in [false, true] {
        let mut driver = Driver::new();
        let (name, list) = driver.pack();
        if systemd {
            driver.install_systemd(true);
        }
        driver.run().succeeded();
        let start = driver.await_start(1);
        let current = driver.path("root/opt/kiln/current");
        let arguments =
            format!("run --config {0}/kiln.yaml --bundle {0} --bundle-digest sha256:{list}", current.display());
        assert_eq!(start.environment["TEST_ARGUMENTS"], arguments);
        assert!(!current.join(name).exists());
        for (file, mode) in [("kiln", 0o700), ("kiln.yaml", 0o600), ("plugins", 0o700), ("plugins/spark.wasm", 0o600)] {
            assert_eq!(fs::metadata(current.join(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
        }
        driver.stop();
    }
}

/// Scenario: the file is another than the one that was pinned; then it is gone.
/// Guarantees: it is not unpacked.
#[test]
fn a_changed_archive_is_not_unpacked() {
    let mut driver = Driver::new();
    let (name, _) = driver.pack();
    let path = driver.path("source").join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    driver.run().succeeded();
    driver.await_log(&format!("refused {}: its sha256 should be", path.display()));
    driver.await_nothing_left();
    assert!(driver.starts().is_empty() && !driver.path("root/opt/kiln/current").exists());
}

/// Scenario: a directory with a packed bundle, beside the files it was packed from; then something else under its name.
/// Guarantees: the packed one is the bundle, for as many kinds of machine as there are; workers have their configuration
/// if every one of them holds it; what is none is refused.
#[test]
fn a_packed_bundle_is_read_from_its_directory() {
    let mut driver = Driver::new();
    let (name, _) = driver.pack();
    let bundle = Bundle::read(&driver.path("source")).unwrap();
    assert_eq!(bundle.files().iter().map(|file| file.name()).collect::<Vec<_>>(), [name.as_str()]);
    assert!(bundle.has_worker_configuration());
    driver.options.nodes = Nodes::All;
    assert!(driver.rendered().contains(&name));

    fs::write(driver.path("source").join(&name), "no archive").unwrap();
    let refusal = Bundle::read(&driver.path("source")).unwrap_err().to_string();
    assert_eq!(refusal, format!("`{name}` is not what `kiln bundle` makes: make it again, or remove it"));
}
