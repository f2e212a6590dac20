//! Whether a request is covered by a grant, against a judge who is slow and obviously right.

use kiln_policy::{Grants, Manifest, Method, Policy};
use url::Url;

use crate::choices::Choices;

const SCHEMES: [&str; 5] = ["http", "https", "HTTP", "ftp", "file"];
const HOSTS: [&str; 14] = [
    "a.example",
    "A.EXAMPLE",
    "a.example.",
    "b.a.example",
    "xa.example",
    "a.example@b.example",
    "localhost",
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
    "ä.example",
];
const PORTS: [&str; 8] = ["", ":80", ":443", ":8080", ":8081", ":0", ":65535", ":08080"];
const SEGMENTS: [&str; 16] =
    ["a", "b", "..", ".", "%2e%2e", "%2E.", "%2f", "", "*", "a%00b", "..;", "\\", "\\..", "é", "a b", "%252e%252e"];

/// A request is allowed only if a grant has its origin, its path and its method, as one reads them in the URL that goes
/// out; and it is, unless there is anything about its path that somebody might read differently.
pub fn origins(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (origin, granted_paths) = (origin(&mut choices), choices.several(4, pattern));
    let methods = choices.several(4, method);
    let requested_paths = choices.several(4, pattern);
    let asked = choices.several(6, |choices| (method(choices), format!("{}{}", origin_text(choices), path(choices))));
    let asked = asked.into_iter().filter_map(|(method, text)| Some((method, Url::parse(&text).ok()?)));
    let Some(policy) = resolve(&origin, &requested_paths, &granted_paths, &methods) else { return };
    for (method, url) in asked {
        let allowed = policy.check(method, &url).is_ok();
        let covered = covers(&origin, &url)
            && requested_paths.iter().any(|pattern| matches(pattern.as_bytes(), url.path().as_bytes()))
            && granted_paths.iter().any(|pattern| matches(pattern.as_bytes(), url.path().as_bytes()))
            && methods.contains(&method);
        let told = format!("{method} {url} under {origin} {requested_paths:?} ∩ {granted_paths:?} {methods:?}");
        assert!(covered || !allowed, "allowed: {told}");
        assert!(allowed || !covered || !is_plain(url.path()), "denied: {told}");
        if allowed {
            // No URL that is allowed climbs anywhere: what was judged is what goes out.
            assert!(url.username().is_empty() && url.password().is_none(), "{url}");
            assert!(!url.path().split('/').any(|segment| segment == ".." || segment == "."), "{url}");
        }
    }
}

fn origin(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 => "http://127.0.0.1:8080".to_owned(),
        1 => "https://a.example".to_owned(),
        _ => origin_text(choices),
    }
}

fn origin_text(choices: &mut Choices<'_>) -> String {
    let one_of = |choices: &mut Choices<'_>, of: &[&'static str]| of[usize::from(choices.byte()) % of.len()];
    format!("{}://{}{}", one_of(choices, &SCHEMES), one_of(choices, &HOSTS), one_of(choices, &PORTS))
}

fn path(choices: &mut Choices<'_>) -> String {
    choices.several(6, |choices| format!("/{}", SEGMENTS[usize::from(choices.byte()) % SEGMENTS.len()])).concat()
}

fn pattern(choices: &mut Choices<'_>) -> String {
    let segment =
        |choices: &mut Choices<'_>| ["/a", "/b", "/*", "/", "*", "/a*b", "/%2e%2e"][usize::from(choices.below(7))];
    let rest = choices.several(4, segment).concat();
    if rest.starts_with('/') { rest } else { format!("/{rest}") }
}

fn method(choices: &mut Choices<'_>) -> Method {
    Method::ALL[usize::from(choices.below(6))]
}

fn resolve(origin: &str, requested: &[String], granted: &[String], methods: &[Method]) -> Option<Policy> {
    let quoted = |texts: &[String]| texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
    let all = Method::ALL.map(|method| format!("'{method}'")).join(", ");
    let manifest = Manifest::parse(&format!(
        "name = 'fuzz'\nversion = '1'\nkind = 'receiver'\ndescription = 'd'\nlicense = 'l'\nwit = '0.1'\n[[requests.http]]\n\
         origin = '{origin}'\nmethods = [{all}]\npaths = [{}]\nreason = 'r'\n",
        quoted(requested)
    ));
    let grants = grants_of(origin, granted, methods)?;
    Policy::resolve(&manifest.ok()?, &grants, true, |_| None).ok()
}

/// The grant as an operator's configuration would spell it, without a configuration around it.
fn grants_of(origin: &str, paths: &[String], methods: &[Method]) -> Option<Grants> {
    let origin = kiln_policy::OriginRange::try_from(origin.to_owned()).ok()?;
    let rules = ["public", "private", "loopback"].map(|rule| kiln_policy::AddressRule::try_from(rule.to_owned()));
    let addresses: kiln_policy::AddressScope = rules.into_iter().flatten().collect();
    let paths =
        paths.iter().map(|path| kiln_policy::PathPattern::try_from(path.clone()).ok()).collect::<Option<Vec<_>>>()?;
    let grant = kiln_policy::HttpGrant {
        origin,
        addresses,
        methods: Some(methods.to_vec()),
        paths: Some(paths),
        redirects: kiln_policy::Redirects::default(),
        tls: None,
        written: None,
    };
    Some(Grants { http: vec![grant], ..Grants::default() })
}

/// Scheme, host and port are read off both URLs as text and compared.
fn covers(origin: &str, url: &Url) -> bool {
    let read = |url: &Url| {
        let text = url.as_str();
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?.to_owned();
        let default = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let host_has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let full = if host_has_port { authority.clone() } else { format!("{authority}{default}") };
        (!authority.contains('@')).then_some((scheme.to_owned(), full))
    };
    let granted = Url::parse(origin).ok();
    granted.and_then(|granted| read(&granted)).is_some_and(|granted| read(url) == Some(granted))
}

/// Letters, digits and what is like them, in segments that are not empty: every server reads it alike.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/*-_.".contains(&byte);
    path.bytes().all(is_plain) && !path.contains("//")
}

/// Every way in which a star can stand for a text, one after the other.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((b'*', rest)), _) => (0..=path.len()).any(|taken| matches(rest, &path[taken..])),
        (Some((wanted, pattern)), Some((found, path))) => wanted == found && matches(pattern, path),
        (Some(_), None) => false,
    }
}
