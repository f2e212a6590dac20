//! Where plugin files come from: subdirectories, several versions side by side, a URL with a digest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

#[path = "process/mod.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use minisign::KeyPair;
use tempfile::TempDir;

use crate::process::Kiln;

/// A folder with a configuration, and a way to ask kiln about it.
struct Desk(TempDir);

struct Answer {
    code: i32,
    said: String,
}

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir(desk.path("plugins")).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Receivers by id, each with what its `plugin` says, if anything.
    fn configure(&self, receivers: &[(&str, Option<&str>)], more: &str) {
        let mut text = format!("{more}\nreceivers:\n");
        for (id, plugin) in receivers {
            let plugin = plugin.map(|plugin| format!("plugin: \"{plugin}\", ")).unwrap_or_default();
            text += &format!("  {id}: {{ {plugin}collection_interval: 100ms, initial_delay: 0s }}\n");
        }
        let ids: Vec<_> = receivers.iter().map(|(id, _)| *id).collect();
        text += &format!(
            "exporters: {{ debug: {{}} }}\nservice:\n  data_dir: data\n  telemetry: {{ endpoint: 127.0.0.1:0 }}\n  pipelines:\n    \
             metrics: {{ receivers: [{}], exporters: [debug] }}\n",
            ids.join(", ")
        );
        fs::write(self.path("kiln.yaml"), text).unwrap();
    }

    fn ask(&self, arguments: &[&str]) -> Answer {
        let binary = std::env::var("KILN_BIN").expect("KILN_BIN: run `scripts/test cases`");
        let output = Command::new(binary).args(arguments).current_dir(self.0.path()).env_clear().output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer {
            code: output.status.code().unwrap(),
            said: format!("{}\n{}", text(output.stdout), text(output.stderr)),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Answer {
    #[track_caller]
    fn is(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.said);
        for text in texts {
            assert!(self.said.contains(text), "{text} is not in:\n{}", self.said);
        }
    }
}

fn steady() -> Vec<u8> {
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    fs::read(Path::new(&plugins).join("steady.wasm")).unwrap()
}

/// The same plugin in another version: the manifest is text in the file, and this one is as long.
fn steady_of(version: &str) -> Vec<u8> {
    let (bytes, before, after) = (steady(), b"version = \"0.1.0\"", format!("version = \"{version}\""));
    assert_eq!(before.len(), after.len());
    let at = bytes.windows(before.len()).position(|window| window == before).unwrap();
    [&bytes[..at], after.as_bytes(), &bytes[at + before.len()..]].concat()
}

fn digest(desk: &Desk, bytes: &[u8]) -> String {
    fs::write(desk.path("looked-at"), bytes).unwrap();
    let said = desk.ask(&["plugin", "inspect", "looked-at", "--json"]).said;
    let inspection: serde_json::Value = serde_json::from_str(&said).unwrap();
    inspection["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned()
}

/// A server of files; what begins with `to:` is where it redirects to.
struct Files {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Files {
    fn serve(files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let (status, header, body) = match files.get(path.as_str()) {
                    None => ("404 Not Found", String::new(), &[][..]),
                    Some(body) => match body.strip_prefix(b"to:") {
                        Some(place) => {
                            ("302 Found", format!("location: {}\r\n", String::from_utf8_lossy(place)), &[][..])
                        }
                        None => ("200 OK", String::new(), &body[..]),
                    },
                };
                seen.lock().unwrap().push(path);
                let head =
                    format!("HTTP/1.1 {status}\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Scenario: plugins in subdirectories, one hidden, one broken; while Kiln watches, another comes into a subdirectory.
/// Guarantees: those that are not hidden are found, the broken one is named with its path, and what comes is noticed.
#[test]
fn subdirectories_hold_plugins() {
    let desk = Desk::new();
    for directory in ["plugins/team/a", "plugins/.hidden"] {
        fs::create_dir_all(desk.path(directory)).unwrap();
    }
    fs::write(desk.path("plugins/team/a/steady.wasm"), steady()).unwrap();
    fs::write(desk.path("plugins/.hidden/steady.wasm"), steady()).unwrap();
    fs::write(desk.path("plugins/team/broken.wasm"), "x").unwrap();
    desk.configure(&[("steady", None)], "");
    desk.ask(&["validate"]).is(0, &["plugins/team/broken.wasm: is not WebAssembly"]);
    desk.ask(&["plugin", "list", "plugins"]).is(64, &["steady.wasm", "plugins/team/broken.wasm"]);

    let text = fs::read_to_string(desk.path("kiln.yaml")).unwrap();
    fs::write(desk.path("kiln.yaml"), text.replace("  data_dir: data\n", "  data_dir: data\n  watch: true\n")).unwrap();
    let mut kiln = Kiln::start(desk.0.path());
    kiln.wait_until(|| desk.log().contains(" running receivers="));
    fs::write(desk.path("plugins/team/next"), steady_of("0.2.0")).unwrap();
    fs::rename(desk.path("plugins/team/next"), desk.path("plugins/team/a/steady.wasm")).unwrap();
    kiln.wait_until(|| desk.log().contains("reloaded: receivers.steady changed"));
    assert!(desk.log().contains("version=\"0.2.0\""), "{}", desk.log());
    kiln.stop();
}

/// Scenario: two versions of a plugin, of which nobody says which; then one is chosen; then both run side by side; then one that is
/// not there is chosen; then two files of one version.
/// Guarantees: what is ambiguous is refused with the choices, what is chosen runs, both can be locked, and what is not there or there
/// twice is an error that says what to do.
#[test]
fn versions_lie_side_by_side_and_one_is_chosen() {
    let desk = Desk::new();
    fs::write(desk.path("plugins/steady-old.wasm"), steady()).unwrap();
    fs::write(desk.path("plugins/steady-new.wasm"), steady_of("0.2.0")).unwrap();
    desk.configure(&[("steady", None)], "");
    let choices = "choose with `plugin: steady@0.1.0` or `plugin: steady@0.2.0`";
    desk.ask(&["validate"])
        .is(64, &["kiln.yaml:3:3: receivers.steady", "several versions of the plugin `steady`", choices]);
    desk.ask(&["run"]).is(64, &[choices, "no receiver can run"]);

    desk.configure(&[("steady", Some("steady@0.2.0"))], "");
    let mut kiln = Kiln::start(desk.0.path());
    kiln.wait_until(|| desk.log().contains(" running receivers="));
    assert!(desk.log().contains("version=\"0.2.0\"") && !desk.log().contains("version=\"0.1.0\""), "{}", desk.log());
    kiln.stop();

    desk.configure(&[("steady/old", Some("steady@0.1.0")), ("steady/new", Some("steady@0.2.0"))], "");
    desk.ask(&["plugin", "lock"]).is(0, &["plugin instances: 2"]);
    let locked = fs::read_to_string(desk.path("kiln.lock")).unwrap();
    assert!(locked.contains("[plugins.steady]") && locked.contains("[plugins.\"steady@0.2.0\"]"), "{locked}");
    desk.configure(&[("steady/new", Some("steady@0.2.0")), ("steady/old", Some("steady@0.1.0"))], "");
    desk.ask(&["validate", "--locked"]).is(0, &[]);
    let granted = desk.ask(&["plugin", "inspect", "plugins/steady-new.wasm", "--config", "kiln.yaml"]);
    granted.is(0, &["receivers.steady/new"]);
    assert!(!granted.said.contains("receivers.steady/old"), "{}", granted.said);

    desk.configure(&[("steady", Some("steady@0.3.0"))], "");
    desk.ask(&["validate"]).is(64, &["there is no version 0.3.0 of the plugin `steady`", "`plugin: steady@0.1.0`"]);
    desk.configure(&[("steady", Some("steady@"))], "");
    desk.ask(&["validate"]).is(64, &["what follows `@` must be a version"]);
    fs::write(desk.path("plugins/again.wasm"), steady()).unwrap();
    desk.ask(&["plugin", "list", "plugins"]).is(64, &["both hold the plugin `steady` in version 0.1.0"]);
}

/// Scenario: a plugin is named by URL and digest, behind a redirect; then the server is gone; then what is kept is damaged while it is
/// gone, and there again; a reload goes from one version to another.
/// Guarantees: it is fetched once, kept for this user only, runs without the server afterwards, and what is damaged is not used; what
/// runs goes on when the new one cannot be fetched, and changes when it can.
#[test]
fn a_plugin_is_fetched_once_and_then_kept() {
    let desk = Desk::new();
    let (old, new) = (steady(), steady_of("0.2.0"));
    let (old_digest, new_digest) = (digest(&desk, &old), digest(&desk, &new));
    let files = Files::serve(BTreeMap::from([
        ("/steady.wasm", b"to:/releases/steady-0.1.0.wasm".to_vec()),
        ("/releases/steady-0.1.0.wasm", old),
        ("/new.wasm", new),
    ]));
    fs::remove_dir(desk.path("plugins")).unwrap();
    let reference = format!("{}/steady.wasm#sha256={old_digest}", files.url);
    desk.configure(&[("steady", Some(&reference))], "");
    let mut kiln = Kiln::start(desk.0.path());
    kiln.wait_until(|| desk.log().contains(" running receivers="));
    let log = desk.log();
    assert!(log.contains("fetching the plugin sha256:") && log.contains("fetched the plugin sha256:"), "{log}");
    assert_eq!(files.asked(), ["/steady.wasm", "/releases/steady-0.1.0.wasm"]);
    let kept = desk.path(&format!("data/plugins/sha256-{old_digest}.wasm"));
    assert_eq!(fs::metadata(kept.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    let next = format!("{}/missing.wasm#sha256={new_digest}", files.url);
    desk.configure(&[("steady", Some(&next))], "");
    kiln.reload();
    kiln.wait_until(|| desk.log().contains("reload refused") && desk.log().contains("answers with status 404"));
    desk.configure(&[("steady", Some(&format!("{}/new.wasm#sha256={new_digest}", files.url)))], "");
    kiln.reload();
    kiln.wait_until(|| desk.log().contains("reloaded: receivers.steady changed"));
    assert!(desk.log().contains("version=\"0.2.0\""), "{}", desk.log());
    kiln.stop();

    // Nobody listens at port 1.
    let gone = format!("http://127.0.0.1:1/steady.wasm#sha256={old_digest}");
    desk.configure(&[("steady", Some(&gone))], "");
    desk.ask(&["validate"]).is(0, &[]);
    desk.ask(&["plugin", "lock"]).is(0, &[]);
    desk.ask(&["validate", "--locked"]).is(0, &[]);
    fs::write(&kept, "damaged").unwrap();
    desk.ask(&["validate"])
        .is(64, &["receivers.steady: the plugin `http://127.0.0.1:1/steady.wasm#sha256=", "cannot be fetched"]);
    desk.configure(&[("steady", Some(&reference))], "");
    desk.ask(&["validate", "--locked"]).is(0, &["fetched the plugin"]);
}

/// Scenario: a URL without a digest, over http from elsewhere, with a password; one that gives another file, none, one too large for
/// a plugin, or leads to where nothing may be reached; no place to keep it.
/// Guarantees: none of it runs, nothing of it is kept, and each says what to do.
#[test]
fn what_is_not_as_named_is_not_used() {
    let desk = Desk::new();
    let bytes = steady();
    let digest = digest(&desk, &bytes);
    let files = Files::serve(BTreeMap::from([
        ("/other.wasm", steady_of("0.2.0")),
        ("/large.wasm", vec![0; (64 << 20) + 1]),
        ("/inside", b"to:http://169.254.169.254/latest/meta-data".to_vec()),
        ("/round", b"to:/round".to_vec()),
        ("/text", b"text".to_vec()),
    ]));
    let url = &files.url;
    for (reference, said) in [
        (format!("{url}/other.wasm"), "must end in its digest"),
        (format!("http://plugins.example/a.wasm#sha256={digest}"), "use https"),
        (format!("https://me:secret@plugins.example/a.wasm#sha256={digest}"), "must not hold a name or password"),
        (format!("{url}/other.wasm#sha256={digest}"), "is another file: it has the digest sha256:"),
        (format!("{url}/none.wasm#sha256={digest}"), "answers with status 404"),
        (format!("{url}/large.wasm#sha256={digest}"), "larger than the 67108864 bytes allowed"),
        (format!("{url}/inside#sha256={digest}"), "169.254.169.254"),
        (format!("{url}/round#sha256={digest}"), "redirects more than 5 times"),
    ] {
        desk.configure(&[("steady", Some(&reference))], "");
        let answer = desk.ask(&["validate"]);
        answer.is(64, &[said]);
        assert!(!answer.said.contains("secret@"), "{}", answer.said);
    }
    let kept = fs::read_dir(desk.path("data/plugins")).map_or(0, Iterator::count);
    assert_eq!(kept, 0);

    let text = fs::read_to_string(desk.path("kiln.yaml")).unwrap();
    fs::write(desk.path("kiln.yaml"), text.replace("  data_dir: data\n", "")).unwrap();
    desk.ask(&["validate"]).is(64, &["set `service.data_dir`"]);
}

/// Scenario: a plugin that is fetched, under rules that list another one, and that ask for a signature, which is beside it or not.
/// Guarantees: the rules hold for it as for any; a signature is fetched with it.
#[test]
fn what_is_fetched_is_held_to_the_rules() {
    let desk = Desk::new();
    let bytes = steady();
    let digest = digest(&desk, &bytes);
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let signature =
        minisign::sign(Some(&pair.pk), &pair.sk, std::io::Cursor::new(&bytes), Some("reviewed"), None).unwrap();
    let files = Files::serve(BTreeMap::from([
        ("/unsigned.wasm", bytes.clone()),
        ("/signed.wasm", bytes),
        ("/signed.wasm.minisig", signature.to_string().into_bytes()),
    ]));
    let reference = |name: &str| format!("{}/{name}.wasm#sha256={digest}", files.url);
    desk.configure(&[("steady", Some(&reference("unsigned")))], "policy: { plugins: { spark: {} } }");
    desk.ask(&["validate"]).is(64, &["policy.plugins does not list it"]);
    fs::write(desk.path("ops.pub"), pair.pk.to_box().unwrap().into_string()).unwrap();
    let policy = "policy: { signing_keys: [ \"${file:ops.pub}\" ] }";
    desk.configure(&[("steady", Some(&reference("unsigned")))], policy);
    desk.ask(&["validate"]).is(64, &["it is not signed"]);
    desk.configure(&[("steady", Some(&reference("signed")))], policy);
    desk.ask(&["validate"]).is(0, &[]);
}
