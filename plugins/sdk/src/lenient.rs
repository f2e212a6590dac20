//! Reading answers that are not quite what the API documents.
//!
//! A field of an unexpected type is a field that is not there, an item that is no object is an item less: one odd run
//! must not cost the telemetry of all others on its page. What is not JSON at all is still an error.

use crate::prelude::*;
use core::fmt;
use core::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A list of objects.
#[derive(Clone, Debug)]
pub struct Items<T> {
    /// Those that were objects.
    pub items: Vec<T>,
    /// Items that were no objects.
    pub odd: usize,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { items: Vec::new(), odd: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemsVisitor(PhantomData))
    }
}

/// For `deserialize_with`: a whole number, also if it stands in quotes.
///
/// # Errors
/// Not JSON.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

/// For `deserialize_with`: a text.
///
/// # Errors
/// Not JSON.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(TextVisitor)
}

/// For `deserialize_with`: true or false; anything else is false.
///
/// # Errors
/// Not JSON.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(FlagVisitor)
}

/// For `deserialize_with`: an object.
///
/// # Errors
/// Not JSON.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

/// An object, or something else that is passed over.
struct Object<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// Everything a visitor does not want is read over and counts as nothing.
macro_rules! otherwise {
    ($nothing:expr; $($method:ident)*) => {
        $(otherwise!(@ $method, $nothing);)*
    };
    (@ scalars, $nothing:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($nothing) }
        otherwise!(@ numbers, $nothing);
    };
    (@ numbers, $nothing:expr) => {
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($nothing) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($nothing) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($nothing) }
    };
    (@ text, $nothing:expr) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($nothing) }
    };
    (@ null, $nothing:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($nothing) }
    };
    (@ list, $nothing:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
    (@ map, $nothing:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
            while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

macro_rules! expecting {
    ($what:literal) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($what)
        }
    };
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Option<i64>;
    expecting!("a number");
    otherwise!(None; null list map);

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).ok())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        // Beyond 2^53 a float is no id any more, and no time either.
        #[allow(clippy::cast_possible_truncation)]
        Ok((value.abs() < 9_007_199_254_740_992.0).then_some(value as i64))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.parse().ok())
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;
    expecting!("a text");
    otherwise!(None; scalars null list map);

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.to_owned()))
    }
}

struct FlagVisitor;

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = bool;
    expecting!("true or false");
    otherwise!(false; numbers text null list map);

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;
    expecting!("an object");
    otherwise!(None; scalars text null list);

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Some)
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
    type Value = Items<T>;
    expecting!("a list");

    // No list is an empty list: the API leaves it out, and sends null where a list would be empty.
    otherwise!(Items::default(); null);
    otherwise!(Items { items: Vec::new(), odd: 1 }; scalars text map);

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut read = Items::default();
        while let Some(Object(item)) = items.next_element::<Object<T>>()? {
            match item {
                Some(item) => read.items.push(item),
                None => read.odd = read.odd.saturating_add(1),
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Thing {
        #[serde(default, deserialize_with = "number")]
        number: Option<i64>,
        #[serde(default, deserialize_with = "text")]
        text: Option<String>,
        #[serde(default, deserialize_with = "flag")]
        flag: bool,
        #[serde(default, deserialize_with = "object")]
        inner: Option<Box<Thing>>,
    }

    fn read(json: &str) -> Items<Thing> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_as_documented_is_read() {
        let things = read(r#"[{"number": 7, "text": "seven", "flag": true, "inner": {"number": 8}, "new": [1]}]"#);
        let inner = Some(Box::new(Thing { number: Some(8), ..Thing::default() }));
        let expected = Thing { number: Some(7), text: Some("seven".to_owned()), flag: true, inner };
        assert_eq!((things.items, things.odd), (vec![expected], 0));
    }

    #[test]
    fn an_odd_field_is_a_missing_field() {
        for odd in ["null", "[1, {}]", "{\"a\": [null]}", "true", "\"x\"", "1e300", "-0.5"] {
            let things = read(&format!(r#"[{{"number": {odd}, "text": "kept"}}]"#));
            assert_eq!(things.items.first().unwrap().text.as_deref(), Some("kept"), "{odd}");
            let things = read(&format!(r#"[{{"number": 1, "text": {odd}, "flag": {odd}, "inner": {odd}}}]"#));
            assert_eq!(things.items.first().unwrap().number, Some(1), "{odd}");
        }
        assert_eq!(read(r#"[{"number": "12"}]"#).items.first().unwrap().number, Some(12));
        assert_eq!(read(r#"[{"number": 12.0}]"#).items.first().unwrap().number, Some(12));
    }

    #[test]
    fn an_odd_item_is_an_item_less_and_no_list_is_an_empty_one() {
        let things = read(r#"[null, {"number": 1}, 5, "x", [], {"number": 2}]"#);
        assert_eq!((things.items.len(), things.odd), (2, 4));
        assert_eq!(read("null").odd, 0);
        assert_eq!(read(r#"{"number": 1}"#).odd, 1);
    }

    proptest! {
        #[test]
        fn any_json_is_read(json in any_json()) {
            let text = serde_json::to_string(&json).unwrap();
            let things = read(&text);
            if let serde_json::Value::Array(items) = &json {
                prop_assert_eq!(things.items.len() + things.odd, items.len());
            }
        }

        #[test]
        fn what_is_no_json_is_an_error_and_not_a_panic(text in ".*") {
            let _ = serde_json::from_str::<Items<Thing>>(&text);
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let key = prop_oneof![Just("number"), Just("text"), Just("flag"), Just("inner"), Just("other")];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..6)
                    .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }
}
