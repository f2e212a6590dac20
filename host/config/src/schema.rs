//! The part of JSON Schema that says how to read a value, rather than whether it is right.
//!
//! Validation is the library's. Which keys are declared, what type a spelling should become, what the default is and
//! what is secret has to be known per value, before there is anything to validate. A value can be under several
//! schemas at once (`$ref`, `allOf`, `anyOf`, …): all of them speak here, and the cautious answer wins.
//!
//! A schema comes from a plugin. [`check`] refuses those that have no end or become large when followed; everything
//! else here relies on it.

use serde_json::{Map, Value as Json};

use crate::suggestion::quoted;

/// Schemas inside each other, references followed. A schema that refers to itself has no end and is refused.
const MAX_DEPTH: usize = 64;

/// Schemas in total, references followed: validation takes at most this many steps per value.
const MAX_EXPANDED: usize = 20_000;

/// All schemas that apply to one value.
#[derive(Clone)]
pub(crate) struct Schemas<'s> {
    root: &'s Json,
    /// Those that always apply, then those that may.
    nodes: Vec<(&'s Map<String, Json>, Applies)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Applies {
    Always,
    Perhaps,
}

impl<'s> Schemas<'s> {
    pub(crate) fn new(root: &'s Json) -> Self {
        Self::expand(root, [(root, Applies::Always)])
    }

    fn expand(root: &'s Json, start: impl IntoIterator<Item = (&'s Json, Applies)>) -> Self {
        let mut pending: Vec<(&Json, Applies)> = start.into_iter().collect();
        let mut nodes: Vec<(&Map<String, Json>, Applies)> = Vec::new();
        while let Some((schema, applies)) = pending.pop() {
            let Json::Object(schema) = schema else { continue };
            if nodes.iter().any(|(known, _)| std::ptr::eq(*known, schema)) {
                continue;
            }
            nodes.push((schema, applies));
            if let Some(target) = schema.get("$ref").and_then(Json::as_str).and_then(|text| local(root, text)) {
                pending.push((target, applies));
            }
            for (keyword, how) in [("allOf", applies), ("anyOf", Applies::Perhaps), ("oneOf", Applies::Perhaps)] {
                pending.extend(schema.get(keyword).and_then(Json::as_array).into_iter().flatten().map(|s| (s, how)));
            }
            for keyword in ["if", "then", "else"] {
                pending.extend(schema.get(keyword).map(|schema| (schema, Applies::Perhaps)));
            }
            let dependent = schema.get("dependentSchemas").and_then(Json::as_object);
            pending.extend(dependent.into_iter().flat_map(Map::values).map(|schema| (schema, Applies::Perhaps)));
        }
        nodes.sort_by_key(|(_, applies)| *applies == Applies::Perhaps);
        Self { root, nodes }
    }

    fn child(&self, pick: impl Fn(&'s Map<String, Json>) -> Vec<&'s Json>) -> Self {
        let start = self.nodes.iter().flat_map(|(node, applies)| pick(node).into_iter().map(|child| (child, *applies)));
        Self::expand(self.root, start)
    }

    /// What applies to the value of a key.
    ///
    /// Patterns are not matched: a schema under `patternProperties` counts for every undeclared key, which at worst
    /// keeps something secret that need not be.
    pub(crate) fn property(&self, key: &str) -> Self {
        self.child(|node| {
            if let Some(schema) = properties(node).and_then(|properties| properties.get(key)) {
                return vec![schema];
            }
            let patterns = node.get("patternProperties").and_then(Json::as_object);
            patterns.into_iter().flat_map(Map::values).chain(node.get("additionalProperties")).collect()
        })
    }

    /// What applies to an item of a list.
    pub(crate) fn item(&self, index: usize) -> Self {
        self.child(|node| {
            let prefix = node.get("prefixItems").and_then(Json::as_array).and_then(|items| items.get(index));
            prefix.or_else(|| node.get("items")).into_iter().collect()
        })
    }

    /// The keys that are declared, in alphabetical order.
    pub(crate) fn declared(&self) -> Vec<&'s str> {
        let mut keys: Vec<&str> = self
            .nodes
            .iter()
            .filter_map(|(node, _)| properties(node))
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether undeclared keys are mistakes: some are declared, and nothing says that there may be others.
    pub(crate) fn is_closed(&self) -> bool {
        let open = |node: &Map<String, Json>| {
            node.contains_key("patternProperties")
                || node.get("additionalProperties").is_some_and(|schema| *schema != Json::Bool(false))
        };
        self.nodes.iter().any(|(node, _)| properties(node).is_some()) && !self.nodes.iter().any(|(node, _)| open(node))
    }

    /// The defaults of declared keys that have one, where the declaration does not depend on anything.
    pub(crate) fn defaults(&self) -> Vec<(&'s str, &'s Json)> {
        let with_default = |key| {
            let schemas = self.property(key);
            let mut always = schemas.nodes.into_iter().filter(|(_, applies)| *applies == Applies::Always);
            always.find_map(|(node, _)| node.get("default")).map(|default| (key, default))
        };
        self.declared().into_iter().filter_map(with_default).collect()
    }

    /// Whether any schema marks the value as one that can be written and never read.
    pub(crate) fn is_secret(&self) -> bool {
        self.nodes.iter().any(|(node, _)| node.get("writeOnly") == Some(&Json::Bool(true)))
    }

    /// Whether a value of this JSON type may stand here; anything may where no type is named.
    pub(crate) fn allows(&self, kind: &str) -> bool {
        let mut named = false;
        for (node, _) in &self.nodes {
            let types: Vec<&str> = match (node.get("type"), node.get("enum"), node.get("const")) {
                (Some(Json::String(kind)), ..) => vec![kind],
                (Some(Json::Array(kinds)), ..) => kinds.iter().filter_map(Json::as_str).collect(),
                (None, Some(Json::Array(values)), _) => values.iter().map(type_of).collect(),
                (None, _, Some(value)) => vec![type_of(value)],
                _ => continue,
            };
            named = true;
            if types.contains(&kind) || (kind == "integer" && types.contains(&"number")) {
                return true;
            }
        }
        !named
    }
}

fn properties(node: &Map<String, Json>) -> Option<&Map<String, Json>> {
    node.get("properties").and_then(Json::as_object)
}

/// The schema a `$ref` points at, if it is a path from the root.
///
/// Anchors and other documents are left out: what is behind one could mark a secret without anyone here seeing it.
fn local<'s>(root: &'s Json, reference: &str) -> Option<&'s Json> {
    let pointer = reference.strip_prefix('#')?;
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    root.pointer(&pointer)
}

/// The name JSON Schema gives to the type of a value.
pub(crate) fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// Checks that a schema can be followed from beginning to end, in bounded time.
///
/// # Errors
/// What keeps it from that, to finish the sentence "the plugin's schema …".
pub(crate) fn check(root: &Json) -> Result<(), String> {
    let mut remaining = MAX_EXPANDED;
    check_node(root, root, MAX_DEPTH, &mut remaining)
}

fn check_node(root: &Json, schema: &Json, depth: usize, remaining: &mut usize) -> Result<(), String> {
    let Json::Object(node) = schema else { return Ok(()) };
    let Some(depth) = depth.checked_sub(1) else {
        return Err("refers to itself, or is nested too deeply".to_owned());
    };
    *remaining = remaining.checked_sub(1).ok_or("is too large once its references are followed")?;
    if node.contains_key("$dynamicRef") {
        return Err("uses `$dynamicRef`".to_owned());
    }
    if let Some(reference) = node.get("$ref").and_then(Json::as_str) {
        let outside = || format!("refers to {}, which is not a path within itself", quoted(reference, '`'));
        check_node(root, local(root, reference).ok_or_else(outside)?, depth, remaining)?;
    }
    for child in children(node) {
        check_node(root, child, depth, remaining)?;
    }
    Ok(())
}

/// The schemas directly inside a schema, by every keyword of the draft that holds some.
fn children(node: &Map<String, Json>) -> impl Iterator<Item = &Json> {
    const BY_NAME: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
    const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
    const SINGLE: [&str; 11] = [
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ];
    let by_name = BY_NAME.into_iter().filter_map(|keyword| node.get(keyword)?.as_object()).flat_map(Map::values);
    let lists = LISTS.into_iter().filter_map(|keyword| node.get(keyword)?.as_array()).flatten();
    by_name.chain(lists).chain(SINGLE.into_iter().filter_map(|keyword| node.get(keyword)))
}
