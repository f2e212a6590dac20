//! Where the token of a request comes from: signing in without the plugin.
//!
//! A source belongs to one way of signing in at one origin and hands out finished `Authorization` values. What keeps
//! secrets where they belong:
//!
//! - a token leaves this module only as a header value marked sensitive, which nothing prints;
//! - a client secret is sent to the token endpoint the policy has checked, and nowhere else: not after a redirect, and
//!   not where a server's metadata points outside its own origin;
//! - no error holds text of a server that was not reduced to a code of a few characters; what a server says at length
//!   goes to the operator's log, with every secret in it replaced.
//!
//! What bounds it: at most one request for a token is under way per source, a failed one is followed by a pause that
//! doubles up to a minute, and neither the answer nor the wait for it is longer than allowed.
//!
//! # What the plugin sees
//!
//! The contract's `http.error` has no case for this, so the closest one is used, always with a text that begins "no
//! access token":
//!
//! - `connect`, `tls`: the token endpoint could not be reached or answered with a 5xx status: later may be better;
//! - `rate-limited`: it asked to be left alone for so many seconds;
//! - `denied`: there will be no token until the operator changes something: the secret was refused, the file cannot be
//!   read, the endpoint is at an address that is not granted, or what it says is no token.

mod answer;
mod endpoint;
mod error;
mod fetched;
mod file;
mod pause;
mod scheme;

use std::sync::Arc;

use kiln_policy::{Credential, HttpRule};
use kiln_telemetry::metrics::{EgressMetrics, TokenOutcome};
use kiln_telemetry::{Protected, Redaction};
use reqwest::header::HeaderValue;

use self::error::TokenError;
pub(crate) use self::error::{NoToken, whole_seconds};
use self::fetched::FetchedToken;
use self::file::FileToken;
use self::scheme::{Scheme, bearer};
use crate::ambient::Ambient;
use crate::credentials::{CredentialError, Credentials};
use crate::error::EgressError;
use crate::limits::EgressLimits;

/// Longer answers and files hold no token.
const MAX_BYTES: u64 = 64 << 10;

/// Hands out what to send as `Authorization`.
pub(crate) enum TokenSource {
    Fixed { value: HeaderValue, _protected: Vec<Protected> },
    File(Box<FileToken>),
    Fetched(FetchedToken),
}

impl TokenSource {
    /// Connects to nothing and reads nothing: the first request does.
    pub(crate) fn new(
        credential: &Credential,
        values: &Credentials,
        limits: &EgressLimits,
        world: &World,
    ) -> Result<Self, EgressError> {
        match credential {
            Credential::Bearer { token } => {
                let value = bearer(values.get(token)?.expose());
                let value = value.ok_or_else(|| CredentialError::NotAToken { field: token.path().to_owned() })?;
                Ok(Self::Fixed { _protected: vec![world.protect(&value)], value })
            }
            Credential::BearerFile { token_file } => {
                let path = values.get(token_file)?.expose();
                Ok(Self::File(Box::new(FileToken::new(token_file.path(), path, Scheme::Bearer, world.clone()))))
            }
            Credential::Basic { username, password } => {
                let value = Scheme::basic(values, username)?.value(values.get(password)?.expose());
                let value = value.ok_or_else(|| CredentialError::NotVisible { field: password.path().to_owned() })?;
                let protected = world.redaction.protect(values.get(password)?.expose());
                Ok(Self::Fixed { _protected: vec![world.protect(&value), protected], value })
            }
            Credential::BasicFile { username, password_file } => {
                let scheme = Scheme::basic(values, username)?;
                let path = values.get(password_file)?.expose();
                Ok(Self::File(Box::new(FileToken::new(password_file.path(), path, scheme, world.clone()))))
            }
            Credential::ClientCredentials(credentials) => {
                FetchedToken::new(credentials, values, limits, world.clone()).map(Self::Fetched)
            }
        }
    }

    /// One source for each rule that signs in, the same one where origin and credential are the same.
    pub(crate) fn of_rules(
        rules: &[HttpRule],
        values: &Credentials,
        limits: &EgressLimits,
        world: &World,
    ) -> Result<Vec<Option<Arc<Self>>>, EgressError> {
        let mut known: Vec<(&HttpRule, &Credential, Arc<Self>)> = Vec::new();
        let mut sources = Vec::with_capacity(rules.len());
        for rule in rules {
            let Some(credential) = &rule.credential else {
                sources.push(None);
                continue;
            };
            let mut alike = known.iter().filter(|(other, same, _)| other.origin == rule.origin && *same == credential);
            let source = match alike.next() {
                Some((.., source)) => Arc::clone(source),
                None => {
                    let source = Arc::new(Self::new(credential, values, limits, world)?);
                    known.push((rule, credential, Arc::clone(&source)));
                    source
                }
            };
            sources.push(Some(source));
        }
        Ok(sources)
    }

    pub(crate) async fn authorization(&self) -> Result<HeaderValue, NoToken> {
        match self {
            Self::Fixed { value, .. } => Ok(value.clone()),
            Self::File(file) => file.authorization().await.map_err(NoToken::from),
            Self::Fetched(fetched) => fetched.authorization().await,
        }
    }

    /// A server did not accept `refused`: whether there is another token now.
    pub(crate) async fn replace(&self, refused: &HeaderValue) -> bool {
        match self {
            Self::Fixed { .. } => false,
            Self::File(file) => file.replace(refused).await,
            Self::Fetched(fetched) => fetched.replace(refused).await,
        }
    }

    #[cfg(test)]
    pub(crate) async fn settle(&self) {
        if let Self::Fetched(fetched) = self {
            fetched.settle().await;
        }
    }
}

/// What sources share with the instance they belong to.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) ambient: Arc<Ambient>,
    pub(crate) metrics: EgressMetrics,
    pub(crate) instance: String,
    /// Where tokens are protected while they are of use.
    pub(crate) redaction: Redaction,
}

impl World {
    /// Keeps what follows the scheme of an `Authorization` value out of logs and errors.
    fn protect(&self, value: &HeaderValue) -> Protected {
        let value = value.to_str().unwrap_or_default();
        self.redaction.protect(value.split_once(' ').map_or(value, |(_, token)| token))
    }

    /// Leaves a trace of an attempt to get a token by reading or asking `place`. The token itself is not in it.
    fn record(&self, place: &str, result: Result<(), &TokenError>) {
        let outcome = result.map_or_else(TokenError::outcome, |()| TokenOutcome::Ok);
        self.metrics.token(outcome);
        let instance = self.instance.as_str();
        match result {
            Ok(()) => tracing::debug!(target: "kiln::egress", instance, place, "access token renewed"),
            Err(error) => tracing::warn!(
                target: "kiln::egress",
                instance,
                place,
                ?outcome,
                text = %error,
                said = error.said(),
                "no access token"
            ),
        }
    }
}
