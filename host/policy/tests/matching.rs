//! What is let through is what an obviously right, slow reading of the rules lets through.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use kiln_policy::{Denial, Grants, Manifest, Method, Policy};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

const SCHEMES: [&str; 2] = ["http", "https"];
const HOSTS: [&str; 4] = ["a.example", "b.a.example", "a.example.b", "93.184.216.34"];
const PORTS: [u16; 4] = [80, 443, 8443, 4040];
const SEGMENTS: [&str; 13] =
    ["api", "apis", "v1", "admin", "a", "", ".", "..", "%2e%2E", "a%2fb", "x;y", "%252e%252e", "%C3%A9"];
const PATTERNS: [&str; 7] = ["/*", "/api/*", "/api/v1", "/api/*/a", "/", "/a*", "/a%2fb"];

#[derive(Clone, Debug)]
struct Place {
    scheme: &'static str,
    host: &'static str,
    port: u16,
}

impl Place {
    fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}

fn place() -> impl Strategy<Value = Place> {
    (select(&SCHEMES[..]), select(&HOSTS[..]), select(&PORTS[..])).prop_map(|(scheme, host, port)| Place {
        scheme,
        host,
        port,
    })
}

/// What the plugin requests and the operator grants at one place.
#[derive(Clone, Debug)]
struct Rule {
    place: Place,
    requested: (Vec<Method>, Vec<&'static str>),
    granted: (Option<Vec<Method>>, Option<Vec<&'static str>>),
}

fn rule() -> impl Strategy<Value = Rule> {
    let methods = || subsequence(Method::ALL.to_vec(), 1..=3);
    let paths = || subsequence(PATTERNS.to_vec(), 1..=2);
    let granted = (proptest::option::of(methods()), proptest::option::of(paths()));
    (place(), (methods(), paths()), granted).prop_map(|(place, requested, granted)| Rule { place, requested, granted })
}

/// The path after `.` and `..` are resolved, as a list.
fn resolved(segments: &[&'static str]) -> Vec<&'static str> {
    let mut path = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match segment.to_ascii_lowercase().as_str() {
            ".." | "%2e%2e" => {
                path.pop();
                if is_last {
                    path.push("");
                }
            }
            "." => {
                if is_last {
                    path.push("");
                }
            }
            _ => path.push(*segment),
        }
    }
    path
}

/// Whether two servers may read the path differently, told from what it was made of.
fn is_ambiguous(path: &[&str]) -> bool {
    let has_empty = path.iter().rev().skip(1).any(|segment| segment.is_empty());
    has_empty || path.iter().any(|segment| ["a%2fb", "x;y", "%252e%252e"].contains(segment))
}

/// Tries every way to divide the path.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((b'*', rest)) => (0..=path.len()).any(|at| matches(rest, &path[at..])),
        Some((first, rest)) => path.split_first().is_some_and(|(byte, path)| byte == first && matches(rest, path)),
    }
}

fn covers(patterns: &[&str], segments: &[&'static str]) -> bool {
    let path = format!("/{}", segments.join("/"));
    patterns.iter().any(|pattern| {
        let trusted = !is_ambiguous(segments) || *pattern == "/*" || !pattern.contains('*');
        trusted && matches(pattern.as_bytes(), path.as_bytes())
    })
}

/// What the policy should say of a request, by asking every rule every question.
fn expected(rules: &[Rule], place: &Place, method: Method, path: &[&'static str]) -> &'static str {
    let same = |rule: &&Rule| rule.place.origin() == place.origin();
    let at_place: Vec<_> = rules.iter().filter(same).collect();
    if at_place.is_empty() {
        return "origin";
    }
    // Every grant of an origin meets every request for it.
    let pairs: Vec<_> = at_place.iter().flat_map(|asked| at_place.iter().map(move |given| (asked, given))).collect();
    let path_covered = |(asked, given): &(&&Rule, &&Rule)| {
        covers(&asked.requested.1, path) && given.granted.1.as_ref().is_none_or(|granted| covers(granted, path))
    };
    let covering: Vec<_> = pairs.into_iter().filter(|pair| path_covered(&(pair.0, pair.1))).collect();
    if covering.is_empty() {
        return if is_ambiguous(path) { "ambiguous_path" } else { "path" };
    }
    let allows = |(asked, given): &(&&Rule, &&Rule)| {
        asked.requested.0.contains(&method) && given.granted.0.as_ref().is_none_or(|granted| granted.contains(&method))
    };
    if covering.iter().any(|pair| allows(&(pair.0, pair.1))) { "allowed" } else { "method" }
}

fn policy(rules: &[Rule]) -> Policy {
    let mut manifest = "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\n\
                        license = 'Apache-2.0'\nwit = '0.1'\n"
        .to_owned();
    let mut grants = Vec::new();
    for Rule { place, requested: (methods, paths), granted } in rules {
        let methods: Vec<_> = methods.iter().map(|method| method.name()).collect();
        manifest += &format!(
            "[[requests.http]]\norigin = '{}'\nmethods = {methods:?}\npaths = {paths:?}\nreason = 'a test'\n",
            place.origin()
        );
        let mut grant = json!({ "origin": place.origin() });
        if let Some(methods) = &granted.0 {
            grant["methods"] = methods.iter().map(|method| method.name()).collect();
        }
        if let Some(paths) = &granted.1 {
            grant["paths"] = json!(paths);
        }
        grants.push(grant);
    }
    let manifest = Manifest::parse(&manifest).unwrap();
    let grants: Grants = serde_json::from_value(json!({ "http": grants })).unwrap();
    Policy::resolve(&manifest, &grants, true, |_| None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Guarantees: whatever is requested and granted and whatever is asked for, the verdict is that of the slow reading.
    #[test]
    fn the_verdict_is_that_of_the_slow_reading(
        rules in proptest::collection::vec(rule(), 1..4),
        elsewhere in place(),
        at in proptest::option::of(0..4_usize),
        method in select(&Method::ALL[..]),
        segments in proptest::collection::vec(select(&SEGMENTS[..]), 1..6),
        ending in select(&["", "?q=/admin/../..", "#/admin"][..]),
    ) {
        let place = at.and_then(|at| rules.get(at)).map_or(&elsewhere, |rule| &rule.place);
        let url = format!("{}/{}{ending}", place.origin(), segments.join("/"));
        let url = url::Url::parse(&url).unwrap();
        let verdict = policy(&rules).check(method, &url).map_or_else(|denial| Denial::reason(&denial), |_| "allowed");
        prop_assert_eq!(verdict, expected(&rules, place, method, &resolved(&segments)), "{}", url);
    }
}
