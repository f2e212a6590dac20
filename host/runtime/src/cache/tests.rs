use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use cap_std::ambient_authority;
use kiln_telemetry::Metrics;
use kiln_telemetry::metrics::Format;
use tempfile::TempDir;

use super::*;

struct Case {
    folder: TempDir,
    metrics: Metrics,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder, metrics: Metrics::new("") }
    }

    fn open(&self, max_bytes: u64) -> Cache {
        let dir = Dir::open_ambient_dir(self.folder.path(), ambient_authority()).unwrap();
        Cache::open(dir, &wasmtime::Engine::default(), max_bytes, self.metrics.loading()).unwrap()
    }

    /// Makes every artifact an hour older than it was.
    fn an_hour_passes(&self) {
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = std::fs::File::open(entry.unwrap().path()).unwrap();
            let used = file.metadata().unwrap().modified().unwrap();
            file.set_modified(used - Duration::from_secs(3600)).unwrap();
        }
    }

    fn says(&self, line: &str) -> bool {
        self.metrics.expose(Format::OpenMetrics).lines().any(|it| it == line)
    }
}

fn artifact(content: u8) -> Artifact {
    Artifact::known_to_be_ours(vec![content; 1000])
}

fn is_there(cache: &Cache, content: u8) -> bool {
    cache.get(&digest(content)).is_some_and(|found| found.bytes() == [content; 1000])
}

fn digest(content: u8) -> Digest {
    Digest::of(&[content])
}

/// Scenario: a cache with room for three; four are put in, after the first was used again.
/// Guarantees: the one that was used least recently leaves, the others are as they were, and the metrics say so.
#[test]
fn the_least_recently_used_makes_room() {
    let case = Case::new();
    let cache = case.open(3 * 1032);
    for content in [1, 2, 3] {
        cache.put(&digest(content), &artifact(content));
        case.an_hour_passes();
    }
    assert!(is_there(&cache, 1));
    assert!(case.says("kiln_cache_bytes 3096") && case.says("kiln_cache_evictions_total 0"));
    cache.put(&digest(4), &artifact(4));
    assert_eq!([1, 2, 3, 4].map(|content| is_there(&cache, content)), [true, false, true, true]);
    assert!(case.says("kiln_cache_bytes 3096") && case.says("kiln_cache_limit_bytes 3096"));
    assert!(case.says("kiln_cache_evictions_total 1"));
    assert!(case.says(r#"kiln_loading_limit_hits_total{limit="cache_bytes"} 1"#));
    // The same again takes no room.
    cache.put(&digest(4), &artifact(4));
    assert_eq!([1, 3, 4].map(|content| is_there(&cache, content)), [true; 3]);
}

/// Scenario: an artifact larger than the whole cache.
/// Guarantees: it is not kept, and drives nothing out.
#[test]
fn what_never_fits_drives_nothing_out() {
    let case = Case::new();
    let cache = case.open(1032);
    cache.put(&digest(1), &artifact(1));
    cache.put(&digest(2), &Artifact::known_to_be_ours(vec![2; 1001]));
    assert!(is_there(&cache, 1));
    assert!(cache.get(&digest(2)).is_none());
}

/// Scenario: a cache is opened with less room than before; it holds artifacts of another build, and half of one.
/// Guarantees: what is too much leaves at once, and the key, which is none, stays.
#[test]
fn a_smaller_cache_is_made_smaller_when_it_is_opened() {
    let case = Case::new();
    let large = case.open(10_000);
    large.put(&digest(1), &artifact(1));
    case.an_hour_passes();
    std::fs::write(case.folder.path().join("0000-1.cwasm"), [0; 500]).unwrap();
    std::fs::write(case.folder.path().join("0000-1.cwasm.new"), [0; 500]).unwrap();
    case.an_hour_passes();
    large.put(&digest(2), &artifact(2));
    let small = case.open(2100);
    assert_eq!([1, 2].map(|content| is_there(&small, content)), [false, true]);
    assert!(case.says("kiln_cache_bytes 2032"));
    let other = case.open(1032);
    assert!(is_there(&other, 2));
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 2);
}

/// Scenario: the key was cut short by a crash.
/// Guarantees: there is a new one; what the old one had signed is not believed.
#[test]
fn a_key_that_is_cut_short_is_replaced() {
    let case = Case::new();
    case.open(10_000).put(&digest(1), &artifact(1));
    std::fs::write(case.folder.path().join(KEY_FILE), [7; 5]).unwrap();
    let cache = case.open(10_000);
    assert!(cache.get(&digest(1)).is_none());
    cache.put(&digest(1), &artifact(1));
    assert!(is_there(&case.open(10_000), 1));
}

/// Scenario: a bit of an artifact is changed.
/// Guarantees: it is as good as not there.
#[test]
fn what_was_changed_is_not_genuine() {
    let case = Case::new();
    let cache = case.open(10_000);
    cache.put(&digest(1), &artifact(1));
    let path = case.folder.path().join(cache.name(&digest(1)));
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert!(before <= SystemTime::now());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(cache.get(&digest(1)).is_none());
}
