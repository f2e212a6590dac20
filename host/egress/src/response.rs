//! What came back, within the limits.

use bytes::Bytes;
use reqwest::header::HeaderMap;

use crate::limits::EgressLimits;

/// A server's answer, whatever its status. Redirects are answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 999.
    pub status: u16,
    /// In the order of the server; names are lower case, bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Bytes,
}

/// The headers as text, or `None` if they exceed the limits.
///
/// HTTP/1 and HTTP/2 count differently while reading, and bound memory; this is the count the operator configured.
pub(crate) fn headers(headers: &HeaderMap, limits: &EgressLimits) -> Option<Vec<(String, String)>> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > usize::from(limits.header_count) || bytes as u64 > u64::from(limits.header_bytes) {
        return None;
    }
    let text = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Some(headers.iter().map(text).collect())
}
