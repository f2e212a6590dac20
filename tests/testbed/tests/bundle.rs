//! What `kiln bundle` packs, and a Kiln that runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kiln_testbed::sink::Sink;

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name}: run `scripts/test cases`")).into()
}

fn kiln() -> Command {
    let mut command = Command::new(variable("KILN_BIN"));
    command.env_clear();
    command
}

/// Packs the steady and the everything plugin, in the order given, with `configuration` and the program that packs.
fn pack(folder: &Path, configuration: &str, plugins: [&str; 2], output: &str) -> Output {
    fs::write(folder.join("given.yaml"), configuration).unwrap();
    let test_plugins = variable("KILN_TEST_PLUGINS");
    let mut command = kiln();
    command.args(["bundle", "--config", "given.yaml", "-o", output]).current_dir(folder);
    command.args(plugins.map(|plugin| test_plugins.join(plugin))).output().unwrap()
}

fn unpack(folder: &Path, archive: &str, into: &str) -> String {
    fs::create_dir(folder.join(into)).unwrap();
    let unpacked = Command::new("tar").args(["-xzf", archive, "-C", into]).current_dir(folder).status().unwrap();
    assert!(unpacked.success());
    let check =
        Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(folder.join(into)).status();
    assert!(check.unwrap().success(), "the list is not what sha256sum understands");
    let list = Command::new("sha256sum").arg("SHA256SUMS").current_dir(folder.join(into)).output().unwrap();
    format!("sha256:{}", String::from_utf8(list.stdout).unwrap().split_once(' ').unwrap().0)
}

fn configuration(sink: &Sink) -> String {
    format!(
        "receivers:\n  steady: {{ collection_interval: 100ms, initial_delay: 0s }}\nexporters:\n  otlp_http: {{ endpoint: \"{}\" \
         }}\nservice:\n  telemetry: {{ endpoint: none }}\n  pipelines:\n    metrics: {{ receivers: [steady], exporters: [otlp_http] \
         }}\n",
        sink.url()
    )
}

/// Runs what is unpacked in `folder` until something arrives, and gives what it said.
fn run(folder: &Path, digest: &str, sink: &Sink) -> String {
    let said = fs::File::create(folder.join("said")).unwrap();
    let arguments = ["run", "--bundle", ".", "--bundle-digest", digest];
    let mut command = Command::new(folder.join("kiln"));
    command.args(arguments).env_clear().current_dir(folder);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().unwrap();
    let arrived = sink.wait_for(std::time::Duration::from_secs(60), |telemetry| !telemetry.points.is_empty());
    let _already_gone = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let status = child.wait().unwrap();
    let said = fs::read_to_string(folder.join("said")).unwrap();
    assert!(arrived.is_ok() && status.success(), "{said}");
    said
}

/// A bundle of both plugins, of which the configuration names the steady one: where it is unpacked, and the digest of its
/// list.
fn installed(folder: &Path, sink: &Sink) -> (PathBuf, String) {
    let packed = pack(folder, &configuration(sink), ["steady.wasm", "everything.wasm"], "bundle.tar.gz");
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let digest = unpack(folder, "bundle.tar.gz", "unpacked");
    (folder.join("unpacked"), digest)
}

/// What it says when it does not start for what it is given.
fn refused(folder: &Path, digest: &str) -> String {
    let arguments = ["run", "--bundle", ".", "--bundle-digest", digest];
    let output = Command::new(folder.join("kiln")).args(arguments).current_dir(folder).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    String::from_utf8(output.stderr).unwrap()
}

/// Scenario: the same things are packed twice, named in another order and into a directory that is not there yet; then one
/// byte of the configuration is another.
/// Guarantees: the first two are the same bytes, and hold what was given, checksums, and a bill of materials; the third
/// differs.
#[test]
fn a_bundle_is_the_same_for_the_same_content() {
    let folder = tempfile::tempdir().unwrap();
    let pack = |configuration: &str, plugins, output| {
        let packed = pack(folder.path(), configuration, plugins, output);
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        fs::read(folder.path().join(output)).unwrap()
    };
    let first = pack("receivers: {}\n", ["steady.wasm", "everything.wasm"], "1.tar.gz");
    assert!(
        first == pack("receivers: {}\n", ["everything.wasm", "steady.wasm"], "of-its-own/2.tar.gz"),
        "another order, other bytes"
    );
    assert!(first != pack("receivers: { }\n", ["everything.wasm", "steady.wasm"], "3.tar.gz"));
    unpack(folder.path(), "1.tar.gz", "unpacked");
    let read = |name: &str| fs::read(folder.path().join("unpacked").join(name)).unwrap();
    assert_eq!(read("kiln.yaml"), b"receivers: {}\n");
    assert!(read("kiln") == fs::read(variable("KILN_BIN")).unwrap());
    let bill: serde_json::Value = serde_json::from_slice(&read("bom.cdx.json")).unwrap();
    let names: Vec<_> = bill["components"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["everything", "kiln", "steady"]), "{names:?}");
}

/// Scenario: a bundle is unpacked and run with the digest of its list; then its native code has a byte more; then the list
/// does; then another digest is named.
/// Guarantees: the native code of the bundle runs, and nothing is compiled; changed code is not run, and what it was made
/// from is compiled in its place; with another list or digest nothing runs at all.
#[test]
fn the_native_code_of_a_bundle_is_run_if_it_is_attested() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().unwrap();
    let (unpacked, digest) = installed(folder.path(), &sink);
    let said = run(&unpacked, &digest, &sink);
    assert!(!said.contains("is not used"), "{said}");

    for entry in fs::read_dir(unpacked.join("precompiled")).unwrap() {
        use std::io::Write as _;
        let mut file = fs::File::options().append(true).open(entry.unwrap().path()).unwrap();
        file.write_all(b"x").unwrap();
    }
    let sink = Sink::start().unwrap();
    fs::write(unpacked.join("kiln.yaml"), configuration(&sink)).unwrap();
    let said = run(&unpacked, &digest, &sink);
    assert!(said.contains("is not what SHA256SUMS says: it is not used"), "{said}");

    let other = format!("sha256:{}", "0".repeat(64));
    assert!(refused(&unpacked, &other).contains("the digest of SHA256SUMS should be sha256:0000"));
    let list = fs::read_to_string(unpacked.join("SHA256SUMS")).unwrap();
    fs::write(unpacked.join("SHA256SUMS"), list + "\n").unwrap();
    assert!(refused(&unpacked, &digest).contains("and is sha256:"));
}

/// Scenario: the configuration in a bundle names a plugin that is not there; then one whose file is no plugin any more; then
/// the other one alone.
/// Guarantees: what nobody names is not looked at, and what is named is; of a plugin that is missing it is said which there
/// are.
#[test]
fn a_start_from_a_bundle_looks_at_what_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start().unwrap();
    let (unpacked, digest) = installed(folder.path(), &sink);
    let name = |plugin| {
        fs::write(unpacked.join("kiln.yaml"), configuration(&sink).replace("steady", plugin)).unwrap();
    };
    name("nothing");
    let said = refused(&unpacked, &digest);
    assert!(said.contains("it holds everything, steady"), "{said}");

    let manifest = "name = \"everything\"\n";
    let section = [&[13], &b"kiln:manifest"[..], manifest.as_bytes()].concat();
    let length = u8::try_from(section.len()).unwrap();
    let component = [&b"\0asm\x0d\0\x01\0\0"[..], &[length], &section].concat();
    fs::write(unpacked.join("plugins/everything.wasm"), component).unwrap();
    name("everything");
    let said = refused(&unpacked, &digest);
    assert!(said.contains("plugins/everything.wasm") && said.contains("version"), "{said}");
    name("steady");
    let said = run(&unpacked, &digest, &sink);
    assert!(!said.contains("everything"), "{said}");
}

/// Scenario: the program to be packed is none, or another one, or a plugin is none.
/// Guarantees: nothing is written, and the message names the file.
#[test]
fn what_cannot_be_run_is_not_packed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kiln.yaml"), "").unwrap();
    fs::write(folder.path().join("script"), "#!/bin/sh\n").unwrap();
    fs::write(folder.path().join("x.wasm"), "no plugin").unwrap();
    let binary = variable("KILN_BIN");
    let another = Path::new("/bin/sh");
    let sentences = [
        (Path::new("script"), "script is no Linux program"),
        (another, "/bin/sh does not run the native code that this kiln makes"),
        (binary.as_path(), "x.wasm: "),
    ];
    for (program, fault) in sentences {
        let mut command = kiln();
        command.arg("bundle").arg("--program").arg(program).args(["--config", "kiln.yaml", "-o", "out", "x.wasm"]);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(String::from_utf8_lossy(&output.stderr).contains(fault), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!folder.path().join("out").exists());
    }
}
