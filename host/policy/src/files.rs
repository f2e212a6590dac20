//! Directories and environment variables: what a manifest asks for, what the operator gives, and what both amount to.
//!
//! Neither is ever derived from the configuration: both reach into the machine Kiln runs on, so both are spelled out.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::condition::{self, Condition};
use crate::file_pattern::{self, FilePattern, Reach};
use crate::policy_error::PolicyError;
use crate::setting::Setting;

/// Longer paths and names are a mistake.
const MAX_BYTES: usize = 256;

/// Files a plugin wants to read: a directory as the plugin calls it, and which files of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesRequest {
    /// Where the plugin finds the directory, for example `/proc`.
    pub guest: GuestPath,
    /// Which files of it.
    pub paths: Vec<FilePattern>,
    /// When it counts; always if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// For the person who grants it.
    pub reason: String,
}

/// An environment variable a plugin wants to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRequest {
    /// Its name.
    pub name: VariableName,
    /// When it counts; always if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// For the person who grants it.
    pub reason: String,
}

/// A directory the instance may read, and nothing but read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesGrant {
    /// The directory of this machine.
    pub host: HostPath,
    /// Which of the directories the plugin requests it stands for; the one of the same path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestPath>,
    /// The files allowed; all that are requested if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<FilePattern>>,
}

impl FilesGrant {
    /// Where the plugin finds the directory.
    #[must_use]
    pub fn guest(&self) -> &str {
        self.guest.as_ref().map_or(&self.host.0, |guest| &guest.0)
    }
}

/// One directory an instance may read: what was requested and what was granted must both hold.
#[derive(Clone, Debug, Serialize)]
pub struct FilesRule {
    /// The directory of this machine.
    pub host: HostPath,
    /// Where the plugin finds it.
    pub guest: GuestPath,
    requested_paths: Vec<FilePattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_paths: Option<Vec<FilePattern>>,
}

impl FilesRule {
    /// The files the manifest asks for.
    #[must_use]
    pub fn requested_paths(&self) -> &[FilePattern] {
        &self.requested_paths
    }

    /// The files the grant leaves of those; `None` leaves all.
    #[must_use]
    pub fn granted_paths(&self) -> Option<&[FilePattern]> {
        self.granted_paths.as_deref()
    }

    /// How the path of these names, below the directory and with links resolved, stands to the rule.
    #[must_use]
    pub fn reach(&self, path: &[&str]) -> Reach {
        let requested = file_pattern::reach(&self.requested_paths, path);
        match &self.granted_paths {
            Some(granted) => requested.min(file_pattern::reach(granted, path)),
            None => requested,
        }
    }

    /// Whether the manifest's requests reach the path so far; if not, no grant could help.
    #[must_use]
    pub fn is_requested(&self, path: &[&str], needed: Reach) -> bool {
        file_pattern::reach(&self.requested_paths, path) >= needed
    }
}

/// The files an instance may read, and the grants nothing asks for.
pub(crate) struct Resolved {
    pub(crate) rules: Vec<FilesRule>,
    pub(crate) unused: Vec<HostPath>,
}

/// Intersects the requests for files that count with the grants of them.
pub(crate) fn resolve<'a>(
    requests: &[FilesRequest],
    grants: &[FilesGrant],
    setting: impl Fn(&str) -> Option<Setting<'a>>,
    errors: &mut Vec<PolicyError>,
) -> Resolved {
    let requests = requests.iter().filter(|request| condition::holds(request.when.as_ref(), &setting));
    let requests: Vec<&FilesRequest> = requests.collect();
    let mut rules: Vec<FilesRule> = Vec::new();
    for request in &requests {
        if let Some(rule) = rules.iter_mut().find(|rule| rule.guest == request.guest) {
            rule.requested_paths.extend(request.paths.iter().cloned());
            continue;
        }
        let mut granted = grants.iter().filter(|grant| grant.guest() == request.guest.0);
        match (granted.next(), granted.next()) {
            (Some(grant), None) => rules.push(FilesRule {
                host: grant.host.clone(),
                guest: request.guest.clone(),
                requested_paths: request.paths.clone(),
                granted_paths: grant.paths.clone(),
            }),
            (Some(_), Some(_)) => errors.push(PolicyError::FilesGrantedTwice { guest: request.guest.clone() }),
            (None, _) => PolicyError::merge(errors, not_granted(&requests, request)),
        }
    }
    let is_used = |grant: &&FilesGrant| requests.iter().any(|request| request.guest.0 == grant.guest());
    let unused = grants.iter().filter(|grant| !is_used(grant)).map(|grant| grant.host.clone()).collect();
    Resolved { rules, unused }
}

/// One sentence for all requests of the same directory.
fn not_granted(requests: &[&FilesRequest], request: &FilesRequest) -> PolicyError {
    let alike = || requests.iter().filter(|other| other.guest == request.guest);
    let mut reasons: Vec<_> = alike().map(|request| request.reason.as_str()).collect();
    reasons.dedup();
    PolicyError::FilesNotGranted {
        guest: request.guest.clone(),
        paths: alike().flat_map(|request| request.paths.iter().cloned()).collect(),
        reason: reasons.join("; "),
    }
}

/// Keeps the variables that are requested, count, and are granted.
pub(crate) fn resolve_environment<'a>(
    requests: &[EnvironmentRequest],
    grants: &[VariableName],
    setting: impl Fn(&str) -> Option<Setting<'a>>,
    errors: &mut Vec<PolicyError>,
) -> Vec<VariableName> {
    let requests = requests.iter().filter(|request| condition::holds(request.when.as_ref(), &setting));
    let (mut names, mut missing) = (Vec::new(), Vec::new());
    for EnvironmentRequest { name, reason, .. } in requests {
        match grants.contains(name) {
            // Two conditions that hold may want the same one.
            true if names.contains(name) => {}
            true => names.push(name.clone()),
            false => missing.push((name.clone(), reason.clone())),
        }
    }
    if !missing.is_empty() {
        errors.push(PolicyError::VariablesNotGranted { variables: missing });
    }
    names
}

/// An absolute path of a directory as a plugin sees it, without `.`, `..` and empty names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct GuestPath(String);

impl GuestPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An absolute path of a directory of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HostPath(String);

impl HostPath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl From<HostPath> for PathBuf {
    fn from(path: HostPath) -> Self {
        Self::from(path.0)
    }
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct VariableName(String);

impl VariableName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for GuestPath {
    type Error = InvalidDirectory;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_plain(&text) { Ok(Self(text)) } else { Err(InvalidDirectory(text)) }
    }
}

impl TryFrom<String> for HostPath {
    type Error = InvalidDirectory;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_plain(&text) { Ok(Self(text)) } else { Err(InvalidDirectory(text)) }
    }
}

impl TryFrom<String> for VariableName {
    type Error = InvalidVariableName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_name = !text.is_empty() && text.len() <= MAX_BYTES && !text.contains(['=', '\0']);
        if is_name { Ok(Self(text)) } else { Err(InvalidVariableName(text)) }
    }
}

/// Absolute, and with every name in it a name. The root itself is too wide to be granted.
fn is_plain(path: &str) -> bool {
    let names = path.strip_prefix('/').map(|rest| rest.split('/'));
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
    path.len() <= MAX_BYTES && names.is_some_and(|mut names| names.all(is_name))
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a directory that can be requested or granted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no directory that can be granted: write an absolute path without `.`, `..` or a `/` at its end")]
pub struct InvalidDirectory(String);

/// Not the name of an environment variable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of an environment variable")]
pub struct InvalidVariableName(String);
