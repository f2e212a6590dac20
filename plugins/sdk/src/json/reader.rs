//! A reader of JSON that is small where it is used little.
//!
//! What a value is read as decides which code there is: a plugin that reads no fractions has nothing that parses them,
//! and no message formats one, which alone would take 20 KB. `serde_json` reads whatever comes and turns it into what was
//! asked for then, so everything in it can be reached from everywhere. Its tests hold the two against each other.

use alloc::borrow::Cow;
use core::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::JsonError;
use crate::prelude::*;

/// As deep as `serde_json` goes: what is nested deeper would use up the stack.
const DEEPEST: u8 = 127;

/// Reads a whole text.
pub(super) fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    let text = core::str::from_utf8(json).map_err(|error| JsonError::at("invalid UTF-8", json, error.valid_up_to()))?;
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = T::deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value));
    value.map_err(|problem| JsonError::at(&problem.0, json, reader.at))
}

/// What is wrong; where, the reader knows.
#[derive(Debug)]
pub(super) struct Problem(String);

impl Problem {
    fn says(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Problem {}

impl serde::de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        mismatch("type", &found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        mismatch("value", &found, expected)
    }
}

/// As serde words it, but for the value of a fraction.
fn mismatch(what: &str, found: &Unexpected<'_>, expected: &dyn Expected) -> Problem {
    let of = |kind: &str, value: &dyn fmt::Display| format!("{kind} {value}");
    let found = match *found {
        Unexpected::Bool(value) => of("boolean", &value),
        Unexpected::Unsigned(value) => of("integer", &value),
        Unexpected::Signed(value) => of("integer", &value),
        Unexpected::Str(value) => of("string", &value),
        Unexpected::Other(value) => value.to_owned(),
        Unexpected::Float(_) => "floating point number".to_owned(),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "sequence".to_owned(),
        Unexpected::Map => "map".to_owned(),
        _ => "something else".to_owned(),
    };
    Problem(format!("invalid {what}: {found}, expected {expected}"))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    fn byte(&self) -> u8 {
        // What is not there is like a byte that may stand nowhere.
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    /// The first byte of what comes next.
    fn peek(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at = self.at.saturating_add(1);
        }
        self.byte()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == byte;
        self.at = self.at.saturating_add(usize::from(there));
        there
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let found = if self.at < self.text.len() { "expected " } else { "end of the text, expected " };
        Problem([found, wanted].concat())
    }

    fn end(&mut self) -> Result<(), Problem> {
        self.peek();
        if self.at < self.text.len() { Err(Problem::says("trailing characters")) } else { Ok(()) }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn word(&mut self, word: &str) -> Result<(), Problem> {
        let there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if !there {
            return Err(self.unexpected("a value"));
        }
        self.at = self.at.saturating_add(word.len());
        Ok(())
    }

    fn boolean(&mut self) -> Result<bool, Problem> {
        let value = self.peek() == b't';
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), Problem> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at = self.at.saturating_add(1);
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    /// A number as it is written, and whether it is whole.
    fn number(&mut self) -> Result<(&'a str, bool), Problem> {
        self.peek();
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        let mut whole = true;
        if self.skip(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            whole = false;
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        Ok((self.since(start), whole))
    }

    fn skip(&mut self, byte: u8) -> bool {
        let there = self.byte() == byte;
        self.at = self.at.saturating_add(usize::from(there));
        there
    }

    fn integer(&mut self, expected: &dyn Expected) -> Result<Integer, Problem> {
        match self.number()? {
            (text, true) => integer(text),
            (text, false) => Err(mismatch("type", &Unexpected::Other(text), expected)),
        }
    }

    /// A string, of which the opening quote is next.
    fn string(&mut self) -> Result<Cow<'a, str>, Problem> {
        if !self.take(b'"') {
            return Err(self.unexpected("a string"));
        }
        let mut text = Cow::Borrowed("");
        loop {
            let start = self.at;
            while !matches!(self.byte(), b'"' | b'\\' | 0..0x20) {
                self.at = self.at.saturating_add(1);
            }
            let piece = self.since(start);
            if text.is_empty() {
                text = Cow::Borrowed(piece)
            } else {
                text.to_mut().push_str(piece)
            }
            if self.skip(b'"') {
                return Ok(text);
            }
            if !self.skip(b'\\') {
                return Err(self.unexpected("the end of the string"));
            }
            text.to_mut().push(self.escaped()?);
        }
    }

    fn escaped(&mut self) -> Result<char, Problem> {
        let byte = self.byte();
        self.at = self.at.saturating_add(1);
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return Err(Problem::says("invalid escape")),
        })
    }

    fn code_point(&mut self) -> Result<char, Problem> {
        let first = self.hexadecimal()?;
        let code = if (0xD800..0xDC00).contains(&first) {
            self.word("\\u")?;
            let second = self.hexadecimal()?;
            // Anything but the second half gives no character below.
            let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400);
            low.map_or(first, |low| 0x10000 + ((first - 0xD800) << 10) + low)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| Problem::says("lone surrogate in an escape"))
    }

    fn hexadecimal(&mut self) -> Result<u32, Problem> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.byte()).to_digit(16).ok_or_else(|| Problem::says("invalid escape"))?;
            code = code * 16 + digit;
            self.at = self.at.saturating_add(1);
        }
        Ok(code)
    }

    /// Opens what begins with this byte.
    fn enter(&mut self) -> Result<(), Problem> {
        self.at = self.at.saturating_add(1);
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST { Err(Problem::says("nested too deep")) } else { Ok(()) }
    }

    /// Whether an element follows in what `close` ends, past the comma before it.
    fn follows(&mut self, first: &mut bool, close: u8) -> Result<bool, Problem> {
        let was_first = core::mem::replace(first, false);
        if self.peek() == close {
            return Ok(false);
        }
        if !was_first && !self.take(b',') {
            return Err(self.unexpected("a comma or the end of the list"));
        }
        if self.peek() == close { Err(Problem::says("trailing comma")) } else { Ok(true) }
    }

    fn leave(&mut self, first: &mut bool, close: u8) -> Result<(), Problem> {
        if self.follows(first, close)? {
            return Err(Problem::says("more elements than expected"));
        }
        self.at = self.at.saturating_add(1);
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn colon(&mut self) -> Result<(), Problem> {
        if self.take(b':') { Ok(()) } else { Err(self.unexpected("a colon")) }
    }

    /// Passes over a value.
    fn ignore(&mut self) -> Result<(), Problem> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'n' => self.word("null"),
            b't' | b'f' => self.boolean().map(drop),
            open @ (b'[' | b'{') => {
                let close = if open == b'[' { b']' } else { b'}' };
                let mut first = true;
                self.enter()?;
                while self.follows(&mut first, close)? {
                    if open == b'{' {
                        self.string()?;
                        self.colon()?;
                    }
                    self.ignore()?;
                }
                self.leave(&mut first, close)
            }
            _ => self.number().map(drop),
        }
    }

    /// The error about what comes next, which is not what was to be read.
    fn mismatch(&mut self, expected: &dyn Expected) -> Problem {
        let found = match self.peek() {
            b'"' => match self.string() {
                Ok(text) => return mismatch("type", &Unexpected::Str(&text), expected),
                Err(problem) => return problem,
            },
            b'n' => Unexpected::Unit,
            b't' => Unexpected::Bool(true),
            b'f' => Unexpected::Bool(false),
            b'[' => Unexpected::Seq,
            b'{' => Unexpected::Map,
            b'-' | b'0'..=b'9' => match self.number() {
                Ok((text, _)) => Unexpected::Other(text),
                Err(problem) => return problem,
            },
            _ => return self.unexpected("a value"),
        };
        mismatch("type", &found, expected)
    }
}

enum Integer {
    Signed(i64),
    Unsigned(u64),
}

impl Integer {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self {
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
        }
    }
}

fn integer(text: &str) -> Result<Integer, Problem> {
    let signed = text.starts_with('-').then(|| text.parse().map(Integer::Signed));
    signed.unwrap_or_else(|| text.parse().map(Integer::Unsigned)).map_err(|_| Problem::says("number out of range"))
}

fn float(text: &str) -> Result<f64, Problem> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) => Ok(value),
        _ => Err(Problem::says("number out of range")),
    }
}

/// Each as one of the kinds of number.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match self.peek() {
                b'-' | b'0'..=b'9' => self.integer(&visitor)?.visit(visitor),
                _ => Err(self.mismatch(&visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b'"' => self.deserialize_str(visitor),
            b'[' => self.deserialize_seq(visitor),
            b'{' => self.deserialize_map(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'n' => self.deserialize_unit(visitor),
            b'-' | b'0'..=b'9' => match self.number()? {
                // As `serde_json` reads them: zero has a sign only as a fraction, and so has what is too large for 64 bits.
                (text, true) if text != "-0" && integer(text).is_ok() => integer(text)?.visit(visitor),
                (text, _) => visitor.visit_f64(float(text)?),
            },
            _ => Err(self.unexpected("a value")),
        }
    }

    integers!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    integers!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b'-' | b'0'..=b'9' => visitor.visit_f64(float(self.number()?.0)?),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b't' | b'f' => visitor.visit_bool(self.boolean()?),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b'"' => visitor.visit_str(&self.string()?),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b'[' => self.deserialize_seq(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.peek() == b'n' {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.peek() {
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.peek() != b'[' {
            return Err(self.mismatch(&visitor));
        }
        self.enter()?;
        let mut elements = Elements { reader: self, first: true };
        let value = visitor.visit_seq(&mut elements)?;
        elements.reader.leave(&mut elements.first, b']')?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.peek() != b'{' {
            return Err(self.mismatch(&visitor));
        }
        self.enter()?;
        let mut elements = Elements { reader: self, first: true };
        let value = visitor.visit_map(&mut elements)?;
        elements.reader.leave(&mut elements.first, b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.peek() {
            b'"' => visitor.visit_enum(Variant { reader: self, has_content: false }),
            b'{' => {
                self.enter()?;
                let value = visitor.visit_enum(Variant { reader: self, has_content: true })?;
                self.leave(&mut false, b'}')?;
                Ok(value)
            }
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.ignore()?;
        visitor.visit_unit()
    }
}

/// What a list or an object holds.
struct Elements<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        if !self.reader.follows(&mut self.first, b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, '_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        if !self.reader.follows(&mut self.first, b'}')? {
            return Ok(None);
        }
        let key = self.reader.string()?;
        self.reader.colon()?;
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(&mut *self.reader)
    }
}

/// The key of an object, which may stand for a number.
struct Key<'a>(Cow<'a, str>);

macro_rules! numbers_in_keys {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            integer(&self.0)?.visit(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(&self.0)
    }

    numbers_in_keys!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    numbers_in_keys!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_enum(serde::de::value::CowStrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The name of a variant, and what follows the colon behind it, if one does.
struct Variant<'r, 'a> {
    reader: &'r mut Reader<'a>,
    has_content: bool,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Problem> {
        let name = self.reader.string()?;
        if self.has_content {
            self.reader.colon()?;
        }
        Ok((seed.deserialize(Key(name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        if !self.has_content {
            return Ok(());
        }
        self.reader.peek();
        self.reader.word("null")
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        self.content()?.deserialize_map(visitor)
    }
}

impl<'r, 'a> Variant<'r, 'a> {
    fn content(self) -> Result<&'r mut Reader<'a>, Problem> {
        if self.has_content {
            Ok(self.reader)
        } else {
            Err(Problem::says("the variant has content, and there is none"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
