//! What the property test cannot say in so many words.

use kiln_queue::{AppendError, Fsync, MAX_SET_ASIDE, OnFull, OpenError, Options, Queue, ReadError, Recovery, Verdict};

use super::simulated::Simulated;

fn open(world: &Simulated, options: Options) -> (Queue<Simulated>, Recovery) {
    Queue::open(world.clone(), options, |_, _| Verdict::Keep).unwrap()
}

/// A segment per record of 100 bytes.
fn small() -> Options {
    Options { segment_bytes: 200, ..Options::default() }
}

fn filled(world: &Simulated, options: Options, records: u8) {
    let (mut queue, _) = open(world, options);
    for record in 0..records {
        queue.append(&[&[record; 100]]).unwrap();
    }
    drop(queue);
    world.kill();
}

fn waiting(queue: &Queue<Simulated>) -> Vec<u64> {
    queue.waiting().collect()
}

#[test]
fn two_processes_cannot_use_one_directory() {
    let world = Simulated::default();
    let (queue, _) = open(&world, Options::default());
    let refused = Queue::open(world.clone(), Options::default(), |_, _| Verdict::Keep).unwrap_err();
    assert!(matches!(refused, OpenError::Locked));
    assert_eq!(refused.to_string(), "another process is using it");
    drop(queue);
    world.kill();
    open(&world, Options::default());
}

#[test]
fn files_that_are_none_of_ours_are_left_alone() {
    let world = Simulated::default();
    let names = ["notes.txt", "1.segment", "0000000000000000000x.segment", "99999999999999999999.segment"];
    names.iter().for_each(|name| world.put(name, b"mine"));
    filled(&world, Options::default(), 1);
    let (mut queue, recovery) = open(&world, Options::default());
    assert_eq!((recovery.recovered, recovery.damaged, recovery.truncated_bytes), (1, 0, 0));
    queue.acknowledge(&[0]).unwrap();
    queue.sync().unwrap();
    assert!(names.iter().all(|name| world.content(name) == b"mine"));
}

#[test]
fn a_torn_tail_is_cut_off_and_counted() {
    let world = Simulated::default();
    filled(&world, Options::default(), 3);
    let name = "00000000000000000000.segment";
    let whole = world.content(name);
    for lost in [1, 60, 119] {
        world.put(name, &whole[..whole.len() - lost]);
        let (queue, recovery) = open(&world, Options::default());
        assert_eq!((recovery.damaged, recovery.truncated_bytes), (0, 120 - lost as u64));
        assert_eq!(waiting(&queue), [0, 1]);
        drop(queue);
        world.kill();
        let (_, again) = open(&world, Options::default());
        assert_eq!((again.recovered, again.truncated_bytes), (2, 0));
        world.kill();
    }
}

#[test]
fn a_damaged_record_is_counted_once_and_its_segment_set_aside_once_the_rest_is_done_with() {
    let world = Simulated::default();
    filled(&world, Options::default(), 3);
    let name = "00000000000000000000.segment";
    // In the header of the record, and in its payload.
    for at in [64 + 120 + 2, 64 + 120 + 50] {
        let mut bytes = world.content(name);
        bytes[at] ^= 1;
        world.put(name, &bytes);
    }
    let damaged = world.content(name);
    let (queue, recovery) = open(&world, Options::default());
    assert_eq!((recovery.recovered, recovery.damaged), (2, 1));
    assert_eq!(waiting(&queue), [0, 2]);
    drop(queue);
    world.kill();
    let (mut queue, again) = open(&world, Options::default());
    assert_eq!((again.recovered, again.damaged), (2, 0));
    assert!(matches!(queue.read(1), Err(ReadError::Gone)));
    assert_eq!(queue.set_aside(), 0);
    queue.acknowledge(&[0, 2]).unwrap();
    assert_eq!((queue.set_aside(), queue.bytes() < 100), (1, true));
    assert_eq!(world.content("00000000000000000000.segment.damaged"), damaged);
}

#[test]
fn damage_that_comes_to_light_when_a_record_is_read_costs_that_record() {
    let world = Simulated::default();
    let (mut queue, _) = open(&world, Options::default());
    let ids = queue.append(&[b"one", b"two"]).unwrap();
    let name = "00000000000000000000.segment";
    let mut bytes = world.content(name);
    *bytes.last_mut().unwrap() ^= 1;
    world.put(name, &bytes);
    assert_eq!(queue.read(ids[0]).unwrap(), b"one");
    assert!(matches!(queue.read(ids[1]), Err(ReadError::Damaged)));
}

#[test]
fn so_many_damaged_segments_are_kept_and_no_more() {
    let world = Simulated::default();
    filled(&world, small(), 40);
    for name in world.list() {
        let mut bytes = world.content(&name);
        bytes[90] ^= 1;
        world.put(&name, &bytes);
    }
    let (queue, recovery) = open(&world, small());
    assert_eq!((recovery.recovered, recovery.damaged), (0, 40));
    assert_eq!(queue.set_aside(), MAX_SET_ASIDE);
    assert_eq!(world.list().len(), MAX_SET_ASIDE);
}

#[test]
fn a_segment_that_is_nothing_like_one_is_set_aside() {
    let world = Simulated::default();
    world.put("00000000000000000007.segment", &[b'x'; 1000]);
    world.put("00000000000000000009.segment", b"short");
    let (mut queue, recovery) = open(&world, Options::default());
    assert_eq!((recovery.recovered, recovery.damaged, recovery.truncated_bytes), (0, 1, 5));
    assert_eq!(world.list(), ["00000000000000000007.segment.damaged"]);
    assert!(queue.append(&[b"next"]).unwrap()[0] > 9, "a name that was taken is not used again");
}

#[test]
fn what_a_record_carries_is_not_taken_for_records() {
    let world = Simulated::default();
    filled(&world, Options::default(), 3);
    let stolen = world.content("00000000000000000000.segment");
    let other = Simulated::default();
    let (mut queue, _) = open(&other, Options::default());
    queue.append(&[&stolen, b"next"]).unwrap();
    drop(queue);
    other.kill();
    let name = "00000000000000000000.segment";
    let mut bytes = other.content(name);
    bytes[64] ^= 1;
    other.put(name, &bytes);
    let (queue, recovery) = open(&other, Options::default());
    assert_eq!((recovery.recovered, recovery.damaged), (1, 1));
    assert_eq!(waiting(&queue), [1]);
}

#[test]
fn a_full_queue_turns_records_away_until_a_segment_is_done_with() {
    let world = Simulated::default();
    let options = Options { max_bytes: 1000, ..small() };
    let (mut queue, _) = open(&world, options);
    let mut ids = Vec::new();
    let full = loop {
        match queue.append(&[&[0; 100]]) {
            Ok(appended) => ids.extend(appended),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::Full));
    assert_eq!(ids.len(), 4);
    queue.acknowledge(&ids[..1]).unwrap();
    queue.append(&[&[0; 100]]).unwrap();
}

#[test]
fn the_oldest_segment_makes_room_where_that_is_wanted() {
    let world = Simulated::default();
    let (mut queue, _) = open(&world, Options { max_bytes: 1000, on_full: OnFull::DropOldest, ..small() });
    for _ in 0..5 {
        queue.append(&[&[0; 100]]).unwrap();
    }
    assert_eq!(queue.take_dropped(), [0]);
    assert!(queue.take_dropped().is_empty());
    assert_eq!(waiting(&queue), [1, 2, 3, 4]);
    assert!(matches!(queue.read(0), Err(ReadError::Gone)));
}

#[test]
fn no_more_records_wait_than_may_but_for_what_belongs_together() {
    let world = Simulated::default();
    let (mut queue, _) = open(&world, Options { max_records: 2, ..Options::default() });
    queue.append(&[b"1", b"2"]).unwrap();
    assert!(matches!(queue.append(&[b"3"]), Err(AppendError::Full)));
    queue.acknowledge(&[0, 1]).unwrap();
    queue.append(&[b"3", b"4", b"5"]).unwrap();
    assert!(matches!(queue.append(&[b"6"]), Err(AppendError::Full)));
}

#[test]
fn what_can_never_fit_is_not_waited_for() {
    for on_full in [OnFull::Block, OnFull::DropOldest] {
        let world = Simulated::default();
        let (mut queue, _) = open(&world, Options { max_bytes: 1000, on_full, ..small() });
        queue.append(&[b"waits"]).unwrap();
        let large = queue.append(&[&[0; 2000]]).unwrap_err();
        assert_eq!(large.to_string(), "records of 2128 bytes together do not fit into a queue of at most 1000 bytes");
        assert_eq!(waiting(&queue), [0], "nothing had to make room in vain");
    }
}

#[test]
fn a_record_longer_than_a_segment_has_one_to_itself() {
    let world = Simulated::default();
    let (mut queue, _) = open(&world, small());
    let ids = queue.append(&[b"short", &[7; 5000], b"short"]).unwrap();
    assert_eq!(queue.read(ids[1]).unwrap(), [7; 5000]);
    assert_eq!(world.list().len(), 3);
}

#[test]
fn a_disk_that_is_full_loses_nothing_that_is_there_and_takes_more_when_it_is_not() {
    let world = Simulated::default();
    let (mut queue, _) = open(&world, Options::default());
    queue.append(&[b"before"]).unwrap();
    world.set_room(Some(10));
    assert!(matches!(queue.append(&[b"meanwhile"]), Err(AppendError::Io(_))));
    world.set_room(None);
    queue.append(&[b"after"]).unwrap();
    drop(queue);
    world.kill();
    let mut found = Vec::new();
    let keep = |_, payload: &[u8]| {
        found.push(payload.to_vec());
        Verdict::Keep
    };
    let (_, recovery) = Queue::open(world, Options::default(), keep).unwrap();
    assert_eq!((recovery.damaged, recovery.truncated_bytes), (0, 0));
    assert_eq!(found, [b"before".to_vec(), b"after".to_vec()]);
}

#[test]
fn what_its_owner_discards_does_not_come_back_after_a_power_cut() {
    let world = Simulated::default();
    filled(&world, Options::default(), 4);
    let odd = |id, _: &[u8]| if id % 2 == 1 { Verdict::Discard } else { Verdict::Keep };
    let (queue, recovery) = Queue::open(world.clone(), Options::default(), odd).unwrap();
    assert_eq!((recovery.recovered, recovery.discarded), (2, 2));
    drop(queue);
    world.crash(&mut super::simulated::Dice(1));
    assert_eq!(waiting(&open(&world, Options::default()).0), [0, 2]);
}

#[test]
fn without_syncs_a_queue_works_all_the_same() {
    let world = Simulated::default();
    world.set_syncless(true);
    let (mut queue, recovery) = open(&world, Options { fsync: Fsync::Never, ..small() });
    assert!(recovery.unsaved.is_some());
    world.set_syncless(false);
    let ids = queue.append(&[b"one", b"two"]).unwrap();
    queue.acknowledge(&ids).unwrap();
    queue.sync().unwrap();
    assert!(queue.is_empty());
}
