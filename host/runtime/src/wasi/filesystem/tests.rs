//! A granted directory is as narrow as it says, whatever is on the disk.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::{fs, io::Read as _};

use kiln_policy::{Grants, Manifest, Policy};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use serde_json::json;

use super::granted_directory::{Failure, GrantedDirectory, Last, Reason};

/// The directory `host` under a rule with these patterns.
fn granted(host: &Path, requested: &[&str], allowed: Option<&[&str]>) -> GrantedDirectory {
    let manifest = format!(
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\nlicense = 'Apache-2.0'\n\
         wit = '0.1'\n[[requests.files]]\nguest = '/data'\npaths = {requested:?}\nreason = 'a test'\n"
    );
    let manifest = Manifest::parse(&manifest).unwrap();
    let mut grant = json!({ "host": host, "guest": "/data" });
    if let Some(allowed) = allowed {
        grant["paths"] = json!(allowed);
    }
    let grants: Grants = serde_json::from_value(json!({ "files": [grant] })).unwrap();
    let policy = Policy::resolve(&manifest, &grants, true, |_| None).unwrap();
    GrantedDirectory::open(&policy.files()[0]).unwrap()
}

/// What reading a path brings.
fn read(directory: &GrantedDirectory, path: &str) -> Result<String, Failure> {
    let found = directory.find(&[], path, Last::Follow)?;
    let mut text = String::new();
    fs::File::from(directory.open_file(&found)?).read_to_string(&mut text).unwrap();
    Ok(text)
}

#[track_caller]
fn assert_denied(directory: &GrantedDirectory, path: &str, reason: Reason, text: &str) {
    match read(directory, path) {
        Err(Failure::Denied(denied)) => {
            assert!(denied.text.contains(text), "{path}: {}", denied.text);
            assert_eq!(denied.reason, reason, "{path}: {}", denied.text);
            assert!(denied.path.starts_with("/data/"), "{path}: {}", denied.path);
        }
        other => panic!("{path}: {other:?}"),
    }
}

/// A directory with a secret beside it.
fn world() -> tempfile::TempDir {
    let world = tempfile::tempdir().unwrap();
    fs::write(world.path().join("secret"), "secret").unwrap();
    let data = world.path().join("data");
    fs::create_dir_all(data.join("below/deep")).unwrap();
    fs::write(data.join("a"), "a").unwrap();
    fs::write(data.join("other"), "other").unwrap();
    fs::write(data.join("below/b"), "b").unwrap();
    fs::write(data.join("below/deep/c"), "c").unwrap();
    world
}

#[test]
fn what_is_covered_can_be_read_and_nothing_else() {
    let world = world();
    let data = granted(&world.path().join("data"), &["a", "below/*", "missing"], None);
    for (path, text) in [("a", "a"), ("./a", "a"), ("below/b", "b"), ("below//b", "b"), ("below/../a", "a")] {
        assert_eq!(read(&data, path).as_deref(), Ok(text), "{path}");
    }
    assert_eq!(read(&data, "missing"), Err(Failure::System(Errno::NOENT)));
    assert_eq!(read(&data, "below"), Err(Failure::System(Errno::ISDIR)));
    assert_eq!(read(&data, "a/"), Err(Failure::System(Errno::NOTDIR)), "a file is no directory, whatever follows it");
    assert_eq!(read(&data, "a/."), Err(Failure::System(Errno::NOTDIR)));
    for path in ["other", "not-even-there", "below/deep/c"] {
        assert_denied(&data, path, Reason::Path, "is not among the files of /data the manifest requests");
    }
}

/// Scenario: a pattern with a wildcard has names below it, so that every name may be a directory on the way.
/// Guarantees: a file of such a name is not covered.
#[test]
fn a_file_does_not_lead_anywhere() {
    let world = world();
    let data = granted(&world.path().join("data"), &["*/b"], None);
    assert_eq!(read(&data, "below/b").as_deref(), Ok("b"));
    for path in ["a", "other"] {
        assert_denied(&data, path, Reason::Path, "is not among the files of /data the manifest requests");
    }
    assert!(!data.shows(&[], "other", FileType::RegularFile) && data.shows(&[], "below", FileType::Directory));
}

#[test]
fn a_grant_narrows_and_says_which_line_would_widen_it() {
    let world = world();
    let data = granted(&world.path().join("data"), &["**"], Some(&["below/*"]));
    assert_eq!(read(&data, "below/b").as_deref(), Ok("b"));
    assert_denied(&data, "a", Reason::Path, "add `a` to the paths of /data in grants.files");
}

#[test]
fn no_path_leads_out() {
    let world = world();
    let data = granted(&world.path().join("data"), &["**"], None);
    for path in ["../secret", "below/../../secret", "..", "../", "../data/a", "./../secret", "/etc/passwd", "/a"] {
        assert_denied(&data, path, Reason::Outside, "leads out of /data");
    }
    // Nor one from a directory below.
    let below = ["below".to_owned()];
    assert!(data.find(&below, "b", Last::Follow).is_ok());
    assert!(
        matches!(data.find(&below, "../a", Last::Follow), Err(Failure::Denied(denied)) if denied.reason == Reason::Outside)
    );
}

#[test]
fn links_are_followed_as_far_as_the_grant_reaches() {
    let world = world();
    let path = world.path().join("data");
    symlink("below/b", path.join("inside")).unwrap();
    symlink("../a", path.join("below/up")).unwrap();
    symlink("below", path.join("directory")).unwrap();
    symlink("other", path.join("uncovered")).unwrap();
    symlink("../secret", path.join("out")).unwrap();
    symlink(world.path().join("secret"), path.join("absolute")).unwrap();
    symlink(path.join("a"), path.join("absolute-inside")).unwrap();
    symlink("..", path.join("parent")).unwrap();
    symlink("loop", path.join("loop")).unwrap();
    let requested = [
        "a",
        "below/*",
        "inside",
        "directory/*",
        "uncovered",
        "out",
        "absolute",
        "absolute-inside",
        "parent/*",
        "loop",
    ];
    let data = granted(&path, &requested, None);
    for (name, text) in [("inside", "b"), ("below/up", "a"), ("directory/b", "b")] {
        assert_eq!(read(&data, name).as_deref(), Ok(text), "{name}");
    }
    assert_denied(&data, "uncovered", Reason::Path, "/data/other is not among the files");
    for name in ["out", "absolute", "absolute-inside", "parent/secret"] {
        assert_denied(&data, name, Reason::Outside, "leads out of /data");
    }
    assert_eq!(read(&data, "loop"), Err(Failure::System(Errno::LOOP)));
    // The text of a link does not tell where things are either.
    assert_eq!(data.read_link(&[], "inside").as_deref(), Ok("below/b"));
    assert!(
        matches!(data.read_link(&[], "absolute"), Err(Failure::Denied(denied)) if denied.reason == Reason::Outside)
    );
    assert_eq!(data.read_link(&[], "a"), Err(Failure::System(Errno::INVAL)));
}

#[test]
fn a_long_chain_of_links_ends() {
    let world = world();
    let path = world.path().join("data");
    for number in 0..40 {
        symlink(format!("chain{}", number + 1), path.join(format!("chain{number}"))).unwrap();
    }
    symlink("a", path.join("chain40")).unwrap();
    let data = granted(&path, &["**"], None);
    assert_eq!(read(&data, "chain30").as_deref(), Ok("a"));
    assert_eq!(read(&data, "chain0"), Err(Failure::System(Errno::LOOP)));
    let many = "below/../".repeat(400) + "a";
    assert_eq!(read(&data, &many), Err(Failure::System(Errno::NAMETOOLONG)));
    assert_eq!(read(&data, &"a".repeat(5000)), Err(Failure::System(Errno::NAMETOOLONG)));
    assert_eq!(read(&data, "a\0b"), Err(Failure::System(Errno::INVAL)));
    assert_eq!(read(&data, ""), Err(Failure::System(Errno::NOENT)));
}

/// Scenario: a named pipe nobody writes to, and devices.
/// Guarantees: they are not opened, so that nothing waits and nothing happens.
#[test]
fn only_regular_files_are_opened() {
    let world = world();
    let path = world.path().join("data");
    mknodat(CWD, path.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let data = granted(&path, &["**"], None);
    assert_denied(&data, "pipe", Reason::Kind, "is a named pipe");
    assert_eq!(data.find(&[], "pipe", Last::Follow).unwrap().kind(), FileType::Fifo, "what it is can be told");
    let devices = granted(Path::new("/dev"), &["**"], None);
    assert_denied(&devices, "null", Reason::Kind, "is a device");
    assert_denied(&devices, "zero", Reason::Kind, "is a device");
}

/// Scenario: a grant of all of /proc to a plugin that requests all of it.
/// Guarantees: neither the kernel's own links nor the secrets of other processes can be had by a wildcard.
#[cfg(target_os = "linux")]
#[test]
fn proc_does_not_give_away_other_processes() {
    let proc = granted(Path::new("/proc"), &["**"], None);
    assert!(read(&proc, "stat").unwrap().starts_with("cpu"));
    assert!(read(&proc, "self/status").unwrap().contains("Threads:"));
    for name in ["environ", "cmdline", "mem", "maps", "root/etc/passwd", "cwd/Cargo.toml", "exe", "fd/0"] {
        for process in ["self".to_owned(), std::process::id().to_string()] {
            assert_denied(&proc, &format!("{process}/{name}"), Reason::Path, "is not among the files");
        }
    }
    // Spelled out they are covered, and the links among them still lead out.
    let spelled = granted(Path::new("/proc"), &["*/environ", "*/root", "*/cwd", "*/exe", "*/fd/*"], None);
    let id = std::process::id();
    assert!(read(&spelled, &format!("{id}/environ")).is_ok());
    for name in ["root", "root/", "cwd", "exe"] {
        assert_denied(&spelled, &format!("{id}/{name}"), Reason::Outside, "leads out of /data");
    }
}

/// Scenario: a directory is exchanged for a link while it is walked, again and again.
/// Guarantees: what is beside the granted directory is never read.
#[test]
fn nothing_that_is_exchanged_leads_out() {
    let world = world();
    let path = world.path().join("data");
    fs::create_dir(world.path().join("outside")).unwrap();
    fs::write(world.path().join("outside/b"), "secret").unwrap();
    symlink("../outside", path.join("evil")).unwrap();
    let data = granted(&path, &["below/*"], None);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(CWD, path.join("below"), CWD, path.join("evil"), flags);
            }
        });
        for _ in 0..3000 {
            if let Ok(text) = read(&data, "below/b") {
                assert_eq!(text, "b");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_list_shows_what_is_reached() {
    let world = world();
    let data = granted(&world.path().join("data"), &["a", "below/*"], None);
    let shown = [("a", FileType::RegularFile), ("below", FileType::Directory), ("below", FileType::RegularFile)];
    assert_eq!(shown.map(|(name, kind)| data.shows(&[], name, kind)), [true, true, false]);
    assert!(!data.shows(&[], "other", FileType::RegularFile));
    assert!(data.open_list(&["below".to_owned()]).is_ok());
    assert!(matches!(data.open_list(&["other".to_owned()]), Err(Failure::Denied(_))));
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let manifest = "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n\
                    [[requests.files]]\nguest = '/data'\npaths = ['a']\nreason = 'a test'\n";
    let grants = serde_json::from_value(json!({ "files": [{ "host": "/not/there", "guest": "/data" }] })).unwrap();
    let policy = Policy::resolve(&Manifest::parse(manifest).unwrap(), &grants, true, |_| None).unwrap();
    let error = GrantedDirectory::open(&policy.files()[0]).unwrap_err().to_string();
    assert!(error.starts_with("grants.files: /not/there cannot be opened: "), "{error}");
}
