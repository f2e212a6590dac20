//! Attributes: `KeyValue` lists and the values Kiln's contract can express.

use crate::encode::Invalid;
use crate::wire::{Fields, Malformed, Value, Writer};

/// More attributes than this on one resource, point, span or record are refused. The Collector's SDKs default to 128.
pub const MAX_ATTRIBUTES: usize = 128;

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Not empty.
    pub key: String,
    /// See [`AttributeValue`].
    pub value: AttributeValue,
}

/// The values the contract can express: all of OTLP's but maps and mixed lists.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum AttributeValue {
    Text(String),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Bytes(Vec<u8>),
    TextList(Vec<String>),
    BooleanList(Vec<bool>),
    IntegerList(Vec<i64>),
    FloatList(Vec<f64>),
}

impl AttributeValue {
    /// Reads an `AnyValue`; `None` for what the contract cannot express.
    pub(crate) fn read(any_value: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some(field) = Fields::of(any_value).next().transpose()? else { return Ok(None) };
        Ok(match (field.number, field.value) {
            (1, Value::Bytes(text)) => Some(Self::Text(utf8(text)?)),
            (2, Value::Varint(boolean)) => Some(Self::Boolean(boolean != 0)),
            (3, Value::Varint(integer)) => Some(Self::Integer(integer as i64)),
            (4, Value::Fixed64(bits)) => Some(Self::Float(f64::from_bits(bits))),
            (5, Value::Bytes(array)) => Self::read_list(array)?,
            (7, Value::Bytes(bytes)) => Some(Self::Bytes(bytes.to_vec())),
            _ => None,
        })
    }

    fn read_list(array: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut list: Option<Self> = None;
        for field in Fields::of(array) {
            let item = Self::read(field?.content()?)?;
            match (&mut list, item) {
                (None, Some(Self::Text(item))) => list = Some(Self::TextList(vec![item])),
                (None, Some(Self::Boolean(item))) => list = Some(Self::BooleanList(vec![item])),
                (None, Some(Self::Integer(item))) => list = Some(Self::IntegerList(vec![item])),
                (None, Some(Self::Float(item))) => list = Some(Self::FloatList(vec![item])),
                (Some(Self::TextList(items)), Some(Self::Text(item))) => items.push(item),
                (Some(Self::BooleanList(items)), Some(Self::Boolean(item))) => items.push(item),
                (Some(Self::IntegerList(items)), Some(Self::Integer(item))) => items.push(item),
                (Some(Self::FloatList(items)), Some(Self::Float(item))) => items.push(item),
                _ => return Ok(None),
            }
        }
        Ok(list)
    }

    /// What it takes, about: texts and bytes in full, and of lists every item.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => 0,
            Self::TextList(texts) => texts.iter().map(|text| text.len() + size_of::<String>()).sum(),
            Self::BooleanList(items) => items.len(),
            Self::IntegerList(items) => items.len() * size_of::<i64>(),
            Self::FloatList(items) => items.len() * size_of::<f64>(),
        }
    }

    /// Writes the fields of an `AnyValue`.
    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Text(text) => ListItem::Text(text).write(writer),
            Self::Boolean(boolean) => ListItem::Boolean(*boolean).write(writer),
            Self::Integer(integer) => ListItem::Integer(*integer).write(writer),
            Self::Float(float) => ListItem::Float(*float).write(writer),
            Self::Bytes(bytes) => writer.bytes(7, bytes),
            Self::TextList(items) => write_list(writer, items.iter().map(|item| ListItem::Text(item))),
            Self::BooleanList(items) => write_list(writer, items.iter().map(|item| ListItem::Boolean(*item))),
            Self::IntegerList(items) => write_list(writer, items.iter().map(|item| ListItem::Integer(*item))),
            Self::FloatList(items) => write_list(writer, items.iter().map(|item| ListItem::Float(*item))),
        }
    }
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed)
}

/// Key and raw value of an encoded `KeyValue`.
pub(crate) fn key_value(encoded: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let mut key = "";
    let mut value: &[u8] = &[];
    for field in Fields::of(encoded) {
        let field = field?;
        match field.number {
            1 => key = std::str::from_utf8(field.content()?).map_err(|_| Malformed)?,
            2 => value = field.content()?,
            _ => {}
        }
    }
    Ok((key, value))
}

pub(crate) fn write_key_value(writer: &mut Writer, field: u32, key: &str, value: &AttributeValue) {
    let pair = writer.open(field);
    writer.text(1, key);
    let any_value = writer.open(2);
    value.write(writer);
    writer.close(any_value);
    writer.close(pair);
}

/// A value that can stand alone or in a list.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum ListItem<'a> {
    Text(&'a str),
    Boolean(bool),
    Integer(i64),
    Float(f64),
}

impl ListItem<'_> {
    fn write(self, writer: &mut Writer) {
        match self {
            // Unlike elsewhere the empty text is written: an `AnyValue` without a field has no value at all.
            Self::Text(text) => writer.bytes(1, text.as_bytes()),
            Self::Boolean(boolean) => writer.varint(2, u64::from(boolean)),
            Self::Integer(integer) => writer.varint(3, integer as u64),
            Self::Float(float) => writer.double(4, float),
        }
    }
}

fn write_list<'a>(writer: &mut Writer, items: impl Iterator<Item = ListItem<'a>>) {
    let array = writer.open(5);
    for item in items {
        let any_value = writer.open(1);
        item.write(writer);
        writer.close(any_value);
    }
    writer.close(array);
}

/// Writes one list of attributes; refuses empty and repeated keys.
#[derive(Debug)]
pub struct Attributes<'w> {
    writer: &'w mut Writer,
    field: u32,
}

impl<'w> Attributes<'w> {
    pub(crate) fn new(writer: &'w mut Writer, field: u32) -> Self {
        writer.keys.clear();
        Self { writer, field }
    }

    /// An attribute with a single value.
    ///
    /// # Errors
    /// The key is empty or was written before, or there are too many attributes.
    pub fn value(&mut self, key: &str, value: ListItem<'_>) -> Result<(), Invalid> {
        if let ListItem::Text(text) = value {
            self.check(key)?;
            let place = self.writer.text_pair(self.field, key, text);
            self.writer.keys.push(place);
            return Ok(());
        }
        self.write(key, |writer| {
            value.write(writer);
            Ok(())
        })
    }

    /// An attribute held as a whole.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn attribute(&mut self, attribute: &Attribute) -> Result<(), Invalid> {
        self.write(&attribute.key, |writer| {
            attribute.value.write(writer);
            Ok(())
        })
    }

    /// An attribute that is bytes.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn bytes(&mut self, key: &str, bytes: &[u8]) -> Result<(), Invalid> {
        self.write(key, |writer| {
            writer.bytes(7, bytes);
            Ok(())
        })
    }

    /// An attribute that is a list.
    ///
    /// # Errors
    /// As [`Self::value`], and the first error among `items`.
    pub fn list<'a, E: From<Invalid>>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = Result<ListItem<'a>, E>>,
    ) -> Result<(), E> {
        self.write(key, |writer| {
            let array = writer.open(5);
            for item in items {
                let item = item?;
                let any_value = writer.open(1);
                item.write(writer);
                writer.close(any_value);
            }
            writer.close(array);
            Ok(())
        })
    }

    fn check(&self, key: &str) -> Result<(), Invalid> {
        let keys = &self.writer.keys;
        if key.is_empty() {
            return Err(Invalid::EmptyKey);
        }
        if keys.len() >= MAX_ATTRIBUTES {
            return Err(Invalid::TooManyAttributes(MAX_ATTRIBUTES));
        }
        if keys.iter().any(|&(from, to)| self.writer.written(from, to) == key.as_bytes()) {
            return Err(Invalid::RepeatedKey(key.to_owned()));
        }
        Ok(())
    }

    fn write<E: From<Invalid>>(
        &mut self,
        key: &str,
        value: impl FnOnce(&mut Writer) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check(key)?;
        let start = self.writer.len();
        let pair = self.writer.open(self.field);
        self.writer.text(1, key);
        let any_value = self.writer.open(2);
        value(self.writer)?;
        self.writer.close(any_value);
        self.writer.close(pair);
        // Closing may have moved the key, so look for it where it is now.
        if let Some(at) = self.find_key(start, key) {
            self.writer.keys.push((at, at + key.len()));
        }
        Ok(())
    }

    fn find_key(&self, start: usize, key: &str) -> Option<usize> {
        let end = self.writer.len();
        let field = Fields::of(self.writer.written(start, end)).next()?.ok()?;
        let content = field.content().ok()?;
        let key_field = Fields::of(content).next()?.ok()?;
        Some(end - content.len() + key_field.raw.len() - key.len())
    }
}
