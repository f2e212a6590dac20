//! A payload as OTLP JSON, written from its bytes in one walk over each message.
//!
//! The rules are those of the OTLP specification, "JSON Protobuf Encoding": names in lower camel case, ids in hexadecimal,
//! enumerations as numbers, 64-bit integers as text, and `"NaN"`, `"Infinity"` and `"-Infinity"` for the doubles that JSON
//! lacks, as proto3 has it. The serde implementations of `opentelemetry-proto` write `null` for those, which a receiver reads
//! as 0 or refuses. What fields have their default value and are not in the payload is not in the text either. Unknown fields
//! have no name and are left out, which is all that this encoding loses.
//!
//! A text is at most as deep as [`MAX_DEPTH`], and its size is bounded by that of the payload: a byte becomes at most
//! six characters beside the names.

mod read;
mod schema;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::batch::Signal;
use crate::wire::{Field as Raw, Fields, Malformed, Value};
use schema::{Field, Kind, Message};

pub use read::{JsonError, Misfit, all_from_json, from_json};

/// Messages within messages. A decoder of protobuf gives up at 100.
const MAX_DEPTH: usize = 100;

/// Writes an export request as JSON, in one line without its end.
///
/// # Errors
/// The payload is no such request.
pub fn to_json(signal: Signal, payload: &[u8]) -> Result<String, Malformed> {
    let message = match signal {
        Signal::Metrics => &schema::METRICS,
        Signal::Traces => &schema::TRACES,
        Signal::Logs => &schema::LOGS,
    };
    // Names and quotation marks make it about three times as long.
    let mut text = String::with_capacity(payload.len().saturating_mul(3));
    write_message(&mut text, message, payload, MAX_DEPTH)?;
    Ok(text)
}

fn write_message(text: &mut String, message: &Message, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let mut fields: Vec<(usize, Raw<'_>)> = Vec::new();
    for raw in Fields::of(bytes) {
        let raw = raw?;
        if let Some(position) = message.0.iter().position(|field| field.number == raw.number) {
            fields.push((position, raw));
        }
    }
    // Stable: what is repeated keeps its order.
    fields.sort_by_key(|(position, _)| *position);
    text.push('{');
    let mut is_first = true;
    for group in fields.chunk_by(|(one, _), (next, _)| one == next) {
        let Some((position, last)) = group.last() else { continue };
        let Some(field) = message.0.get(*position) else { continue };
        if !std::mem::take(&mut is_first) {
            text.push(',');
        }
        let _infallible = write!(text, "\"{}\":", field.name);
        if field.is_repeated {
            write_list(text, field, group, depth)?;
        } else {
            // Of a field that is there more than once the last one counts.
            write_value(text, field.kind, last, depth)?;
        }
    }
    for (position, field) in message.0.iter().enumerate().filter(|(_, field)| field.is_always) {
        if !fields.iter().any(|(written, _)| *written == position) {
            let comma = if std::mem::take(&mut is_first) { "" } else { "," };
            let empty = if field.is_repeated { "[]" } else { "\"\"" };
            let _infallible = write!(text, "{comma}\"{}\":{empty}", field.name);
        }
    }
    text.push('}');
    Ok(())
}

fn write_list(text: &mut String, field: &Field, group: &[(usize, Raw<'_>)], depth: usize) -> Result<(), Malformed> {
    text.push('[');
    let mut is_first = true;
    for (_, raw) in group {
        let is_packed = matches!(raw.value, Value::Bytes(_))
            && !matches!(field.kind, Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_));
        let mut one = |text: &mut String, raw: &Raw<'_>| {
            if !std::mem::take(&mut is_first) {
                text.push(',');
            }
            write_value(text, field.kind, raw, depth)
        };
        if is_packed {
            for value in packed(field.kind, raw.content()?) {
                one(text, &Raw { value: value?, ..*raw })?;
            }
        } else {
            one(text, raw)?;
        }
    }
    text.push(']');
    Ok(())
}

/// The numbers of a packed list; of the kinds OTLP has in lists.
fn packed(kind: Kind, bytes: &[u8]) -> impl Iterator<Item = Result<Value<'_>, Malformed>> {
    let mut rest = bytes;
    let is_fixed = matches!(kind, Kind::Fixed64 | Kind::SignedFixed64 | Kind::Double);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let value = if is_fixed {
            take_fixed64(&mut rest).map(Value::Fixed64)
        } else {
            take_varint(&mut rest).map(Value::Varint)
        };
        if value.is_none() {
            rest = &[];
        }
        Some(value.ok_or(Malformed))
    })
}

fn take_fixed64(rest: &mut &[u8]) -> Option<u64> {
    let (eight, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*eight))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "protobuf's integers are cut and signed so"
)]
fn write_value(text: &mut String, kind: Kind, raw: &Raw<'_>, depth: usize) -> Result<(), Malformed> {
    let _infallible = match (kind, raw.value) {
        (Kind::Text, Value::Bytes(bytes)) => {
            write_text(text, std::str::from_utf8(bytes).map_err(|_| Malformed)?);
            Ok(())
        }
        (Kind::Boolean, Value::Varint(value)) => write!(text, "{}", value != 0),
        // Enumerations and indexes are signed, and a negative one takes ten bytes.
        (Kind::Small, Value::Varint(value)) if value > u64::from(u32::MAX) => write!(text, "{}", value as i32),
        (Kind::Small, Value::Varint(value)) => write!(text, "{value}"),
        (Kind::Signed, Value::Varint(value)) => {
            let value = value as u32;
            write!(text, "{}", (value >> 1) as i32 ^ -((value & 1) as i32))
        }
        (Kind::Fixed32, Value::Fixed32) => {
            // The four bytes are the last of the field.
            let four = raw.raw.last_chunk().ok_or(Malformed)?;
            write!(text, "{}", u32::from_le_bytes(*four))
        }
        (Kind::Unsigned64, Value::Varint(value)) | (Kind::Fixed64, Value::Fixed64(value)) => {
            write!(text, "\"{value}\"")
        }
        (Kind::Signed64, Value::Varint(value)) | (Kind::SignedFixed64, Value::Fixed64(value)) => {
            write!(text, "\"{}\"", value as i64)
        }
        (Kind::Double, Value::Fixed64(bits)) => write_double(text, f64::from_bits(bits)),
        (Kind::Id, Value::Bytes(bytes)) => {
            text.push('"');
            for byte in bytes {
                let _infallible = write!(text, "{byte:02x}");
            }
            text.push('"');
            Ok(())
        }
        (Kind::Bytes, Value::Bytes(bytes)) => {
            text.push('"');
            STANDARD.encode_string(bytes, text);
            text.push('"');
            Ok(())
        }
        (Kind::Message(message), Value::Bytes(bytes)) => return write_message(text, message, bytes, depth),
        _ => return Err(Malformed),
    };
    Ok(())
}

/// The shortest that reads back as the same number.
fn write_double(text: &mut String, value: f64) -> std::fmt::Result {
    match value {
        value if value.is_nan() => text.write_str("\"NaN\""),
        f64::INFINITY => text.write_str("\"Infinity\""),
        f64::NEG_INFINITY => text.write_str("\"-Infinity\""),
        value => write!(text, "{value:?}"),
    }
}

fn write_text(text: &mut String, value: &str) {
    text.push('"');
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte != b'"' && byte != b'\\' && byte >= 0x20 {
            continue;
        }
        text.push_str(value.get(plain..at).unwrap_or_default());
        plain = at + 1;
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            other => {
                let _infallible = write!(text, "\\u{other:04x}");
            }
        }
    }
    text.push_str(value.get(plain..).unwrap_or_default());
    text.push('"');
}
