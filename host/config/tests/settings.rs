//! What a plugin's manifest makes of its keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use kiln_config::{Config, Errors, PluginSettings};
use kiln_policy::Setting;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn read(keys: &str, schema: &Json, env: &[(&str, &str)]) -> Result<PluginSettings, Errors> {
    let text = format!(
        "receivers:\n  databricks:\n{keys}\nexporters: {{ debug: }}\n\
         service: {{ pipelines: {{ metrics: {{ receivers: [databricks], exporters: [debug] }} }} }}\n"
    );
    let lookup = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let config = Config::parse("kiln.yaml", &text, Path::new("/nowhere"), &lookup).unwrap_or_else(|e| panic!("{e}"));
    config.instances[0].body.settings(schema)
}

fn settings(keys: &str, schema: &Json) -> PluginSettings {
    read(keys, schema, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(keys: &str, schema: &Json) -> String {
    read(keys, schema, &[]).unwrap_err().to_string()
}

/// A schema like that of a real plugin.
fn databricks() -> Json {
    json!({
        "type": "object",
        "required": ["host"],
        "properties": {
            "host": { "type": "string", "format": "uri" },
            "token": { "type": "string", "writeOnly": true, "minLength": 4 },
            "oauth": {
                "type": "object",
                "required": ["client_id", "client_secret"],
                "properties": {
                    "client_id": { "type": "string" },
                    "client_secret": { "type": "string", "writeOnly": true },
                    "scopes": { "type": "array", "items": { "type": "string" }, "default": ["all-apis"] }
                }
            },
            "account": { "type": "string", "pattern": "^[0-9]+$" },
            "lookback": { "type": "string", "format": "duration", "default": "1h" },
            "cost": { "enum": ["estimate", "billing"], "default": "estimate" },
            "page_size": { "type": "integer", "minimum": 1, "maximum": 100, "default": 25 },
            "ratio": { "type": "number" },
            "jobs": { "type": "boolean", "default": true },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } }
        },
        "anyOf": [ { "required": ["token"] }, { "required": ["oauth"] } ]
    })
}

#[test]
fn settings_are_what_the_plugin_sees_with_defaults_and_without_secrets() {
    let keys = "    host: https://a.example\n    token: dapi1\n    oauth: { client_id: me, client_secret: s }\n    timeout: 5s";
    let settings = settings(keys, &databricks());
    let public = json!({
        "host": "https://a.example",
        "oauth": { "client_id": "me", "scopes": ["all-apis"] },
        "lookback": "1h",
        "cost": "estimate",
        "page_size": 25,
        "jobs": true,
    });
    assert_eq!(settings.public, public);
    let secrets: Vec<_> = settings.secrets.iter().map(|(path, secret)| (path.as_str(), secret.expose())).collect();
    assert_eq!(secrets, [("oauth.client_secret", "s"), ("token", "dapi1")]);
    assert!(!format!("{settings:?}").contains("dapi1"));

    assert_eq!(settings.text("host"), Some("https://a.example"));
    assert_eq!(settings.text("oauth.client_id"), Some("me"));
    assert_eq!(settings.text("oauth.scopes.0"), Some("all-apis"));
    for no_text in ["token", "oauth.client_secret", "oauth", "page_size", "nothing", "host.x", "", "oauth."] {
        assert_eq!(settings.text(no_text), None, "{no_text}");
    }
}

#[test]
fn a_policy_learns_which_fields_are_set_and_no_secret() {
    let keys = "    host: https://a.example\n    token: dapi1\n    lookback: 2h\n    oauth: { client_id: me, client_secret: s }\n    page_size: 7";
    let settings = settings(keys, &databricks());
    let setting = |field| settings.setting(field).map(|setting| Setting { written: None, ..setting });
    assert_eq!(setting("host"), Some(Setting::text("https://a.example")));
    assert_eq!(setting("oauth.client_id"), Some(Setting::text("me")));
    assert_eq!(setting("token"), Some(Setting::secret()));
    assert_eq!(setting("oauth.client_secret"), Some(Setting::secret()));
    // A default is one even where it is not needed.
    assert_eq!(setting("lookback"), Some(Setting { has_default: true, ..Setting::text("2h") }));
    assert_eq!(setting("cost"), Some(Setting { has_default: true, ..Setting::text("estimate") }));
    for absent in ["account", "oauth", "page_size", "nothing"] {
        assert_eq!(settings.setting(absent), None, "{absent}");
    }
}

#[test]
fn a_setting_knows_the_line_it_is_written_on_and_a_default_has_none() {
    let keys = "    host: https://a.example\n    oauth: { client_id: me, client_secret: s }";
    let settings = settings(keys, &databricks());
    let written = |field| settings.setting(field).unwrap().written.map(|line| line.to_string());
    assert_eq!(written("host").as_deref(), Some("kiln.yaml:3:11: receivers.databricks.host"));
    let client_id = "kiln.yaml:4:25: receivers.databricks.oauth.client_id";
    assert_eq!(written("oauth.client_id").as_deref(), Some(client_id));
    assert!(written("oauth.client_secret").is_some_and(|line| line.starts_with("kiln.yaml:4:")));
    assert_eq!(written("cost"), None);
}

#[test]
fn every_item_of_a_list_knows_its_line() {
    let schema = json!({ "properties": { "jobs": { "type": "array", "items": { "properties": { "targets": {
        "type": "array", "items": { "type": "string" } } } } } } });
    let settings = settings("    jobs:\n      - targets: [a]\n      - targets:\n          - b\n          - c", &schema);
    let elements = settings.setting("jobs.targets").unwrap().elements;
    let lines: Vec<_> = elements.into_iter().map(|element| (element.text, element.written.unwrap().line)).collect();
    assert_eq!(lines, [("a", 4), ("b", 6), ("c", 7)]);
}

#[test]
fn every_broken_rule_is_reported_at_its_place_in_words() {
    let keys = "    hots: x
    token: abc
    oauth: { client_id: 5.0, client_secert: hunter2 }
    account: [1]
    lookback: soon
    cost: bill
    page_size: 1000
    ratio: \"5\"
    jobs: yes
    labels: { a: { b: c } }
    colection_interval: 5s";
    let expected = "\
kiln.yaml:2:3: receivers.databricks: `host` is required
kiln.yaml:3:5: receivers.databricks.hots: unknown key; did you mean `host`?
kiln.yaml:4:12: receivers.databricks.token: must be at least 4 characters long
kiln.yaml:5:5: receivers.databricks.oauth: `client_secret` is required
kiln.yaml:5:30: receivers.databricks.oauth.client_secert: unknown key; did you mean `client_secret`?
kiln.yaml:6:5: receivers.databricks.account: expected text, found a list
kiln.yaml:7:15: receivers.databricks.lookback: is no duration; write it as in `30s`, `500ms` or `1m30s`
kiln.yaml:8:11: receivers.databricks.cost: unknown value; use `billing` or `estimate`
kiln.yaml:9:16: receivers.databricks.page_size: must be at most 100
kiln.yaml:10:12: receivers.databricks.ratio: expected a number, found text
kiln.yaml:11:11: receivers.databricks.jobs: expected `true` or `false`, found text
kiln.yaml:12:15: receivers.databricks.labels.a: expected text, found a mapping
kiln.yaml:13:5: receivers.databricks.colection_interval: unknown key; did you mean `collection_interval`?";
    assert_eq!(errors(keys, &databricks()), expected);
}

#[test]
fn each_rule_has_its_sentence() {
    let property = |schema: Json| json!({ "properties": { "x": schema } });
    for (schema, good, bad, expected) in [
        (json!({ "type": "string", "minLength": 1 }), "a", "''", "must be at least 1 character long"),
        (json!({ "type": "string", "maxLength": 2 }), "ab", "abc", "must be at most 2 characters long"),
        (json!({ "type": "string", "pattern": "^a+$" }), "aa", "b", "does not have the form the plugin wants, `^a+$`"),
        (json!({ "format": "uri" }), "http://a", "not one", "is no URL; write it with its scheme"),
        (json!({ "format": "ipv4" }), "127.0.0.1", "x", "does not have the form of `ipv4`"),
        (json!({ "type": "integer", "minimum": 2 }), "2", "1", "must be at least 2"),
        (json!({ "type": "integer", "exclusiveMinimum": 2 }), "3", "2", "must be more than 2"),
        (json!({ "type": "number", "exclusiveMaximum": 2 }), "1.9", "2", "must be less than 2"),
        (json!({ "type": "integer", "multipleOf": 5 }), "10", "7", "must be a multiple of 5"),
        (json!({ "type": "integer" }), "1.0", "1.5", "expected a whole number, found a number"),
        (json!({ "type": ["integer", "null"] }), "~", "a", "expected nothing or a whole number, found text"),
        (json!({ "const": "a" }), "a", "b", "must be `\"a\"`"),
        (json!({ "enum": [1, 2] }), "1", "3", "unknown value; use `1` or `2`"),
        (json!({ "enum": ["billing"] }), "billing", "biling", "unknown value; did you mean `billing`?"),
        (json!({ "type": "array", "minItems": 1 }), "[1]", "[]", "needs at least 1 item"),
        (json!({ "type": "array", "maxItems": 1 }), "[1]", "[1, 2]", "takes at most 1 item"),
        (json!({ "type": "array", "uniqueItems": true }), "[1, 2]", "[1, 1]", "holds an item twice"),
        (json!({ "type": "array", "items": { "type": "integer" } }), "[1]", "[1, a]", "x[1]: expected a whole number"),
        (json!({ "type": "object", "minProperties": 1 }), "{ a: 1 }", "{}", "needs at least 1 key"),
        (json!({ "properties": { "a": {} } }), "{ a: 1 }", "{ b: 1 }", "x.b: unknown key; use `a`"),
        (
            json!({ "properties": { "a": {} }, "additionalProperties": false }),
            "{ a: 1 }",
            "{ b: 1 }",
            "x.b: unknown key",
        ),
        (
            json!({ "patternProperties": { "^x": {} }, "additionalProperties": false }),
            "{ x1: 1 }",
            "{ b: 1 }",
            "unknown key `b`",
        ),
        (
            json!({ "oneOf": [ { "type": "string" }, { "type": "integer" } ] }),
            "a",
            "[]",
            "one of these must be resolved: expected text, found a list; or expected a whole number",
        ),
        (json!({ "oneOf": [ { "minimum": 1 }, { "minimum": 2 } ] }), "1", "3", "fits several alternatives"),
        (json!({ "not": { "const": "a" } }), "b", "a", "breaks the rule `not` of the plugin's schema"),
    ] {
        let schema = property(schema);
        settings(&format!("    x: {good}"), &schema);
        let errors = errors(&format!("    x: {bad}"), &schema);
        assert!(errors.contains(expected) && !errors.contains('\n'), "{bad}: {errors}");
    }
}

#[test]
fn alternatives_name_what_each_lacks() {
    let errors = errors("    host: https://a.example", &databricks());
    let expected = "kiln.yaml:2:3: receivers.databricks: one of these must be resolved: `token` is required; or `oauth` is required";
    assert_eq!(errors, expected);
}

#[test]
fn a_key_without_a_value_is_one_that_is_not_there() {
    let optional =
        settings("    host: https://a.example\n    token: dapi\n    page_size:\n    labels: ~", &databricks());
    assert_eq!(optional.public["page_size"], json!(25));
    assert_eq!(optional.public.get("labels"), None);
    let required = errors("    host:\n    token: dapi", &databricks());
    assert_eq!(required, "kiln.yaml:3:5: receivers.databricks.host: needs a value");
    let nullable = json!({ "properties": { "x": { "type": ["string", "null"], "default": "d" } } });
    assert_eq!(settings("    x: ~", &nullable).public, json!({ "x": null }));
    assert_eq!(settings("", &nullable).public, json!({ "x": "d" }));
}

#[test]
fn the_schema_decides_what_a_spelling_is() {
    for (wanted, written, expected) in [
        (json!("string"), "1.10", json!("1.10")),
        (json!("string"), "0x2A", json!("0x2A")),
        (json!("string"), "True", json!("True")),
        (json!("string"), "2024-01-01", json!("2024-01-01")),
        (json!("number"), "1.10", json!(1.1)),
        (json!("number"), "3", json!(3)),
        (json!("integer"), "3", json!(3)),
        (json!("boolean"), "true", json!(true)),
        (json!(["string", "number"]), "1.10", json!(1.1)),
    ] {
        let schema = json!({ "properties": { "x": { "type": wanted } } });
        assert_eq!(settings(&format!("    x: {written}"), &schema).public["x"], expected, "{written}");
    }
    assert_eq!(settings("    x: 1.10", &json!({ "properties": { "x": {} } })).public["x"], json!(1.1));
}

#[test]
fn substituted_text_becomes_what_is_wanted_and_never_shows() {
    for (wanted, value, expected) in [
        (json!({ "type": "string" }), "5", json!("5")),
        (json!({ "type": "integer" }), "5", json!(5)),
        (json!({ "type": "number" }), "-1.5e3", json!(-1500.0)),
        (json!({ "type": "boolean" }), "true", json!(true)),
        (json!({ "type": ["integer", "string"] }), "5", json!("5")),
        (json!({ "enum": [1, 2] }), "2", json!(2)),
        (json!({}), "5", json!("5")),
        (json!({ "type": "string" }), "a: [1]\n- b", json!("a: [1]\n- b")),
    ] {
        let schema = json!({ "properties": { "x": wanted } });
        let found = read("    x: ${env:X}", &schema, &[("X", value)]).unwrap();
        assert_eq!(found.public["x"], expected, "{value}");
    }
    for wanted in [
        json!({ "type": "integer" }),
        json!({ "type": "array" }),
        json!({ "type": "string", "pattern": "^$" }),
        json!({ "type": "string", "format": "uri" }),
        json!({ "enum": ["hunter1"] }),
        json!({ "const": 5 }),
        json!({ "type": "string", "maxLength": 1 }),
        json!({ "anyOf": [ { "type": "integer" }, { "maxLength": 1 } ] }),
        json!({ "not": {} }),
        json!({ "type": "string", "writeOnly": true, "maxLength": 1 }),
        json!(false),
    ] {
        let schema = json!({ "properties": { "x": wanted } });
        let errors = read("    x: ${env:X}", &schema, &[("X", "hunter2")]).unwrap_err().to_string();
        assert!(
            errors.starts_with("kiln.yaml:3:8: receivers.databricks.x: ") && !errors.contains("hunter2"),
            "{errors}"
        );
        let typed = self::errors("    x: hunter2", &schema);
        assert!(!typed.contains("hunter2"), "a typed value may be a secret too: {typed}");
    }
}

#[test]
fn secrets_are_found_wherever_a_schema_may_put_them() {
    let secret = json!({ "writeOnly": true });
    for (schema, keys, public, paths) in [
        (
            json!({ "properties": { "a": { "$ref": "#/$defs/s" } }, "$defs": { "s": secret } }),
            "    a: v",
            json!({}),
            vec!["a"],
        ),
        (json!({ "allOf": [ { "properties": { "a": secret } } ] }), "    a: v", json!({}), vec!["a"]),
        (json!({ "anyOf": [ { "properties": { "a": secret } }, {} ] }), "    a: v", json!({}), vec!["a"]),
        (json!({ "if": {}, "then": { "properties": { "a": secret } } }), "    a: v", json!({}), vec!["a"]),
        (json!({ "additionalProperties": secret }), "    a: v", json!({}), vec!["a"]),
        (json!({ "patternProperties": { "x": secret } }), "    xa: v", json!({}), vec!["xa"]),
        (
            json!({ "properties": { "l": { "items": secret } } }),
            "    l: [v, w]",
            json!({ "l": [] }),
            vec!["l.0", "l.1"],
        ),
        (
            json!({ "properties": { "l": { "prefixItems": [ {}, secret ] } } }),
            "    l: [v, w]",
            json!({ "l": ["v"] }),
            vec!["l.1"],
        ),
        (
            json!({ "properties": { "l": { "items": { "properties": { "k": {}, "s": secret } } } } }),
            "    l: [ { k: 1, s: v } ]",
            json!({ "l": [ { "k": 1 } ] }),
            vec!["l.0.s"],
        ),
        (
            json!({ "properties": { "a": secret } }),
            "    a: { b: v, c: [1, true, ~] }",
            json!({}),
            vec!["a.b", "a.c.0", "a.c.1"],
        ),
        (json!({ "properties": { "a": { "writeOnly": true, "default": "v" } } }), "", json!({}), vec!["a"]),
        (json!({ "properties": { "a": { "writeOnly": false } } }), "    a: v", json!({ "a": "v" }), vec![]),
    ] {
        let settings = settings(keys, &schema);
        assert_eq!(settings.public, public, "{schema}");
        assert_eq!(settings.secrets.keys().collect::<Vec<_>>(), paths, "{schema}");
    }
}

#[test]
fn defaults_hold_where_nothing_is_said_and_are_filled_in_themselves() {
    let schema = json!({ "properties": {
        "a": { "properties": { "b": { "default": 1 }, "c": {} }, "default": { "c": 2 } },
        "d": { "properties": { "e": { "default": 3 } } },
        "f": { "items": { "properties": { "g": { "default": 4 } } } },
        "h": { "allOf": [ { "default": 5 } ] },
        "i": { "anyOf": [ { "default": 6 } ] },
    } });
    assert_eq!(settings("", &schema).public, json!({ "a": { "b": 1, "c": 2 }, "h": 5 }));
    let written = settings("    a: { c: 7 }\n    d: {}\n    f: [ {}, { g: 8 } ]", &schema).public;
    let expected = json!({ "a": { "b": 1, "c": 7 }, "d": { "e": 3 }, "f": [ { "g": 4 }, { "g": 8 } ], "h": 5 });
    assert_eq!(written, expected);
}

#[test]
fn undeclared_keys_are_mistakes_unless_the_schema_says_otherwise() {
    for open in [
        json!({}),
        json!(true),
        json!({ "type": "object" }),
        json!({ "properties": { "a": {} }, "additionalProperties": true }),
        json!({ "properties": { "a": {} }, "additionalProperties": { "type": "integer" } }),
        json!({ "properties": { "a": {} }, "patternProperties": { "^b$": {} } }),
        json!({ "allOf": [ { "properties": { "b": {} } } ], "properties": { "a": {} } }),
    ] {
        assert_eq!(settings("    b: 1", &open).public, json!({ "b": 1 }), "{open}");
    }
    for closed in [json!({ "properties": {} }), json!({ "properties": { "a": {} }, "additionalProperties": false })] {
        assert!(
            errors("    b: 1", &closed).starts_with("kiln.yaml:3:5: receivers.databricks.b: unknown key"),
            "{closed}"
        );
    }
    let none = errors("    b: 1", &json!({ "properties": {} }));
    assert!(none.contains("`collection_interval`"), "the keys of the host are always possible: {none}");
}

#[test]
fn a_schema_that_is_none_is_the_plugins_fault() {
    for schema in [
        json!({ "type": "objekt" }),
        json!({ "properties": 5 }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "$ref": "other.json#/x" }),
        json!({ "properties": { "a": { "$ref": "#anchor" } } }),
        json!({ "$ref": "#/$defs/missing" }),
        json!({ "properties": { "a": { "pattern": "(" } } }),
        json!(5),
    ] {
        let errors = errors("    a: hunter2", &schema);
        assert!(errors.ends_with("this is a defect of the plugin, tell its author"), "{errors}");
        assert!(!errors.contains('\n') && !errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_schema_cannot_make_checking_endless() {
    for endless in [
        json!({ "properties": { "a": { "$ref": "#" } } }),
        json!({ "properties": { "a": { "$ref": "#/properties/b" }, "b": { "$ref": "#/properties/a" } } }),
        json!({ "properties": { "a": { "$ref": "#" } }, "allOf": [ { "$ref": "#/properties/a" }, { "$ref": "#" } ] }),
    ] {
        assert!(errors("    a: {}", &endless).contains("the plugin's schema refers to itself"), "{endless}");
    }
    let doubling = |levels: usize| {
        let next = |level| json!({ "$ref": format!("#/$defs/d{level}") });
        let mut schema = json!({ "$defs": { "d0": {} }, "allOf": [next(levels)] });
        for level in 0..levels {
            schema["$defs"][format!("d{}", level + 1)] = json!({ "allOf": [next(level), next(level)] });
        }
        schema
    };
    settings("    a: 1", &doubling(5));
    assert!(errors("    a: 1", &doubling(30)).contains("is too large once its references are followed"));

    let slow = json!({ "properties": { "a": { "type": "string", "pattern": "^(a+)+$" } } });
    let keys = format!("    a: {}b", "a".repeat(50_000));
    assert!(errors(&keys, &slow).contains("does not have the form"));
}

/// YAML takes no control characters, and `$` would have to be doubled.
fn printable() -> impl Strategy<Value = String> {
    r"\PC*".prop_map(|text| text.replace('$', ""))
}

proptest! {
    #[test]
    fn without_a_schema_any_json_is_what_it_is(
        value in prop::collection::btree_map("[b-z]{1,5}[0-9]", prop_oneof![
            any::<i64>().prop_map(Json::from),
            any::<bool>().prop_map(Json::from),
            printable().prop_map(Json::from),
            prop::collection::vec(printable(), 0..4).prop_map(Json::from),
        ], 0..6)
    ) {
        let keys: String = value.iter().map(|(key, value)| format!("    {key}: {value}\n")).collect();
        prop_assert_eq!(settings(&keys, &json!({})).public, json!(value));
    }

    #[test]
    fn no_secret_stays_behind_whatever_its_text(text in any::<String>()) {
        let schema = json!({ "properties": { "s": { "type": "string", "writeOnly": true }, "p": {} } });
        let settings = read("    s: ${env:S}\n    p: 1", &schema, &[("S", &text)]).unwrap();
        prop_assert_eq!(settings.secrets["s"].expose(), text);
        prop_assert_eq!(settings.public, json!({ "p": 1 }));
    }
}
