//! Reading a response body without ever holding more of it than is allowed.
//!
//! Bodies are counted twice, as they come from the network and as they leave the decompressor, piece by piece: neither a
//! small message that unfolds into a large one nor a large one that unfolds into nothing is read to its end.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use kiln_policy::Origin;
use reqwest::header::CONTENT_ENCODING;

use crate::error::Error;
use crate::failure::describe;
use crate::gunzip::Gunzip;

/// What the responses of one call may still take up together.
pub(crate) struct Allowance(AtomicU64);

impl Allowance {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    /// Takes `bytes` away.
    ///
    /// # Errors
    /// So much is not left: how much is.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), u64> {
        let rest = |left: u64| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).map(|_| ())
    }
}

/// A body on its way in.
pub(crate) struct Incoming {
    received: Received,
    decompression: Option<Gunzip>,
    /// Bytes that may come, decompressed.
    limit: u64,
    /// Bytes that came, decompressed.
    length: u64,
}

/// What comes from the network.
struct Received {
    response: reqwest::Response,
    origin: Origin,
    left: u64,
}

impl Incoming {
    /// The body of `response`, of which at most `limit` bytes are read.
    ///
    /// # Errors
    /// More than that is announced.
    pub(crate) fn new(response: reqwest::Response, origin: Origin, limit: u64) -> Result<Self, Error> {
        let decompression = is_gzip(&response).then(Gunzip::new);
        // What cannot be compressed gets a little larger by it.
        let overhead = if decompression.is_some() { (limit >> 8) + 1024 } else { 0 };
        let left = limit.saturating_add(overhead);
        // Known where there is a body and the server says how long it is.
        if response.content_length().is_some_and(|length| length > left) {
            return Err(Error::TooLarge(limit));
        }
        Ok(Self { received: Received { response, origin, left }, decompression, limit, length: 0 })
    }

    /// What comes next, decompressed; `None` at the end.
    ///
    /// `count` is told the length of each piece, also of one that is too large.
    pub(crate) async fn next(&mut self, count: impl FnOnce(usize)) -> Result<Option<Bytes>, Error> {
        let Some(piece) = self.piece().await? else { return Ok(None) };
        count(piece.len());
        self.length = self.length.saturating_add(piece.len() as u64);
        if self.length > self.limit { Err(Error::TooLarge(self.limit)) } else { Ok(Some(piece)) }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let Self { received, decompression, limit, .. } = self;
        let Some(decompression) = decompression else { return received.next(*limit).await };
        loop {
            if let Some(piece) = decompression.step().map_err(|error| received.malformed(&error))? {
                return Ok(Some(piece));
            }
            match received.next(*limit).await? {
                Some(piece) => decompression.receive(piece),
                None => return decompression.finish().map_err(|error| received.malformed(&error)),
            }
        }
    }
}

impl Received {
    async fn next(&mut self, limit: u64) -> Result<Option<Bytes>, Error> {
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|error| Error::Protocol(describe(&error, &self.origin)))?;
        let length = piece.as_ref().map_or(0, Bytes::len) as u64;
        self.left = self.left.checked_sub(length).ok_or(Error::TooLarge(limit))?;
        Ok(piece)
    }

    fn malformed(&self, error: &std::io::Error) -> Error {
        Error::Protocol(format!("{}: the compressed body is broken: {error}", self.origin))
    }
}

/// The whole body, if it is at most `limit` bytes long.
///
/// `count` is told the length of each piece before it is kept, and how to go on: an error is how much is left.
pub(crate) async fn read(
    response: reqwest::Response,
    origin: &Origin,
    limit: u64,
    mut count: impl FnMut(usize) -> Result<(), u64>,
) -> Result<Bytes, Error> {
    let mut incoming = Incoming::new(response, origin.clone(), limit)?;
    let mut body = BytesMut::new();
    loop {
        let mut counted = Ok(());
        let Some(piece) = incoming.next(|length| counted = count(length)).await? else { return Ok(body.freeze()) };
        counted.map_err(|left| Error::TooLarge(body.len() as u64 + left))?;
        body.extend_from_slice(&piece);
    }
}

/// Whether a body is compressed in the one way that is asked for.
pub(crate) fn is_gzip(response: &reqwest::Response) -> bool {
    let encoding = response.headers().get(CONTENT_ENCODING);
    encoding
        .is_some_and(|encoding| [&b"gzip"[..], b"x-gzip"].iter().any(|it| encoding.as_bytes().eq_ignore_ascii_case(it)))
}
