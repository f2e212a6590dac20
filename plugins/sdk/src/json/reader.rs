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
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Everything {
        text: String,
        whole: i64,
        small: u8,
        fraction: f64,
        flag: bool,
        #[serde(default)]
        maybe: Option<Box<Everything>>,
        list: Vec<(u32, String)>,
        by_number: BTreeMap<u16, char>,
        kind: Kind,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Wrapped(Wrapped),
        Pair(i8, i8),
        Named { of: String },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(u64);

    fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
        from_slice(json.as_bytes()).map_err(|error| error.to_string())
    }

    const EVERYTHING: &str = r#" { "text": "a\u00e9\ud83d\ude00\n\"", "whole": -3, "small": 255, "fraction": 1, "flag": true,
        "unknown": [ { "a": [1e3, null, false, "\\" ] } ], "maybe": { "text": "", "whole": 0, "small": 0, "fraction": -0.5e-1,
        "flag": false, "list": [], "by_number": {}, "kind": { "pair": [ 1, -1 ] } }, "list": [ [ 1, "x" ] ],
        "by_number": { "7": "ß" }, "kind": { "wrapped": 9 } } "#;

    #[test]
    fn everything_is_read_as_serde_json_reads_it() {
        assert_eq!(read::<Everything>(EVERYTHING).unwrap(), serde_json::from_str(EVERYTHING).unwrap());
        for kind in [r#""plain""#, r#"{"plain": null}"#, r#"{"named": {"of": "x"}}"#] {
            assert_eq!(read::<Kind>(kind).unwrap(), serde_json::from_str(kind).unwrap());
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let of = |json| read::<Everything>(json).unwrap_err();
        for (json, wanted) in [
            ("", "end of the text, expected a value at line 1 column 1"),
            ("{}", "missing field `text` at line 1 column 2"),
            ("[1]", "invalid type: sequence, expected struct Everything at line 1 column 1"),
            ("{\"text\":\n 1.5}", "invalid type: 1.5, expected a string at line 2 column 5"),
            ("{\"whole\": \"x\"}", "invalid type: string x, expected i64 at line 1 column 14"),
            ("{\"whole\": 1.0}", "invalid type: 1.0, expected i64 at line 1 column 14"),
            ("{\"small\": 256}", "invalid value: integer 256, expected u8 at line 1 column 14"),
            ("{\"small\": 99999999999999999999}", "number out of range at line 1 column 31"),
            ("{\"flag\": null}", "invalid type: null, expected a boolean at line 1 column 10"),
            (
                "{\"kind\": \"other\"}",
                "unknown variant `other`, expected one of `plain`, `wrapped`, `pair`, `named` at line 1 column 17",
            ),
            ("{\"kind\": \"pair\"}", "the variant has content, and there is none at line 1 column 16"),
            ("{\"text\": \"x\"", "end of the text, expected a comma or the end of the list at line 1 column 13"),
        ] {
            assert_eq!(of(json), wanted, "{json}");
        }
        let error = from_slice::<Value>(b"\n\"\xff\"").unwrap_err();
        assert_eq!(error.to_string(), "invalid UTF-8 at line 2 column 2");
    }

    #[test]
    fn nesting_ends_where_that_of_serde_json_does() {
        for depth in [127, 128, 100_000] {
            let json = "[".repeat(depth) + &"]".repeat(depth);
            assert_eq!(read::<Value>(&json).is_ok(), serde_json::from_str::<Value>(&json).is_ok(), "{depth}");
            assert_eq!(read::<serde::de::IgnoredAny>(&json).is_ok(), depth == 127, "{depth}");
        }
    }

    fn is_alike(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_alike(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && is_alike(a.1, b.1))
            }
            // serde_json rounds the last digit of fractions as it comes.
            (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
                let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
                (one - other).abs() <= one.abs() * 1e-15
            }
            _ => one == other,
        }
    }

    /// Both read the text as the same, or neither reads it.
    fn agree(json: &str) -> Result<(), TestCaseError> {
        match (read::<Value>(json), serde_json::from_str::<Value>(json)) {
            (Ok(one), Ok(other)) => prop_assert!(is_alike(&one, &other), "{json}: {one} and {other}"),
            (Err(_), Err(_)) => {}
            (one, other) => prop_assert!(false, "{json}: {one:?} and {other:?}"),
        }
        Ok(())
    }

    fn text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<u64>().prop_map(|value| value.to_string()),
            "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
            any::<String>().prop_map(|value| Value::from(value).to_string()),
            "\"(\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-fA-F]{4}|\\\\ud8[0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}|é|a)*\"",
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let element = (inner, "[ \t\r\n]?").prop_map(|(value, space)| space + &value);
            let list =
                prop::collection::vec(element.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(",")));
            let entry = ("[a-c]", element).prop_map(|(key, value)| format!("\"{key}\" :{value}"));
            let object = prop::collection::vec(entry, 0..4).prop_map(|values| format!("{{{} }}", values.join(",")));
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn texts_are_read_as_serde_json_reads_them(json in text()) {
            agree(&json)?;
        }

        #[test]
        fn so_are_texts_with_a_mistake(json in text(), place: prop::sample::Index, put in "[\\[\\]{}\",:0-9eE.\\\\u+-]?", cut in 0..2_usize) {
            let at = (0..=json.len()).filter(|at| json.is_char_boundary(*at)).nth(place.index(json.chars().count() + 1)).unwrap();
            let rest: String = json[at..].chars().skip(cut).collect();
            agree(&format!("{}{put}{rest}", &json[..at]))?;
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let one = from_slice::<Value>(&bytes).is_ok();
            prop_assert_eq!(one, serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }
}
