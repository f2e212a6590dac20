//! The same on a real disk.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_queue::{Disk, OpenError, Options, Queue, Verdict};

fn open(path: &std::path::Path) -> Result<Queue, OpenError> {
    let dir = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
    Queue::open(Disk::new(dir), Options::default(), |_, _| Verdict::Keep).map(|(queue, _)| queue)
}

#[test]
fn records_outlive_the_queue_in_order_and_acknowledged_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut queue = open(folder.path()).unwrap();
    let ids = queue.append(&[b"one", b"two", b"three"]).unwrap();
    queue.acknowledge(&ids[1..2]).unwrap();
    assert!(matches!(open(folder.path()), Err(OpenError::Locked)));
    drop(queue);

    let mut queue = open(folder.path()).unwrap();
    assert_eq!(queue.waiting().collect::<Vec<_>>(), [ids[0], ids[2]]);
    assert_eq!(queue.read(ids[2]).unwrap(), b"three");
    queue.append(&[b"four"]).unwrap();
    queue.acknowledge(&[ids[0], ids[2]]).unwrap();
    queue.sync().unwrap();
    drop(queue);

    let queue = open(folder.path()).unwrap();
    assert_eq!(queue.len(), 1);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "the lock and one segment: {files:?}");
}

#[test]
fn a_directory_in_place_of_a_file_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("00000000000000000003.segment")).unwrap();
    assert!(open(folder.path()).unwrap().append(&[b"one"]).is_ok());
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_what_waits() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().append(&[b"secret"]).unwrap();
    let segment = folder.path().join("00000000000000000000.segment");
    assert_eq!(std::fs::metadata(segment).unwrap().permissions().mode() & 0o777, 0o600);
}
