//! A file from where the operator says it is, such as a plugin. What it is worth is for its digest to say.
//!
//! Nothing of a plugin decides where this goes. It is held to what holds for every request that leaves Kiln: addresses are
//! checked where they are dialled, sizes are capped before they are stored, all of it ends within its time. Redirects are
//! followed, for that is how releases are published, each checked anew and never out of encryption.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kiln_policy::{AddressRule, AddressScope, Origin, ProxyRule};
use kiln_telemetry::Redaction;
use reqwest::header::LOCATION;
use url::Url;

use crate::ambient::Ambient;
use crate::body;
use crate::client::CheckedClient;
use crate::error::Error;
use crate::limits::EgressLimits;

/// From the first byte to the last, redirects included.
const TIME: Duration = Duration::from_secs(120);

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// Fetches what is at `url`, at most `max_bytes` of it.
///
/// # Errors
/// There is nothing, or not within its bounds. Texts name the origin and never a query.
pub async fn fetch(url: &Url, max_bytes: u64, proxy: &ProxyRule, redaction: &Redaction) -> Result<Bytes, Error> {
    let ambient = Ambient::system(proxy.clone(), redaction, None);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fetching = Fetching { ambient, max_bytes };
    tokio::time::timeout(TIME, fetching.follow(url.clone())).await.unwrap_or(Err(Error::Timeout))
}

struct Fetching {
    ambient: Ambient,
    max_bytes: u64,
}

impl Fetching {
    async fn follow(&self, mut url: Url) -> Result<Bytes, Error> {
        for _ in 0..=MAX_REDIRECTS {
            match self.ask(&url).await? {
                Answer::File(bytes) => return Ok(bytes),
                Answer::Elsewhere(next) if url.scheme() == "https" && next.scheme() != "https" => {
                    return Err(Error::Denied(format!(
                        "{} redirects to {}, which is not encrypted and not followed",
                        shown(&url),
                        shown(&next)
                    )));
                }
                Answer::Elsewhere(next) => url = next,
            }
        }
        Err(Error::Protocol(format!("{} redirects more than {MAX_REDIRECTS} times", shown(&url))))
    }

    async fn ask(&self, url: &Url) -> Result<Answer, Error> {
        let origin = Origin::of(url).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let client = CheckedClient::new(&origin, &self.scope(&origin)?, None, &EgressLimits::default(), &self.ambient)
            .map_err(|error| Error::Connect(error.to_string()))?;
        client.check_literal().map_err(|denial| Error::Denied(denial.to_string()))?;
        let request = client.request(reqwest::Method::GET, url.clone()).build();
        let request = request.map_err(|_| Error::InvalidRequest(format!("{} cannot be asked for", shown(url))))?;
        let began = Instant::now();
        let response = client.execute(request).await.map_err(Error::from)?;
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
            return next
                .map(Answer::Elsewhere)
                .ok_or_else(|| Error::Protocol(format!("{} redirects to nowhere", shown(url))));
        }
        if !status.is_success() {
            return Err(Error::Protocol(format!("{} answers with status {}", shown(url), status.as_u16())));
        }
        let bytes = body::read(response, &origin, self.max_bytes, |_| Ok(())).await?;
        tracing::debug!(origin = %origin, bytes = bytes.len(), took = ?began.elapsed(), "fetched");
        Ok(Answer::File(bytes))
    }

    /// What an operator types may be anywhere but where nothing may be. What goes through a proxy is for the proxy to find.
    fn scope(&self, origin: &Origin) -> Result<AddressScope, Error> {
        let public = AddressScope::public();
        let proxy = self.ambient.proxies.of(origin, &public).map_err(|error| Error::Connect(error.to_string()))?;
        Ok(match proxy {
            Some(_) => public,
            None => [AddressRule::Public, AddressRule::Private, AddressRule::Loopback].into_iter().collect(),
        })
    }
}

enum Answer {
    File(Bytes),
    Elsewhere(Url),
}

/// A URL without what may be a secret.
fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}
