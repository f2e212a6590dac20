//! What the schema validator finds, in words for the operator.
//!
//! The validator's own sentences quote the value, which may be a secret. These are made of the schema alone.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value as Json;

use crate::error::Problem;
use crate::schema::type_of;
use crate::suggestion::{Nearest, alternatives, quoted};
use crate::units::parse_duration;

/// Alternatives of `anyOf` and `oneOf` that are spelled out.
const MAX_ALTERNATIVES: usize = 5;

/// The `duration` format as Kiln understands it everywhere else, instead of ISO 8601.
pub(crate) fn is_duration(text: &str) -> bool {
    parse_duration(text).is_ok()
}

/// Says what is wrong, without the value that is.
pub(crate) fn problem(error: &ValidationError<'_>) -> Problem {
    match error.kind() {
        Kind::Type { kind } => {
            Problem::Plugin(format!("expected {}, found {}", expected(kind), found(error.instance())))
        }
        Kind::Required { property } => Problem::Missing(property.as_str().unwrap_or_default().to_owned()),
        Kind::Enum { options } => enumeration(options, error.instance()),
        Kind::Constant { expected_value } => Problem::OutOfRange(format!("`{expected_value}`")),
        Kind::Minimum { limit } => Problem::OutOfRange(format!("at least {limit}")),
        Kind::Maximum { limit } => Problem::OutOfRange(format!("at most {limit}")),
        Kind::ExclusiveMinimum { limit } => Problem::OutOfRange(format!("more than {limit}")),
        Kind::ExclusiveMaximum { limit } => Problem::OutOfRange(format!("less than {limit}")),
        Kind::MultipleOf { multiple_of } => Problem::OutOfRange(format!("a multiple of {multiple_of}")),
        Kind::MinLength { limit } => Problem::OutOfRange(format!("at least {} long", count(*limit, "character"))),
        Kind::MaxLength { limit } => Problem::OutOfRange(format!("at most {} long", count(*limit, "character"))),
        Kind::MinItems { limit } => Problem::Plugin(format!("needs at least {}", count(*limit, "item"))),
        Kind::MaxItems { limit } => Problem::Plugin(format!("takes at most {}", count(*limit, "item"))),
        Kind::AdditionalItems { limit } => Problem::Plugin(format!("takes at most {limit} items")),
        Kind::UniqueItems => Problem::Plugin("holds an item twice; remove one".to_owned()),
        Kind::MinProperties { limit } => Problem::Plugin(format!("needs at least {}", count(*limit, "key"))),
        Kind::MaxProperties { limit } => Problem::Plugin(format!("takes at most {}", count(*limit, "key"))),
        Kind::Pattern { pattern } => {
            Problem::Plugin(format!("does not have the form the plugin wants, {}", quoted(pattern, '`')))
        }
        Kind::Format { format } => Problem::Plugin(wrong_format(format)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let keys: Vec<String> = unexpected.iter().map(|key| quoted(key, '`')).collect();
            Problem::Plugin(format!("unknown key {}; remove it", keys.join(", ")))
        }
        Kind::FalseSchema => Problem::Plugin("the plugin takes nothing here; remove it".to_owned()),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => none_of(error.instance_path().as_str(), context),
        Kind::OneOfMultipleValid { .. } => Problem::Plugin(
            "fits several alternatives of which the plugin takes only one; remove what is too much".to_owned(),
        ),
        other => Problem::Plugin(format!("breaks the rule `{}` of the plugin's schema", other.keyword())),
    }
}

fn expected(kind: &TypeKind) -> String {
    let words: Vec<String> = match kind {
        TypeKind::Single(kind) => vec![word(*kind).to_owned()],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| word(kind).to_owned()).collect(),
    };
    alternatives(&words)
}

fn word(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Null => "nothing",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::String => "text",
        JsonType::Array => "a list",
        JsonType::Object => "a mapping",
    }
}

fn found(value: &Json) -> &'static str {
    match type_of(value) {
        "null" => "nothing",
        "boolean" => "a boolean",
        "string" => "text",
        "array" => "a list",
        "object" => "a mapping",
        _ => "a number",
    }
}

/// Names the nearest option; the value itself is compared and not shown.
fn enumeration(options: &Json, value: &Json) -> Problem {
    let options: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
        .collect();
    let word = value.as_str().unwrap_or_default();
    Problem::UnknownValue(Nearest::find(word, options.iter().map(String::as_str)))
}

fn wrong_format(format: &str) -> String {
    match format {
        "duration" => "is no duration; write it as in `30s`, `500ms` or `1m30s`".to_owned(),
        "uri" => "is no URL; write it with its scheme, as in `https://example.com`".to_owned(),
        other => format!("does not have the form of {}", quoted(other, '`')),
    }
}

/// What each alternative lacks, so that one can be chosen.
fn none_of(place: &str, context: &[Vec<ValidationError<'static>>]) -> Problem {
    let lacks: Vec<String> = context
        .iter()
        .filter_map(|errors| errors.first())
        .take(MAX_ALTERNATIVES)
        .map(|error| {
            let pointer = error.instance_path().as_str();
            let within = pointer.strip_prefix(place).unwrap_or(pointer).trim_start_matches('/').replace('/', ".");
            let sentence = problem(error).to_string();
            if within.is_empty() { sentence } else { format!("{}: {sentence}", quoted(&within, '`')) }
        })
        .collect();
    match lacks.as_slice() {
        [] => Problem::Plugin("fits none of the alternatives the plugin takes".to_owned()),
        _ => Problem::Plugin(format!("one of these must be resolved: {}", lacks.join("; or "))),
    }
}

fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
