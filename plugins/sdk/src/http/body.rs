//! Bodies too large to be held whole.

#[cfg(feature = "std")]
use std::io;

#[cfg(feature = "std")]
use super::sentence;
use super::{Header, HttpError};
use crate::imports::Pieces;
use crate::prelude::*;

/// A response of which only the head is there yet.
#[derive(Debug)]
pub struct Opened {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<Header>,
    /// What follows the head. Dropping it closes the connection.
    pub body: Body,
}

impl Opened {
    /// The first header of this name, which is written in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        super::header(&self.headers, name)
    }
}

/// A body that is read piece by piece. It is closed when it is dropped, and by the host when the call ends.
#[derive(Debug)]
pub struct Body(pub(crate) Pieces);

impl Body {
    /// The next piece, decompressed, at most 64 KiB and not empty; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, the time is up, or the body is larger than the operator allows. Nothing more comes then.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        self.0.read()
    }

    #[cfg(feature = "std")]
    /// The body as a [`BufRead`](io::BufRead), for parsers that take one.
    #[must_use]
    pub const fn into_reader(self) -> BodyReader {
        BodyReader { body: self, piece: Vec::new(), used: 0 }
    }
}

#[cfg(feature = "std")]
/// A [`Body`] as a reader. What breaks it is an [`io::Error`] that wraps the [`HttpError`].
#[derive(Debug)]
pub struct BodyReader {
    body: Body,
    piece: Vec<u8>,
    used: usize,
}

#[cfg(feature = "std")]
impl io::BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.piece.len() {
            self.piece = self.body.read().map_err(|error| io::Error::other(Broken(error)))?.unwrap_or_default();
            self.used = 0;
        }
        Ok(self.piece.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.used.saturating_add(amount).min(self.piece.len());
    }
}

#[cfg(feature = "std")]
impl io::Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = io::Read::read(&mut io::BufRead::fill_buf(self)?, buffer)?;
        io::BufRead::consume(self, read);
        Ok(read)
    }
}

#[cfg(feature = "std")]
/// Why a body ended before its end; inside the [`io::Error`]s of a [`BodyReader`].
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(.0))]
pub struct Broken(pub HttpError);
