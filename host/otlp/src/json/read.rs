//! The other way: a request in OTLP JSON as the payload it stands for.
//!
//! By the same table of names. Names it does not know are passed over, as the specification asks of receivers, and so is
//! `null`. 64-bit integers may be numbers or text, and enumerations the number only, as OTLP has it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::schema::{self, Field, Kind, Message};
use crate::batch::{Batch, Signal};
use crate::wire::Writer;

/// Reads an export request; which of the three it is, its only key says.
///
/// # Errors
/// It is not JSON, not such a request, or a value is not what its field holds: says which.
pub fn from_json(text: &str) -> Result<Batch, JsonError> {
    let value: Value = serde_json::from_str(text).map_err(|error| JsonError::Syntax(error.to_string()))?;
    request(&value)
}

/// Reads export requests that stand one after the other, as in a file with one on each line. Ends after text that is not JSON.
pub fn all_from_json(text: &str) -> impl Iterator<Item = Result<Batch, JsonError>> + '_ {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.map(|value| request(&value.map_err(|error| JsonError::Syntax(error.to_string()))?))
}

fn request(value: &Value) -> Result<Batch, JsonError> {
    let requests = [
        ("resourceMetrics", Signal::Metrics, &schema::METRICS),
        ("resourceSpans", Signal::Traces, &schema::TRACES),
        ("resourceLogs", Signal::Logs, &schema::LOGS),
    ];
    let fields = value.as_object().ok_or(JsonError::NoRequest)?;
    let mut known = requests.into_iter().filter(|(key, _, _)| fields.contains_key(*key));
    let (Some((_, signal, message)), None) = (known.next(), known.next()) else { return Err(JsonError::NoRequest) };
    let mut writer = Writer::default();
    write_fields(&mut writer, message, fields).map_err(JsonError::Value)?;
    let payload = Bytes::from(writer.into_bytes());
    let items = crate::split::count_items(signal, &payload).map_err(|_| JsonError::NoRequest)?;
    Ok(Batch { signal, payload, items })
}

/// Why a text is no export request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON.
    #[error("is not JSON: {0}")]
    Syntax(String),
    /// It is something else.
    #[error("is no OTLP JSON: an object with either `resourceMetrics`, `resourceSpans` or `resourceLogs`")]
    NoRequest,
    /// A value is not what its field holds.
    #[error("is no OTLP JSON: {0}")]
    Value(Misfit),
}

/// A value that is not what its field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The fields that lead to it, the last one first.
    path: Vec<&'static str>,
    expected: &'static str,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<_> = self.path.iter().rev().copied().collect();
        write!(f, "`{}` is not {}", path.join("."), self.expected)
    }
}

/// The JSON library has bounded the depth.
fn write_fields(writer: &mut Writer, message: &Message, fields: &Map<String, Value>) -> Result<(), Misfit> {
    for field in message.0 {
        let Some(value) = fields.get(field.name).filter(|value| !value.is_null()) else { continue };
        write_field(writer, field, value).map_err(|mut misfit| {
            misfit.path.push(field.name);
            misfit
        })?;
    }
    Ok(())
}

fn write_field(writer: &mut Writer, field: &Field, value: &Value) -> Result<(), Misfit> {
    if !field.is_repeated {
        return write_value(writer, field, value);
    }
    let items = value.as_array().ok_or_else(|| misfit("a list"))?;
    match field.kind {
        Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_) => {
            items.iter().try_for_each(|item| write_value(writer, field, item))
        }
        Kind::Fixed64 | Kind::SignedFixed64 | Kind::Double => {
            let numbers = items.iter().map(|item| number(field.kind, item)).collect::<Result<Vec<_>, _>>()?;
            writer.packed_fixed64(field.number, numbers.into_iter());
            Ok(())
        }
        Kind::Boolean | Kind::Small | Kind::Signed | Kind::Fixed32 | Kind::Unsigned64 | Kind::Signed64 => {
            let numbers = items.iter().map(|item| number(field.kind, item)).collect::<Result<Vec<_>, _>>()?;
            if !numbers.is_empty() {
                writer.packed_varint(field.number, numbers.into_iter());
            }
            Ok(())
        }
    }
}

fn write_value(writer: &mut Writer, field: &Field, value: &Value) -> Result<(), Misfit> {
    match field.kind {
        Kind::Text => writer.bytes(field.number, value.as_str().ok_or_else(|| misfit("text"))?.as_bytes()),
        Kind::Id => writer.bytes(field.number, &hexadecimal(value).ok_or_else(|| misfit("an id in hexadecimal"))?),
        Kind::Bytes => {
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            writer.bytes(field.number, &bytes.ok_or_else(|| misfit("base64"))?);
        }
        Kind::Message(message) => {
            let fields = value.as_object().ok_or_else(|| misfit("an object"))?;
            let open = writer.open(field.number);
            write_fields(writer, message, fields)?;
            writer.close(open);
        }
        Kind::Fixed64 | Kind::SignedFixed64 | Kind::Double => writer.fixed64(field.number, number(field.kind, value)?),
        Kind::Fixed32 => {
            let number = u32::try_from(number(field.kind, value)?).map_err(|_| misfit("a number of 32 bits"))?;
            writer.fixed32(field.number, number);
        }
        Kind::Boolean | Kind::Small | Kind::Signed | Kind::Unsigned64 | Kind::Signed64 => {
            writer.varint(field.number, number(field.kind, value)?);
        }
    }
    Ok(())
}

/// A number as its field has it on the wire.
#[allow(clippy::cast_sign_loss, reason = "protobuf's signed integers are unsigned ones with the same bits")]
fn number(kind: Kind, value: &Value) -> Result<u64, Misfit> {
    match kind {
        Kind::Boolean => value.as_bool().map(u64::from).ok_or_else(|| misfit("`true` or `false`")),
        Kind::Double => double(value).map(f64::to_bits).ok_or_else(|| misfit("a number")),
        Kind::Unsigned64 | Kind::Fixed64 => {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.ok_or_else(|| misfit("a whole number of 64 bits that is not negative"))
        }
        Kind::Signed64 | Kind::SignedFixed64 => {
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            number.map(|number| number as u64).ok_or_else(|| misfit("a whole number of 64 bits"))
        }
        // Counts are unsigned and enumerations signed: whichever fits.
        Kind::Small | Kind::Fixed32 => {
            let number = value.as_i64().filter(|number| {
                let least = if matches!(kind, Kind::Small) { i64::from(i32::MIN) } else { 0 };
                (least..=i64::from(u32::MAX)).contains(number)
            });
            number.map(|number| number as u64).ok_or_else(|| misfit("a number of 32 bits"))
        }
        Kind::Signed => {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            let number = number.ok_or_else(|| misfit("a whole number of 32 bits"))?;
            Ok(u64::from((number << 1 ^ number >> 31) as u32))
        }
        Kind::Text | Kind::Id | Kind::Bytes | Kind::Message(_) => Err(misfit("a number")),
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok().filter(|number: &f64| number.is_finite()),
        },
        _ => None,
    }
}

fn hexadecimal(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

const fn misfit(expected: &'static str) -> Misfit {
    Misfit { path: Vec::new(), expected }
}
