//! What a plugin asks for and what an instance is granted, as single facts: one line each, sorted, without the author's
//! reasons. What cannot be said in one of these lines is not locked and not compared, so nothing may be left out: requests
//! and grants that this module does not know are written as they are.

use std::collections::BTreeSet;
use std::fmt;

use kiln_policy::{GrantSource, HttpRule, Manifest, Method, OriginRange, PathPattern, Policy};
use serde_json::Value as Json;

/// One thing a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Request {
    /// To send requests.
    Http { origin: String, method: Method, path: String },
    /// Anything else.
    Other(String),
}

impl Request {
    /// Whether whoever has `self` has `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http { origin, method, path }, Self::Http { origin: origin_2, method: method_2, path: path_2 }) => {
                // A star in the other path can only be met by a star in this one, so whatever it stands for is covered.
                let covers_path = PathPattern::try_from(path.clone()).is_ok_and(|pattern| pattern.matches(path_2));
                origin == origin_2 && method == method_2 && covers_path
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { origin, method, path } => write!(f, "http {method} {origin} {path}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Everything a manifest asks for.
pub(crate) fn requests(manifest: &Manifest) -> BTreeSet<Request> {
    let mut facts = BTreeSet::new();
    let mut other = |text: String| facts.insert(Request::Other(text));
    let mut sent = Vec::new();
    for request in &manifest.requests.http {
        let origin = request.origin.to_string();
        for method in &request.methods {
            for path in &request.paths {
                sent.push(Request::Http { origin: origin.clone(), method: *method, path: path.to_string() });
            }
        }
        for (name, origins) in &request.names {
            let ranges: Vec<_> = OriginRange::covering(origins).iter().map(ToString::to_string).collect();
            other(format!("http {origin}: `{name}` stands for {}", ranges.join(", ")));
        }
        for way in manifest.credential_alternatives(request) {
            other(format!("http {origin}: signs in with {way}"));
            if let kiln_policy::CredentialAlternative::ClientCredentials(request) = way
                && !request.scopes.is_empty()
            {
                other(format!("http {origin}: asks for the scopes {}", request.scopes.join(" ")));
            }
        }
    }
    if manifest.requests.state.is_some() {
        other("state".to_owned());
    }
    if let Some(processor) = &manifest.processor {
        let level = processor.level;
        processor.reads.iter().for_each(|key| _ = other(format!("reads {key} at {level} level")));
        processor.writes.iter().for_each(|key| _ = other(format!("writes {key} at {level} level")));
        processor.edits.iter().for_each(|edit| _ = other(format!("edits by {edit}")));
    }
    for line in unknown(serde_json::to_value(&manifest.requests)) {
        other(line);
    }
    facts.extend(sent);
    facts
}

/// Everything an instance is granted, as it takes effect.
pub(crate) fn grants(policy: &Policy) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for rule in policy.http_rules() {
        let origin = &rule.origin;
        for method in &rule.methods {
            for path in rule.requested_paths() {
                facts.insert(format!("http {method} {origin} {path}"));
            }
        }
        if let Some(paths) = rule.granted_paths() {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            facts.insert(format!("http {origin}: on no other paths than {}", paths.join(", ")));
        }
        facts.insert(format!("http {origin}: at addresses {}", rule.addresses));
        facts.insert(format!("http {origin}: granted by {}", source(&rule.source)));
        facts.extend(other_terms(rule).into_iter().map(|term| format!("http {origin}: {term}")));
        if let Some(credential) = &rule.credential {
            facts.insert(format!("http {origin}: signs in with {credential}"));
        }
    }
    let known = serde_json::to_value(policy);
    if known.as_ref().is_ok_and(|policy| policy.get("state") == Some(&Json::Bool(true))) {
        facts.insert("state".to_owned());
    }
    facts.extend(unknown(known));
    facts
}

/// The terms of a rule that have no sentence of their own, such as redirects and certificates, as they are written.
pub(crate) fn other_terms(rule: &HttpRule) -> Vec<String> {
    const IN_SENTENCES: [&str; 8] =
        ["origin", "methods", "addresses", "credential", "source", "written", "requested_paths", "granted_paths"];
    let Ok(Json::Object(terms)) = serde_json::to_value(rule) else { return Vec::new() };
    let others = terms.into_iter().filter(|(name, _)| !IN_SENTENCES.contains(&name.as_str()));
    others.map(|(name, value)| format!("{name} {value}")).collect()
}

pub(crate) fn source(source: &GrantSource) -> String {
    match source {
        GrantSource::Configuration(field) => format!("the value of `{}`", field.path()),
        GrantSource::Explicit => "an entry of `grants`".to_owned(),
    }
}

/// What stands beside `http` and `state`, as it is written, but for the reasons.
fn unknown(whole: Result<Json, serde_json::Error>) -> Vec<String> {
    let Ok(Json::Object(parts)) = whole else { return Vec::new() };
    let mut lines = Vec::new();
    for (name, part) in parts {
        match part {
            _ if name == "http" || name == "state" => {}
            Json::Array(items) => lines.extend(items.into_iter().map(|item| format!("{name} {}", without_notes(item)))),
            Json::Null | Json::Bool(false) => {}
            part => lines.push(format!("{name} {}", without_notes(part))),
        }
    }
    lines
}

/// The reason is the author's and the line is the file's: neither is part of what is asked for or granted.
fn without_notes(mut part: Json) -> Json {
    if let Json::Object(fields) = &mut part {
        fields.remove("reason");
        fields.remove("written");
    }
    part
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn get(path: &str) -> Request {
        Request::Http { origin: "https://a.example".to_owned(), method: Method::Get, path: path.to_owned() }
    }

    #[test]
    fn a_wider_path_covers_a_narrower_one_and_not_the_other_way_round() {
        for (wide, narrow) in [("/api/*", "/api/2.2/jobs"), ("/api/*", "/api/*/jobs"), ("/*", "/a*"), ("/a", "/a")] {
            assert!(get(wide).covers(&get(narrow)), "{wide} {narrow}");
            assert_eq!(get(narrow).covers(&get(wide)), wide == narrow, "{narrow} {wide}");
        }
        let other = |origin: &str, method| Request::Http { origin: origin.to_owned(), method, path: "/a".to_owned() };
        assert!(!get("/*").covers(&other("https://b.example", Method::Get)));
        assert!(!get("/*").covers(&other("https://a.example", Method::Post)));
        assert!(!get("/*").covers(&Request::Other("state".to_owned())));
    }
}
