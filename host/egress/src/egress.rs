//! From a plugin's request to a server's response: the order of the checks, and how long each step may take.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use kiln_policy::{Denial, HttpRule, Method, Origin, Policy, ProxyRule};
use kiln_telemetry::metrics::EgressMetrics;
use kiln_telemetry::{DenialRecorder, Redaction};
use reqwest::StatusCode;
use tokio::sync::{Semaphore, watch};
use url::Url;

use crate::ambient::Ambient;
use crate::body::{self, Allowance, Incoming};
use crate::credentials::Credentials;
use crate::door::{Admitted, Door};
use crate::error::{EgressError, Error};
use crate::failure::Failure;
use crate::found::Discovery;
use crate::limits::EgressLimits;
use crate::opened::{Body, Opened, Source};
use crate::rate::RateLimit;
use crate::record::{Journal, Record};
use crate::redirect;
use crate::rehearsal::Rehearsal;
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
    /// Through which proxy requests to public addresses go.
    pub proxy: ProxyRule,
    /// Who knows where the Spark UI is, for rules that leave it to the host.
    pub discovery: Option<Arc<Discovery>>,
    /// What is played instead of servers, for an instance that somebody tries.
    pub rehearsal: Option<Rehearsal>,
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
    /// Requests of the call under way.
    made: AtomicU32,
    closed: watch::Sender<bool>,
    ambient: Arc<Ambient>,
    redaction: Redaction,
    rehearsal: Option<Rehearsal>,
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
        let ambient = Ambient::system(spec.proxy.clone(), &spec.redaction, spec.discovery.clone());
        Self::within(ambient, spec)
    }

    pub(crate) fn within(ambient: Ambient, spec: EgressSpec) -> Result<Self, EgressError> {
        let EgressSpec { instance, policy, credentials, limits, metrics, denials, redaction, rehearsal, .. } = spec;
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
        let mut rates: BTreeMap<&Origin, Arc<RateLimit>> = BTreeMap::new();
        let mut doors = Vec::with_capacity(rules.len());
        for (rule, tokens) in rules.iter().zip(tokens) {
            let rate =
                rates.entry(&rule.origin).or_insert_with(|| Arc::new(RateLimit::new(limits.requests_per_second)));
            doors.push(Door::new(rule, tokens, Arc::clone(rate), &limits, &ambient)?);
        }
        drop(rates);
        let under_way = Semaphore::new(usize::from(limits.concurrency.get()));
        let (closed, _) = watch::channel(false);
        let open_bodies = Arc::new(Semaphore::new(usize::from(limits.open_bodies)));
        let journal = Arc::new(Journal { instance, metrics, denials, policy: Arc::clone(&policy) });
        let made = AtomicU32::new(0);
        Ok(Self { journal, policy, doors, limits, under_way, open_bodies, made, closed, ambient, redaction, rehearsal })
    }

    /// Where the server is that the host finds by itself, if the policy leaves one to it.
    #[must_use]
    pub fn found(&self) -> Option<watch::Receiver<Option<SocketAddr>>> {
        let is_left_to_the_host = |rule: &HttpRule| rule.addresses.is_found_by_host();
        let discovery = self.ambient.discovery.as_ref()?;
        self.journal.policy.http_rules().iter().any(is_left_to_the_host).then(|| discovery.found())
    }

    /// Says that a call of the plugin begins: what it may request in one is counted from here.
    pub fn begin_call(&self) {
        self.made.store(0, Ordering::Relaxed);
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

    /// The limits it was made with.
    #[must_use]
    pub const fn limits(&self) -> &EgressLimits {
        &self.limits
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
            Ok(admitted) => self.until_closed(self.exchange(admitted, allowance, &mut record)).await,
            Err(error) => Err(error),
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
        record.streams();
        let open = self.limits.open_bodies;
        let place = Arc::clone(&self.open_bodies).try_acquire_owned();
        let place = place.map_err(|_| {
            self.journal.metrics.limit_hit("open_bodies");
            Error::InvalidRequest(format!("{open} bodies are open already: drop one first"))
        })?;
        let admitted = self.admit(request, record)?;
        let head = async {
            let _under_way = self.under_way.acquire().await.map_err(|_| Error::Cancelled)?;
            self.head(admitted, (self.ambient.instant)(), record).await
        };
        let (response, door) = self.until_closed(head).await?;
        let headers = self.headers(&response, door.origin())?;
        let status = response.status().as_u16();
        let source = Source {
            incoming: Some(Incoming::new(response, door.origin().clone(), self.limits.stream_bytes)?),
            timeout: self.limits.request_timeout,
            closed: self.closed.subscribe(),
            redaction: self.redaction.clone(),
            _place: place,
        };
        Ok((status, headers, source))
    }

    /// Checks a request of the plugin.
    fn admit(&self, request: Request, record: &mut Record) -> Result<Admitted<'_>, Error> {
        self.count_request()?;
        self.examine(request, record).map_err(|refusal| refuse(&refusal, record))
    }

    fn examine(&self, request: Request, record: &mut Record) -> Result<Admitted<'_>, Refusal> {
        let url = request::url(&request.url)?;
        record.addressed(&url);
        let door = self.door(request.method, &url)?;
        let headers = request::headers(&request.headers, &self.limits)?;
        let body = request::body(request.body, &self.limits)?;
        let (method, redirects) = (request.method, door.redirects);
        Ok(Admitted { door, method, url, headers, body, redirects, has_strayed: false })
    }

    fn count_request(&self) -> Result<(), Error> {
        let most = self.limits.requests_per_call;
        let one_more = |made: u32| (made < most).then(|| made + 1);
        let counted = self.made.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map(|_| ()).map_err(|_| Error::TooManyRequests(most))
    }

    /// The door a request may go through.
    fn door(&self, method: Method, url: &Url) -> Result<&Door, Refusal> {
        let rule = self.policy.check(method, url).map_err(Refusal::Denied)?;
        let mut rules = self.policy.http_rules().iter().zip(&self.doors);
        let door = rules.find(|(candidate, _)| std::ptr::eq(*candidate, rule)).map(|(_, door)| door);
        let door = door.ok_or_else(|| Refusal::Denied(Denial::Origin(rule.origin.clone())))?;
        door.check_literal().map_err(Refusal::Denied)?;
        Ok(door)
    }

    /// Checks what a redirect asks for, as if the plugin had asked; `None` if the response is an answer.
    fn redirected<'s>(
        &'s self,
        request: &Admitted<'s>,
        response: &reqwest::Response,
        record: &mut Record,
    ) -> Result<Option<Admitted<'s>>, Error> {
        let Some(redirects) = request.redirects.checked_sub(1) else { return Ok(None) };
        let Some(url) = redirect::target(request.method, &request.url, response) else { return Ok(None) };
        record.addressed(&url);
        if request.door.origin().is_https() && url.scheme() == "http" {
            let denial = Denial::Downgrade { origin: request.door.origin().clone() };
            return Err(refuse(&Refusal::Denied(denial), record));
        }
        self.count_request()?;
        let door = self.door(request.method, &url).map_err(|refusal| refuse(&refusal, record))?;
        let mut headers = request.headers.clone();
        let strays = !redirect::is_same_origin(&request.url, &url);
        if strays {
            redirect::strip(&mut headers);
        }
        let has_strayed = request.has_strayed || strays;
        Ok(Some(Admitted { door, method: request.method, url, headers, body: None, redirects, has_strayed }))
    }

    async fn exchange(
        &self,
        request: Admitted<'_>,
        allowance: &Allowance,
        record: &mut Record,
    ) -> Result<Response, Error> {
        // Kept through the waits between tries: a server that is busy gets fewer requests, not others instead.
        let _place = self.under_way.acquire().await.map_err(|_| Error::Cancelled)?;
        let began = (self.ambient.instant)();
        let (response, door) = self.head(request, began, record).await?;
        in_time(self.remaining(began), self.read(response, door, allowance, record)).await?
    }

    /// Sends the request, and what redirects make of it, until there is the head of a response to keep.
    async fn head<'s>(
        &'s self,
        mut request: Admitted<'s>,
        began: Instant,
        record: &mut Record,
    ) -> Result<(reqwest::Response, &'s Door), Error> {
        loop {
            let rehearsed = match &self.rehearsal {
                Some(rehearsal) => rehearsal.answer(request.method, &request.url).await,
                None => None,
            };
            let response = match rehearsed {
                Some(rehearsed) => rehearsed?,
                None => self.try_head(&request, began, record).await?,
            };
            match self.redirected(&request, &response, record)? {
                Some(next) => request = next,
                None => return Ok((response, request.door)),
            }
        }
    }

    /// Waits until the origin may be asked once more.
    async fn keep_pace(&self, door: &Door, began: Instant, record: &Record) -> Result<(), Error> {
        let wait = door.rate.wait((self.ambient.instant)(), self.remaining(began));
        if wait != Ok(Duration::ZERO) {
            record.held_back();
        }
        match wait {
            Ok(Duration::ZERO) => Ok(()),
            Ok(wait) => {
                (self.ambient.pause)(wait).await;
                Ok(())
            }
            Err(wait) => Err(Error::TooFast(whole_seconds(wait))),
        }
    }

    /// Sends the request, again if need be, until there is the head of a response.
    async fn try_head(
        &self,
        request: &Admitted<'_>,
        began: Instant,
        record: &Record,
    ) -> Result<reqwest::Response, Error> {
        let mut tries = 0;
        let mut replaced = false;
        loop {
            self.keep_pace(request.door, began, record).await?;
            let authorization = if request.has_strayed {
                None
            } else {
                in_time(self.remaining(began), request.door.authorization()).await??
            };
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
        response::headers(response, &self.limits).ok_or_else(|| {
            self.journal.metrics.limit_hit("response_head_bytes");
            Error::Protocol(format!("{origin}: the head of the response is larger than allowed"))
        })
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
        failure @ Failure::HeadTooLarge(_) => {
            record.head_too_large();
            failure.into()
        }
        failure => failure.into(),
    }
}

async fn in_time<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(time, work).await.map_err(|_| Error::Timeout)
}
