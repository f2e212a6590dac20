//! The JSON Schema of a configuration as a table: one row for each key that can be written.

use serde_json::Value;

use super::table::{Table, code, text};

/// Deeper than any configuration nests; a schema that goes on is cut off.
const DEEPEST: usize = 16;

pub(super) fn table(schema: &Value) -> Table {
    let mut rows = Vec::new();
    add_properties(schema, "", 0, &mut rows);
    Table::new(["key", "type", "default", ""]).rows(rows)
}

fn add_properties(schema: &Value, prefix: &str, depth: usize, rows: &mut Vec<[String; 4]>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required = schema.get("required").and_then(Value::as_array);
    for (name, property) in properties.iter().filter(|_| depth < DEEPEST) {
        let path = format!("{prefix}{name}");
        let is_required = required.is_some_and(|required| required.iter().any(|key| key == name));
        let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
        rows.push([code(&path), kind(property), default(property, is_required), text(description)]);
        add_properties(property, &format!("{path}."), depth + 1, rows);
        if let Some(items) = property.get("items") {
            add_properties(items, &format!("{path}[]."), depth + 1, rows);
        }
    }
}

fn kind(property: &Value) -> String {
    if let Some(choices) = property.get("enum").and_then(Value::as_array) {
        return choices.iter().map(json).collect::<Vec<_>>().join(", ");
    }
    let mut kind = match property.get("type") {
        Some(Value::String(kind)) if kind == "array" => match property.get("items").map(self::kind) {
            Some(items) if !items.is_empty() => format!("list of {items}"),
            _ => "list".to_owned(),
        },
        Some(Value::String(kind)) => text(kind),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(text).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    };
    let limit = |key: &str| property.get(key).filter(|limit| limit.is_number());
    match (limit("minimum"), limit("maximum")) {
        (Some(least), Some(greatest)) => kind.push_str(&format!(", {least} to {greatest}")),
        (Some(least), None) => kind.push_str(&format!(", at least {least}")),
        (None, Some(greatest)) => kind.push_str(&format!(", at most {greatest}")),
        (None, None) => {}
    }
    if property.get("writeOnly") == Some(&Value::Bool(true)) {
        kind.push_str(", secret");
    }
    kind
}

/// The default of a group of keys says nothing that the defaults of the keys do not.
fn default(property: &Value, is_required: bool) -> String {
    match property.get("default") {
        Some(Value::Object(fields)) if fields.is_empty() => String::new(),
        Some(value) => json(value),
        None if is_required => "required".to_owned(),
        None => String::new(),
    }
}

/// A value as it is written in a configuration.
fn json(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => code("\"\""),
        Value::String(text) => code(text),
        value => code(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_that_can_be_written_has_a_row() {
        let schema = json!({
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": { "type": "string", "description": "Where" },
                "limit": { "type": "integer", "minimum": 1, "maximum": 9, "default": 5 },
                "mode": { "enum": ["a", "b"], "default": "a" },
                "token": { "type": "string", "writeOnly": true },
                "rest": {
                    "type": "object", "default": {}, "description": "A group",
                    "properties": { "on": { "type": "boolean", "default": true } },
                },
                "rules": {
                    "type": "array",
                    "items": { "type": "object", "properties": { "key": { "type": ["string", "number"] } } },
                },
            },
        });
        let rows = [
            "| `host` | string | required | Where |",
            "| `limit` | integer, 1 to 9 | `5` |  |",
            "| `mode` | `a`, `b` | `a` |  |",
            "| `rest` | object |  | A group |",
            "| `rest.on` | boolean | `true` |  |",
            "| `rules` | list of object |  |  |",
            "| `rules[].key` | string or number |  |  |",
            "| `token` | string, secret |  |  |",
        ];
        let page = table(&schema).to_string();
        assert_eq!(page.lines().skip(2).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn a_schema_that_nests_without_end_is_cut_off() {
        let mut schema = json!({ "type": "string" });
        for _ in 0..40 {
            schema = json!({ "type": "object", "properties": { "x": schema } });
        }
        assert_eq!(table(&schema).to_string().lines().count(), 2 + DEEPEST);
    }
}
