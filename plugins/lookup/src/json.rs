//! Tables as JSON: a list of objects, each with its key in a field; or an object of objects, each under its key.
//!
//! ```json
//! [ { "job_id": 42, "team": "orders" } ]
//! { "42": { "team": "orders" } }
//! ```
//!
//! Values keep their type. It is read in one pass into the table, so that a file is not in memory a third time.

use core::fmt;

use kiln_plugin::telemetry::AttributeValue;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::table::{Builder, Problem, Row, Table, TableError, check_value, excerpt, key_text};

/// Reads a table.
///
/// # Errors
/// What is wrong with it, and on which line.
pub(crate) fn read(content: &[u8], mut table: Builder<'_>) -> Result<Table, TableError> {
    let mut parser =
        serde_json::Deserializer::from_slice(content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content));
    let read = Rows(&mut table).deserialize(&mut parser).and_then(|()| parser.end());
    read.map_err(|error| {
        let text = error.to_string();
        // The line is told in front, as for the other format.
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        Problem::Json(message.to_owned()).on_line(error.line())
    })?;
    Ok(table.finish()?)
}

struct Rows<'b, 'c>(&'b mut Builder<'c>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects or an object of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while rows.next_element_seed(Fields { table: self.0, key: None })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(key) = rows.next_key::<String>()? {
            rows.next_value_seed(Fields { table: self.0, key: Some(key) })?;
        }
        Ok(())
    }
}

/// The fields of one row.
struct Fields<'b, 'c> {
    table: &'b mut Builder<'c>,
    /// Its key, where it does not stand in a field.
    key: Option<String>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "an object under `{}`", excerpt(key)),
            None => f.write_str("an object"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self { table, mut key } = self;
        let is_keyed = key.is_some();
        let mut row = Row::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Field(&name))?;
            if let Some(AttributeValue::Text(text)) = &value {
                check_value(&name, text).map_err(A::Error::custom)?;
            }
            for place in table.places(&name).map_err(A::Error::custom)? {
                if row.len() <= place {
                    row.resize(place + 1, None);
                }
                if let Some(slot) = row.get_mut(place) {
                    slot.clone_from(&value);
                }
            }
            if name == table.key_column() && !is_keyed {
                let text = value.as_ref().map(|value| key_text(value).map(std::borrow::Cow::into_owned));
                key = match text {
                    Some(None) => {
                        let message = format!("`{}` is a number with a fraction, which no key can be", excerpt(&name));
                        return Err(A::Error::custom(message));
                    }
                    Some(text) => text,
                    None => None,
                };
            }
        }
        let Some(key) = key else {
            let message = format!("this object has no `{}`, the field with its key", excerpt(table.key_column()));
            return Err(A::Error::custom(message));
        };
        table.add(key, row).map_err(A::Error::custom)
    }
}

/// One value, for the error that names its field.
struct Field<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<AttributeValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<AttributeValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text, a number, a boolean or null for `{}`", excerpt(self.0))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let integer = i64::try_from(value);
        let integer = integer.map_err(|_| {
            E::custom(format!("{value} of `{}` is too large for an attribute: 64 bits, signed", excerpt(self.0)))
        })?;
        Ok(Some(integer.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }
}
