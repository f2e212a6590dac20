//! Whether the schema of the configuration says enough: what it lets through is the plugin's to refuse.

use std::path::Path;

use kiln_config::{Config, Errors, Role};
use kiln_policy::PluginKind;
use kiln_trial::Outcome;
use serde_json::{Map, Value as Json, json};

use super::Suite;
use crate::commands::environment;
use crate::trial::source::around;

/// A key that nobody declares.
const UNKNOWN: &str = "kiln_check_unknown_key";

impl Suite<'_> {
    /// Tries what the schema should refuse: a key nobody knows, nothing where something is required, values of other types.
    pub(super) fn schema(&mut self) {
        let schema = self.manifest().config.clone();
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&empty);
        let required: Vec<_> =
            schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        let mut wrong = Vec::new();
        if schema.as_object().is_none_or(Map::is_empty) || properties.is_empty() {
            let why = "there is nothing to configure, so there is nothing to refuse";
            self.noted("schema", &[5], Outcome::Skipped, why);
            return;
        }
        let mut tried = 0;
        let mut is_refused = |settings: Json, what: String| {
            tried += 1;
            match self.refusal(&settings) {
                None => wrong.push(what),
                // A schema that is none refuses everything, for a reason that is no answer to what was tried.
                Some(text) if text.contains("this is a defect of the plugin") => wrong.push(text),
                Some(_) => {}
            }
        };
        if let Some(first) = required.first() {
            is_refused(json!({}), format!("accepts a configuration without `{first}`, which it requires"));
        }
        let given = self.given();
        if !["additionalProperties", "patternProperties"]
            .iter()
            .any(|key| schema.get(*key).is_some_and(|it| *it != json!(false)))
        {
            let mut settings = given.clone();
            settings.insert(UNKNOWN.to_owned(), json!(1));
            is_refused(Json::Object(settings), format!("accepts the key `{UNKNOWN}`, which nobody declares"));
        }
        let mut vague = Vec::new();
        for (name, property) in properties {
            match misfit(property) {
                None => vague.push(name.clone()),
                Some(value) => {
                    let mut settings = given.clone();
                    settings.insert(name.clone(), value.clone());
                    is_refused(Json::Object(settings), format!("accepts {value} for `{name}`"));
                }
            }
        }
        if wrong.is_empty() && !vague.is_empty() {
            let why = format!("says of `{}` nothing that could be refused: give it a `type`", vague.join("`, `"));
            self.noted("schema", &[5], Outcome::Warned, why);
        } else {
            self.found("schema", &[5], wrong, format!("refuses {tried} configurations that do not fit it"));
        }
    }

    /// The settings the plugin is given, secrets as they are.
    fn given(&self) -> Map<String, Json> {
        let settings = &self.prepared.settings;
        let mut given = settings.public.as_object().cloned().unwrap_or_default();
        for (path, secret) in &settings.secrets {
            // A nested one is not needed to see that something else is refused.
            if !path.contains('.') {
                given.insert(path.clone(), json!(secret.expose()));
            }
        }
        given
    }

    /// Why settings are refused; `None` if they are not. JSON is YAML.
    fn refusal(&self, settings: &Json) -> Option<String> {
        let text = around(&settings.to_string(), &self.prepared.file);
        let config = match Config::parse("check", &text, Path::new(""), &environment) {
            Ok(config) => config,
            Err(errors) => return Some(errors.to_string()),
        };
        let role = match self.manifest().kind {
            PluginKind::Receiver => Role::Receiver,
            PluginKind::Processor => Role::Processor,
        };
        let name = &self.manifest().name;
        let instance =
            config.instances.iter().find(|instance| instance.role == role && instance.plugin.name() == Some(name))?;
        instance.body.settings(&self.manifest().config).err().map(|errors: Errors| errors.to_string())
    }
}

/// A value of a type that does not fit; `None` if any does, as far as can be seen.
fn misfit(property: &Json) -> Option<Json> {
    let types: Vec<&str> = match property.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ if property.get("enum").is_some() || property.get("const").is_some() => return Some(json!({ UNKNOWN: 1 })),
        _ => return None,
    };
    let candidates =
        [("object", json!({ UNKNOWN: { UNKNOWN: 1 } })), ("array", json!([[UNKNOWN]])), ("string", json!("\u{1}"))];
    candidates.into_iter().find(|(kind, _)| !types.contains(kind)).map(|(_, value)| value)
}
