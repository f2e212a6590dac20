//! What a plugin asks to send, and what of it may be sent at all.
//!
//! Everything here comes from a guest. After this module there is a parsed URL, headers that are valid on the wire, and
//! a body within its limit; no text of the guest is interpreted a second time.

use bytes::Bytes;
use kiln_policy::{Denial, Method};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::error::Error;
use crate::limits::EgressLimits;

/// An HTTP request as a plugin states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// One of the methods of the contract.
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names in any case; a name may occur more than once.
    pub headers: Vec<(String, String)>,
    /// Sent as it is.
    pub body: Option<Vec<u8>>,
}

/// No server accepts longer ones, and what is kept of a URL goes into logs.
pub(crate) const MAX_URL_BYTES: usize = 16 << 10;

/// Why a request is not sent, before a connection is thought of.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Denied(Denial),
    #[error("the URL is not valid: {0}")]
    Url(url::ParseError),
    #[error("the URL of {0} bytes is longer than the {MAX_URL_BYTES} bytes allowed")]
    UrlTooLong(usize),
    #[error("header `{0}` is set by the host, not by plugins: leave it out")]
    ForbiddenHeader(HeaderName),
    #[error("header number {0} has a name that is not valid in HTTP")]
    HeaderName(usize),
    #[error("header `{0}` has a value that is not valid in HTTP: visible ASCII characters only")]
    HeaderValue(HeaderName),
    #[error("the request has {0} headers, more than the {1} allowed")]
    HeaderCount(usize, u16),
    #[error("the request has {0} bytes of headers, more than the {1} allowed")]
    HeaderBytes(usize, u32),
    #[error("the request has a body of {0} bytes, more than the {1} allowed")]
    Body(usize, u64),
}

impl Refusal {
    /// A word for metrics and logs where the plugin tried what is not its to do; `None` where it only made a mistake.
    pub(crate) const fn overreach(&self) -> Option<&'static str> {
        match self {
            Self::Denied(denial) => Some(denial.reason()),
            Self::ForbiddenHeader(_) => Some("header"),
            Self::Url(_)
            | Self::UrlTooLong(_)
            | Self::HeaderName(_)
            | Self::HeaderValue(_)
            | Self::HeaderCount(..)
            | Self::HeaderBytes(..)
            | Self::Body(..) => None,
        }
    }
}

impl Refusal {
    /// The limit that was hit, if one was.
    pub(crate) const fn limit(&self) -> Option<&'static str> {
        match self {
            Self::UrlTooLong(_) => Some("url_bytes"),
            Self::HeaderCount(..) => Some("header_count"),
            Self::HeaderBytes(..) => Some("header_bytes"),
            Self::Body(..) => Some("request_bytes"),
            Self::Denied(_) | Self::ForbiddenHeader(_) | Self::Url(_) | Self::HeaderName(_) | Self::HeaderValue(_) => {
                None
            }
        }
    }
}

impl From<&Refusal> for Error {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial.to_string()),
            refusal => Self::InvalidRequest(refusal.to_string()),
        }
    }
}

/// Reads the URL of a request.
pub(crate) fn url(text: &str) -> Result<Url, Refusal> {
    if text.len() > MAX_URL_BYTES {
        return Err(Refusal::UrlTooLong(text.len()));
    }
    Url::parse(text).map_err(Refusal::Url)
}

/// Reads the headers of a request.
pub(crate) fn headers(headers: &[(String, String)], limits: &EgressLimits) -> Result<HeaderMap, Refusal> {
    if headers.len() > usize::from(limits.header_count) {
        return Err(Refusal::HeaderCount(headers.len(), limits.header_count));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes as u64 > u64::from(limits.header_bytes) {
        return Err(Refusal::HeaderBytes(bytes, limits.header_bytes));
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    for (number, (name, value)) in (1..).zip(headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refusal::HeaderName(number))?;
        if is_forbidden(name.as_str()) {
            return Err(Refusal::ForbiddenHeader(name));
        }
        // HTTP would let other bytes through. Servers that decode them as text and cut the result back to bytes have
        // turned them into line breaks.
        let is_ascii = value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        match HeaderValue::from_str(value) {
            Ok(value) if is_ascii => map.append(name, value),
            Ok(_) | Err(_) => return Err(Refusal::HeaderValue(name)),
        };
    }
    Ok(map)
}

/// Reads the body of a request.
pub(crate) fn body(body: Option<Vec<u8>>, limits: &EgressLimits) -> Result<Option<Bytes>, Refusal> {
    match body {
        Some(body) if body.len() as u64 > limits.request_bytes => Err(Refusal::Body(body.len(), limits.request_bytes)),
        body => Ok(body.map(Bytes::from)),
    }
}

/// Whether a header, in lower case, carries authority, frames the message, or replaces what was checked.
fn is_forbidden(name: &str) -> bool {
    matches!(
        name,
        // Who asks, and whom.
        "authorization" | "cookie" | "host"
        // Where the message ends and what becomes of the connection.
        | "connection" | "content-length" | "expect" | "http2-settings" | "keep-alive" | "te" | "trailer"
        | "transfer-encoding" | "upgrade"
        // Some servers take method and path from these, after the policy has judged others.
        | "x-http-method" | "x-http-method-override" | "x-method-override" | "x-original-url" | "x-rewrite-url"
    ) || name.starts_with("proxy-")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<HeaderMap, Refusal> {
        headers(&[(name.to_owned(), value.to_owned())], &EgressLimits::default())
    }

    #[test]
    fn a_plugin_sets_its_own_headers_and_none_of_the_hosts() {
        for name in ["accept", "Content-Type", "x-request-id", "if-none-match", "hostname", "x-authorization"] {
            assert!(read(name, "value").is_ok(), "{name}");
        }
        for name in [
            "authorization",
            "Authorization",
            "AUTHORIZATION",
            "cookie",
            "host",
            "proxy-authorization",
            "Proxy-Connection",
            "proxy-",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "te",
            "trailer",
            "expect",
            "keep-alive",
            "X-HTTP-Method-Override",
            "X-Original-URL",
        ] {
            assert!(matches!(read(name, "value"), Err(Refusal::ForbiddenHeader(_))), "{name}");
        }
    }

    #[test]
    fn nothing_that_could_end_a_line_passes() {
        assert!(read("x-a", "b\tc").is_ok());
        for value in ["b\r\nhost: evil", "b\nc", "b\rc", "b\0c", "b\u{7f}", "\u{e9}", "b\u{560d}\u{560a}c"] {
            assert!(matches!(read("x-a", value), Err(Refusal::HeaderValue(_))), "{value:?}");
        }
        for name in ["", " host", "host ", "ho st", "host:", "x-a\r\nhost", ":authority", "h\u{f6}st", "x\0"] {
            assert!(matches!(read(name, "b"), Err(Refusal::HeaderName(1))), "{name:?}");
        }
    }

    #[test]
    fn errors_name_the_header_and_never_show_its_value() {
        assert_eq!(
            read("Cookie", "secret").unwrap_err().to_string(),
            "header `cookie` is set by the host, not by plugins: leave it out"
        );
        assert!(!read("x-a", "secret\n").unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn the_limits_are_inclusive() {
        let limits = EgressLimits { header_count: 2, header_bytes: 8, request_bytes: 3, ..EgressLimits::default() };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(&[pair("a", "123"), pair("b", "456")], &limits).unwrap().len(), 2);
        assert_eq!(headers(&[pair("a", "123"), pair("b", "4567")], &limits).unwrap_err(), Refusal::HeaderBytes(9, 8));
        let three = [pair("a", ""), pair("b", ""), pair("c", "")];
        assert_eq!(headers(&three, &limits).unwrap_err(), Refusal::HeaderCount(3, 2));
        assert!(body(Some(vec![0; 3]), &limits).is_ok());
        assert_eq!(body(Some(vec![0; 4]), &limits).unwrap_err(), Refusal::Body(4, 3));
        assert!(url(&format!("http://a/{}", "a".repeat(MAX_URL_BYTES - 9))).is_ok());
        assert_eq!(
            url(&format!("http://a/{}", "a".repeat(MAX_URL_BYTES - 8))).unwrap_err(),
            Refusal::UrlTooLong(MAX_URL_BYTES + 1)
        );
    }

    #[test]
    fn a_broken_url_is_not_repeated() {
        let error = url("http://[::1/?token=secret").unwrap_err().to_string();
        assert_eq!(error, "the URL is not valid: invalid IPv6 address");
    }
}
