//! What a batch looks like on disk: of which collection it is, what it is, and then the OTLP request as it will be sent.
//!
//! ```text
//! 1 u8  signal u8 (0 metrics, 1 traces, 2 logs)  items u32 LE  sequence u64 LE  instance length u16 LE, instance  payload
//! ```

use bytes::Bytes;
use kiln_otlp::{Batch, Signal};

const VERSION: u8 = 1;

/// The collection a batch is part of: all its batches are delivered, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The receiver's id; empty for a batch that stands for itself.
    pub instance: String,
    /// The number of the collection.
    pub sequence: u64,
}

impl Unit {
    /// Of a batch that is complete in itself.
    pub(crate) const fn none() -> Self {
        Self { instance: String::new(), sequence: 0 }
    }
}

/// What stands before the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) unit: Unit,
    pub(crate) signal: Signal,
    pub(crate) items: u32,
}

impl Envelope {
    /// A batch with its envelope.
    pub(crate) fn wrap(unit: &Unit, batch: &Batch) -> Vec<u8> {
        // Ids are far shorter: the configuration sees to that.
        let length = unit.instance.len().min(usize::from(u16::MAX));
        let instance = unit.instance.as_bytes().get(..length).unwrap_or_default();
        let mut bytes = Vec::with_capacity(16 + length + batch.payload.len());
        bytes.extend_from_slice(&[VERSION, number(batch.signal)]);
        bytes.extend_from_slice(&u32::try_from(batch.items).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&unit.sequence.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(instance);
        bytes.extend_from_slice(&batch.payload);
        bytes
    }

    /// The envelope, and how long it is; `None` if this is none that this version understands.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let ([VERSION, signal], rest) = bytes.split_first_chunk()? else { return None };
        let signal = Signal::ALL.into_iter().find(|known| number(*known) == *signal)?;
        let (items, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (instance, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let instance = String::from_utf8(instance.to_vec()).ok()?;
        let unit = Unit { instance, sequence: u64::from_le_bytes(*sequence) };
        Some((Self { unit, signal, items: u32::from_le_bytes(*items) }, bytes.len() - payload.len()))
    }

    /// The batch in an envelope.
    pub(crate) fn unwrap(bytes: Vec<u8>) -> Option<Batch> {
        let (envelope, length) = Self::read(&bytes)?;
        let payload = Bytes::from(bytes).split_off(length);
        Some(Batch { signal: envelope.signal, payload, items: usize::try_from(envelope.items).ok()? })
    }
}

const fn number(signal: Signal) -> u8 {
    match signal {
        Signal::Metrics => 0,
        Signal::Traces => 1,
        Signal::Logs => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_batch_comes_out_as_it_went_in(
            instance in "[a-z/]{0,20}",
            sequence in any::<u64>(),
            signal in prop::sample::select(&Signal::ALL[..]),
            items in any::<u32>(),
            payload in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let batch = Batch { signal, payload: payload.into(), items: items as usize };
            let unit = Unit { instance, sequence };
            let bytes = Envelope::wrap(&unit, &batch);
            let read = Envelope::read(&bytes).map(|(envelope, _)| envelope);
            prop_assert_eq!(read, Some(Envelope { unit, signal, items }));
            prop_assert_eq!(Envelope::unwrap(bytes), Some(batch));
        }

        #[test]
        fn whatever_is_read_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _any = (Envelope::read(&bytes), Envelope::unwrap(bytes));
        }
    }
}
