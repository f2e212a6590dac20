//! Why a try brought no response.
//!
//! The HTTP client reports every failure as one type with a chain of causes; here the chain becomes a case. Sentences
//! are made of the origin and the innermost cause, which comes from the operating system, the TLS stack or the HTTP
//! parser: none of them knows the URL's query or the request's headers.

use std::error::Error as Cause;
use std::io;
use std::time::Duration;

use kiln_policy::{Denial, Origin};

use crate::error::Error;
use crate::found::NotFound;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The name resolved to nothing the rule may reach.
    Denied(Denial),
    /// There was no connection.
    Connect(String),
    /// Nobody is there, which is known at once: what is looked for on this machine has not been found, or refuses.
    Nobody(String),
    /// There was one, to nobody who could be trusted.
    Tls(String),
    /// The connection ended before the response began.
    Broken(String),
    /// What came was not HTTP.
    Malformed(String),
    /// The head of the response was larger than is read.
    HeadTooLarge(String),
}

impl Failure {
    /// `is_local` says that nobody but this machine is asked.
    pub(crate) fn of(error: &reqwest::Error, origin: &Origin, is_local: bool, connect_timeout: Duration) -> Self {
        if let Some(denial) = causes(error).find_map(|cause| cause.downcast_ref::<Denial>()) {
            return Self::Denied(denial.clone());
        }
        let text = describe(error, origin);
        if causes(error).any(|cause| cause.is::<rustls::Error>()) {
            return Self::Tls(text);
        }
        if error.is_connect() && is_local && causes(error).any(says_nobody) {
            return Self::Nobody(text);
        }
        if error.is_connect() {
            return Self::Connect(if error.is_timeout() {
                format!("{origin}: no connection within {connect_timeout:?}")
            } else {
                text
            });
        }
        match causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
            Some(cause) if cause.is_parse_too_large() => {
                Self::HeadTooLarge(format!("{origin}: the head of the response is larger than allowed"))
            }
            Some(cause) if cause.is_parse() => Self::Malformed(text),
            Some(_) | None => Self::Broken(text),
        }
    }

    /// Whether the same request may fare better a moment later. Where nobody listens on this machine there is no network to
    /// blame, and who is told that something has ended should not be kept waiting for it.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Broken(_))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied(denial) => Self::Denied(denial.to_string()),
            Failure::Connect(text) | Failure::Nobody(text) => Self::Connect(text),
            Failure::Tls(text) => Self::Tls(text),
            Failure::Broken(text) | Failure::Malformed(text) | Failure::HeadTooLarge(text) => Self::Protocol(text),
        }
    }
}

fn says_nobody(cause: &(dyn Cause + 'static)) -> bool {
    let is_refusal = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    cause.is::<NotFound>() || cause.downcast_ref::<io::Error>().is_some_and(is_refusal)
}

/// The origin and the innermost cause.
pub(crate) fn describe(error: &reqwest::Error, origin: &Origin) -> String {
    match causes(error).last() {
        Some(cause) => format!("{origin}: {cause}"),
        None => format!("{origin}: the request failed"),
    }
}

/// What `error` comes from, outermost first, without `error` itself, whose text has the URL in it.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Cause + 'static)> {
    std::iter::successors(error.source(), deeper)
}

fn deeper<'a>(cause: &&'a (dyn Cause + 'static)) -> Option<&'a (dyn Cause + 'static)> {
    let cause: &'a (dyn Cause + 'static) = *cause;
    // An I/O error hides what it wraps: its source is the source of what it wraps.
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    }
}
