//! The keys of a plugin's configuration, told from its JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// Deeper than any configuration nests; a schema that goes on is cut off.
const DEEPEST: usize = 16;
/// More keys than anybody configures.
const MAX_KEYS: usize = 2_000;

/// One key, as far as the schema says it in `properties` and `items`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its type, choices and bounds, as the schema spells them; empty if it says none.
    pub(crate) kind: String,
    /// Whether the plugin never sees its value.
    pub(crate) is_secret: bool,
    /// What the author says of it.
    pub(crate) description: String,
}

/// The keys, by their path as in `scrape_configs[].targets`.
pub(crate) fn keys(schema: &Json) -> BTreeMap<String, Key> {
    let mut keys = BTreeMap::new();
    add(schema, "", 0, &mut keys);
    keys
}

fn add(schema: &Json, prefix: &str, depth: usize, keys: &mut BTreeMap<String, Key>) {
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
    for (name, property) in properties.iter().filter(|_| depth < DEEPEST) {
        if keys.len() >= MAX_KEYS {
            return;
        }
        let path = format!("{prefix}{name}");
        let description = property.get("description").and_then(Json::as_str).unwrap_or_default().to_owned();
        let is_secret = property.get("writeOnly") == Some(&Json::Bool(true));
        keys.insert(path.clone(), Key { kind: kind(property), is_secret, description });
        add(property, &format!("{path}."), depth + 1, keys);
        if let Some(items) = property.get("items") {
            add(items, &format!("{path}[]."), depth + 1, keys);
        }
    }
}

/// What the schema says of a key beside what is below it, in one line.
fn kind(property: &Json) -> String {
    let Json::Object(fields) = property else { return property.to_string() };
    let own: Map<String, Json> = fields
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "properties" | "items" | "description" | "writeOnly" | "type"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let name = |kind: &Json| kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
    let mut kind = fields.get("type").map(name).unwrap_or_default();
    if let Some(items) = fields.get("items").and_then(|items| items.get("type")) {
        kind.push_str(&format!(" of {}", name(items)));
    }
    if !own.is_empty() {
        kind.push_str(&format!(" {}", Json::Object(own)));
    }
    kind.trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_key_is_told_with_its_type_and_whether_it_is_secret() {
        let schema = json!({ "properties": {
            "token": { "type": "string", "writeOnly": true, "description": "Opens the door" },
            "jobs": { "type": "array", "items": { "type": "object", "properties": { "limit": { "type": "integer", "maximum": 9 } } } },
        } });
        let keys = keys(&schema);
        let told: Vec<_> = keys.iter().map(|(path, key)| (path.as_str(), key.kind.as_str(), key.is_secret)).collect();
        let expected = [
            ("jobs", "array of object", false),
            ("jobs[].limit", "integer {\"maximum\":9}", false),
            ("token", "string", true),
        ];
        assert_eq!(told, expected);
        assert_eq!(keys.get("token").unwrap().description, "Opens the door");
    }

    #[test]
    fn a_schema_without_end_is_cut_off() {
        let deep = (0..40).fold(json!({}), |schema, _| json!({ "properties": { "x": schema } }));
        assert_eq!(keys(&deep).len(), DEEPEST);
        let wide: Map<String, Json> = (0..3000).map(|key| (format!("k{key}"), json!({}))).collect();
        assert_eq!(keys(&json!({ "properties": wide })).len(), MAX_KEYS);
        assert!(keys(&json!(null)).is_empty());
    }
}
