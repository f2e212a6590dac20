//! A file as a stream of bytes.

use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, StreamError};

use super::open_file::{OpenFile, read_at};

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// A file that is read from some offset to its end, one piece ahead.
pub(super) struct FileStream {
    file: Arc<OpenFile>,
    offset: u64,
    piece: Result<Bytes, Ended>,
}

enum Ended {
    Complete,
    Failed(Errno),
}

impl FileStream {
    pub(super) const fn new(file: Arc<OpenFile>, offset: u64) -> Self {
        Self { file, offset, piece: Ok(Bytes::new()) }
    }
}

#[async_trait]
impl Pollable for FileStream {
    async fn ready(&mut self) {
        if !matches!(&self.piece, Ok(piece) if piece.is_empty()) {
            return;
        }
        let (file, offset) = (Arc::clone(&self.file), self.offset);
        let reading = tokio::task::spawn_blocking(move || read_at(&file.file, PIECE, offset));
        self.piece = match reading.await {
            Ok(Ok(bytes)) if bytes.is_empty() => Err(Ended::Complete),
            Ok(Ok(bytes)) => {
                self.offset = self.offset.saturating_add(bytes.len() as u64);
                Ok(bytes.into())
            }
            Ok(Err(error)) => Err(Ended::Failed(error)),
            Err(_) => Err(Ended::Failed(Errno::IO)),
        };
    }
}

impl InputStream for FileStream {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        match &mut self.piece {
            Ok(piece) => {
                let length = size.min(piece.len());
                Ok(piece.split_to(length))
            }
            Err(Ended::Complete) => Err(StreamError::Closed),
            Err(Ended::Failed(error)) => {
                let error = wasmtime::Error::msg(error.to_string());
                self.piece = Err(Ended::Complete);
                Err(StreamError::LastOperationFailed(error))
            }
        }
    }
}
