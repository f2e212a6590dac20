//! The message of an answer, out of what is around it.
//!
//! A server may compress its answer as the call was compressed, whether or not the client said that it takes that; the one that
//! most backends are built on does. So what Kiln can write it can read. Never more comes out of it than an answer may have.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::PREFIX;
use crate::otlp_http::MAX_ANSWER;

/// A message that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoMessage {
    /// It is longer than OTLP lets an answer be.
    TooLarge,
    /// It is broken off, or compressed in a way that nobody asked for.
    Unreadable,
}

/// The message behind its prefix; an answer without one has an empty message. `encoding` is what `grpc-encoding` says.
pub(super) fn message_of(mut answer: Bytes, encoding: Option<&[u8]>) -> Result<Bytes, NoMessage> {
    if answer.is_empty() {
        return Ok(answer);
    }
    if answer.len() < PREFIX {
        return Err(NoMessage::Unreadable);
    }
    let message = answer.split_off(PREFIX);
    match (answer.first(), encoding) {
        (Some(0), _) => Ok(message),
        (Some(1), Some(b"gzip")) => read(MultiGzDecoder::new(&*message)),
        (Some(1), Some(b"zstd")) => zstd::Decoder::new(&*message).map_err(|_| NoMessage::Unreadable).and_then(read),
        _ => Err(NoMessage::Unreadable),
    }
}

fn read(decompressed: impl Read) -> Result<Bytes, NoMessage> {
    let mut message = Vec::new();
    let most = u64::try_from(MAX_ANSWER).unwrap_or(u64::MAX).saturating_add(1);
    decompressed.take(most).read_to_end(&mut message).map_err(|_| NoMessage::Unreadable)?;
    if message.len() > MAX_ANSWER { Err(NoMessage::TooLarge) } else { Ok(message.into()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn framed(flag: u8, message: &[u8]) -> Bytes {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[flag], &length[..], message].concat().into()
    }

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_message_is_read_however_it_was_compressed() {
        let sent = b"rejected: 3";
        assert_eq!(message_of(framed(0, sent), None).unwrap(), &sent[..]);
        assert_eq!(message_of(framed(0, sent), Some(b"gzip")).unwrap(), &sent[..]);
        assert_eq!(message_of(framed(1, &gzip(sent)), Some(b"gzip")).unwrap(), &sent[..]);
        let zstd = zstd::encode_all(&sent[..], 3).unwrap();
        assert_eq!(message_of(framed(1, &zstd), Some(b"zstd")).unwrap(), &sent[..]);
        assert_eq!(message_of(Bytes::new(), Some(b"gzip")).unwrap(), Bytes::new());
    }

    #[test]
    fn what_is_broken_off_or_of_another_kind_is_not_guessed_at() {
        let zipped = gzip(&[7; 1000]);
        for (answer, encoding) in [
            (framed(1, b"x"), None),
            (framed(1, b"x"), Some(&b"snappy"[..])),
            (framed(1, &zipped[..zipped.len() / 2]), Some(b"gzip")),
            (framed(1, b"not gzip"), Some(b"gzip")),
            (framed(1, b"not zstd"), Some(b"zstd")),
            (framed(2, b"x"), Some(b"gzip")),
            (Bytes::from_static(&[0, 0]), None),
        ] {
            assert_eq!(message_of(answer, encoding), Err(NoMessage::Unreadable));
        }
    }

    #[test]
    fn a_few_bytes_that_are_gigabytes_are_not_unpacked() {
        let bomb = vec![0; MAX_ANSWER + 1];
        assert_eq!(message_of(framed(1, &gzip(&bomb)), Some(b"gzip")), Err(NoMessage::TooLarge));
        let zstd = zstd::encode_all(&bomb[..], 3).unwrap();
        assert_eq!(message_of(framed(1, &zstd), Some(b"zstd")), Err(NoMessage::TooLarge));
        assert_eq!(message_of(framed(1, &gzip(&bomb[1..])), Some(b"gzip")).unwrap().len(), MAX_ANSWER);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(answer: Vec<u8>, encoding: Option<Vec<u8>>, is_gzip: bool) {
            let encoding = if is_gzip { Some(&b"gzip"[..]) } else { encoding.as_deref() };
            let _ = message_of(answer.into(), encoding);
        }
    }
}
