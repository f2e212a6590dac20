//! Looking at resources and changing them, in place among bytes nobody else looks at.
//!
//! The three request types are alike down to the resource: field 1 repeats a group, whose field 1 is the resource,
//! whose field 1 repeats attributes. Cost follows the number of resources; the rest of the batch is copied.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::attribute::{Attribute, AttributeValue, key_value, write_key_value};
use crate::batch::Batch;
use crate::wire::{Fields, Malformed, Writer};

/// The attributes of every resource of the batch, in order. Maps and mixed lists are left out.
///
/// # Errors
/// The payload is not well formed.
pub fn resources(batch: &Batch) -> Result<Vec<Vec<Attribute>>, Malformed> {
    let mut resources = Vec::new();
    for group in Fields::of(&batch.payload) {
        let group = group?;
        if group.number != 1 {
            continue;
        }
        let mut attributes = Vec::new();
        for field in Fields::of(group.content()?) {
            let field = field?;
            if field.number == 1 {
                read_attributes(field.content()?, &mut attributes)?;
            }
        }
        resources.push(attributes);
    }
    Ok(resources)
}

fn read_attributes(resource: &[u8], attributes: &mut Vec<Attribute>) -> Result<(), Malformed> {
    for field in Fields::of(resource) {
        let field = field?;
        if field.number == 1 {
            let (key, value) = key_value(field.content()?)?;
            if let Some(value) = AttributeValue::read(value)? {
                attributes.push(Attribute { key: key.to_owned(), value });
            }
        }
    }
    Ok(())
}

/// A change to one resource.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceEdit {
    /// Adds the attribute or replaces its value.
    Set {
        /// Index among [`resources`].
        resource: usize,
        /// Not empty.
        key: String,
        /// The new value.
        value: AttributeValue,
    },
    /// Removes the attribute, if it is there.
    Remove {
        /// Index among [`resources`].
        resource: usize,
        /// The key.
        key: String,
    },
}

/// Why edits are refused. The batch is left as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No such resource.
    #[error("an edit names resource {index} of a batch with {count}")]
    NoSuchResource {
        /// What the edit says.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A key without a character.
    #[error("an edit has an empty key")]
    EmptyKey,
    /// The payload is not well formed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What becomes of the attributes of one resource: a value to set, or `None` to remove.
type Changes<'e> = BTreeMap<&'e str, Option<&'e AttributeValue>>;

/// The batch with the edits applied in order; later edits of a key win.
///
/// # Errors
/// One of the edits does not fit the batch; then none is applied.
pub fn edit_resources(batch: &Batch, edits: &[ResourceEdit]) -> Result<Batch, EditError> {
    let mut changes: BTreeMap<usize, Changes<'_>> = BTreeMap::new();
    for edit in edits {
        let (index, key, value) = match edit {
            ResourceEdit::Set { resource, key, value } => (*resource, key, Some(value)),
            ResourceEdit::Remove { resource, key } => (*resource, key, None),
        };
        if key.is_empty() {
            return Err(EditError::EmptyKey);
        }
        changes.entry(index).or_default().insert(key, value);
    }
    let mut writer = Writer::default();
    let mut count = 0;
    for field in Fields::of(&batch.payload) {
        let field = field?;
        if field.number != 1 {
            writer.raw(field.raw);
            continue;
        }
        match changes.get(&count) {
            Some(changes) => write_group(&mut writer, field.content()?, changes)?,
            None => writer.raw(field.raw),
        }
        count += 1;
    }
    match changes.keys().next_back() {
        Some(&index) if index >= count => Err(EditError::NoSuchResource { index, count }),
        Some(_) | None => {
            Ok(Batch { payload: Bytes::from(writer.into_bytes()), signal: batch.signal, items: batch.items })
        }
    }
}

fn write_group(writer: &mut Writer, group: &[u8], changes: &Changes<'_>) -> Result<(), Malformed> {
    let message = writer.open(1);
    let mut pending = changes.clone();
    let mut has_resource = false;
    for field in Fields::of(group) {
        let field = field?;
        if field.number == 1 && !has_resource {
            has_resource = true;
            write_resource(writer, field.content()?, &mut pending)?;
        } else {
            writer.raw(field.raw);
        }
    }
    if !has_resource {
        write_resource(writer, &[], &mut pending)?;
    }
    writer.close(message);
    Ok(())
}

fn write_resource(writer: &mut Writer, resource: &[u8], pending: &mut Changes<'_>) -> Result<(), Malformed> {
    let message = writer.open(1);
    for field in Fields::of(resource) {
        let field = field?;
        let key = if field.number == 1 { Some(key_value(field.content()?)?.0) } else { None };
        match key.and_then(|key| pending.get_mut(key).map(|change| (key, change))) {
            // Taken, so that a key that occurs twice against the rules is set once.
            Some((key, change)) => {
                if let Some(value) = change.take() {
                    write_key_value(writer, 1, key, value);
                }
            }
            None => writer.raw(field.raw),
        }
    }
    for (key, value) in pending.iter() {
        if let Some(value) = value {
            write_key_value(writer, 1, key, value);
        }
    }
    writer.close(message);
    Ok(())
}
