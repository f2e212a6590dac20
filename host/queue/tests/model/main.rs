//! The queue against a model of it, on a file system that loses, tears, flips and fills up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod disk;
mod promises;
mod simulated;

use std::collections::BTreeMap;

use kiln_queue::{AppendError, Fsync, OnFull, Options, Queue, ReadError, Recovery, Verdict};
use proptest::prelude::*;
use simulated::{Dice, Simulated};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Read(usize),
    Acknowledge(usize, usize),
    Sync,
    /// Ends the process, or the power; flips so many bits of segments and of acks; discards every so manyth record.
    Restart {
        crash: bool,
        flips: usize,
        ack_flips: usize,
        discard: usize,
        seed: u64,
    },
    /// So many bytes are left on the disk.
    Fill(Option<usize>),
    Syncless(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let restart = (any::<bool>(), 0..4_usize, 0..6_usize, 0..20_usize, any::<u64>()).prop_map(
        |(crash, flips, ack_flips, discard, seed)| Step::Restart {
            crash,
            flips: flips.saturating_sub(2),
            ack_flips: ack_flips.saturating_sub(4),
            discard: if discard < 10 { 0 } else { discard - 8 },
            seed,
        },
    );
    let step = prop_oneof![
        12 => prop::collection::vec(prop_oneof![4 => 0..40_usize, 1 => 40..400_usize], 1..4).prop_map(Step::Append),
        3 => any::<usize>().prop_map(Step::Read),
        8 => (any::<usize>(), 1..4_usize).prop_map(|(at, many)| Step::Acknowledge(at, many)),
        3 => Just(Step::Sync),
        4 => restart,
        1 => prop::option::of(0..200_usize).prop_map(Step::Fill),
        1 => prop::bool::weighted(0.3).prop_map(Step::Syncless),
    ];
    prop::collection::vec(step, 1..80)
}

fn options() -> impl Strategy<Value = Options> {
    let on_full = prop_oneof![Just(OnFull::Block), Just(OnFull::DropOldest)];
    let fsync = prop_oneof![Just(Fsync::Always), Just(Fsync::Interval), Just(Fsync::Never)];
    (200..800_u32, 1000..5000_u64, 5..60_usize, on_full, fsync).prop_map(
        |(segment_bytes, max_bytes, max_records, on_full, fsync)| Options {
            segment_bytes,
            max_bytes,
            max_records,
            on_full,
            fsync,
        },
    )
}

#[derive(Clone, Debug)]
struct Record {
    payload: Vec<u8>,
    /// A power cut must not take it.
    synced: bool,
    /// It was acknowledged once, so that nothing is lost when it goes.
    again: bool,
}

struct Model {
    world: Simulated,
    options: Options,
    queue: Option<Queue<Simulated>>,
    serial: u64,
    waiting: BTreeMap<u64, Record>,
    /// Done with, but a power cut may take the note of it.
    done: Vec<Vec<u8>>,
    /// Done with or never appended, and only damage or a disk that refuses can bring it back.
    buried: Vec<Vec<u8>>,
    /// The disk has refused something, so that garbage may lie about.
    refused: bool,
}

impl Model {
    fn start(options: Options) -> Self {
        let mut model = Self {
            world: Simulated::default(),
            options,
            queue: None,
            serial: 0,
            waiting: BTreeMap::new(),
            done: Vec::new(),
            buried: Vec::new(),
            refused: false,
        };
        model.restart(false, 0, 0, 0, 0);
        model
    }

    fn queue(&mut self) -> &mut Queue<Simulated> {
        self.queue.as_mut().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(lengths) => self.append(lengths),
            Step::Read(at) => {
                if let Some(id) = self.pick(*at) {
                    let payload = self.queue().read(id).unwrap();
                    assert_eq!(payload, self.waiting[&id].payload);
                }
                assert!(matches!(self.queue().read(u64::MAX), Err(ReadError::Gone)));
            }
            Step::Acknowledge(at, many) => {
                let ids: Vec<_> = (0..*many).filter_map(|more| self.pick(at.wrapping_add(more))).collect();
                self.refused |= self.queue().acknowledge(&ids).is_err();
                self.forget(&ids);
            }
            Step::Sync => {
                if self.queue().sync().is_err() {
                    self.refused = true;
                } else if self.options.fsync != Fsync::Never {
                    self.waiting.values_mut().for_each(|record| record.synced = true);
                    if !self.refused {
                        self.buried.append(&mut self.done);
                    }
                }
            }
            Step::Restart { crash, flips, ack_flips, discard, seed } => {
                self.restart(*crash, *flips, *ack_flips, *discard, *seed);
            }
            Step::Fill(room) => self.world.set_room(*room),
            Step::Syncless(syncless) => self.world.set_syncless(*syncless),
        }
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        assert_eq!(self.queue().waiting().collect::<Vec<_>>(), waiting);
        assert_eq!(self.queue().len(), waiting.len());
    }

    fn append(&mut self, lengths: &[usize]) {
        let payloads: Vec<Vec<u8>> = lengths
            .iter()
            .map(|length| {
                self.serial += 1;
                let serial = self.serial.to_le_bytes();
                serial.into_iter().chain(std::iter::repeat(7)).take(8 + length).collect()
            })
            .collect();
        let given: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
        let appended = self.queue().append(&given);
        let dropped = self.queue().take_dropped();
        assert!(dropped.is_empty() || self.options.on_full == OnFull::DropOldest);
        assert!(dropped.iter().eq(self.waiting.keys().take(dropped.len())), "the oldest make room");
        self.forget(&dropped);
        match appended {
            Ok(ids) => {
                assert_eq!(ids.len(), payloads.len());
                let synced = self.options.fsync == Fsync::Always;
                for (id, payload) in ids.into_iter().zip(payloads) {
                    assert!(self.waiting.last_key_value().is_none_or(|(last, _)| *last < id), "ids only grow");
                    self.waiting.insert(id, Record { payload, synced, again: false });
                }
                // What a power cut brings back may be more than there is room for; nothing is added to it then.
                let Options { max_records, max_bytes, .. } = self.options;
                assert!(self.waiting.len() <= max_records);
                assert!(self.refused || self.queue().bytes() <= max_bytes);
                assert!(self.refused || self.world.bytes() <= max_bytes, "{:?}", self.world.list());
                if synced {
                    self.waiting.values_mut().for_each(|record| record.synced = true);
                }
            }
            Err(AppendError::Io(_)) => {
                self.refused = true;
                self.buried.extend(payloads);
            }
            Err(AppendError::Full) => {
                assert_eq!(self.options.on_full, OnFull::Block);
                assert!(!self.waiting.is_empty(), "an empty queue has room");
            }
            Err(AppendError::TooLarge { bytes, max_bytes }) => {
                assert!(bytes > max_bytes);
            }
        }
    }

    fn forget(&mut self, ids: &[u64]) {
        let forgotten = ids.iter().filter_map(|id| self.waiting.remove(id));
        self.done.extend(forgotten.map(|record| record.payload));
    }

    fn pick(&self, at: usize) -> Option<u64> {
        self.waiting.keys().nth(at % self.waiting.len().max(1)).copied()
    }

    fn restart(&mut self, crash: bool, flips: usize, ack_flips: usize, discard: usize, seed: u64) {
        let mut dice = Dice(seed);
        drop(self.queue.take());
        if crash {
            self.world.crash(&mut dice)
        } else {
            self.world.kill()
        }
        let flipped = (0..flips).filter(|_| self.world.flip(".segment", &mut dice)).count();
        let ack_flipped = (0..ack_flips).filter(|_| self.world.flip(".acks", &mut dice)).count();
        let mut found = Vec::new();
        let (mut discarded, mut kept) = (Vec::new(), BTreeMap::new());
        let (queue, recovery) = Queue::open(self.world.clone(), self.options, |id, payload| {
            found.push((id, payload.to_vec()));
            if discard > 0 && id % discard as u64 == 0 {
                discarded.push(id);
                return Verdict::Discard;
            }
            kept.insert(id, payload.to_vec());
            Verdict::Keep
        })
        .unwrap();
        let Recovery { recovered, discarded: counted, damaged, truncated_bytes, unsaved } = recovery;
        self.refused |= unsaved.is_some();
        assert_eq!((recovered, counted), (kept.len() as u64, discarded.len() as u64));
        assert!(found.is_sorted_by(|(one, _), (other, _)| one < other), "nothing is reordered");

        for (id, payload) in &found {
            let is_known = self.waiting.get(id).is_some_and(|record| record.payload == *payload);
            let may_return = (crash || self.refused) && self.done.contains(payload);
            let is_exhumed = (ack_flipped > 0 || self.refused || crash && self.options.fsync == Fsync::Never)
                && (self.done.contains(payload) || self.buried.contains(payload));
            assert!(is_known || may_return || is_exhumed, "invented {id} {payload:?}");
        }
        let is_found = |id: &u64| found.iter().any(|(found, _)| found == id);
        let missing = self
            .waiting
            .iter()
            .filter(|(id, record)| (record.synced || !crash) && !record.again && !is_found(id))
            .count();
        // Both copies of a header can go, one after the other, on a disk that would not let the first be mended.
        let is_hopeless = self.refused && flipped > 0;
        assert!(missing <= flipped || is_hopeless, "{missing} records are lost to {flipped} flipped bits");
        assert!(missing == 0 || damaged > 0 || truncated_bytes > 0, "what is lost is counted");
        if !crash && flipped + ack_flipped == 0 && !self.refused {
            assert_eq!((damaged, truncated_bytes), (0, 0), "nothing is damaged that was not");
        }

        // What is there after a power cut has survived one.
        if crash && !self.refused {
            self.buried.append(&mut self.done);
        }
        let before = std::mem::take(&mut self.waiting);
        for (id, payload) in found {
            let known = before.get(&id).filter(|record| record.payload == payload);
            let synced = crash || known.is_some_and(|record| record.synced);
            let again = known.is_none_or(|record| record.again);
            if kept.contains_key(&id) {
                self.waiting.insert(id, Record { payload, synced, again });
            } else if self.refused {
                self.done.push(payload);
            } else {
                self.buried.push(payload);
            }
        }
        self.buried
            .extend(before.into_iter().filter(|(id, _)| !self.waiting.contains_key(id)).map(|(_, it)| it.payload));
        self.queue = Some(queue);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Scenario: any order of appends, acknowledgements, syncs, ends of the process, power cuts, flipped bits, full disks
    /// and failing syncs.
    /// Guarantees: a record that was synced and not acknowledged is there after every start; nothing is reordered or
    /// invented; a flipped bit costs one record at most, and it is counted; the files never take more than they may.
    #[test]
    fn it_holds_what_the_model_holds(options in options(), steps in steps()) {
        let mut model = Model::start(options);
        for step in &steps {
            model.step(step);
        }
    }
}
