//! What becomes of values.

use std::fmt::Write as _;

use kiln_plugin::telemetry::AttributeValue;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// What a value can be converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Type {
    Int,
    Double,
    String,
}

/// Whether nothing has changed. What is not a number is equal to itself here.
pub(crate) fn is_same(before: Option<&AttributeValue>, after: Option<&AttributeValue>) -> bool {
    match (before, after) {
        (Some(AttributeValue::Float(before)), Some(AttributeValue::Float(after))) => {
            before.to_bits() == after.to_bits()
        }
        (Some(AttributeValue::FloatList(before)), Some(AttributeValue::FloatList(after))) => {
            before.iter().map(|value| value.to_bits()).eq(after.iter().map(|value| value.to_bits()))
        }
        (before, after) => before == after,
    }
}

/// The SHA-256 of the value in hexadecimal digits, over the bytes the Collector takes: those of a text, the eight of a number
/// with the lowest first, one of a boolean. Lists have none, and neither has the empty text.
pub(crate) fn hash(value: &AttributeValue) -> Option<AttributeValue> {
    let bytes = match value {
        AttributeValue::Text(text) if text.is_empty() => return None,
        AttributeValue::Text(text) => text.as_bytes().to_vec(),
        AttributeValue::Boolean(value) => vec![u8::from(*value)],
        AttributeValue::Integer(value) => value.to_le_bytes().to_vec(),
        AttributeValue::Float(value) => value.to_bits().to_le_bytes().to_vec(),
        _ => return None,
    };
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        // A String takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text.into())
}

/// The same value as another type; `None` where it is that already, or cannot be.
pub(crate) fn convert(value: &AttributeValue, to: Type) -> Option<AttributeValue> {
    match (value, to) {
        (AttributeValue::Text(text), Type::Int) => text.trim().parse::<i64>().ok().map(Into::into),
        (AttributeValue::Text(text), Type::Double) => text.trim().parse::<f64>().ok().map(Into::into),
        (AttributeValue::Integer(value), Type::Double) => Some((*value as f64).into()),
        (AttributeValue::Float(value), Type::Int) => whole(*value).map(Into::into),
        (AttributeValue::Boolean(value), Type::Int) => Some(i64::from(*value).into()),
        (AttributeValue::Boolean(value), Type::Double) => Some(f64::from(u8::from(*value)).into()),
        (AttributeValue::Boolean(value), Type::String) => Some(value.to_string().into()),
        (AttributeValue::Integer(value), Type::String) => Some(value.to_string().into()),
        (AttributeValue::Float(value), Type::String) => Some(value.to_string().into()),
        _ => None,
    }
}

/// A number without its fraction, where there is an integer like that.
fn whole(value: f64) -> Option<i64> {
    // The largest integer is no floating-point number; the next one is.
    (value >= i64::MIN as f64 && value < i64::MAX as f64).then_some(value as i64)
}
