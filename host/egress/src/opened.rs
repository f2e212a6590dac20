//! A response whose body is read piece by piece, by a plugin that could not hold it.
//!
//! Held is what the decompressor last returned and nothing else; the limit is on what has been handed out. A body that
//! has ended, in whatever way, or is dropped lets go of its connection. It does not keep a place among the requests
//! under way: a plugin that reads several bodies side by side would wait for itself.

use std::time::Duration;

use bytes::Bytes;
use kiln_telemetry::Redaction;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::body::Incoming;
use crate::error::Error;
use crate::record::Record;

/// What [`Body::read`] returns at most, in bytes.
const PIECE: usize = 64 << 10;

/// A server's answer of which only the head has been read.
#[derive(Debug)]
pub struct Opened {
    /// 100 to 999.
    pub status: u16,
    /// In the order of the server; names are lower case, bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// Dropping it closes the connection.
    pub body: Body,
}

/// A body that is being read. It ends with the [`Egress`](crate::Egress) it comes from.
pub struct Body {
    source: Source,
    record: Record,
    /// Read and not handed out yet.
    piece: Bytes,
    /// How it ended; what is over stays over.
    end: Option<Result<(), Error>>,
}

/// What a body comes from.
pub(crate) struct Source {
    /// Gone once the body has ended.
    pub(crate) incoming: Option<Incoming>,
    /// How long one piece may take.
    pub(crate) timeout: Duration,
    pub(crate) closed: watch::Receiver<bool>,
    pub(crate) redaction: Redaction,
    pub(crate) _place: OwnedSemaphorePermit,
}

impl Body {
    pub(crate) const fn new(source: Source, record: Record) -> Self {
        Self { source, record, piece: Bytes::new(), end: None }
    }

    /// The next piece, decompressed, at most 64 KiB and not empty; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, nothing came for as long as a request may take, more came than is allowed, or the host is
    /// stopping. The error is the same ever after.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Error> {
        while self.piece.is_empty() {
            if let Some(end) = &self.end {
                return end.clone().map(|()| None);
            }
            match self.source.next(&mut self.record).await {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => self.end = Some(Ok(())),
                Err(error) => {
                    self.record.failed(&error);
                    self.end = Some(Err(error.without_secrets(&self.source.redaction)));
                }
            }
            if self.end.is_some() {
                self.source.incoming = None;
            }
        }
        let length = self.piece.len().min(PIECE);
        Ok(Some(self.piece.split_to(length)))
    }
}

impl Source {
    async fn next(&mut self, record: &mut Record) -> Result<Option<Bytes>, Error> {
        let Some(incoming) = &mut self.incoming else { return Ok(None) };
        let piece = tokio::time::timeout(self.timeout, incoming.next(|bytes| record.received(bytes)));
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => Err(Error::Cancelled),
            piece = piece => piece.map_err(|_| Error::Timeout)?,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("end", &self.end).finish_non_exhaustive()
    }
}
