#![allow(clippy::unwrap_used)]

use cap_std::ambient_authority;
use sha2::{Digest as _, Sha256};

use super::file::MAGIC_WITHOUT_SEQUENCE;
use super::overlay::MAX_KEY_BYTES;
use super::*;

const LIMITS: StateLimits = StateLimits { bytes: 1000, entries: 10 };

fn dir() -> (tempfile::TempDir, Dir) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient_dir(temporary.path(), ambient_authority()).unwrap();
    (temporary, dir)
}

fn reopened(dir: &Dir) -> Overlay {
    Overlay::new(StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap(), LIMITS)
}

#[test]
fn what_is_committed_outlives_the_process_and_what_is_not_does_not() {
    let (_temporary, dir) = dir();
    let mut overlay = reopened(&dir);
    overlay.set("kept".into(), vec![1]).unwrap();
    overlay.set("gone".into(), vec![2]).unwrap();
    overlay.take().commit().unwrap();
    overlay.delete("gone".into());
    overlay.take().commit().unwrap();
    overlay.set("never".into(), vec![3]).unwrap();
    drop(overlay.take());
    assert_eq!((overlay.get("kept"), overlay.get("never")), (Some(vec![1]), None));
    let again = reopened(&dir);
    assert_eq!(again.keys(""), ["kept"]);
}

#[test]
fn an_overlay_shows_its_own_changes() {
    let mut overlay = Overlay::new(StateStore::in_memory(), LIMITS);
    overlay.set("run/1".into(), vec![1]).unwrap();
    overlay.take().commit().unwrap();
    overlay.set("run/2".into(), vec![2]).unwrap();
    overlay.delete("run/1".into());
    assert_eq!(overlay.keys("run/"), ["run/2"]);
    overlay.discard();
    assert_eq!(overlay.keys("run/"), ["run/1"]);
}

#[test]
fn the_limit_counts_keys_and_values_after_the_change() {
    let mut overlay = Overlay::new(StateStore::in_memory(), StateLimits { bytes: 10, entries: 10 });
    overlay.set("a".into(), vec![0; 9]).unwrap();
    overlay.set("a".into(), vec![0; 8]).unwrap();
    assert!(matches!(overlay.set("b".into(), vec![0; 1]), Err(StateError::Full { limit: 10, size: 11 })));
    overlay.delete("a".into());
    overlay.set("b".into(), vec![0; 9]).unwrap();
}

fn committed(dir: &Dir) -> Option<u64> {
    StateStore::committed(dir, "databricks/prod")
}

#[test]
fn a_collection_is_complete_once_it_is_committed_even_if_it_changed_nothing() {
    let (_temporary, dir) = dir();
    let store = StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap();
    assert_eq!(committed(&dir), None);
    store.count_from(0).unwrap();
    assert_eq!(committed(&dir), Some(0));
    let mut overlay = Overlay::new(store, LIMITS);
    let failed = overlay.take();
    assert_eq!(failed.sequence(), 1);
    drop(failed);
    let uncounted = overlay.take();
    assert_eq!(uncounted.sequence(), 1);
    uncounted.commit().unwrap();
    assert_eq!(committed(&dir), Some(0));
    let mut counted = overlay.take();
    counted.count();
    counted.commit().unwrap();
    assert_eq!(committed(&dir), Some(1));
    assert_eq!(reopened(&dir).take().sequence(), 2);
}

#[test]
fn no_number_is_given_twice_even_if_the_file_was_lost() {
    let (temporary, dir) = dir();
    std::fs::write(temporary.path().join("databricks@prod.state"), b"garbage").unwrap();
    assert_eq!(committed(&dir), None);
    let store = StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap();
    store.count_from(41).unwrap();
    assert_eq!((committed(&dir), Overlay::new(store, LIMITS).take().sequence()), (Some(41), 42));
    let store = StateStore::open(dir.try_clone().unwrap(), "databricks/prod").unwrap();
    store.count_from(7).unwrap();
    assert_eq!(committed(&dir), Some(41));
}

#[test]
fn what_was_written_before_collections_were_counted_is_still_read() {
    let (temporary, dir) = dir();
    let body = [&3_u32.to_le_bytes()[..], b"key", &1_u32.to_le_bytes(), &[7]].concat();
    let old = [MAGIC_WITHOUT_SEQUENCE, &Sha256::digest(&body), &body].concat();
    std::fs::write(temporary.path().join("databricks@prod.state"), old).unwrap();
    assert_eq!(committed(&dir), Some(0));
    assert_eq!(reopened(&dir).get("key"), Some(vec![7]));
}

#[test]
fn a_damaged_file_is_set_aside() {
    let (temporary, dir) = dir();
    let mut overlay = reopened(&dir);
    overlay.set("key".into(), vec![7; 20]).unwrap();
    overlay.take().commit().unwrap();
    let path = temporary.path().join("databricks@prod.state");
    let whole = std::fs::read(&path).unwrap();
    for (index, length) in [(5, whole.len()), (40, whole.len()), (whole.len() - 1, whole.len()), (0, whole.len() - 1)] {
        let mut bytes = whole.get(..length).unwrap().to_vec();
        if let Some(byte) = bytes.get_mut(index) {
            *byte ^= u8::from(length == whole.len());
        }
        std::fs::write(&path, bytes).unwrap();
        assert!(reopened(&dir).keys("").is_empty());
        assert!(temporary.path().join("databricks@prod.state.damaged").exists());
    }
}

#[test]
fn the_limit_on_keys_counts_what_is_committed_and_forgets_what_is_deleted() {
    let mut overlay = Overlay::new(StateStore::in_memory(), StateLimits { bytes: 1000, entries: 2 });
    overlay.set("a".into(), vec![]).unwrap();
    overlay.take().commit().unwrap();
    overlay.set("b".into(), vec![]).unwrap();
    overlay.set("b".into(), vec![1]).unwrap();
    assert!(matches!(overlay.set("c".into(), vec![]), Err(StateError::TooManyEntries { limit: 2 })));
    overlay.delete("a".into());
    overlay.delete("a".into());
    overlay.set("c".into(), vec![]).unwrap();
    assert!(matches!(overlay.set("a".into(), vec![]), Err(StateError::TooManyEntries { limit: 2 })));
    overlay.discard();
    assert_eq!((overlay.keys("").len(), overlay.bytes()), (1, 1));
}

#[test]
fn a_key_has_a_longest_length() {
    let mut overlay = Overlay::new(StateStore::in_memory(), StateLimits { bytes: 1 << 20, entries: 2 });
    overlay.set("k".repeat(MAX_KEY_BYTES), vec![]).unwrap();
    assert!(matches!(overlay.set("k".repeat(MAX_KEY_BYTES + 1), vec![]), Err(StateError::KeyTooLong { .. })));
}

/// Scenario: a plugin deletes keys without end that were never there.
/// Guarantees: nothing of them is kept.
#[test]
fn deleting_what_is_not_there_leaves_nothing() {
    let mut overlay = Overlay::new(StateStore::in_memory(), LIMITS);
    for number in 0..1000 {
        overlay.delete(format!("never/{number}"));
    }
    assert!(overlay.is_unchanged());
}
