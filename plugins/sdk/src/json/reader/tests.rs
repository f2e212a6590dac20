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
        let list = prop::collection::vec(element.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(",")));
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
