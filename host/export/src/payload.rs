//! How a batch becomes the body of a request: written as the backend wants it, checked for its size, compressed.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use kiln_config::{Compression, Encoding};
use kiln_otlp::{Batch, IN_PLACE, to_json};
use kiln_telemetry::metrics::DropReason;
use libdeflater::{CompressionLvl, Compressor};

use crate::attempt::{Failure, Request};

/// OTLP 1.11: a client must not send a larger request, counted before compression.
pub(crate) const MAX_REQUEST: usize = 64 * 1024 * 1024;
/// Of gzip's levels the fastest. Of telemetry libdeflate leaves no more with it than zlib-rs with its third, in less than
/// half of the time.
const GZIP_LEVEL: i32 = 1;
/// Of zstd's levels the one that is meant to be fast and good.
const ZSTD_LEVEL: i32 = 3;

/// Turns a batch into the body of its requests.
pub(crate) async fn prepare(batch: Batch, encoding: Encoding, compression: Compression) -> Result<Request, Failure> {
    if encoding == Encoding::Protobuf {
        within_bounds(batch.payload.len())?;
        if compression == Compression::None {
            return Ok(Request::plain(batch));
        }
    }
    if batch.payload.len() <= IN_PLACE {
        return write(batch, encoding, compression);
    }
    let written = tokio::task::spawn_blocking(move || write(batch, encoding, compression)).await;
    written.unwrap_or_else(|error| Err(Failure { reason: DropReason::Unwritable, cause: error.to_string() }))
}

fn write(batch: Batch, encoding: Encoding, compression: Compression) -> Result<Request, Failure> {
    let mut plain = Request::plain(batch);
    if encoding == Encoding::Json {
        let text = to_json(plain.signal, &plain.body)
            .map_err(|error| Failure { reason: DropReason::Unwritable, cause: format!("the batch is {error}") })?;
        within_bounds(text.len())?;
        plain.body = text.into();
    }
    let compressed = match compression {
        Compression::None => return Ok(plain),
        Compression::Gzip => gzip(&plain.body),
        Compression::Zstd => zstd::bulk::compress(&plain.body, ZSTD_LEVEL).map(Bytes::from),
    };
    Ok(match compressed {
        Ok(body) => Request { body, compression, ..plain },
        // Compression saves bandwidth; not having it is no reason to lose data.
        Err(_) => plain,
    })
}

fn within_bounds(size: usize) -> Result<(), Failure> {
    if size <= MAX_REQUEST {
        return Ok(());
    }
    Err(Failure {
        reason: DropReason::TooLarge,
        cause: format!(
            "the batch has {size} bytes, OTLP allows {MAX_REQUEST}; let its receiver collect less at a time"
        ),
    })
}

thread_local! {
    /// A quarter of a MiB, and of a small batch the making of it costs a tenth.
    static COMPRESSOR: RefCell<Option<Compressor>> =
        RefCell::new(CompressionLvl::new(GZIP_LEVEL).ok().map(Compressor::new));
}

pub(crate) fn gzip(payload: &[u8]) -> io::Result<Bytes> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        let compressor = compressor.as_mut().ok_or(io::ErrorKind::Unsupported)?;
        let mut compressed = vec![0; compressor.gzip_compress_bound(payload.len())];
        let length = compressor.gzip_compress(payload, &mut compressed).map_err(io::Error::other)?;
        compressed.truncate(length);
        // It may wait for long until a backend takes it.
        compressed.shrink_to_fit();
        Ok(compressed.into())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use kiln_otlp::Signal;

    use super::*;

    fn batch(payload: impl Into<Bytes>) -> Batch {
        Batch { signal: Signal::Metrics, payload: payload.into(), items: 3 }
    }

    #[tokio::test]
    async fn should_not_send_more_than_64_mib_before_compression() {
        let largest = Bytes::from(vec![0; MAX_REQUEST]);
        assert!(prepare(batch(largest.clone()), Encoding::Protobuf, Compression::None).await.is_ok());
        let larger = Bytes::from(vec![0; MAX_REQUEST + 1]);
        let failure = prepare(batch(larger), Encoding::Protobuf, Compression::Zstd).await.unwrap_err();
        assert_eq!(failure.reason, DropReason::TooLarge);
        assert_eq!(
            failure.cause,
            "the batch has 67108865 bytes, OTLP allows 67108864; let its receiver collect less at a time"
        );
    }

    #[tokio::test]
    async fn compression_is_lossless_whatever_the_size() {
        for size in [0, 1, IN_PLACE, IN_PLACE + 1, 300_000] {
            let payload: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            for compression in [Compression::Gzip, Compression::Zstd] {
                let request = prepare(batch(payload.clone()), Encoding::Protobuf, compression).await.unwrap();
                assert_eq!(request.compression, compression);
                let mut decompressed = Vec::new();
                match compression {
                    Compression::Gzip => GzDecoder::new(&request.body[..]).read_to_end(&mut decompressed).unwrap(),
                    _ => zstd::Decoder::new(&request.body[..]).unwrap().read_to_end(&mut decompressed).unwrap(),
                };
                assert_eq!(decompressed, payload);
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_otlp_cannot_be_written_as_json() {
        let failure = prepare(batch(&b"\xff"[..]), Encoding::Json, Compression::None).await.unwrap_err();
        assert_eq!(failure.reason, DropReason::Unwritable);
        assert_eq!(failure.cause, "the batch is not a well-formed OTLP payload");
    }
}
