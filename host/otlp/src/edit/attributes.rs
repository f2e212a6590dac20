//! Changing the attributes of one message: those of a resource, a point, a span or a log record.

use std::collections::BTreeSet;

use super::{Changes, EditError};
use crate::attribute::{MAX_ATTRIBUTES, key_value, write_key_value};
use crate::wire::{Fields, Writer};

/// Writes the fields of `message`, whose attributes are the field `number`, with `changes` made to them and without those
/// in `without`. Whatever else it holds is copied.
pub(super) fn write_attributes(
    writer: &mut Writer,
    message: &[u8],
    number: u32,
    changes: &Changes,
    without: &BTreeSet<String>,
) -> Result<(), EditError> {
    // Set once, even if a key occurs twice against the rules.
    let mut written: BTreeSet<&str> = BTreeSet::new();
    let mut kept = 0;
    for field in Fields::of(message) {
        let field = field?;
        if field.number != number {
            writer.raw(field.raw);
            continue;
        }
        let (key, _) = key_value(field.content()?)?;
        if without.contains(key) {
            continue;
        }
        match changes.get_key_value(key) {
            Some((key, Some(value))) if written.insert(key) => write_key_value(writer, number, key, value),
            Some(_) => {}
            None => {
                kept += 1;
                writer.raw(field.raw);
            }
        }
    }
    let mut added = false;
    for (key, value) in changes {
        if let Some(value) = value
            && !without.contains(key)
            && written.insert(key)
        {
            added = true;
            write_key_value(writer, number, key, value);
        }
    }
    if added && kept + written.len() > MAX_ATTRIBUTES {
        return Err(EditError::TooManyAttributes(MAX_ATTRIBUTES));
    }
    Ok(())
}
