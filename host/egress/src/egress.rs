//! From a plugin's request to a server's response: the order of the checks, and how long each step may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use kiln_policy::{Denial, Origin, Policy};
use kiln_telemetry::metrics::EgressMetrics;
use kiln_telemetry::{DenialRecorder, Redaction};
use reqwest::StatusCode;
use tokio::sync::{Semaphore, watch};

use crate::ambient::Ambient;
use crate::body::{self, Allowance};
use crate::credentials::Credentials;
use crate::door::{Admitted, Door};
use crate::error::{EgressError, Error};
use crate::failure::Failure;
use crate::limits::EgressLimits;
use crate::opened::{Body, Opened, Source};
use crate::record::{Journal, Record};
use crate::request::{self, Refusal, Request};
use crate::response::{self, Response};
use crate::retry::{self, Next};
use crate::token::{self, TokenSource, whole_seconds};

/// What the outbound HTTP of one instance is made of.
#[derive(Debug)]
pub struct EgressSpec {
    /// `databricks/prod`.
    pub instance: String,
    /// What may be reached.
    pub policy: Arc<Policy>,
    /// The values to sign in with.
    pub credentials: Credentials,
    /// How much may be sent, received and waited for.
    pub limits: EgressLimits,
    /// Where counts go.
    pub metrics: EgressMetrics,
    /// Where denials go.
    pub denials: DenialRecorder,
    /// Where secrets are protected as they come to be known.
    pub redaction: Redaction,
}

/// The outbound HTTP of one instance.
pub struct Egress {
    journal: Arc<Journal>,
    policy: Arc<Policy>,
    /// One for each of the policy's rules, in their order.
    doors: Vec<Door>,
    limits: EgressLimits,
    under_way: Semaphore,
    open_bodies: Arc<Semaphore>,
    closed: watch::Sender<bool>,
    ambient: Arc<Ambient>,
    redaction: Redaction,
}

impl Egress {
    /// Prepares a client for every rule of `policy`. Reads the platform's root certificates; connects to nothing.
    ///
    /// A rule whose policy chose no credential sends its requests without one: whether one is required is for the
    /// plugin's schema to say.
    ///
    /// # Errors
    /// A credential the policy chose has no value among `credentials`, or one that cannot be sent; or the TLS stack does
    /// not start.
    pub fn new(spec: EgressSpec) -> Result<Self, EgressError> {
        Self::within(Ambient::system(), spec)
    }

    pub(crate) fn within(ambient: Ambient, spec: EgressSpec) -> Result<Self, EgressError> {
        let EgressSpec { instance, policy, credentials, limits, metrics, denials, redaction } = spec;
        // The client takes its cryptography from the process. An error means that there is one already: just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ambient = Arc::new(ambient);
        let world = token::World {
            ambient: Arc::clone(&ambient),
            metrics: metrics.clone(),
            instance: instance.clone(),
            redaction: redaction.clone(),
        };
        let rules = policy.http_rules();
        let tokens = TokenSource::of_rules(rules, &credentials, &limits, &world)?;
        let door = |(rule, tokens)| Door::new(rule, tokens, &limits, Arc::clone(&ambient.lookup));
        let doors = rules.iter().zip(tokens).map(door).collect::<Result<_, _>>()?;
        let under_way = Semaphore::new(usize::from(limits.concurrency.get()));
        let (closed, _) = watch::channel(false);
        let open_bodies = Arc::new(Semaphore::new(usize::from(limits.open_bodies)));
        let journal = Arc::new(Journal { instance, metrics, denials, policy: Arc::clone(&policy) });
        Ok(Self { journal, policy, doors, limits, under_way, open_bodies, closed, ambient, redaction })
    }

    /// Sends one request, when there is room among those under way, and again if it may be repeated and the server or
    /// the network was at fault.
    ///
    /// # Errors
    /// Whatever kept the request from having a response. A response with an error status is a response.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        self.send_within(&Allowance::new(self.limits.call_bytes), request).await
    }

    /// Sends all requests, as many at a time as the limits allow, and answers in the order of the requests.
    pub async fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, Error>> {
        let allowance = Allowance::new(self.limits.call_bytes);
        let sending = requests
            .into_iter()
            .enumerate()
            .map(async |(index, request)| (index, self.send_within(&allowance, request).await));
        let concurrency = usize::from(self.limits.concurrency.get());
        // Answers are taken as they come, not in order: one slow server must not keep the others' places empty.
        let mut answers: Vec<_> = stream::iter(sending).buffer_unordered(concurrency).collect().await;
        answers.sort_unstable_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Sends one request as [`Self::send`] does, and answers when the head of the response is there.
    ///
    /// # Errors
    /// Whatever kept the request from having a response; or as many bodies are open as the limits allow.
    pub async fn open(&self, request: Request) -> Result<Opened, Error> {
        let mut record = Record::begin(&self.journal, request.method);
        let opened = self.open_recorded(request, &mut record).await;
        let opened = opened.inspect_err(|error| record.failed(error));
        let (status, headers, source) = opened.map_err(|error| error.without_secrets(&self.redaction))?;
        record.answered(status);
        Ok(Opened { status, headers, body: Body::new(source, record) })
    }

    /// Ends every request, under way or to come, and every open body, with [`Error::Cancelled`].
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits for tokens that are being fetched.
    #[cfg(test)]
    pub(crate) async fn settle(&self) {
        for door in &self.doors {
            door.settle().await;
        }
    }

    async fn send_within(&self, allowance: &Allowance, request: Request) -> Result<Response, Error> {
        let mut record = Record::begin(&self.journal, request.method);
        let result = match self.admit(request, &mut record) {
            Ok(admitted) => self.until_closed(self.exchange(&admitted, allowance, &mut record)).await,
            Err(refusal) => Err(refuse(&refusal, &record)),
        };
        match &result {
            Ok(response) => record.answered(response.status),
            Err(error) => record.failed(error),
        }
        result.map_err(|error| error.without_secrets(&self.redaction))
    }

    async fn open_recorded(
        &self,
        request: Request,
        record: &mut Record,
    ) -> Result<(u16, Vec<(String, String)>, Source), Error> {
        let open = self.limits.open_bodies;
        let place = Arc::clone(&self.open_bodies).try_acquire_owned();
        let place =
            place.map_err(|_| Error::InvalidRequest(format!("{open} bodies are open already: drop one first")))?;
        let admitted = self.admit(request, record).map_err(|refusal| refuse(&refusal, record))?;
        let head = async {
            let _under_way = self.under_way.acquire().await.map_err(|_| Error::Cancelled)?;
            self.head(&admitted, (self.ambient.instant)(), record).await
        };
        let response = self.until_closed(head).await?;
        let origin = admitted.door.origin().clone();
        let headers = self.headers(&response, &origin)?;
        body::check_announced(&response, self.limits.stream_bytes)?;
        let status = response.status().as_u16();
        let source = Source {
            response: Some(response),
            origin,
            limit: self.limits.stream_bytes,
            received: 0,
            timeout: self.limits.request_timeout,
            closed: self.closed.subscribe(),
            redaction: self.redaction.clone(),
            _place: place,
        };
        Ok((status, headers, source))
    }

    fn admit(&self, request: Request, record: &mut Record) -> Result<Admitted<'_>, Refusal> {
        let url = request::url(&request.url)?;
        record.addressed(&url);
        let rule = self.policy.check(request.method, &url).map_err(Refusal::Denied)?;
        let headers = request::headers(&request.headers, &self.limits)?;
        let body = request::body(request.body, &self.limits)?;
        let mut rules = self.policy.http_rules().iter().zip(&self.doors);
        let door = rules.find(|(candidate, _)| std::ptr::eq(*candidate, rule)).map(|(_, door)| door);
        let door = door.ok_or_else(|| Refusal::Denied(Denial::Origin(rule.origin.clone())))?;
        door.check_literal().map_err(Refusal::Denied)?;
        Ok(Admitted { door, method: request.method, url, headers, body })
    }

    async fn exchange(
        &self,
        request: &Admitted<'_>,
        allowance: &Allowance,
        record: &mut Record,
    ) -> Result<Response, Error> {
        // Kept through the waits between tries: a server that is busy gets fewer requests, not others instead.
        let _place = self.under_way.acquire().await.map_err(|_| Error::Cancelled)?;
        let began = (self.ambient.instant)();
        let response = self.head(request, began, record).await?;
        in_time(self.remaining(began), self.read(response, request.door, allowance, record)).await?
    }

    /// Sends the request, again if need be, until there is the head of a response to keep.
    async fn head(&self, request: &Admitted<'_>, began: Instant, record: &Record) -> Result<reqwest::Response, Error> {
        let mut tries = 0;
        let mut replaced = false;
        loop {
            let authorization = in_time(self.remaining(began), request.door.authorization()).await??;
            let sending = request.door.send(request, authorization.as_ref());
            let outcome = in_time(self.remaining(began), sending).await?;
            // A server that does not know who asks has not done what it was asked, so any method may be repeated.
            if let (Ok(response), Some(refused), false) = (&outcome, &authorization, replaced)
                && response.status() == StatusCode::UNAUTHORIZED
                && in_time(self.remaining(began), request.door.replace(refused)).await?
            {
                replaced = true;
                self.journal.metrics.retried();
                continue;
            }
            tries += 1;
            let asked = match &outcome {
                Ok(response) if retry::is_busy(response.status()) => {
                    Some(retry::retry_after(response.headers(), (self.ambient.date)()))
                }
                Err(failure) if failure.is_transient() => Some(None),
                Ok(_) | Err(_) => None,
            };
            let next = match asked {
                Some(asked) if request.method.is_idempotent() => {
                    retry::next(tries, asked, self.remaining(began), (self.ambient.chance)())
                }
                Some(_) | None => Next::Stop,
            };
            match next {
                Next::Pause(wait) => {
                    // Also lets go of the connection.
                    drop(outcome);
                    self.journal.metrics.retried();
                    (self.ambient.pause)(wait).await;
                }
                Next::AskedForMore(wait) => return Err(Error::RateLimited(Some(whole_seconds(wait)))),
                Next::Stop => return outcome.map_err(|failure| failed(failure, record)),
            }
        }
    }

    async fn read(
        &self,
        response: reqwest::Response,
        door: &Door,
        allowance: &Allowance,
        record: &mut Record,
    ) -> Result<Response, Error> {
        let status = response.status().as_u16();
        let headers = self.headers(&response, door.origin())?;
        let count = |bytes| {
            record.received(bytes);
            allowance.take(bytes as u64)
        };
        let body = body::read(response, door.origin(), self.limits.response_bytes, count).await?;
        Ok(Response { status, headers, body })
    }

    fn headers(&self, response: &reqwest::Response, origin: &Origin) -> Result<Vec<(String, String)>, Error> {
        response::headers(response.headers(), &self.limits)
            .ok_or_else(|| Error::Protocol(format!("{origin}: the head of the response is larger than allowed")))
    }

    async fn until_closed<T>(&self, exchange: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(Error::Cancelled),
            result = exchange => result,
        }
    }

    fn remaining(&self, began: Instant) -> Duration {
        let elapsed = (self.ambient.instant)().saturating_duration_since(began);
        self.limits.request_timeout.saturating_sub(elapsed)
    }
}

fn refuse(refusal: &Refusal, record: &Record) -> Error {
    record.refused(refusal);
    refusal.into()
}

fn failed(failure: Failure, record: &Record) -> Error {
    match failure {
        Failure::Denied(denial) => refuse(&Refusal::Denied(denial), record),
        failure => failure.into(),
    }
}

async fn in_time<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(time, work).await.map_err(|_| Error::Timeout)
}
