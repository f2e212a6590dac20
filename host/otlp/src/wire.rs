//! The protobuf wire format, as far as OTLP needs it.
//!
//! Nested messages are written in place: one byte is set aside for the length, and only a message longer than 127
//! bytes is moved to make room for more. Nearly all messages of a payload are shorter.

/// Writes fields one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
    /// Where keys stand that must not come again; see [`crate::Attributes`], which would allocate a list for each point
    /// otherwise.
    pub(crate) keys: Vec<(usize, usize)>,
}

/// Bytes that a field of at most fifteen takes with this content.
const fn field_len(content: usize) -> usize {
    let varint = if content == 0 { 1 } else { (content.ilog2() as usize) / 7 + 1 };
    1 + varint + content
}

/// Where an open message begins. Not `Copy`: it is closed once.
#[must_use]
pub(crate) struct Open(usize);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Writer {
    /// Has room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), keys: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// Takes back what was written since the writer had this length.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.buffer.truncate(length);
    }

    pub(crate) fn written(&self, from: usize, to: usize) -> &[u8] {
        self.buffer.get(from..to).unwrap_or_default()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, wire_type: u64) {
        self.put_varint(u64::from(field) << 3 | wire_type);
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    pub(crate) fn varint(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.put_varint(value);
    }

    pub(crate) fn fixed32(&mut self, field: u32, value: u32) {
        self.key(field, FIXED32);
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED64);
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    /// Leaves out zero, the default.
    pub(crate) fn fixed64_unless_zero(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.fixed64(field, value);
        }
    }

    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.message_head(field, value.len());
        self.buffer.extend_from_slice(value);
    }

    /// What stands before a message of so many bytes.
    pub(crate) fn message_head(&mut self, field: u32, length: usize) {
        self.key(field, BYTES);
        self.put_varint(length as u64);
    }

    /// Leaves out what is empty, the default.
    pub(crate) fn bytes_unless_empty(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes(field, value);
        }
    }

    /// A `KeyValue` whose value is a text, with all lengths known before. Says where the key stands.
    pub(crate) fn text_pair(&mut self, field: u32, key: &str, text: &str) -> (usize, usize) {
        let value = field_len(text.len());
        let pair = field_len(key.len()) + field_len(value);
        self.buffer.reserve(pair + 16);
        self.message_head(field, pair);
        self.bytes(1, key.as_bytes());
        let end = self.buffer.len();
        self.message_head(2, value);
        self.bytes(1, text.as_bytes());
        (end - key.len(), end)
    }

    /// A signed number, zigzag. Leaves out zero, the default.
    pub(crate) fn sint32_unless_zero(&mut self, field: u32, value: i32) {
        if value != 0 {
            self.varint(field, u64::from((value << 1 ^ value >> 31) as u32));
        }
    }

    /// Leaves out the empty text, the default.
    pub(crate) fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    /// Repeated 64-bit values, packed.
    pub(crate) fn packed_fixed64(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        if values.len() == 0 {
            return;
        }
        self.message_head(field, values.len() * 8);
        for value in values {
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Repeated numbers, packed, each as short as it can be.
    pub(crate) fn packed_varint(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        let list = self.open(field);
        values.for_each(|value| self.put_varint(value));
        self.close(list);
    }

    /// Begins a nested message; what is written until [`Self::close`] belongs to it.
    pub(crate) fn open(&mut self, field: u32) -> Open {
        self.key(field, BYTES);
        self.buffer.push(0);
        Open(self.buffer.len())
    }

    pub(crate) fn close(&mut self, Open(start): Open) {
        let end = self.buffer.len();
        let mut length = end - start;
        let mut encoded = [0_u8; 10];
        let mut used = 0;
        for byte in &mut encoded {
            used += 1;
            *byte = length as u8 & 0x7f;
            length >>= 7;
            if length == 0 {
                break;
            }
            *byte |= 0x80;
        }
        if used > 1 {
            self.buffer.resize(end + used - 1, 0);
            self.buffer.copy_within(start..end, start + used - 1);
        }
        for (slot, byte) in self.buffer.iter_mut().skip(start - 1).zip(encoded.into_iter().take(used)) {
            *slot = byte;
        }
    }
}

/// The payload is not well-formed protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed OTLP payload")]
pub struct Malformed;

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
    /// Key and value as they stand on the wire.
    pub(crate) raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// The content of a text, bytes or message field.
    pub(crate) fn content(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32 => Err(Malformed),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// Walks over the fields of a message. Ends after the first error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// Hands on the numbers of a packed list.
    pub(crate) fn varints(packed: &'a [u8], mut number: impl FnMut(u64)) -> Result<(), Malformed> {
        let mut rest = Self(packed);
        while !rest.0.is_empty() {
            number(rest.varint()?);
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let start = self.0;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        let value = match key & 7 {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => Value::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?)),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            FIXED32 => {
                self.take(4)?;
                Value::Fixed32
            }
            _ => return Err(Malformed),
        };
        let raw = start.get(..start.len() - self.0.len()).ok_or(Malformed)?;
        Ok(Field { number, value, raw })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_nested_message_reads_back_whatever_its_length(length in prop_oneof![0_usize..300, 16_000_usize..17_000]) {
            let mut writer = Writer::default();
            let outer = writer.open(7);
            let inner = writer.open(2);
            writer.raw(&vec![0xff; length]);
            writer.close(inner);
            writer.varint(3, 5);
            writer.close(outer);
            let bytes = writer.into_bytes();
            let outer = Fields::of(&bytes).next().unwrap().unwrap();
            prop_assert_eq!(outer.number, 7);
            prop_assert_eq!(outer.raw.len(), bytes.len());
            let mut fields = Fields::of(outer.content().unwrap());
            prop_assert_eq!(fields.next().unwrap().unwrap().content().unwrap().len(), length);
            prop_assert_eq!(fields.next().unwrap().unwrap().number, 3);
            prop_assert!(fields.next().is_none());
        }

        #[test]
        fn arbitrary_bytes_end_in_fields_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let total: usize = Fields::of(&bytes).map_while(Result::ok).map(|field| field.raw.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
