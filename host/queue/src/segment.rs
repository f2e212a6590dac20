//! One segment: a file of records, and a file that says which of them are done with.

use std::collections::BTreeMap;
use std::io;

use crate::files::{Directory, File};
use crate::format::{
    ACK, ACKS_HEADER, HEADER, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, Salt, ack, acks_header, acks_name,
    parse_ack, parse_acks_header, segment_header, segment_name,
};

/// What a segment takes on disk before anything is in it.
pub(crate) const SEGMENT_COST: u64 = SEGMENT_HEADER + ACKS_HEADER;

/// What a record takes on disk until it is done with, its acknowledgement included: there must always be room for that.
pub(crate) fn record_cost(payload: usize) -> u64 {
    (RECORD_HEADER + ACK + payload) as u64
}

/// How much of the acks is read at a time.
const WINDOW: usize = 4096 * ACK;

/// Where the payload of a waiting record is. Segments are shorter than 4 GiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: u32,
    pub(crate) length: u32,
    checksum: u32,
}

impl Place {
    pub(crate) fn new(offset: u64, payload: &[u8], salt: Salt) -> io::Result<Self> {
        let too_far = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        Ok(Self {
            offset: u32::try_from(offset).map_err(too_far)?,
            length: u32::try_from(payload.len()).map_err(too_far)?,
            checksum: salt.checksum(payload),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Segment<F> {
    pub(crate) first: u64,
    pub(crate) salt: Salt,
    pub(crate) waiting: BTreeMap<u64, Place>,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// What it takes on disk and will have taken once all is acknowledged.
    pub(crate) cost: u64,
    /// Something in it could not be read.
    pub(crate) is_damaged: bool,
    /// Open while records are added. There can be more segments than a process may have files open.
    file: Option<F>,
    is_dirty: bool,
    acks: Option<Acks>,
}

/// The acks of a segment that has some.
#[derive(Clone, Copy, Debug)]
struct Acks {
    end: u64,
    is_dirty: bool,
}

impl<F: File> Segment<F> {
    /// Makes the file of a new segment.
    pub(crate) fn create<D: Directory<File = F>>(dir: &D, first: u64) -> io::Result<Self> {
        let salt = Salt(getrandom::u64().map_err(io::Error::other)?);
        let mut file = dir.create(&segment_name(first))?;
        if let Err(error) = file.write_at(&segment_header(first, salt), 0) {
            // Otherwise the name would be taken for ever.
            dir.remove(&segment_name(first))?;
            return Err(error);
        }
        Ok(Self { file: Some(file), ..Self::found(first, salt) })
    }

    /// A segment that is there already and has nothing waiting yet. Whoever wrote it may not have come to sync it.
    pub(crate) const fn found(first: u64, salt: Salt) -> Self {
        Self {
            first,
            salt,
            waiting: BTreeMap::new(),
            end: SEGMENT_HEADER,
            cost: SEGMENT_COST,
            is_damaged: false,
            file: None,
            is_dirty: true,
            acks: None,
        }
    }

    /// Writes a record after the last. When that fails the file is as it was, or else the error says it is not.
    pub(crate) fn append(&mut self, id: u64, payload: &[u8]) -> Result<(), WriteError> {
        let failed = |error, is_torn| WriteError { error, is_torn };
        let Some(file) = &mut self.file else {
            return Err(failed(io::Error::from(io::ErrorKind::NotFound), true));
        };
        let place =
            Place::new(self.end + RECORD_HEADER as u64, payload, self.salt).map_err(|error| failed(error, false))?;
        let header = RecordHeader { id, length: place.length, checksum: place.checksum };
        let mut bytes = Vec::with_capacity(RECORD_HEADER + payload.len());
        bytes.extend_from_slice(&header.encode(self.salt));
        bytes.extend_from_slice(payload);
        if let Err(error) = file.write_at(&bytes, self.end) {
            let is_torn = file.set_len(self.end).is_err();
            return Err(failed(error, is_torn));
        }
        self.is_dirty = true;
        self.end += header.size();
        self.cost += record_cost(payload.len());
        self.waiting.insert(id, place);
        Ok(())
    }

    /// Takes no more records.
    pub(crate) fn seal(&mut self) {
        self.file = None;
    }

    /// The payload of a waiting record, or `None` if it is damaged.
    pub(crate) fn read<D: Directory<File = F>>(&mut self, dir: &D, place: Place) -> io::Result<Option<Vec<u8>>> {
        let mut payload = vec![0; usize::try_from(place.length).unwrap_or(usize::MAX)];
        let offset = u64::from(place.offset);
        let read = match &self.file {
            Some(file) => file.read_at(&mut payload, offset),
            None => dir.open(&segment_name(self.first))?.read_at(&mut payload, offset),
        };
        match read {
            Ok(()) if self.salt.checksum(&payload) == place.checksum => Ok(Some(payload)),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            Ok(()) | Err(_) => {
                self.is_damaged = true;
                Ok(None)
            }
        }
    }

    /// Notes on disk that records are done with.
    pub(crate) fn acknowledge<D: Directory<File = F>>(&mut self, dir: &D, ids: &[u64]) -> io::Result<()> {
        let name = acks_name(self.first);
        let mut file = if self.acks.is_some() { dir.open(&name)? } else { dir.create(&name)? };
        let acks = self.acks.get_or_insert(Acks { end: 0, is_dirty: false });
        let mut bytes = if acks.end == 0 { acks_header(self.first, self.salt) } else { Vec::new() };
        for id in ids {
            bytes.extend_from_slice(&ack(*id, self.salt));
        }
        acks.is_dirty = true;
        file.write_at(&bytes, acks.end)?;
        acks.end += bytes.len() as u64;
        Ok(())
    }

    /// Reads which records are done with and gives each to `found`; `false` if the file is not the acks of this segment.
    pub(crate) fn read_acks(&mut self, file: &F, mut found: impl FnMut(u64)) -> io::Result<bool> {
        let length = file.length()?;
        let mut header = [0; HEADER];
        let is_ours = file.read_at(&mut header, 0).is_ok()
            && parse_acks_header(&header).is_some_and(|ours| ours == (self.first, self.salt));
        if !is_ours {
            return Ok(false);
        }
        let mut end = ACKS_HEADER;
        let mut window = vec![0; WINDOW];
        while end + ACK as u64 <= length {
            let entries = usize::try_from((length - end) / ACK as u64).unwrap_or(usize::MAX);
            window.truncate(entries.saturating_mul(ACK).min(WINDOW));
            if file.read_at(&mut window, end).is_ok() {
                window.chunks_exact(ACK).filter_map(|entry| parse_ack(entry, self.salt)).for_each(&mut found);
            }
            end += window.len() as u64;
        }
        self.acks = Some(Acks { end, is_dirty: true });
        Ok(true)
    }

    pub(crate) const fn has_acks(&self) -> bool {
        self.acks.is_some()
    }

    /// Bytes of acks on disk.
    pub(crate) fn acks_bytes(&self) -> u64 {
        self.acks.map_or(0, |acks| acks.end)
    }

    /// Makes the records survive a power cut.
    pub(crate) fn sync_records<D: Directory<File = F>>(&mut self, dir: &D) -> io::Result<()> {
        if self.is_dirty {
            match &mut self.file {
                Some(file) => file.sync()?,
                None => dir.open(&segment_name(self.first))?.sync()?,
            }
            self.is_dirty = false;
        }
        Ok(())
    }

    /// Makes the acknowledgements survive a power cut.
    pub(crate) fn sync_acks<D: Directory<File = F>>(&mut self, dir: &D) -> io::Result<()> {
        if let Some(acks) = self.acks.as_mut().filter(|acks| acks.is_dirty) {
            dir.open(&acks_name(self.first))?.sync()?;
            acks.is_dirty = false;
        }
        Ok(())
    }
}

/// A record that could not be written.
#[derive(Debug)]
pub(crate) struct WriteError {
    pub(crate) error: io::Error,
    /// A part of it is in the file, and no other record can be.
    pub(crate) is_torn: bool,
}
