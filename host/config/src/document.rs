//! YAML text to a tree in which every value knows its place.
//!
//! The only module that knows the YAML library. What leaves it is bounded (bytes, nesting, alias expansion), has
//! text for keys, and has no key twice in a mapping. Scalars keep the spelling they have in the file, because it is
//! the reader that knows whether `1.10` is a number or a version.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    DuplicateKeyPolicy, MessageFormatter, NonFiniteFloatPolicy, Spanned, UserMessageFormatter, alias_limits, budget,
    options,
};

use crate::error::{Errors, Location, Problem, Report, YamlPath};

/// The largest configuration that is read.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// Mappings and lists inside each other.
///
/// Bounds the recursion of the library, which takes some 30 KiB of stack per level in a debug build, and of everything
/// that walks the tree. The deepest configuration we know of has nine.
const MAX_DEPTH: usize = 32;

/// Values, keys included and aliases followed: room for some hundred instances, and little enough that looking for the
/// nearest name in a list of names stays quick.
const MAX_NODES: usize = 20_000;

/// A value and where it begins.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) at: Location,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Clone)]
pub(crate) enum Content {
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    /// In the order of the file; no key appears twice.
    Mapping(Vec<Entry>),
    /// An error has been reported for it; readers pass over it in silence.
    Invalid,
}

/// A key, where it stands, and its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Location,
    pub(crate) value: Node,
}

/// A single value.
#[derive(Clone)]
pub(crate) struct Scalar {
    /// What it is when nobody says what it should be.
    pub(crate) kind: ScalarKind,
    /// As it stands in the file, without quotes and escapes, after substitution.
    pub(crate) text: String,
    /// A part of the text was substituted: the text says nothing about the type, and must not appear in messages.
    pub(crate) substituted: bool,
}

/// The type of a scalar by the YAML 1.2 core schema.
#[derive(Clone, PartialEq)]
pub(crate) enum ScalarKind {
    Boolean(bool),
    Number(serde_json::Number),
    Text,
}

impl Node {
    /// What the value is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Scalar(Scalar { kind: ScalarKind::Boolean(_), .. }) => "a boolean",
            Content::Scalar(Scalar { kind: ScalarKind::Number(_), .. }) => "a number",
            Content::Scalar(Scalar { kind: ScalarKind::Text, .. }) => "text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
            Content::Invalid => "an invalid value",
        }
    }
}

/// Reads a document.
///
/// Repeated keys are reported, and the first value kept, so that the rest of the document can still be checked.
///
/// # Errors
/// The text is too large, or not YAML; nothing further can be said about it.
pub(crate) fn parse(file: &str, text: &str, report: &Report) -> Result<Node, Errors> {
    if text.len() > MAX_BYTES {
        return Err(Errors::of_file(file, Problem::TooLarge("1 MiB".to_owned())));
    }
    let options = options! {
        budget: budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            flow_nesting_limit: MAX_DEPTH,
            // Aliases may repeat text, but not turn a small file into a large tree.
            max_total_scalar_bytes: 4 * MAX_BYTES,
            // One more than is accepted, so that the second gets its own message.
            max_documents: 2,
        },
        alias_limits: alias_limits! { max_total_replayed_events: MAX_NODES },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        ignore_binary_tag_for_string: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Parsed>(text, options) {
        Ok(parsed) => Ok(parsed.into_node(text, &YamlPath::default(), report)),
        Err(error) => {
            let location = error.location().map_or(Location::START, Location::from);
            let failed = Report::default();
            failed.error(location, &YamlPath::default(), Problem::Syntax(syntax_message(&error)));
            failed.conclude(file, ()).map(|((), _)| Node { at: location, content: Content::Invalid })
        }
    }
}

/// The library's sentence, except where it quotes the file.
fn syntax_message(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::UnsupportedTag { .. } => {
            "tags have no meaning here; put the value in quotes if the `!` belongs to it".to_owned()
        }
        serde_saphyr::Error::NullIntoString { .. } | serde_saphyr::Error::Unexpected { .. } => {
            "a key must be text".to_owned()
        }
        serde_saphyr::Error::MultipleDocuments { .. } => {
            "the file holds more than one document; remove what follows the `---`".to_owned()
        }
        serde_saphyr::Error::Budget { .. }
        | serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. } => {
            format!("more than {MAX_DEPTH} levels, {MAX_NODES} values or 4 MiB of text, aliases included")
        }
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}

impl From<serde_saphyr::Location> for Location {
    fn from(location: serde_saphyr::Location) -> Self {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// The tree as the library delivers it.
struct Parsed(Spanned<ParsedContent>);

enum ParsedContent {
    Null,
    Boolean(bool),
    Number(serde_json::Number),
    Text(String),
    Sequence(Vec<Parsed>),
    Mapping(Vec<(Spanned<String>, Parsed)>),
}

impl Parsed {
    fn into_node(self, source: &str, path: &YamlPath, report: &Report) -> Node {
        // A value reached through an alias is reported where it is written: that is the line to change.
        let defined = self.0.defined;
        let scalar = |kind, text| Content::Scalar(Scalar { kind, text, substituted: false });
        let content = match self.0.value {
            ParsedContent::Null => Content::Null,
            ParsedContent::Boolean(value) => {
                scalar(ScalarKind::Boolean(value), spelling(source, defined).unwrap_or_else(|| value.to_string()))
            }
            ParsedContent::Number(value) => {
                let text = spelling(source, defined).unwrap_or_else(|| value.to_string());
                scalar(ScalarKind::Number(value), text)
            }
            ParsedContent::Text(text) => scalar(ScalarKind::Text, text),
            ParsedContent::Sequence(items) => Content::Sequence(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| item.into_node(source, &path.index(index), report))
                    .collect(),
            ),
            ParsedContent::Mapping(entries) => Content::Mapping(distinct(entries, source, path, report)),
        };
        Node { at: defined.into(), content }
    }
}

fn distinct(entries: Vec<(Spanned<String>, Parsed)>, source: &str, path: &YamlPath, report: &Report) -> Vec<Entry> {
    let mut seen: HashMap<String, Location> = HashMap::with_capacity(entries.len());
    let mut kept = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key_at = Location::from(key.defined);
        let path = path.key(&key.value);
        if let Some(first) = seen.get(&key.value) {
            report.error(key_at, &path, Problem::DuplicateKey(*first));
            continue;
        }
        seen.insert(key.value.clone(), key_at);
        kept.push(Entry { key_at, value: value.into_node(source, &path, report), key: key.value });
    }
    kept
}

/// The text of a plain scalar in the file; `None` where the place is unknown or the scalar is quoted.
fn spelling(source: &str, location: serde_saphyr::Location) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    let text = source.get(start..end)?.trim();
    let plain = !text.is_empty() && !text.starts_with(['"', '\'', '|', '>', '!', '&', '*']);
    plain.then(|| text.to_owned())
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for ParsedContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = ParsedContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(ParsedContent::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(ParsedContent::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(ParsedContent::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(ParsedContent::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(serde_json::Number::from_f64(value)
            .map_or_else(|| ParsedContent::Text(value.to_string()), ParsedContent::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(ParsedContent::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(ParsedContent::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element()? {
            sequence.push(item);
        }
        Ok(ParsedContent::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(ParsedContent::Mapping(mapping))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    /// The tree with the types of the core schema.
    fn read(text: &str) -> Result<Json, String> {
        let report = Report::default();
        let node = parse("f.yaml", text, &report).map_err(|errors| errors.to_string())?;
        report.conclude("f.yaml", ()).map_err(|errors| errors.to_string())?;
        Ok(plain(&node))
    }

    fn plain(node: &Node) -> Json {
        match &node.content {
            Content::Null | Content::Invalid => Json::Null,
            Content::Scalar(Scalar { kind: ScalarKind::Boolean(value), .. }) => json!(value),
            Content::Scalar(Scalar { kind: ScalarKind::Number(value), .. }) => json!(value),
            Content::Scalar(Scalar { text, .. }) => json!(text),
            Content::Sequence(items) => items.iter().map(plain).collect(),
            Content::Mapping(entries) => entries.iter().map(|e| (e.key.clone(), plain(&e.value))).collect(),
        }
    }

    /// The place and the spelling of a value, `path` being keys and indices separated by blanks.
    fn at(text: &str, path: &str) -> (String, String) {
        let node = parse("f.yaml", text, &Report::default()).unwrap();
        let found = path.split_whitespace().fold(&node, |node, step| match &node.content {
            Content::Mapping(entries) => &entries.iter().find(|e| e.key == step).unwrap().value,
            Content::Sequence(items) => &items[step.parse::<usize>().unwrap()],
            _ => panic!("nothing at {path}"),
        });
        let spelled = match &found.content {
            Content::Scalar(scalar) => scalar.text.clone(),
            _ => found.kind().to_owned(),
        };
        (found.at.to_string(), spelled)
    }

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        for (text, expected) in [
            ("a: true", json!({"a": true})),
            ("a: yes", json!({"a": "yes"})),
            ("a: 1", json!({"a": 1})),
            ("a: -1.5", json!({"a": -1.5})),
            ("a: 0x2A", json!({"a": 42})),
            ("a: 0755", json!({"a": "0755"})),
            ("a: 1_000", json!({"a": "1_000"})),
            ("a: '5'", json!({"a": "5"})),
            ("a: .nan", json!({"a": ".nan"})),
            ("a: 2024-01-01", json!({"a": "2024-01-01"})),
            ("a: 12:30", json!({"a": "12:30"})),
            ("a: ~", json!({"a": null})),
            ("a:", json!({"a": null})),
            ("a: !!str 5", json!({"a": "5"})),
            ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
            ("1: x", json!({"1": "x"})),
            ("\u{feff}a: 1\r\nb: 2\r\n", json!({"a": 1, "b": 2})),
            ("", Json::Null),
            ("# nothing\n", Json::Null),
        ] {
            assert_eq!(read(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn every_value_knows_its_place_and_its_spelling() {
        for (text, path, place, spelling) in [
            ("a: 1.10\n", "a", "1:4", "1.10"),
            ("a: 0x2A # answer\n", "a", "1:4", "0x2A"),
            ("é: True\nü: [1, 2.50]\n", "ü 1", "2:8", "2.50"),
            ("é: True\n", "é", "1:4", "True"),
            ("a:\r\n  - b: 'x'\r\n    c: 7.0\r\n", "a 0 c", "3:8", "7.0"),
            ("a:\n  b:\n    - 1\n", "a", "2:3", "a mapping"),
            ("x: &x\n  k: 1.50\ny: *x\n", "y k", "2:6", "1.50"),
            ("x: &x\n  k: 1.50\n  l: 1\ny:\n  <<: *x\n  l: 2\n", "y k", "2:6", "1.50"),
            ("x: &x\n  l: 1\ny:\n  <<: *x\n  l: 2\n", "y l", "5:6", "2"),
            ("a: !!int \"7\"\n", "a", "1:10", "7"),
        ] {
            assert_eq!(at(text, path), (place.to_owned(), spelling.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_repeated_key_names_both_places() {
        let text = "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n";
        let expected = "f.yaml:4:3: b.c: the key appears twice, first at 3:3; remove one of them\n\
                        f.yaml:5:1: a: the key appears twice, first at 1:1; remove one of them";
        assert_eq!(read(text), Err(expected.to_owned()));
        assert!(read("a: {c: 1}\nb: {c: 1}").is_ok());
    }

    #[test]
    fn what_is_not_yaml_is_refused_without_quoting_it() {
        for (text, expected) in [
            ("a: b: dapi", "1:5: not valid YAML: mapping values are not allowed in this context"),
            ("a: [dapi", "1:4: not valid YAML: unclosed bracket '['"),
            ("a: 'dapi", "1:4: not valid YAML: unclosed quote"),
            ("a: *dapi", "1:4: not valid YAML: reference to unknown value"),
            ("a: !dapi", "1:9: not valid YAML: tags have no meaning here"),
            ("a: !dapi x", "1:10: not valid YAML: tags have no meaning here"),
            ("~: dapi", "1:1: not valid YAML: a key must be text"),
            ("? [dapi]\n: b", "1:3: not valid YAML: a key must be text"),
            ("{{dapi}}: 1", "1:1: not valid YAML: a key must be text"),
            ("a: 1\n---\ndapi: 2", "3:1: not valid YAML: the file holds more than one document"),
            ("a: &a [*a]", "1:8: not valid YAML: "),
            ("<<: 3", "1:5: not valid YAML: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(&format!("f.yaml:{expected}")), "{text:?}: {error}");
            assert!(!error.contains("dapi") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn size_nesting_and_aliases_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(read(&nested(MAX_DEPTH + 1)).is_err());
        assert!(read(&"[".repeat(500_000)).is_err());
        assert!(read(&"- ".repeat(500_000)).is_err());
        assert!(read(&(0..40).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>()).is_err());

        let padded = |bytes: usize| format!("a: 1\n#{}", "x".repeat(bytes - 6));
        assert!(read(&padded(MAX_BYTES)).is_ok());
        assert_eq!(
            read(&padded(MAX_BYTES + 1)),
            Err("f.yaml: is larger than 1 MiB, which no configuration needs".to_owned())
        );

        let shared = format!("x: &x {{ k: v }}\ny: [{}]", "*x, ".repeat(50));
        assert!(read(&shared).is_ok());
        let levels: String =
            (1..9).map(|level| format!("l{level}: &l{level} [{}]\n", format!("*l{}, ", level - 1).repeat(9))).collect();
        assert!(read(&format!("l0: &l0 [x, x]\n{levels}")).is_err(), "a billion laughs");
        let long = format!("x: &x {}\ny: [{}]", "v".repeat(500_000), "*x, ".repeat(500));
        assert!(read(&long).is_err(), "a long text, often");
    }

    /// JSON is YAML, so any JSON document must come back as it was.
    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            (-1e15..1e15_f64).prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
                // `<<` merges; that is what it is for.
                prop::collection::btree_map("[a-z$<{\\[é\\\\\"' ]{0,8}", inner, 0..8)
                    .prop_map(|map| map.into_iter().filter(|(key, _)| key != "<<").collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_what_it_is(value in any_json()) {
            prop_assert_eq!(read(&value.to_string()), Ok(value));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = read(&text);
        }

        #[test]
        fn nothing_made_of_the_syntax_panics(text in r"([\[\]{}:,#&*!|>'\x22%@`?<-]|\n| |  |\t|a|é|1|~|<<: |&a |\*a|: |- |---\n|\.\.\.\n){0,40}") {
            let _ = read(&text);
        }
    }
}
