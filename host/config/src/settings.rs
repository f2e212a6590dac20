//! A plugin's own keys, once its manifest is known.
//!
//! Four steps: give every scalar the type the schema wants and find keys it does not declare, fill in defaults, have
//! the whole validated, and take the secrets out. What is left is what the plugin sees. The schema comes from a
//! plugin, so it is not trusted either: it can fetch nothing, and its patterns run in linear time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::{Location as Pointer, LocationSegment};
use jsonschema::{PatternOptions, ValidationError, Validator};
use kiln_policy::{ConfigLine, Setting};
use serde_json::{Map, Value as Json};

use crate::document::{Content, Entry, Node, Scalar, ScalarKind};
use crate::error::{Errors, Location, Problem, Report, YamlPath};
use crate::instance::{HOST_KEYS, PluginBody};
use crate::schema::{Schemas, check, type_of};
use crate::schema_error::{is_duration, problem};
use crate::secret::Secret;
use crate::suggestion::{Nearest, quoted};

/// What a plugin is configured with: valid by its schema, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSettings {
    /// What the plugin sees: everything but the secrets.
    pub public: Json,
    /// The fields the manifest marks `writeOnly`, by their dotted path as in `${config.auth.token}`.
    pub secrets: BTreeMap<String, Secret>,
    /// The fields the schema gives a default, by their dotted path, whether or not it was needed.
    pub with_default: BTreeSet<String>,
    /// Where single values are written, by their dotted path; a default is written nowhere.
    pub written: BTreeMap<String, ConfigLine>,
}

impl PluginSettings {
    /// The text of a field that is no secret, by its dotted path.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        Setting::find(&self.public, field)?.text
    }

    /// What a policy may know of a field, by its dotted path; `None` if it has no value.
    #[must_use]
    pub fn setting(&self, field: &str) -> Option<Setting<'_>> {
        let has_default = self.with_default.contains(field);
        if self.secrets.contains_key(field) {
            return Some(Setting { has_default, written: self.line(field), ..Setting::secret() });
        }
        let setting = Setting::find(&self.public, field)?;
        let mut elements = setting.elements;
        for element in &mut elements {
            element.written = self.line(&element.place);
        }
        Some(Setting { has_default, elements, written: self.line(field), ..setting })
    }

    /// Where a single value is written, by its dotted path or its place such as `scrape_configs[0].targets[2]`.
    fn line(&self, place: &str) -> Option<ConfigLine> {
        let dotted = place.replace('[', ".").replace(']', "");
        self.written.get(&dotted).cloned()
    }
}

impl PluginBody {
    /// Checks the plugin's keys against the JSON Schema of its manifest (draft 2020-12).
    ///
    /// Where a schema declares `properties` and does not say `additionalProperties`, no others are accepted.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place in the file; or that the schema is none.
    pub fn settings(&self, schema: &Json) -> Result<PluginSettings, Errors> {
        let report = Report::default();
        let schemas = Schemas::new(schema);
        let mut settings = Json::Null;
        let mut with_default = BTreeSet::new();
        match validator(schema) {
            Ok(validator) => {
                settings = Reading { report: &report, top: &self.path }.value(&self.node, &self.path, &schemas);
                fill_defaults(&mut settings, &schemas, "", &mut with_default);
                for error in validator.iter_errors(&settings) {
                    let place = self.place(error.instance_path());
                    let field = dotted(error.instance_path());
                    if place.node.is_none() && with_default.contains(&field) {
                        report.error(place.at, &place.path, Problem::Plugin(bad_default(&field)));
                        continue;
                    }
                    let (at, path, problem) = place.explain(&error);
                    report.error(at, &path, problem);
                }
            }
            Err(message) => report.error(self.node.at, &self.path, Problem::Plugin(message)),
        }
        let ((), _) = report.conclude(&self.file, ())?;
        let mut secrets = BTreeMap::new();
        take_secrets(&mut settings, &schemas, "", &mut secrets);
        Ok(PluginSettings { public: settings, secrets, with_default, written: self.written() })
    }

    /// Where every single value is written, by its dotted path.
    fn written(&self) -> BTreeMap<String, ConfigLine> {
        let mut written = BTreeMap::new();
        note(&self.node, &Arc::from(self.file.as_str()), "", &self.path, &mut written);
        written
    }

    /// Where the file says what a pointer into the settings points at, or the nearest thing around it.
    fn place(&self, pointer: &Pointer) -> Place<'_> {
        let mut place = Place { at: self.node.at, path: self.path.clone(), node: Some(&self.node) };
        for segment in pointer.segments() {
            place = match segment {
                LocationSegment::Property(key) => place.key(&key),
                LocationSegment::Index(index) => place.index(index),
            };
        }
        place
    }
}

/// The dotted path a pointer stands for.
fn dotted(pointer: &Pointer) -> String {
    let segments = pointer.segments().map(|segment| match segment {
        LocationSegment::Property(key) => key.to_string(),
        LocationSegment::Index(index) => index.to_string(),
    });
    segments.collect::<Vec<_>>().join(".")
}

/// What nobody has written cannot be mended in the configuration.
fn bad_default(field: &str) -> String {
    format!(
        "the plugin's schema has a default for {} that it does not accept itself; this is a defect of the plugin, tell its author",
        quoted(field, '`')
    )
}

/// Notes where the single values of `node` are written; `dotted` leads to it and ends in a dot unless empty.
fn note(node: &Node, file: &Arc<str>, dotted: &str, path: &YamlPath, written: &mut BTreeMap<String, ConfigLine>) {
    match &node.content {
        Content::Null | Content::Invalid => {}
        Content::Scalar(_) => {
            written.insert(dotted.trim_end_matches('.').to_owned(), node.at.in_file(file, path));
        }
        Content::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                note(item, file, &format!("{dotted}{index}."), &path.index(index), written);
            }
        }
        Content::Mapping(entries) => {
            for Entry { key, value, .. } in entries {
                note(value, file, &format!("{dotted}{key}."), &path.key(key), written);
            }
        }
    }
}

fn validator(schema: &Json) -> Result<Validator, String> {
    let defect = |what: &str| format!("the plugin's schema {what}; this is a defect of the plugin, tell its author");
    check(schema).map_err(|problem| defect(&problem))?;
    jsonschema::draft202012::options()
        .offline()
        .should_validate_formats(true)
        .with_format("duration", is_duration)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| defect(&format!("is not valid, {}", quoted(&error.to_string(), '`'))))
}

struct Reading<'a> {
    report: &'a Report,
    /// Where the keys of the host are known too.
    top: &'a YamlPath,
}

impl Reading<'_> {
    fn value(&self, node: &Node, path: &YamlPath, schemas: &Schemas<'_>) -> Json {
        match &node.content {
            Content::Null | Content::Invalid => Json::Null,
            Content::Scalar(scalar) => typed(scalar, schemas),
            Content::Sequence(items) => Json::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.value(item, &path.index(index), &schemas.item(index)))
                    .collect(),
            ),
            Content::Mapping(entries) => Json::Object(self.entries(entries, path, schemas)),
        }
    }

    fn entries(&self, entries: &[Entry], path: &YamlPath, schemas: &Schemas<'_>) -> Map<String, Json> {
        let declared = schemas.is_closed().then(|| schemas.declared());
        let mut map = Map::new();
        for entry in entries {
            let path_of_entry = path.key(&entry.key);
            if let Some(declared) = declared.as_ref().filter(|declared| !declared.contains(&entry.key.as_str())) {
                let ours: &[&str] = if path == self.top { &HOST_KEYS } else { &[] };
                let nearest = Nearest::find(&entry.key, declared.iter().chain(ours).copied());
                self.report.error(entry.key_at, &path_of_entry, Problem::UnknownKey(nearest));
                continue;
            }
            let schemas = schemas.property(&entry.key);
            // A key without a value is a key that is not there, as everywhere in the file.
            if matches!(entry.value.content, Content::Null) && !schemas.allows("null") {
                continue;
            }
            map.insert(entry.key.clone(), self.value(&entry.value, &path_of_entry, &schemas));
        }
        map
    }
}

/// Gives a scalar the type the schema wants, where its spelling allows.
fn typed(scalar: &Scalar, schemas: &Schemas<'_>) -> Json {
    let text = || Json::String(scalar.text.clone());
    match &scalar.kind {
        ScalarKind::Boolean(value) if schemas.allows("boolean") || !schemas.allows("string") => Json::Bool(*value),
        ScalarKind::Number(value)
            if schemas.allows(type_of(&Json::Number(value.clone()))) || !schemas.allows("string") =>
        {
            Json::Number(value.clone())
        }
        // `account: 0123` is text to a plugin that wants text.
        ScalarKind::Boolean(_) | ScalarKind::Number(_) => text(),
        ScalarKind::Text if !scalar.substituted || schemas.allows("string") => text(),
        ScalarKind::Text => {
            let parsed: Option<Json> = serde_json::from_str(scalar.text.trim()).ok();
            let wanted = |value: &Json| match value {
                Json::Bool(_) => schemas.allows("boolean"),
                Json::Number(_) => schemas.allows(type_of(value)) || schemas.allows("integer"),
                _ => false,
            };
            parsed.filter(wanted).unwrap_or_else(text)
        }
    }
}

/// Adds what is absent and has a default, and notes every field that has one; `path` is that of [`take_secrets`].
fn fill_defaults(value: &mut Json, schemas: &Schemas<'_>, path: &str, with_default: &mut BTreeSet<String>) {
    match value {
        Json::Object(map) => {
            for (key, default) in schemas.defaults() {
                with_default.insert(format!("{path}{key}"));
                map.entry(key).or_insert_with(|| default.clone());
            }
            for (key, value) in map {
                fill_defaults(value, &schemas.property(key), &format!("{path}{key}."), with_default);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill_defaults(item, &schemas.item(index), &format!("{path}{index}."), with_default);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Moves every secret from `value` to `secrets`; `path` leads to `value` and ends in a dot unless empty.
fn take_secrets(value: &mut Json, schemas: &Schemas<'_>, path: &str, secrets: &mut BTreeMap<String, Secret>) {
    match value {
        Json::Object(map) => {
            map.retain(|key, value| keep_or_take(value, &schemas.property(key), &format!("{path}{key}"), secrets))
        }
        Json::Array(items) => {
            let mut index = 0;
            items.retain_mut(|item| {
                let kept = keep_or_take(item, &schemas.item(index), &format!("{path}{index}"), secrets);
                index += 1;
                kept
            });
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn keep_or_take(value: &mut Json, schemas: &Schemas<'_>, path: &str, secrets: &mut BTreeMap<String, Secret>) -> bool {
    if schemas.is_secret() {
        take_all(value, path, secrets);
        return false;
    }
    take_secrets(value, schemas, &format!("{path}."), secrets);
    true
}

/// A secret that is not a single value is the secrets it consists of.
fn take_all(value: &Json, path: &str, secrets: &mut BTreeMap<String, Secret>) {
    match value {
        Json::Object(map) => map.iter().for_each(|(key, value)| take_all(value, &format!("{path}.{key}"), secrets)),
        Json::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| take_all(item, &format!("{path}.{index}"), secrets));
        }
        Json::Null => {}
        Json::String(text) => {
            secrets.insert(path.to_owned(), Secret::new(text.clone()));
        }
        Json::Bool(_) | Json::Number(_) => {
            secrets.insert(path.to_owned(), Secret::new(value.to_string()));
        }
    }
}

/// A place in the file, and what stands there, if anything.
struct Place<'a> {
    at: Location,
    path: YamlPath,
    node: Option<&'a Node>,
}

impl<'a> Place<'a> {
    fn key(self, key: &str) -> Self {
        let entry = self.entry(key);
        let at = match entry {
            // What is wrong with a whole mapping or list is shown at the key that names it.
            Some(Entry { key_at, value: Node { content: Content::Mapping(_) | Content::Sequence(_), .. }, .. }) => {
                *key_at
            }
            Some(entry) => entry.value.at,
            None => self.at,
        };
        Self { at, path: self.path.key(key), node: entry.map(|entry| &entry.value) }
    }

    fn index(self, index: usize) -> Self {
        let item = match self.node.map(|node| &node.content) {
            Some(Content::Sequence(items)) => items.get(index),
            _ => None,
        };
        Self { at: item.map_or(self.at, |item| item.at), path: self.path.index(index), node: item }
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        match self.node.map(|node| &node.content) {
            Some(Content::Mapping(entries)) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Puts the validator's finding into words and to the most telling place.
    fn explain(self, error: &ValidationError<'_>) -> (Location, YamlPath, Problem) {
        // `token:` without a value counts as absent, but it is that line which needs the value.
        if let ValidationErrorKind::Required { property: Json::String(key) } = error.kind()
            && let Some(entry) = self.entry(key)
        {
            return (entry.key_at, self.path.key(key), Problem::Empty);
        }
        (self.at, self.path, problem(error))
    }
}
