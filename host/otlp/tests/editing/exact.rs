//! What no edit names survives byte for byte, fields nobody knows included.

use bytes::Bytes;
use kiln_otlp::{AttributeValue, Batch, Edit, Signal, View};
use proptest::prelude::*;
use prost::Message as _;

use crate::generate::{logs_request, metrics_request, traces_request};
use crate::process;

/// A field of no version of OTLP: number 1000, a text.
const UNKNOWN: &[u8] = b"\xc2\x3e\x07unknown";

fn varint(mut value: usize, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn read_varint(bytes: &[u8], at: &mut usize) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

/// The message with a field nobody knows at the end of it, and of every message on the way to the points and in them.
/// `depth` counts from the group.
fn strange(message: &[u8], signal: Signal, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let start = at;
        let key = read_varint(message, &mut at);
        let is_message = match (depth, key >> 3) {
            (0, 1) => true,
            (1, 1 | 2) => true,
            (2, 2) => true,
            (3, 5 | 7 | 9 | 10 | 11) => signal == Signal::Metrics,
            (4, 1) => true,
            _ => false,
        };
        match key & 7 {
            0 => _ = read_varint(message, &mut at),
            1 => at += 8,
            5 => at += 4,
            _ => {
                let length = read_varint(message, &mut at);
                at += length;
                if is_message {
                    let resource = depth == 1 && key >> 3 == 1;
                    let inner = strange(&message[at - length..at], signal, if resource { 9 } else { depth + 1 });
                    varint(key, &mut out);
                    varint(inner.len(), &mut out);
                    out.extend(inner);
                    continue;
                }
            }
        }
        out.extend(&message[start..at]);
    }
    out.extend(UNKNOWN);
    out
}

fn unknown_fields(payload: &[u8]) -> usize {
    payload.windows(UNKNOWN.len()).filter(|window| *window == UNKNOWN).count()
}

fn batches() -> impl Strategy<Value = Batch> {
    let payload = prop_oneof![
        metrics_request().prop_map(|request| (Signal::Metrics, request.encode_to_vec())),
        traces_request().prop_map(|request| (Signal::Traces, request.encode_to_vec())),
        logs_request().prop_map(|request| (Signal::Logs, request.encode_to_vec())),
    ];
    payload.prop_map(|(signal, payload)| Batch {
        signal,
        payload: Bytes::from(strange(&payload, signal, 0)),
        items: usize::MAX,
    })
}

/// Edits that come to nothing: what is removed is not there, and a name is what it was. Of everything there is.
fn vain(view: &View) -> Vec<Edit> {
    let metrics = view.metrics.iter().enumerate();
    metrics
        .map(|(metric, shown)| Edit::RenameMetric { metric, name: view.strings[shown.name as usize].clone() })
        .chain((0..view.points.len()).map(|point| Edit::RemovePointAttribute { point, key: "absent".into() }))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Scenario: a processor looks at everything and wants nothing changed.
    /// Guarantees: the payload is the same bytes.
    #[test]
    fn identity_is_the_same_bytes(batch in batches()) {
        prop_assert_eq!(process(&batch, |_| vec![]).unwrap(), batch);
    }

    /// Scenario: a processor has edits for everything, none of which changes anything.
    /// Guarantees: the payload, though written anew, is the same bytes.
    #[test]
    fn edits_that_change_nothing_are_the_same_bytes(batch in batches()) {
        prop_assert_eq!(process(&batch, vain).unwrap().payload, batch.payload);
    }

    /// Scenario: every resource and every point gets an attribute.
    /// Guarantees: every field that nobody knows is where it was; taking the attributes away again restores the bytes.
    #[test]
    fn unknown_fields_survive_edits(batch in batches()) {
        let set = |view: &View| {
            let value = AttributeValue::Integer(1);
            let resource = |resource| Edit::SetResourceAttribute { resource, key: "new".into(), value: value.clone() };
            let point = |point| Edit::SetPointAttribute { point, key: "new".into(), value: value.clone() };
            (0..view.resources.len()).map(resource).chain((0..view.points.len()).map(point)).collect::<Vec<_>>()
        };
        let unset = |view: &View| {
            let point = |point| Edit::RemovePointAttribute { point, key: "new".into() };
            (0..view.points.len()).map(point).collect::<Vec<_>>()
        };
        let edited = process(&batch, set).unwrap();
        prop_assert_eq!(unknown_fields(&edited.payload), unknown_fields(&batch.payload));
        let points_only = process(&batch, |view| set(view).split_off(view.resources.len())).unwrap();
        prop_assert_eq!(process(&points_only, unset).unwrap().payload, batch.payload);
    }
}
