//! What a processor sees of a batch and what becomes of the batch by its edits, compared with the slow way: decode all of
//! it, change the objects, and look whether it is the same.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod edits;
mod exact;
mod generate;
mod joining;
mod reference;
mod views;

use bytes::Bytes;
use kiln_otlp::{Amount, Batch, Edit, EditError, Edits, Level, Sight, Signal, View};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

const LIMIT: Amount = Amount { bytes: 1 << 30, items: 1 << 30 };

fn batch(signal: Signal, request: &impl prost::Message) -> Batch {
    Batch { signal, payload: Bytes::from(request.encode_to_vec()), items: usize::MAX }
}

fn metrics(request: &ExportMetricsServiceRequest) -> Batch {
    batch(Signal::Metrics, request)
}

fn decoded(batch: &Batch) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest::decode(batch.payload.clone()).unwrap()
}

/// Everything the processor would be shown.
fn views(batch: &Batch, level: Level, reads: &[&str]) -> Vec<View> {
    let reads: Vec<_> = reads.iter().map(ToString::to_string).collect();
    Sight::new(level, &reads).views(batch).map(|part| part.unwrap().0).collect()
}

/// Runs a processor over the batch: `wants` is what it returns for each view.
fn process(batch: &Batch, mut wants: impl FnMut(&View) -> Vec<Edit>) -> Result<Batch, EditError> {
    let mut edits = Edits::new(LIMIT);
    for part in Sight::new(Level::Point, &["*".to_owned()]).views(batch) {
        let (view, extent) = part?;
        edits.add(&extent, wants(&view))?;
    }
    let before = batch.payload.to_vec();
    let shared = edits.apply(batch.clone());
    assert_eq!(batch.payload, before, "what somebody else holds has changed");
    // Where nobody else holds the payload it may be changed where it stands, to the same end.
    let own = Batch { payload: batch.payload.to_vec().into(), ..batch.clone() };
    assert_eq!(shared, edits.apply(own));
    shared
}
