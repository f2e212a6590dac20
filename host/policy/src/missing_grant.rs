//! What has to be added to `grants.http`, as it has to be written.

use std::fmt;

use crate::address::AddressDenied;
use crate::origin::Origin;
use crate::origin_range::OriginRange;
use crate::path::PathPattern;
use crate::request::{HttpRequest, Method};
use crate::target::Target;
use crate::visible::Visible;

/// The entries of `grants.http` that are missing for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingGrant {
    pub(crate) origins: Vec<Origin>,
    /// Whether `https` would do as well as `http`.
    either_scheme: bool,
    reason: String,
    denied: Option<AddressDenied>,
    methods: Vec<Method>,
    paths: Vec<PathPattern>,
}

impl MissingGrant {
    pub(crate) fn new(target: &Target, request: &HttpRequest, denied: Option<AddressDenied>) -> Self {
        Self {
            origins: target.origins.iter().take(1).cloned().collect(),
            either_scheme: target.origins.len() > 1,
            reason: request.reason.clone(),
            denied,
            methods: request.methods.clone(),
            paths: request.paths.clone(),
        }
    }

    /// One that need not name methods and paths.
    pub(crate) fn of_origin(origin: &Origin, reason: String, denied: Option<AddressDenied>) -> Self {
        Self {
            origins: vec![origin.clone()],
            either_scheme: false,
            reason,
            denied,
            methods: Vec::new(),
            paths: Vec::new(),
        }
    }

    /// Whether they differ in nothing but the origins.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Self { origins: Vec::new(), ..self.clone() } == Self { origins: Vec::new(), ..other.clone() }
    }
}

impl fmt::Display for MissingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = OriginRange::covering(&self.origins);
        let is_one = ranges.len() == 1;
        let texts: Vec<_> = ranges.iter().map(ToString::to_string).collect();
        // The reason is the author's, and must not look like what Kiln asks to be added.
        write!(f, "requests {} ({})", texts.join(", "), Visible(&self.reason))?;
        match &self.denied {
            Some(denied) => write!(f, ", but {denied}")?,
            None if self.origins.len() == 1 => f.write_str(", which is not granted")?,
            None => f.write_str(", which are not granted")?,
        }
        write!(f, "; to grant {}, add\n    grants:\n      http:", if self.origins.len() == 1 { "it" } else { "them" })?;
        for range in &ranges {
            let entry = self.entry(range);
            if is_one { write!(f, " [ {entry} ]")? } else { write!(f, "\n        - {entry}")? }
        }
        if self.either_scheme { f.write_str("\n    or the same with https") } else { Ok(()) }
    }
}

impl MissingGrant {
    fn entry(&self, origins: &OriginRange) -> String {
        let mut entry = format!("{{ origin: \"{origins}\"");
        if let Some(AddressDenied::NotGranted { needs, .. }) = &self.denied {
            entry += &format!(", addresses: [{needs}]");
        }
        if !self.methods.is_empty() {
            let methods: Vec<_> = self.methods.iter().map(ToString::to_string).collect();
            let paths: Vec<_> = self.paths.iter().map(|path| format!("\"{path}\"")).collect();
            entry += &format!(", methods: [{}], paths: [{}]", methods.join(", "), paths.join(", "));
        }
        entry + " }"
    }
}
