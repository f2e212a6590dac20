//! A file system that keeps no more than it must.
//!
//! Until a file is synced each write to it may be lost, torn at any byte or come out as zeros, and until the directory is
//! synced each creation, rename and deletion may not have happened, each for itself: a real disk has better manners.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use kiln_queue::{Directory, File};

/// Throws that depend on the seed alone (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap()
    }
}

#[derive(Debug)]
enum Write {
    Data(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    since: Vec<Write>,
}

#[derive(Debug)]
enum Naming {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    now: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    since: Vec<Naming>,
    locked: bool,
    /// Bytes that can be written before the disk is full.
    room: Option<usize>,
    /// Syncs fail.
    syncless: bool,
}

/// A directory that is all there is. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Simulated(Rc<RefCell<World>>);

#[derive(Debug)]
pub(crate) struct SimulatedFile {
    world: Simulated,
    inode: usize,
}

impl Simulated {
    /// The process ends; what it wrote is in the hands of the system.
    pub(crate) fn kill(&self) {
        self.0.borrow_mut().locked = false;
    }

    /// The power fails.
    pub(crate) fn crash(&self, dice: &mut Dice) {
        let mut world = self.0.borrow_mut();
        world.locked = false;
        let mut names = world.synced.clone();
        for naming in std::mem::take(&mut world.since) {
            if dice.below(2) == 0 {
                naming.apply(&mut names);
            }
        }
        (world.now, world.synced) = (names.clone(), names);
        for inode in &mut world.inodes {
            let mut bytes = inode.synced.clone();
            for write in inode.since.drain(..) {
                match (write, dice.below(5)) {
                    (_, 0) => {}
                    (Write::Length(length), _) => bytes.resize(length, 0),
                    (Write::Data(offset, data), 1) => put(&mut bytes, offset, &data[..dice.below(data.len())]),
                    (Write::Data(offset, data), 2) => put(&mut bytes, offset, &vec![0; data.len()]),
                    (Write::Data(offset, data), _) => put(&mut bytes, offset, &data),
                }
            }
            (inode.now, inode.synced) = (bytes.clone(), bytes);
        }
    }

    /// Flips a bit of a file with such a name, and says whether there was one.
    pub(crate) fn flip(&self, suffix: &str, dice: &mut Dice) -> bool {
        let mut world = self.0.borrow_mut();
        let named: Vec<_> =
            world.now.iter().filter(|(name, _)| name.ends_with(suffix)).map(|(_, inode)| *inode).collect();
        let Some(inode) = named.get(dice.below(named.len())) else { return false };
        let inode = &mut world.inodes[*inode];
        if inode.now.is_empty() {
            return false;
        }
        let (at, bit) = (dice.below(inode.now.len()), dice.below(8));
        inode.now[at] ^= 1 << bit;
        // What is flipped has reached the disk.
        inode.since.clear();
        inode.synced = inode.now.clone();
        true
    }

    pub(crate) fn set_room(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    pub(crate) fn set_syncless(&self, syncless: bool) {
        self.0.borrow_mut().syncless = syncless;
    }

    /// Bytes of all files but those that were set aside.
    pub(crate) fn bytes(&self) -> u64 {
        let world = self.0.borrow();
        let counted = world.now.iter().filter(|(name, _)| !name.ends_with(".damaged"));
        counted.map(|(_, inode)| world.inodes[*inode].now.len() as u64).sum()
    }

    pub(crate) fn list(&self) -> Vec<String> {
        self.0.borrow().now.keys().cloned().collect()
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let world = self.0.borrow();
        world.inodes[world.now[name]].now.clone()
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let mut file = self.create(name).or_else(|_| self.open(name)).unwrap();
        file.set_len(0).unwrap();
        file.write_at(bytes, 0).unwrap();
        file.sync().unwrap();
        self.sync().unwrap();
    }

    fn name(&self, naming: Naming) {
        let mut world = self.0.borrow_mut();
        naming.apply(&mut world.now);
        world.since.push(naming);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.0.borrow().now.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    bytes.resize(bytes.len().max(offset + data.len()), 0);
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

impl Directory for Simulated {
    type File = SimulatedFile;

    fn lock(&mut self) -> io::Result<bool> {
        Ok(!std::mem::replace(&mut self.0.borrow_mut().locked, true))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.list())
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        if self.find(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut world = self.0.borrow_mut();
        world.inodes.push(Inode::default());
        let inode = world.inodes.len() - 1;
        drop(world);
        self.name(Naming::Create(name.to_owned(), inode));
        Ok(SimulatedFile { world: self.clone(), inode })
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        Ok(SimulatedFile { world: self.clone(), inode: self.find(name)? })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.find(from)?;
        self.name(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.name(Naming::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if world.syncless {
            return Err(io::Error::other("cannot sync"));
        }
        world.since.clear();
        world.synced = world.now.clone();
        Ok(())
    }
}

impl File for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.world.0.borrow().inodes[self.inode].now.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let world = self.world.0.borrow();
        let offset = usize::try_from(offset).unwrap();
        let from = world.inodes[self.inode].now.get(offset..offset + bytes.len());
        bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.world.0.borrow_mut();
        let offset = usize::try_from(offset).unwrap();
        // What is there already has its place on the disk.
        let there = world.inodes[self.inode].now.len().saturating_sub(offset);
        let fits = world.room.map_or(bytes.len(), |room| (there + room).min(bytes.len()));
        world.room = world.room.map(|room| room - fits.saturating_sub(there));
        let inode = &mut world.inodes[self.inode];
        put(&mut inode.now, offset, &bytes[..fits]);
        inode.since.push(Write::Data(offset, bytes[..fits].to_vec()));
        if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        let inode = &mut self.world.0.borrow_mut().inodes[self.inode];
        inode.now.resize(length, 0);
        inode.since.push(Write::Length(length));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.world.0.borrow_mut();
        if world.syncless {
            return Err(io::Error::other("cannot sync"));
        }
        let inode = &mut world.inodes[self.inode];
        inode.since.clear();
        inode.synced = inode.now.clone();
        Ok(())
    }
}
