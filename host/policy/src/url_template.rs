//! A URL with gaps that the operator's configuration fills.
//!
//! Invariant: who decides the origin can be told from the template alone. Either a field holds all of it, at the very
//! beginning, or the text does; a field further back fills a segment of the path and cannot reach out of it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::origin::{Origin, OriginError};
use crate::request::ConfigField;

/// `${config.authority}/${config.tenant}/token`, or `https://id.example.com/${config.tenant}/token`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UrlTemplate {
    base: Base,
    /// Follows the origin; empty, or begins with a text that begins with `/`.
    path: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Base {
    /// Holds a URL, of which at least the origin is meant.
    Field(ConfigField),
    Literal(Origin),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(ConfigField),
}

impl UrlTemplate {
    /// The fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = &ConfigField> {
        let base = match &self.base {
            Base::Field(field) => Some(field),
            Base::Literal(_) => None,
        };
        let path = self.path.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        });
        base.into_iter().chain(path)
    }

    /// The field that decides the origin; `None` if the manifest does.
    #[must_use]
    pub const fn origin_field(&self) -> Option<&ConfigField> {
        match &self.base {
            Base::Field(field) => Some(field),
            Base::Literal(_) => None,
        }
    }

    /// The URL, once every gap is filled with what `value` knows of its field.
    ///
    /// # Errors
    /// Which field does not hold what fits into its gap.
    pub(crate) fn fill<'a>(&self, value: impl Fn(&ConfigField) -> Option<&'a str>) -> Result<Url, Misfit> {
        let text = |field: &ConfigField| value(field).ok_or_else(|| Misfit::of(field, Problem::NotText));
        let (origin, mut url) = match &self.base {
            Base::Literal(origin) => (origin.clone(), origin.to_string()),
            Base::Field(field) => {
                let base = text(field)?;
                let misfit = |error| Misfit::of(field, Problem::Base(error));
                let parsed = Url::parse(base).map_err(|error| misfit(OriginError::NotAUrl(base.to_owned(), error)))?;
                let origin = Origin::of(&parsed).map_err(misfit)?;
                if parsed.query().is_some() || parsed.fragment().is_some() {
                    return Err(Misfit::of(field, Problem::Query));
                }
                let base = if self.path.is_empty() { parsed.as_str() } else { parsed.as_str().trim_end_matches('/') };
                (origin, base.to_owned())
            }
        };
        for part in &self.path {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Field(field) => {
                    let segment = text(field)?;
                    if !is_segment(segment) {
                        return Err(Misfit::of(field, Problem::Segment));
                    }
                    url.push_str(segment);
                }
            }
        }
        // Cannot fail after all the checks; if it does, no secret goes to a place nobody checked.
        let unexpected = || Misfit { field: "token_url".to_owned(), problem: Problem::NotText };
        let url = Url::parse(&url).map_err(|_| unexpected())?;
        if Origin::of(&url).as_ref() == Ok(&origin) { Ok(url) } else { Err(unexpected()) }
    }
}

/// Unreserved characters (RFC 3986 §2.3) that do not mean "here" or "above".
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

impl TryFrom<String> for UrlTemplate {
    type Error = InvalidUrlTemplate;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse(&text).ok_or(InvalidUrlTemplate(text))
    }
}

fn parse(text: &str) -> Option<UrlTemplate> {
    let (base, rest) = if text.starts_with('$') {
        let (field, rest) = field(text)?;
        (Base::Field(field), rest)
    } else {
        let host = text.find("://")? + "://".len();
        let end = text.get(host..)?.find('/').map_or(text.len(), |slash| host + slash);
        let (origin, rest) = text.split_at_checked(end)?;
        // To a URL parser, a host may have these in it.
        if origin.contains(['$', '{', '}', '\\']) {
            return None;
        }
        (Base::Literal(Origin::parse(origin).ok()?), rest)
    };
    if !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    let mut path = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        if rest.starts_with('$') {
            let (field, after) = field(rest)?;
            path.push(Part::Field(field));
            rest = after;
        } else {
            let (literal, after) = rest.split_at_checked(rest.find('$').unwrap_or(rest.len()))?;
            if !literal.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\{}".contains(&byte)) {
                return None;
            }
            path.push(Part::Text(literal.to_owned()));
            rest = after;
        }
    }
    Some(UrlTemplate { base, path })
}

/// The field `text` begins with, and what follows it.
fn field(text: &str) -> Option<(ConfigField, &str)> {
    let (reference, after) = text.split_at_checked(text.find('}')? + 1)?;
    Some((ConfigField::parse(reference)?, after))
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Field(field) => field.fmt(f)?,
            Base::Literal(origin) => origin.fmt(f)?,
        }
        self.path.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Field(field) => field.fmt(f),
        })
    }
}

impl Serialize for UrlTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Not a template of a URL.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no URL with fields in it: it begins with `https://host/` or a single field such as ${{config.authority}}, \
     further fields stand in the path, and there is no query"
)]
pub struct InvalidUrlTemplate(String);

/// A field whose value does not fit into its gap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Misfit {
    field: String,
    problem: Problem,
}

impl Misfit {
    fn of(field: &ConfigField, problem: Problem) -> Self {
        Self { field: field.path().to_owned(), problem }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("begins a URL: {0}")]
    Base(OriginError),
    #[error("begins a URL: leave out query and fragment")]
    Query,
    #[error("is part of the path of a URL: write letters, digits and `-._~` only")]
    Segment,
    #[error("is part of a URL: it has to be a text, and no secret")]
    NotText,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fill(template: &str, values: &[(&str, &'static str)]) -> Result<String, String> {
        let template = UrlTemplate::try_from(template.to_owned()).map_err(|error| error.to_string())?;
        let value = |field: &ConfigField| values.iter().find(|(path, _)| *path == field.path()).map(|(_, text)| *text);
        template.fill(value).map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn gaps_are_filled_with_the_values_of_their_fields() {
        let template = "${config.authority}/${config.tenant}/oauth2/v2.0/token";
        let filled = "https://login.example.com/t-1/oauth2/v2.0/token";
        for authority in ["https://login.example.com", "https://login.example.com/", "HTTPS://Login.Example.com:443"] {
            assert_eq!(fill(template, &[("authority", authority), ("tenant", "t-1")]).unwrap(), filled);
        }
        let below = fill(template, &[("authority", "https://a.example/base/"), ("tenant", "t")]).unwrap();
        assert_eq!(below, "https://a.example/base/t/oauth2/v2.0/token");
        assert_eq!(fill("${config.url}", &[("url", "https://a.example/token/")]).unwrap(), "https://a.example/token/");
        assert_eq!(fill("https://a.example/x.${config.t}", &[("t", "y")]).unwrap(), "https://a.example/x.y");
        assert_eq!(fill("https://a.example", &[]).unwrap(), "https://a.example/");
    }

    #[test]
    fn no_value_reaches_out_of_its_gap() {
        let template = "https://a.example/${config.tenant}/token";
        for tenant in ["", ".", "..", "a/b", "a?b", "a#b", "@evil.example", "a\\b", "%2e%2e", "\u{e9}", "a b", "a\r\nb"]
        {
            let error = fill(template, &[("tenant", tenant)]).unwrap_err();
            assert!(error.starts_with("`tenant` is part of the path"), "{tenant:?}: {error}");
        }
        let template = "${config.authority}/token";
        for authority in ["a.example", "ftp://a.example", "https://u:p@a.example", "https://a.example?x", "https://a/#"]
        {
            let error = fill(template, &[("authority", authority)]).unwrap_err();
            assert!(error.starts_with("`authority` begins a URL: "), "{authority:?}: {error}");
        }
        assert!(fill(template, &[]).unwrap_err().contains("has to be a text, and no secret"));
    }

    #[test]
    fn a_template_whose_origin_is_not_one_piece_is_refused() {
        for template in [
            "",
            "token",
            "/token",
            "https://${config.host}/token",
            "https://a.${config.domain}/token",
            "https://a.example:${config.port}/token",
            "${config.a}${config.b}/token",
            "${config.a}.example/token",
            "${config.a}@b.example/token",
            "${config.a",
            "${env.a}/token",
            "https://u:p@a.example/token",
            "ftp://a.example/token",
            "https://a.example/token?x=1",
            "https://a.example/token#x",
            "https://a.example/to ken",
            "https://a.example\\@b.example/token",
            "https://a.example/${config.}",
        ] {
            assert!(UrlTemplate::try_from(template.to_owned()).is_err(), "{template}");
        }
    }

    #[test]
    fn a_template_is_written_as_it_was_read() {
        for text in ["${config.a}/${config.b.c}/x", "https://a.example:8443/${config.b}", "${config.a}"] {
            assert_eq!(UrlTemplate::try_from(text.to_owned()).unwrap().to_string(), text);
        }
    }
}
