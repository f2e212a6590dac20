//! What a new version of a plugin can do that the old one could not.
//!
//! *More* is what widens authority: calls, requests, what a processor sees and changes, and settings that were secret
//! and are no longer. Everything else that changed is listed, for it may matter, and is not called more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kiln_policy::{Manifest, Visible};
use kiln_runtime::ComponentFile;
use serde::Serialize;

use crate::configuration;
use crate::contents::Contents;
use crate::facts::{self, Request};

/// Two versions compared. Each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What identifies them.
    pub versions: Vec<String>,
    /// What the new one asks for beyond what the old one did.
    pub more: Vec<String>,
    /// What it no longer asks for.
    pub less: Vec<String>,
    /// What else changed: telemetry, configuration, needs, packages.
    pub other: Vec<String>,
}

impl Difference {
    /// Compares two versions of a plugin, or two plugins.
    #[must_use]
    pub fn between(old: &ComponentFile, new: &ComponentFile) -> Self {
        let mut difference = Self::default();
        difference.identities(old, new);
        let imports = |file: &ComponentFile| file.imports.iter().map(|name| interface(name)).collect::<BTreeSet<_>>();
        let (before, after) = (imports(old), imports(new));
        difference.more.extend(after.difference(&before).map(|name| format!("can call {name}")));
        difference.less.extend(before.difference(&after).map(|name| format!("can call {name}")));
        difference.requests(&facts::requests(&old.manifest), &facts::requests(&new.manifest));
        difference.secrets(&old.manifest, &new.manifest);
        difference.telemetry(&old.manifest, &new.manifest);
        difference.configuration(&old.manifest, &new.manifest);
        difference.contents(&Contents::of(&old.bytes), &Contents::of(&new.bytes));
        difference
    }

    /// Whether the new one asks for more.
    #[must_use]
    pub fn asks_for_more(&self) -> bool {
        !self.more.is_empty()
    }

    fn identities(&mut self, old: &ComponentFile, new: &ComponentFile) {
        let (a, b) = (&old.manifest, &new.manifest);
        let values = [
            ("name", a.name.to_string(), b.name.to_string()),
            ("version", a.version.clone(), b.version.clone()),
            ("kind", a.kind.name().to_owned(), b.kind.name().to_owned()),
            ("contract", a.wit.clone(), b.wit.clone()),
            ("license", a.license.clone(), b.license.clone()),
            ("digest", old.digest.to_string(), new.digest.to_string()),
            ("size", format!("{} bytes", old.bytes.len()), format!("{} bytes", new.bytes.len())),
        ];
        for (what, old, new) in values {
            let line =
                if old == new { format!("{what}: {old}, as before") } else { format!("{what}: {old} → {new}") };
            self.versions.push(line);
        }
    }

    fn requests(&mut self, old: &BTreeSet<Request>, new: &BTreeSet<Request>) {
        let beyond = |some: &BTreeSet<Request>, others: &BTreeSet<Request>| -> Vec<String> {
            let covered = |request: &&Request| others.iter().any(|other| other.covers(request));
            some.iter().filter(|request| !covered(request)).map(|request| format!("requests {request}")).collect()
        };
        self.more.extend(beyond(new, old));
        self.less.extend(beyond(old, new));
    }

    /// Every place of the schema that marks a secret counts, wherever it stands.
    fn secrets(&mut self, old: &Manifest, new: &Manifest) {
        let (before, after) = (secrets(&old.config), secrets(&new.config));
        let (keys_before, keys_after) = (configuration::keys(&old.config), configuration::keys(&new.config));
        for pointer in before.difference(&after) {
            let key = key_of(pointer);
            // A setting that is gone cannot be seen.
            let is_gone = keys_before.contains_key(&key) && !keys_after.contains_key(&key);
            if !is_gone {
                self.more.push(format!("sees the setting {key}, which was a secret"));
            }
        }
    }

    fn telemetry(&mut self, old: &Manifest, new: &Manifest) {
        let (before, after) = (telemetry(old), telemetry(new));
        self.changes("emits", &before, &after);
    }

    fn configuration(&mut self, old: &Manifest, new: &Manifest) {
        let keys = |manifest: &Manifest| -> BTreeMap<String, String> {
            let secret = |is_secret| if is_secret { ", secret" } else { "" };
            let told = configuration::keys(&manifest.config).into_iter();
            told.map(|(path, key)| (path, format!("{}{}", key.kind, secret(key.is_secret)))).collect()
        };
        let (before, after) = (keys(old), keys(new));
        self.changes("setting", &before, &after);
        if before == after && old.config != new.config {
            self.other.push("the schema of the configuration differs in more than its keys".to_owned());
        }
    }

    fn contents(&mut self, old: &Contents, new: &Contents) {
        if old.memory_minimum != new.memory_minimum {
            let (old, new) = (old.memory_minimum / 1024, new.memory_minimum / 1024);
            self.other.push(format!("starts with {new} KiB of memory, and with {old} KiB before"));
        }
        let packages = |contents: &Contents| -> BTreeMap<String, String> {
            let mut versions: BTreeMap<String, String> = BTreeMap::new();
            for package in contents.packages.iter().flatten() {
                let version = versions.entry(package.name.clone()).or_default();
                if !version.is_empty() {
                    version.push_str(", ");
                }
                version.push_str(&package.version);
            }
            versions
        };
        self.changes("package", &packages(old), &packages(new));
    }

    fn changes(&mut self, what: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for name in names {
            match (old.get(name), new.get(name)) {
                (Some(old), Some(new)) if old != new => self.other.push(format!("{what} {name}: {old} → {new}")),
                (None, Some(new)) => self.other.push(format!("{what} {name}: new, {new}")),
                (Some(_), None) => self.other.push(format!("{what} {name}: gone")),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }
}

/// Without the patch version, which is the same contract.
fn interface(import: &str) -> String {
    match import.rsplit_once('.') {
        Some((rest, _)) if import.starts_with("kiln:plugin/") => rest.to_owned(),
        Some(_) | None => import.to_owned(),
    }
}

/// Pointers to everything a schema marks `writeOnly`.
fn secrets(schema: &serde_json::Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![(String::new(), schema)];
    while let Some((pointer, value)) = pending.pop() {
        match value {
            serde_json::Value::Object(fields) => {
                if fields.get("writeOnly") == Some(&serde_json::Value::Bool(true)) {
                    found.insert(pointer.clone());
                }
                pending.extend(fields.iter().map(|(key, value)| (format!("{pointer}/{key}"), value)));
            }
            serde_json::Value::Array(items) => {
                pending.extend(items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)));
            }
            _ => {}
        }
    }
    found
}

/// The path of a key as the configuration spells it, for a pointer into its schema.
fn key_of(pointer: &str) -> String {
    pointer.replace("/properties/", ".").replace("/items", "[]").trim_start_matches('.').to_owned()
}

/// Everything a manifest says it emits, in a line each.
fn telemetry(manifest: &Manifest) -> BTreeMap<String, String> {
    let declared = &manifest.telemetry;
    let mut told = BTreeMap::new();
    for (name, metric) in &declared.metrics {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let attributes = metric.attributes.join(" ");
        told.insert(format!("metric {name}"), format!("{kind} in {} [{attributes}]", metric.unit));
    }
    for family in &declared.undeclared_metrics {
        told.insert(format!("metrics {}*", family.prefix), "under names of the source".to_owned());
    }
    for family in &declared.undeclared_resource_attributes {
        told.insert(format!("resource attributes {}*", family.prefix), "under names of the source".to_owned());
    }
    for (what, events) in [("span", &declared.spans), ("log record", &declared.logs)] {
        for (name, event) in events {
            told.insert(format!("{what} {name}"), format!("[{}]", event.attributes.join(" ")));
        }
    }
    for (what, attributes) in
        [("resource attribute", &declared.resource_attributes), ("attribute", &declared.attributes)]
    {
        for (key, attribute) in attributes {
            told.insert(format!("{what} {key}"), format!("{:?}", attribute.kind).to_lowercase());
        }
    }
    told
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.versions.iter().try_for_each(|line| writeln!(f, "{}", Visible(line)))?;
        let parts = [
            (
                "ASKS FOR MORE",
                "+",
                &self.more,
                "nothing: whoever trusted the old version with its grants need grant no more",
            ),
            ("ASKS FOR LESS", "-", &self.less, "nothing"),
            ("ALSO CHANGED", "~", &self.other, "nothing that can be seen from outside"),
        ];
        for (title, mark, lines, none) in parts {
            writeln!(f, "\n{title}")?;
            if lines.is_empty() {
                writeln!(f, "  {none}")?;
            }
            lines.iter().try_for_each(|line| writeln!(f, "  {mark} {}", Visible(line)))?;
        }
        Ok(())
    }
}
