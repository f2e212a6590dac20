//! Reading a response body without ever holding more of it than is allowed.
//!
//! Bodies are counted as they leave the decompressor, piece by piece, so a small message that unfolds into a large one
//! is cut off at the limit and not after it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use kiln_policy::Origin;

use crate::error::Error;
use crate::failure::describe;

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

/// The whole body, if it is at most `limit` bytes long.
///
/// `count` is told the length of each piece before it is kept, and how to go on: an error is how much is left.
pub(crate) async fn read(
    mut response: reqwest::Response,
    origin: &Origin,
    limit: u64,
    mut count: impl FnMut(usize) -> Result<(), u64>,
) -> Result<Bytes, Error> {
    check_announced(&response, limit)?;
    let mut body = BytesMut::new();
    loop {
        let Some(chunk) = chunk(&mut response, origin).await? else { return Ok(body.freeze()) };
        let length = body.len() as u64;
        let counted = count(chunk.len());
        if length + chunk.len() as u64 > limit {
            return Err(Error::TooLarge(limit));
        }
        counted.map_err(|left| Error::TooLarge(length + left))?;
        body.extend_from_slice(&chunk);
    }
}

/// Refuses a body that is announced as too large.
pub(crate) fn check_announced(response: &reqwest::Response, limit: u64) -> Result<(), Error> {
    // Known only where nothing is decompressed and there is a body at all.
    if response.content_length().is_some_and(|length| length > limit) { Err(Error::TooLarge(limit)) } else { Ok(()) }
}

/// What comes next, as the decompressor cuts it; `None` at the end.
pub(crate) async fn chunk(response: &mut reqwest::Response, origin: &Origin) -> Result<Option<Bytes>, Error> {
    response.chunk().await.map_err(|error| Error::Protocol(describe(&error, origin)))
}
