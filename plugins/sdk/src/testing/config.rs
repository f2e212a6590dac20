//! The part of JSON Schema a plugin's code can notice: defaults, required fields, unknown fields, and `writeOnly`.
//!
//! The rest of the schema is the host's affair; it never lets a configuration through that does not satisfy it.

use serde_json::Value;

/// Fills in defaults.
///
/// # Panics
/// A required field is missing, or a field is unknown.
pub(super) fn apply_schema(schema: &Value, config: &mut Value) {
    let (Some(properties), Some(fields)) = (schema["properties"].as_object(), config.as_object_mut()) else { return };
    for (name, property) in properties {
        if let (None, Some(default)) = (fields.get(name), property.get("default")) {
            fields.insert(name.clone(), default.clone());
        }
        if let Some(field) = fields.get_mut(name) {
            apply_schema(property, field);
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(fields.contains_key(required), "the schema requires `{required}`");
    }
    let unknown = fields.keys().find(|name| !properties.contains_key(*name));
    if let Some(unknown) = unknown.filter(|_| schema["additionalProperties"] == Value::Bool(false)) {
        panic!("the schema has no property `{unknown}`");
    }
}

/// Takes out what is marked `writeOnly`.
pub(super) fn remove_secrets(schema: &Value, config: &mut Value) {
    let (Some(properties), Some(fields)) = (schema["properties"].as_object(), config.as_object_mut()) else { return };
    for (name, property) in properties {
        if property["writeOnly"] == Value::Bool(true) {
            fields.remove(name);
        } else if let Some(field) = fields.get_mut(name) {
            remove_secrets(property, field);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_go_in_and_secrets_come_out() {
        let schema = json!({ "properties": {
            "endpoint": { "default": "http://localhost" },
            "token": { "writeOnly": true },
            "nested": { "properties": { "key": { "writeOnly": true }, "size": { "default": 3 } } },
        } });
        let mut config = json!({ "token": "s", "nested": { "key": "s" } });
        apply_schema(&schema, &mut config);
        remove_secrets(&schema, &mut config);
        assert_eq!(config, json!({ "endpoint": "http://localhost", "nested": { "size": 3 } }));
    }
}
