//! Asking a token endpoint (RFC 6749 §4.4), and asking for it (RFC 8414).
//!
//! Written by hand over the client all requests use. It is one form and one answer, and what matters about it — which
//! addresses may be dialled, that nothing is redirected, how much is read and how long is waited — is that client's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kiln_policy::{ClientAuthentication, ClientCredentials};
use kiln_telemetry::Protected;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode};
use url::{Url, form_urlencoded};

use super::answer::{self, Issued};
use super::error::{Nonsense, TokenError};
use super::{MAX_BYTES, World};
use crate::body;
use crate::client::CheckedClient;
use crate::credentials::{Credentials, SecretText};
use crate::error::{EgressError, Error};
use crate::failure::describe;
use crate::limits::EgressLimits;
use crate::retry;

pub(super) struct Endpoint {
    client: CheckedClient,
    url: Url,
    /// Whether `url` only leads to the endpoint.
    is_metadata: bool,
    /// Where it led last time.
    found: Mutex<Option<Url>>,
    id: SecretText,
    secret: SecretText,
    authentication: ClientAuthentication,
    scopes: String,
    /// For both requests together.
    timeout: Duration,
    world: World,
    _protected: Protected,
}

impl Endpoint {
    pub(super) fn new(
        credentials: &ClientCredentials,
        values: &Credentials,
        limits: &EgressLimits,
        world: World,
    ) -> Result<Self, EgressError> {
        let ClientCredentials { client_id, client_secret, endpoint, authentication, scopes } = credentials;
        let (id, secret) = (values.visible(client_id)?, values.visible(client_secret)?);
        Ok(Self {
            _protected: world.redaction.protect(secret.expose()),
            client: CheckedClient::new(
                &endpoint.origin,
                &endpoint.addresses,
                endpoint.tls.as_ref(),
                limits,
                &world.ambient,
            )?,
            url: endpoint.url.clone(),
            is_metadata: endpoint.is_metadata,
            found: Mutex::new(None),
            id,
            secret,
            authentication: *authentication,
            scopes: scopes.join(" "),
            timeout: limits.token_timeout,
            world,
        })
    }

    pub(super) const fn place(&self) -> &Url {
        &self.url
    }

    /// Exchanges the client credentials for a token, once.
    pub(super) async fn exchange(&self) -> Result<Issued, TokenError> {
        let result = tokio::time::timeout(self.timeout, self.find_and_ask()).await;
        let result = result.unwrap_or_else(|_| Err(TokenError::Timeout(self.client.origin.clone(), self.timeout)));
        if result.is_err() {
            // It may have moved.
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }

    async fn find_and_ask(&self) -> Result<Issued, TokenError> {
        self.client.check_literal().map_err(TokenError::Denied)?;
        let url = self.find().await?;
        let body = self.ask(self.form(url)).await?;
        answer::issued(&body).map_err(|nonsense| self.nonsense(nonsense))
    }

    async fn find(&self) -> Result<Url, TokenError> {
        if !self.is_metadata {
            return Ok(self.url.clone());
        }
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(url) = known {
            return Ok(url);
        }
        let body = self.ask(self.client.request(Method::GET, self.url.clone())).await?;
        let url = answer::token_endpoint(&body, &self.client.origin)?;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
        Ok(url)
    }

    fn form(&self, url: Url) -> RequestBuilder {
        let (id, secret) = (self.id.expose(), self.secret.expose());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes);
        }
        let mut request = self.client.request(Method::POST, url);
        match self.authentication {
            // RFC 6749 §2.3.1: encoded as in a form before they are joined, since either may hold a colon.
            ClientAuthentication::Basic => request = request.basic_auth(encoded(id), Some(encoded(secret))),
            ClientAuthentication::Post => {
                form.append_pair("client_id", id).append_pair("client_secret", secret);
            }
        }
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
    }

    /// The body of a successful answer.
    async fn ask(&self, request: RequestBuilder) -> Result<Bytes, TokenError> {
        let origin = &self.client.origin;
        let request = request.header(ACCEPT, "application/json").build();
        let request = request.map_err(|error| TokenError::Broken(describe(&error, origin)))?;
        let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let response = self.client.execute(request).await?;
        let status = response.status();
        if retry::is_busy(status) {
            let asked = retry::retry_after(response.headers(), (self.world.ambient.date)());
            return Err(TokenError::Busy { origin: origin.clone(), status: status.as_u16(), asked });
        }
        let body = body::read(response, origin, MAX_BYTES, |_| Ok(())).await;
        let body = body.map_err(|error| match error {
            Error::TooLarge(_) => self.nonsense(Nonsense::TooLarge),
            error => TokenError::Broken(error.to_string()),
        });
        if status == StatusCode::OK {
            return body;
        }
        // The status says enough, should the rest be unreadable.
        let (code, said) = self.refusal(&body.unwrap_or_default(), sent.as_deref());
        Err(TokenError::Refused { origin: origin.clone(), status: status.as_u16(), code, said })
    }

    /// What the answer says, without the secret in any of the forms in which it was `sent`.
    fn refusal(&self, body: &[u8], sent: Option<&str>) -> (Option<String>, Option<String>) {
        let secret = self.secret.expose();
        let header = sent.and_then(|sent| sent.strip_prefix("Basic ")).unwrap_or(secret);
        answer::refusal(body, &[header, secret, &encoded(secret)])
    }

    fn nonsense(&self, nonsense: Nonsense) -> TokenError {
        TokenError::Answer(self.client.origin.clone(), nonsense)
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
