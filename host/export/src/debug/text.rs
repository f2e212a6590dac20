//! The parts that all three signals share: resources, scopes, attributes, times, ids.

use std::fmt::{Display, Formatter, Result, Write};
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::printable::Printable;

/// A trace or span id, or any bytes, in hexadecimal.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Nanoseconds since 1970, as a date in UTC.
pub(super) struct Time(pub(super) u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // 64 bits of nanoseconds end in the year 2554, which every calendar here can express.
        humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(self.0)).fmt(f)
    }
}

/// An attribute value with its type, `Str("x")`.
pub(super) struct Typed<'a>(pub(super) Option<&'a AnyValue>);

impl Display for Typed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0.and_then(|any| any.value.as_ref()) {
            None => f.write_str("Empty()"),
            Some(Value::StringValue(text)) => write!(f, "Str({text:?})"),
            Some(Value::BoolValue(value)) => write!(f, "Bool({value})"),
            Some(Value::IntValue(value)) => write!(f, "Int({value})"),
            Some(Value::DoubleValue(value)) => write!(f, "Double({value})"),
            Some(Value::BytesValue(bytes)) => write!(f, "Bytes({})", Hex(bytes)),
            Some(Value::StringValueStrindex(index)) => write!(f, "StrIndex({index})"),
            Some(Value::ArrayValue(array)) => {
                f.write_str("Slice([")?;
                separated(f, &array.values, |f, value| Typed(Some(value)).fmt(f))?;
                f.write_str("])")
            }
            Some(Value::KvlistValue(map)) => {
                f.write_str("Map({")?;
                separated(f, &map.values, |f, pair| write!(f, "{:?}: {}", pair.key, Typed(pair.value.as_ref())))?;
                f.write_str("})")
            }
        }
    }
}

/// Attributes on one line, `a="x" b=1`, with a space before each.
pub(super) struct Inline<'a>(pub(super) &'a [KeyValue]);

impl Display for Inline<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for pair in self.0 {
            write!(f, " {}=", Printable(&pair.key))?;
            match pair.value.as_ref().and_then(|any| any.value.as_ref()) {
                Some(Value::StringValue(text)) => write!(f, "{text:?}")?,
                Some(Value::BoolValue(value)) => write!(f, "{value}")?,
                Some(Value::IntValue(value)) => write!(f, "{value}")?,
                Some(Value::DoubleValue(value)) => write!(f, "{value}")?,
                _ => Typed(pair.value.as_ref()).fmt(f)?,
            }
        }
        Ok(())
    }
}

fn separated<T>(f: &mut Formatter<'_>, items: &[T], write: impl Fn(&mut Formatter<'_>, &T) -> Result) -> Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    Ok(())
}

/// `Name: value`, unless the value is empty.
pub(super) fn line(out: &mut String, name: &str, value: &str) -> Result {
    if value.is_empty() { Ok(()) } else { writeln!(out, "{name}: {}", Printable(value)) }
}

/// A line per attribute under a heading, nothing when there are none.
pub(super) fn attributes(out: &mut String, heading: &str, attributes: &[KeyValue]) -> Result {
    if attributes.is_empty() {
        return Ok(());
    }
    writeln!(out, "{heading}:")?;
    for pair in attributes {
        writeln!(out, "     -> {}: {}", Printable(&pair.key), Typed(pair.value.as_ref()))?;
    }
    Ok(())
}

/// A time under a name, unless it is not set.
pub(super) fn time(out: &mut String, name: &str, nanos: u64) -> Result {
    if nanos == 0 { Ok(()) } else { writeln!(out, "{name}: {}", Time(nanos)) }
}

/// An id under a name, unless it is not set.
pub(super) fn id(out: &mut String, name: &str, bytes: &[u8]) -> Result {
    if bytes.is_empty() { Ok(()) } else { writeln!(out, "{name}: {}", Hex(bytes)) }
}

/// The heading of everything from one resource.
pub(super) fn resource(out: &mut String, at: usize, resource: Option<&Resource>, schema_url: &str) -> Result {
    writeln!(out, "Resource #{at}")?;
    line(out, "Schema URL", schema_url)?;
    attributes(out, "Resource attributes", resource.map(|it| it.attributes.as_slice()).unwrap_or_default())
}

/// The heading of everything from one scope.
pub(super) fn scope(out: &mut String, at: usize, scope: Option<&InstrumentationScope>, schema_url: &str) -> Result {
    writeln!(out, "Scope #{at}")?;
    line(out, "Schema URL", schema_url)?;
    let Some(scope) = scope else { return Ok(()) };
    line(out, "Scope name", &scope.name)?;
    line(out, "Scope version", &scope.version)?;
    attributes(out, "Scope attributes", &scope.attributes)
}

/// The one-line heading of everything from one resource.
pub(super) fn resource_inline(out: &mut String, resource: Option<&Resource>) -> Result {
    writeln!(out, "resource{}", Inline(resource.map(|it| it.attributes.as_slice()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_shows_its_type_and_no_control_characters() {
        let any = |value| AnyValue { value: Some(value) };
        let nested = any(Value::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList {
            values: vec![KeyValue {
                key: "k\n".to_owned(),
                value: Some(any(Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue {
                    values: vec![any(Value::IntValue(1)), any(Value::StringValue("a\x1b".to_owned()))],
                }))),
                ..KeyValue::default()
            }],
        }));
        assert_eq!(Typed(Some(&nested)).to_string(), r#"Map({"k\n": Slice([Int(1), Str("a\u{1b}")])})"#);
        assert_eq!(Typed(None).to_string(), "Empty()");
        assert_eq!(Typed(Some(&any(Value::BytesValue(vec![1, 255])))).to_string(), "Bytes(01ff)");
    }

    #[test]
    fn every_time_has_a_date() {
        assert_eq!(Time(1_700_000_000_000_000_001).to_string(), "2023-11-14T22:13:20.000000001Z");
        assert_eq!(Time(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
    }
}
