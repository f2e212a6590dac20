//! Decompressing a response body in steps that are small whatever the server sends.
//!
//! The client below could do it by itself, but counts nothing on the way in: a stream that decompresses to nothing would
//! be read for as long as it lasts. And it takes a piece whole, which may become a thousand times as large.

use std::io::Write as _;

use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;

/// What is decompressed at once, in bytes. Deflate makes at most 1032 times as much of it.
const STEP: usize = 1 << 10;

/// A body in gzip format (RFC 1952), decompressed as it comes.
pub(crate) struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Received and not decompressed yet.
    waiting: Bytes,
    has_begun: bool,
}

impl Gunzip {
    pub(crate) fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), waiting: Bytes::new(), has_begun: false }
    }

    /// Takes what was received, once [`Self::step`] has nothing more of what came before.
    pub(crate) fn receive(&mut self, piece: Bytes) {
        self.has_begun |= !piece.is_empty();
        self.waiting = piece;
    }

    /// What comes next; `None` when more has to be received.
    ///
    /// # Errors
    /// It is not in gzip format.
    pub(crate) fn step(&mut self) -> std::io::Result<Option<Bytes>> {
        while !self.waiting.is_empty() {
            let step = self.waiting.slice(..STEP.min(self.waiting.len()));
            let taken = self.decoder.write(&step)?;
            if taken == 0 {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            self.waiting.advance(taken);
            if let Some(piece) = self.take() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// What is left when everything has been received.
    ///
    /// # Errors
    /// The end is missing.
    pub(crate) fn finish(&mut self) -> std::io::Result<Option<Bytes>> {
        // No body at all is no body, whatever the header says of it.
        if self.has_begun {
            self.decoder.try_finish()?;
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Option<Bytes> {
        let piece = std::mem::take(self.decoder.get_mut());
        (!piece.is_empty()).then(|| piece.into())
    }
}
