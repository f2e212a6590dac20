//! `kiln.lock`: which plugin files run, what they ask for and what each instance is granted, as somebody has reviewed it.
//!
//! Written by `kiln plugin lock`, compared by `--locked` at a start and at a reload. It is sorted, holds no lines and no
//! times, and so changes only with what it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kiln_config::Instance;
use kiln_policy::{Policy, ValidSignature, Visible};
use kiln_runtime::ComponentFile;
use serde::{Deserialize, Serialize};

use crate::facts;

/// Name of the lock file; it stands beside the configuration.
pub const LOCK_FILE: &str = "kiln.lock";

/// The form of the file.
const VERSION: u32 = 1;

/// Larger files are no lock files.
pub const MAX_LOCK_BYTES: usize = 16 * 1024 * 1024;

const HEADER: &str = "\
# What runs, as it was reviewed. Written by `kiln plugin lock`; do not edit.
# `kiln run --locked` and `kiln validate --locked` refuse whatever differs.

";

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    #[serde(default)]
    plugins: BTreeMap<String, LockedPlugin>,
    #[serde(default)]
    receivers: BTreeMap<String, LockedInstance>,
    #[serde(default)]
    processors: BTreeMap<String, LockedInstance>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedPlugin {
    digest: String,
    version: String,
    wit: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    imports: BTreeSet<String>,
    requests: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedInstance {
    plugin: String,
    grants: BTreeSet<String>,
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, plugins: BTreeMap::new(), receivers: BTreeMap::new(), processors: BTreeMap::new() }
    }
}

impl Lock {
    /// Adds an instance that runs, with its plugin.
    pub fn add(
        &mut self,
        instance: &Instance,
        file: &ComponentFile,
        policy: &Policy,
        signature: Option<&ValidSignature>,
    ) {
        let manifest = &file.manifest;
        let name = manifest.name.to_string();
        let plugin = LockedPlugin {
            digest: file.digest.to_string(),
            version: manifest.version.clone(),
            wit: manifest.wit.clone(),
            kind: manifest.kind.name().to_owned(),
            signed_by: signature.map(|signature| signature.key.to_string()),
            imports: file.imports.iter().cloned().collect(),
            requests: facts::requests(manifest).iter().map(ToString::to_string).collect(),
        };
        let name = self.key_of(name, &plugin);
        self.plugins.insert(name.clone(), plugin);
        let instances = match instance.role {
            kiln_config::Role::Receiver => &mut self.receivers,
            kiln_config::Role::Processor => &mut self.processors,
        };
        instances.insert(instance.id.to_string(), LockedInstance { plugin: name, grants: facts::grants(policy) });
    }

    /// What a plugin is called here: its name, with more where several files of that name run side by side.
    fn key_of(&self, name: String, plugin: &LockedPlugin) -> String {
        let longer = [name.clone(), format!("{name}@{}", plugin.version)];
        let is_free = |key: &String| self.plugins.get(key).is_none_or(|other| other.digest == plugin.digest);
        longer.into_iter().find(is_free).unwrap_or_else(|| format!("{name}@{} {}", plugin.version, plugin.digest))
    }

    /// The content of the file.
    ///
    /// # Errors
    /// Never, as far as is known: everything in it can be written as TOML.
    pub fn to_text(&self) -> Result<String, LockError> {
        let text = toml::to_string_pretty(self).map_err(|error| LockError::Unwritable(error.to_string()))?;
        Ok(format!("{HEADER}{text}"))
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// The text is no lock file, or one of another version.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        if text.len() > MAX_LOCK_BYTES {
            return Err(LockError::Malformed(format!("is larger than {MAX_LOCK_BYTES} bytes")));
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: toml::de::Error| LockError::Malformed(Visible(error.message()).to_string());
        let Versioned { version } = toml::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(LockError::Version(version));
        }
        toml::from_str(text).map_err(malformed)
    }

    /// How many instances are in it.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.receivers.len() + self.processors.len()
    }

    /// Compares what is locked with what would run.
    ///
    /// # Errors
    /// Everything that differs.
    pub fn check(&self, found: &Self) -> Result<(), Drift> {
        let mut lines = Vec::new();
        each("plugins", &self.plugins, &found.plugins, &mut lines, |place, locked, found, lines| {
            let values = [
                ("digest", Some(&locked.digest), Some(&found.digest)),
                ("version", Some(&locked.version), Some(&found.version)),
                ("wit", Some(&locked.wit), Some(&found.wit)),
                ("kind", Some(&locked.kind), Some(&found.kind)),
                ("signed_by", locked.signed_by.as_ref(), found.signed_by.as_ref()),
            ];
            for (key, locked, found) in values.into_iter().filter(|(_, locked, found)| locked != found) {
                let shown = |value: Option<&String>| value.map_or("nothing", String::as_str).to_owned();
                lines.push(format!("{place}.{key}: locked is {}, found {}", shown(locked), shown(found)));
            }
            sets(&format!("{place}.imports"), &locked.imports, &found.imports, lines);
            sets(&format!("{place}.requests"), &locked.requests, &found.requests, lines);
        });
        for (section, locked, found) in
            [("receivers", &self.receivers, &found.receivers), ("processors", &self.processors, &found.processors)]
        {
            each(section, locked, found, &mut lines, |place, locked, found, lines| {
                if locked.plugin != found.plugin {
                    lines.push(format!("{place}.plugin: locked is {}, found {}", locked.plugin, found.plugin));
                }
                sets(&format!("{place}.grants"), &locked.grants, &found.grants, lines);
            });
        }
        if lines.is_empty() { Ok(()) } else { Err(Drift { lines }) }
    }
}

/// Compares what both have, and names what only one has.
fn each<T>(
    section: &str,
    locked: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
    lines: &mut Vec<String>,
    compare: impl Fn(&str, &T, &T, &mut Vec<String>),
) {
    let names: BTreeSet<_> = locked.keys().chain(found.keys()).collect();
    for name in names {
        let place = format!("{section}.{name}");
        match (locked.get(name), found.get(name)) {
            (Some(locked), Some(found)) => compare(&place, locked, found, lines),
            (Some(_), None) => lines.push(format!("{place}: is locked and does not run")),
            (None, Some(_)) => lines.push(format!("{place}: is not locked")),
            (None, None) => {}
        }
    }
}

fn sets(place: &str, locked: &BTreeSet<String>, found: &BTreeSet<String>, lines: &mut Vec<String>) {
    lines.extend(found.difference(locked).map(|more| format!("{place}: not locked: {more}")));
    lines.extend(locked.difference(found).map(|less| format!("{place}: no longer there: {less}")));
}

/// What differs from the lock file, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Sorted by section and name.
    pub lines: Vec<String>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "  {}", Visible(line))?;
        }
        Ok(())
    }
}

impl std::error::Error for Drift {}

/// A lock file that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Not what `kiln plugin lock` writes.
    #[error("is no lock file: {0}; write it again with `kiln plugin lock`")]
    Malformed(String),
    /// Written by another Kiln.
    #[error("is of version {0}, and this Kiln knows version {VERSION}: write it again with `kiln plugin lock`")]
    Version(u32),
    /// Could not be put into words.
    #[error("cannot be written: {0}")]
    Unwritable(String),
}
