//! What passes between the host and a processor: views go in, edits come out.

use kiln_otlp::{Attribute, AttributeValue, ResourceEdit, Signal};

use super::guest_memory::MAX_KEY_BYTES;
use super::processor::kiln::plugin::processing;
use super::receiver::kiln::plugin::telemetry;
use crate::call_error::CallError;
use crate::instance::ProcessorView;

/// Understands edits, which must keep to `writes`: what the manifest says is written.
/// None of their texts may be longer than `string_bytes`.
pub(crate) fn lift_edits(
    edits: Vec<processing::Edit>,
    writes: &[String],
    string_bytes: usize,
) -> Result<Vec<ResourceEdit>, CallError> {
    edits.into_iter().map(|edit| lift_edit(edit, writes, string_bytes)).collect()
}

fn lift_edit(edit: processing::Edit, writes: &[String], string_bytes: usize) -> Result<ResourceEdit, CallError> {
    let edit = match edit {
        processing::Edit::SetResourceAttribute(set) => {
            ResourceEdit::Set { resource: index(set.target), key: set.key, value: lift_value(set.value) }
        }
        processing::Edit::RemoveResourceAttribute(remove) => {
            ResourceEdit::Remove { resource: index(remove.target), key: remove.key }
        }
        processing::Edit::DropMetric(_)
        | processing::Edit::RenameMetric(_)
        | processing::Edit::DropPoint(_)
        | processing::Edit::SetPointAttribute(_)
        | processing::Edit::RemovePointAttribute(_)
        | processing::Edit::Aggregate(_) => {
            return Err(CallError::Edit("returned an edit below its declared level, resource".to_owned()));
        }
    };
    check_size(&edit, string_bytes)?;
    let (ResourceEdit::Set { key, .. } | ResourceEdit::Remove { key, .. }) = &edit;
    if writes.iter().any(|declared| declared == "*" || declared == key) {
        Ok(edit)
    } else {
        Err(CallError::Edit(format!("returned an edit of `{key}`, which its manifest does not say it writes")))
    }
}

fn check_size(edit: &ResourceEdit, string_bytes: usize) -> Result<(), CallError> {
    let ResourceEdit::Set { key, value, .. } = edit else { return Ok(()) };
    if key.len() > MAX_KEY_BYTES {
        return Err(CallError::Edit(format!(
            "returned an edit whose key has {} bytes, more than {MAX_KEY_BYTES}",
            key.len()
        )));
    }
    let longest = match value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Bytes(bytes) => bytes.len(),
        AttributeValue::TextList(texts) => texts.iter().map(String::len).max().unwrap_or_default(),
        AttributeValue::Boolean(_)
        | AttributeValue::Integer(_)
        | AttributeValue::Float(_)
        | AttributeValue::BooleanList(_)
        | AttributeValue::IntegerList(_)
        | AttributeValue::FloatList(_) => 0,
    };
    if longest > string_bytes {
        return Err(CallError::Edit(format!(
            "returned an edit with a text of {longest} bytes, more than `limits.string_bytes` allows ({string_bytes})"
        )));
    }
    Ok(())
}

fn index(target: u32) -> usize {
    usize::try_from(target).unwrap_or(usize::MAX)
}

/// Shows a view to a processor.
pub(crate) fn lower_view(view: ProcessorView) -> processing::View {
    let resources = view
        .resources
        .into_iter()
        .map(|attributes| processing::ResourceView {
            attributes: attributes
                .into_iter()
                .map(|Attribute { key, value }| telemetry::Attribute { key, value: lower_value(value) })
                .collect(),
        })
        .collect();
    processing::View {
        signal: match view.signal {
            Signal::Metrics => processing::Signal::Metrics,
            Signal::Traces => processing::Signal::Spans,
            Signal::Logs => processing::Signal::Logs,
        },
        resources,
        metrics: Vec::new(),
        points: Vec::new(),
        strings: Vec::new(),
    }
}

fn lower_value(value: AttributeValue) -> telemetry::AttributeValue {
    match value {
        AttributeValue::Text(value) => telemetry::AttributeValue::Text(value),
        AttributeValue::Boolean(value) => telemetry::AttributeValue::Boolean(value),
        AttributeValue::Integer(value) => telemetry::AttributeValue::Integer(value),
        AttributeValue::Float(value) => telemetry::AttributeValue::Float(value),
        AttributeValue::Bytes(value) => telemetry::AttributeValue::Bytes(value),
        AttributeValue::TextList(value) => telemetry::AttributeValue::TextList(value),
        AttributeValue::BooleanList(value) => telemetry::AttributeValue::BooleanList(value),
        AttributeValue::IntegerList(value) => telemetry::AttributeValue::IntegerList(value),
        AttributeValue::FloatList(value) => telemetry::AttributeValue::FloatList(value),
    }
}

fn lift_value(value: telemetry::AttributeValue) -> AttributeValue {
    match value {
        telemetry::AttributeValue::Text(value) => AttributeValue::Text(value),
        telemetry::AttributeValue::Boolean(value) => AttributeValue::Boolean(value),
        telemetry::AttributeValue::Integer(value) => AttributeValue::Integer(value),
        telemetry::AttributeValue::Float(value) => AttributeValue::Float(value),
        telemetry::AttributeValue::Bytes(value) => AttributeValue::Bytes(value),
        telemetry::AttributeValue::TextList(value) => AttributeValue::TextList(value),
        telemetry::AttributeValue::BooleanList(value) => AttributeValue::BooleanList(value),
        telemetry::AttributeValue::IntegerList(value) => AttributeValue::IntegerList(value),
        telemetry::AttributeValue::FloatList(value) => AttributeValue::FloatList(value),
    }
}
