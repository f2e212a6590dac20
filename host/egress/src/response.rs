//! What came back, within the limits.

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue};

use crate::body;
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
pub(crate) fn headers(response: &reqwest::Response, limits: &EgressLimits) -> Option<Vec<(String, String)>> {
    let headers = response.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > usize::from(limits.header_count) || bytes as u64 > u64::from(limits.header_bytes) {
        return None;
    }
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    // What is decompressed is handed over as if it had never been otherwise.
    let is_gzip = body::is_gzip(response);
    let remains = |name: &HeaderName| !is_gzip || (name != CONTENT_ENCODING && name != CONTENT_LENGTH);
    Some(headers.iter().filter(|(name, _)| remains(name)).map(text).collect())
}
