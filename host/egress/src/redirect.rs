//! Following redirects, where a grant says so.
//!
//! A redirect is a request somebody else has thought of, so each passes every check a plugin's own would pass. It takes
//! nothing along to another origin: no credential, and of the plugin's headers only those that describe what is wanted,
//! since any other may be a key. It never leaves encryption, and only GET and HEAD are followed: nothing is done twice
//! and no body is sent to whom it was not meant for.

use kiln_policy::{Method, Origin};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, LOCATION};
use url::Url;

/// Where a response to a request of this method and URL leads, if it is one to be followed.
pub(crate) fn target(method: Method, url: &Url, response: &reqwest::Response) -> Option<Url> {
    let follows = matches!(method, Method::Get | Method::Head)
        && matches!(
            response.status(),
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        );
    let location = response.headers().get(LOCATION).filter(|_| follows)?.to_str().ok()?;
    // As long as a URL of a plugin's own may be.
    (location.len() <= crate::request::MAX_URL_BYTES).then(|| url.join(location).ok())?
}

/// Whether two URLs are of one origin.
pub(crate) fn is_same_origin(one: &Url, other: &Url) -> bool {
    matches!((Origin::of(one), Origin::of(other)), (Ok(one), Ok(other)) if one == other)
}

/// Whether a header describes what is wanted and so may go along to another origin.
fn is_descriptive(name: &HeaderName) -> bool {
    matches!(name.as_str(), "accept" | "accept-encoding" | "accept-language" | "cache-control" | "range" | "user-agent")
}

/// Removes what another origin is not to see.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let foreign: Vec<HeaderName> = headers.keys().filter(|name| !is_descriptive(name)).cloned().collect();
    for name in foreign {
        headers.remove(name);
    }
}
