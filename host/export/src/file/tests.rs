//! Lines are whole, files are bounded, and nothing is written anywhere else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kiln_config::{Compression, Queue, Retry};
use kiln_otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use super::*;

fn settings(path: PathBuf) -> kiln_config::File {
    kiln_config::File {
        path,
        max_bytes: 1 << 20,
        max_backups: 3,
        fsync: Fsync::Never,
        retry: Retry::default(),
        queue: Queue::default(),
    }
}

/// A log record called `name`.
fn request(name: &str) -> Request {
    let log_records = vec![LogRecord { event_name: name.to_owned(), ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let body = ExportLogsServiceRequest { resource_logs }.encode_to_vec().into();
    Request { signal: Signal::Logs, items: 1, body, compression: Compression::None }
}

fn line(name: &str) -> String {
    format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"eventName\":\"{name}\"}}]}}]}}]}}\n")
}

fn delivered() -> Outcome {
    Outcome::Delivered { rejected: 0, note: None }
}

fn cause(outcome: Outcome) -> String {
    match outcome {
        Outcome::Retry { cause, told: None } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_batch_is_a_line_of_json_that_only_its_owner_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.json");
    for fsync in [Fsync::Always, Fsync::Interval, Fsync::Never] {
        let lines = Lines::new(&kiln_config::File { fsync, ..settings(path.clone()) });
        assert_eq!(lines.send(&request("a")).await, delivered());
        assert_eq!(lines.send(&request("b")).await, delivered());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), (line("a") + &line("b")).repeat(3), "what is there stays there");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_is_no_otlp_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let lines = Lines::new(&settings(directory.path().join("otlp.json")));
    let broken = Request { body: b"\xff"[..].into(), ..request("a") };
    let Outcome::Failed(failure) = lines.send(&broken).await else { panic!() };
    assert_eq!(failure.reason, DropReason::Unwritable);
}

/// Scenario: a file takes two lines, two full ones are kept, and seven lines are written; a file of another name and one that
/// is nearly of the right name stand beside.
/// Guarantees: files are full, never too full; the oldest are gone; the strangers are untouched.
#[tokio::test]
async fn full_files_are_set_aside_and_the_oldest_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.json");
    let strangers =
        ["otlp-2026-11-29T09-10-11.123.json.bak", "otlp-yesterday.json", "other-2026-11-29T09-10-11.123.json"];
    for stranger in strangers {
        fs::write(directory.path().join(stranger), "mine").unwrap();
    }
    let max_bytes = 2 * line("0").len() as u64;
    let lines = Lines::new(&kiln_config::File { max_bytes, max_backups: 2, ..settings(path.clone()) });
    for number in 0..7 {
        assert_eq!(lines.send(&request(&number.to_string())).await, delivered());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), line("6"));
    let mut names: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.retain(|name| !strangers.contains(&name.as_str()) && name != "otlp.json");
    let kept: Vec<_> = names.iter().map(|name| fs::read_to_string(directory.path().join(name)).unwrap()).collect();
    assert_eq!(kept, [line("2") + &line("3"), line("4") + &line("5")], "{names:?}");
    assert!(strangers.iter().all(|name| fs::read_to_string(directory.path().join(name)).unwrap() == "mine"));
}

#[tokio::test]
async fn a_line_that_is_larger_than_a_file_has_one_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp");
    let lines = Lines::new(&kiln_config::File { max_bytes: 1, ..settings(path.clone()) });
    for name in ["a", "b"] {
        assert_eq!(lines.send(&request(name)).await, delivered());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), line("b"));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
}

/// Scenario: a link stands where the file should be, then a directory, then a pipe that nobody reads.
/// Guarantees: nothing is written through the link; each is an error that is tried again, and says what to do.
#[tokio::test]
async fn nothing_is_written_through_a_link_or_into_anything_but_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let (path, victim) = (directory.path().join("otlp.json"), directory.path().join("victim"));
    fs::write(&victim, "mine").unwrap();
    let lines = Lines::new(&settings(path.clone()));
    symlink(&victim, &path).unwrap();
    let said = cause(lines.send(&request("a")).await);
    assert_eq!(
        said,
        format!(
            "cannot write to {}: it is a symbolic link, which is not followed; name the file itself",
            path.display()
        )
    );
    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("new"), &path).unwrap();
    cause(lines.send(&request("a")).await);
    assert!(!directory.path().join("new").exists());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    cause(lines.send(&request("a")).await);
    fs::remove_dir(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    assert!(cause(lines.send(&request("a")).await).ends_with("it is no regular file"));
    fs::remove_file(&path).unwrap();
    assert_eq!(lines.send(&request("a")).await, delivered());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
}

#[tokio::test]
async fn two_do_not_write_to_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.json");
    let (first, second) = (Lines::new(&settings(path.clone())), Lines::new(&settings(path.clone())));
    assert_eq!(first.send(&request("a")).await, delivered());
    assert!(cause(second.send(&request("b")).await).contains("another process or exporter writes to it"));
    drop(first);
    assert_eq!(second.send(&request("b")).await, delivered());
    assert_eq!(fs::read_to_string(&path).unwrap(), line("a") + &line("b"));
}

#[tokio::test]
async fn a_file_that_was_moved_away_or_broke_off_is_begun_properly() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.json");
    fs::write(&path, "{\"resourceLo").unwrap();
    let lines = Lines::new(&settings(path.clone()));
    assert_eq!(lines.send(&request("a")).await, delivered());
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"resourceLo\n".to_owned() + &line("a"));
    fs::rename(&path, directory.path().join("moved")).unwrap();
    assert_eq!(lines.send(&request("b")).await, delivered());
    assert_eq!(fs::read_to_string(&path).unwrap(), line("b"));
}

/// Scenario: the disk has room for half a line; then there is room.
/// Guarantees: it is tried again; half a line is never left behind.
#[tokio::test]
async fn a_full_disk_is_a_reason_to_try_again_and_leaves_no_half_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.json");
    let lines = Lines::new(&settings(path.clone()));
    assert_eq!(lines.send(&request("a")).await, delivered());
    // `/dev/full` is a disk without any room, in place of the file behind the exporter's back.
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    {
        let mut output = lines.0.lock().unwrap();
        let Open { directory, size, .. } = output.open.take().unwrap();
        let mut broken = Open { directory, file: full, size, synced: Instant::now() };
        assert!(broken.append(b"line\n").is_err());
        assert_eq!(broken.size, size);
    }
    assert_eq!(lines.send(&request("b")).await, delivered());
    assert_eq!(fs::read_to_string(&path).unwrap(), line("a") + &line("b"));
}
