//! Lists that come in pages.
//!
//! How a page leads to the next is the API's affair: by a token, a cursor, an offset or a `Link` header. What goes wrong
//! is the same everywhere: a server that hands out the same page for ever, and a list without an end.

use alloc::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::{FetchError, Http, Page, Problem, path_of};
use crate::prelude::*;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The pages of one list: so many at most, and none twice.
///
/// ```
/// use kiln_plugin::http::{FetchError, Http, with_query};
///
/// #[derive(serde::Deserialize)]
/// struct Jobs {
///     jobs: Vec<String>,
///     next_page_token: Option<String>,
/// }
///
/// fn jobs(http: Http<'_>, host: &str) -> Result<Vec<String>, FetchError> {
///     let first = format!("{host}/api/jobs");
///     let (mut pages, mut all) = (http.pages(100), Vec::new());
///     let mut next = Some(first.clone());
///     while let Some(url) = next {
///         let page: Jobs = pages.get_json(&url)?;
///         all.extend(page.jobs);
///         next = page.next_page_token.map(|token| with_query(&first, &[("page_token", &token)]));
///     }
///     Ok(all)
/// }
/// ```
///
/// Where the answer's `Link` header leads on, `next` is [`Page::next_link`].
pub struct Pages<'a> {
    http: Http<'a>,
    limit: usize,
    asked: BTreeSet<String>,
}

impl<'a> Http<'a> {
    /// A list of at most `limit` pages.
    #[must_use]
    pub const fn pages(self, limit: usize) -> Pages<'a> {
        Pages { http: self, limit, asked: BTreeSet::new() }
    }
}

impl Pages<'_> {
    /// Fetches the page at this URL.
    ///
    /// # Errors
    /// As [`Http::get`]; or the page was fetched already, or there are more than the limit.
    pub fn get(&mut self, url: &str) -> Result<Page, FetchError> {
        let fail = |problem| Err(FetchError { path: path_of(url).to_owned(), problem });
        if self.asked.contains(url) {
            return fail(Problem::PageTwice);
        }
        if self.asked.len() >= self.limit {
            return fail(Problem::TooManyPages(self.limit));
        }
        self.asked.insert(url.to_owned());
        self.http.get(url)
    }

    /// Fetches the page at this URL as JSON.
    ///
    /// # Errors
    /// As [`Self::get`], or it is not the JSON that was expected.
    pub fn get_json<T: DeserializeOwned>(&mut self, url: &str) -> Result<T, FetchError> {
        self.get(url)?.json()
    }

    /// How many have been asked for.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.len()
    }
}

/// A URL with parameters, percent-encoded, behind those it has.
#[must_use]
pub fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut whole = url.to_owned();
    for (name, value) in parameters {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        whole.extend(utf8_percent_encode(name, RESERVED));
        whole.push('=');
        whole.extend(utf8_percent_encode(value, RESERVED));
    }
    whole
}

impl Page {
    /// Where the next page of the list is, as a `Link` header with `rel="next"` says (RFC 8288).
    #[must_use]
    pub fn next_link(&self) -> Option<String> {
        let links = self.response.headers.iter().filter(|header| header.name == "link");
        let next = links.filter_map(|header| next_target(&header.value)).next()?;
        Some(absolute(&self.url, next))
    }
}

/// The target of the link that says it is the next one.
fn next_target(mut links: &str) -> Option<&str> {
    loop {
        let (_, rest) = links.split_once('<')?;
        let (target, rest) = rest.split_once('>')?;
        let end = end_of_link(rest);
        let (parameters, rest) = rest.split_at_checked(end)?;
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        links = rest;
    }
}

/// The first comma that does not stand in quotes.
fn end_of_link(text: &str) -> usize {
    let mut quoted = false;
    let found = text.char_indices().find(|(_, character)| {
        quoted ^= *character == '"';
        *character == ',' && !quoted
    });
    found.map_or(text.len(), |(index, _)| index)
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

/// A link as a URL of its own. The host judges where it leads.
fn absolute(base: &str, link: &str) -> String {
    if link.starts_with("http://") || link.starts_with("https://") {
        return link.to_owned();
    }
    let base = base.split(['?', '#']).next().unwrap_or(base);
    let after_scheme = base.find("://").map_or(0, |at| at + 3);
    let host_end = base.get(after_scheme..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| after_scheme + at);
    let origin = base.get(..host_end).unwrap_or(base);
    match link.as_bytes().first() {
        Some(b'/') => [origin, link].concat(),
        Some(b'?') => [base, link].concat(),
        _ => {
            let directory = base.rfind('/').filter(|at| *at >= host_end);
            let directory = directory.and_then(|at| base.get(..=at));
            directory.map_or_else(|| [origin, "/", link].concat(), |directory| [directory, link].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_encoded_and_go_behind_others() {
        assert_eq!(with_query("https://a/x", &[]), "https://a/x");
        assert_eq!(
            with_query("https://a/x?b=1", &[("c d", "é&="), ("e", "~")]),
            "https://a/x?b=1&c%20d=%C3%A9%26%3D&e=~"
        );
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        for (links, expected) in [
            ("<https://a/x?page=2>; rel=\"next\", <https://a/x?page=9>; rel=\"last\"", Some("https://a/x?page=2")),
            ("<https://a/x?page=1>; rel=prev, </x?page=3>;title=\"a, rel=next\"; rel=next", Some("/x?page=3")),
            ("<?p=2>; REL=\"last Next\"", Some("?p=2")),
            ("<https://a/x>; rel=\"previous\"", None),
            ("<https://a/x>; title=\"next\"", None),
            ("<https://a/x", None),
            ("", None),
        ] {
            assert_eq!(next_target(links), expected, "{links}");
        }
    }

    #[test]
    fn links_are_understood_from_where_they_stand() {
        let base = "https://a.example/api/jobs?page=1";
        assert_eq!(absolute(base, "https://b.example/x"), "https://b.example/x");
        assert_eq!(absolute(base, "/api/jobs?page=2"), "https://a.example/api/jobs?page=2");
        assert_eq!(absolute(base, "?page=2"), "https://a.example/api/jobs?page=2");
        assert_eq!(absolute(base, "jobs?page=2"), "https://a.example/api/jobs?page=2");
        assert_eq!(absolute("https://a.example", "jobs"), "https://a.example/jobs");
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(links in ".*", base in ".*") {
            if let Some(target) = next_target(&links) {
                let _ = absolute(&base, target);
            }
        }
    }
}
