//! Changes to resources alone, by far the most common ones: what belongs to a resource is moved at most, and only copied
//! if somebody else holds the batch as well.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::attributes::write_attributes;
use super::{Changes, EditError};
use crate::batch::Batch;
use crate::wire::{Field, Fields, Writer};

/// A place in the payload, and what is to stand there.
type Replacement = (Range<usize>, Vec<u8>);

pub(super) fn apply(resources: &BTreeMap<usize, Changes>, batch: Batch) -> Result<Batch, EditError> {
    let replacements = replacements(resources, &batch.payload)?;
    let payload = match batch.payload.try_into_mut() {
        Ok(mut payload) => {
            replace(&mut payload, &replacements);
            payload.freeze()
        }
        Err(shared) => copy(&shared, &replacements),
    };
    Ok(Batch { payload, ..batch })
}

/// In the order of the payload.
fn replacements(resources: &BTreeMap<usize, Changes>, payload: &[u8]) -> Result<Vec<Replacement>, EditError> {
    let mut replacements = Vec::new();
    let mut groups = 0;
    let mut at = 0;
    for field in Fields::of(payload) {
        let field = field?;
        if field.number == 1 {
            if let Some(changes) = resources.get(&groups) {
                group(&mut replacements, at, field, changes)?;
            }
            groups += 1;
        }
        at += field.raw.len();
    }
    Ok(replacements)
}

/// What changes in the group at `start`: its resource, and its own length.
fn group(
    replacements: &mut Vec<Replacement>,
    start: usize,
    field: Field<'_>,
    changes: &Changes,
) -> Result<(), EditError> {
    let content = field.content()?;
    let content_start = start + field.raw.len() - content.len();
    // Where there is none it comes last.
    let (mut place, mut before): (_, &[u8]) = (start + field.raw.len()..start + field.raw.len(), &[]);
    let mut at = content_start;
    for field in Fields::of(content) {
        let field = field?;
        if field.number == 1 {
            (place, before) = (at..at + field.raw.len(), field.content()?);
            break;
        }
        at += field.raw.len();
    }
    let mut resource = Writer::default();
    let message = resource.open(1);
    write_attributes(&mut resource, before, 1, changes, &BTreeSet::new())?;
    resource.close(message);
    let mut head = Writer::default();
    head.message_head(field.number, content.len() - place.len() + resource.len());
    replacements.push((start..content_start, head.into_bytes()));
    replacements.push((place, resource.into_bytes()));
    Ok(())
}

/// How long the payload will be.
fn new_len(len: usize, replacements: &[Replacement]) -> usize {
    replacements.iter().fold(len, |len, (place, content)| len - place.len() + content.len())
}

fn copy(payload: &[u8], replacements: &[Replacement]) -> Bytes {
    let mut copy = Vec::with_capacity(new_len(payload.len(), replacements));
    let mut kept_from = 0;
    for (place, content) in replacements {
        copy.extend_from_slice(payload.get(kept_from..place.start).unwrap_or_default());
        copy.extend_from_slice(content);
        kept_from = place.end;
    }
    copy.extend_from_slice(payload.get(kept_from..).unwrap_or_default());
    copy.into()
}

/// Moves what stays to its new place and writes what is new between.
fn replace(payload: &mut BytesMut, replacements: &[Replacement]) {
    let old_len = payload.len();
    let new_len = new_len(old_len, replacements);
    payload.resize(old_len.max(new_len), 0);
    let mut moves = Vec::with_capacity(replacements.len() + 1);
    let (mut from, mut to) = (0, 0);
    for (place, content) in replacements {
        moves.push((from..place.start, to));
        to += place.start - from + content.len();
        from = place.end;
    }
    moves.push((from..old_len, to));
    // Nothing is written over before it has moved: what goes up goes from the last one on, what goes down from the first
    // one on, and as all stay in order none of the ones meets one of the others.
    for (kept, to) in moves.iter().rev().filter(|(kept, to)| *to > kept.start) {
        payload.copy_within(kept.clone(), *to);
    }
    for (kept, to) in moves.iter().filter(|(kept, to)| *to < kept.start) {
        payload.copy_within(kept.clone(), *to);
    }
    for ((_, content), (kept, to)) in replacements.iter().zip(&moves) {
        let start = to + kept.len();
        if let Some(place) = payload.get_mut(start..start + content.len()) {
            place.copy_from_slice(content);
        }
    }
    payload.truncate(new_len);
}
