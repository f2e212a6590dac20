//! An OTLP backend that keeps everything it is sent and can be told to fail.
//!
//! `receive` decides what becomes of a request, `http` and `grpc` are the two protocols it comes by, on one port;
//! `flatten` turns what was decoded into [`Telemetry`], [`Fault`] is how it misbehaves, and [`Sink`] is the handle a test
//! holds.
//!
//! Growth is bounded by what is sent, on purpose: a test wants to see all of it. [`Sink::forget`] empties it, and with
//! [`Sink::count_only`] it keeps how much there was and not what.
//!
//! ```no_run
//! use kiln_testbed::sink::{Fault, RetryAfter, Sink};
//! use std::time::Duration;
//!
//! let sink = Sink::start().unwrap();
//! sink.faults().next(2, Fault::Status { status: 503, retry_after: Some(RetryAfter::Seconds(1)) });
//! // ... send to sink.url() ...
//! let telemetry = sink.wait_for(Duration::from_secs(10), |telemetry| telemetry.spans.len() == 3).unwrap();
//! assert_eq!(telemetry.requests.iter().filter(|request| request.answer == Some(503)).count(), 2);
//! ```

mod counts;
mod faults;
mod flatten;
mod grpc;
mod http;
mod receive;
mod telemetry;

pub use faults::{Fault, RetryAfter};
pub use telemetry::{Attributes, Event, Kind, Link, LogRecord, Origin, Point, Span, Telemetry, Temporality, Value};

use crate::faults::Faults;
use crate::observed::{Observed, TimedOut};
use crate::request::{Request, remember};
use crate::server::{ANY_PORT, Server};
use counts::Counts;
use receive::BODY_LIMIT;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A request to the sink.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// Its head.
    #[serde(flatten)]
    pub request: Request,
    /// What it carried, if its path said so.
    pub signal: Option<Signal>,
    /// Size of the body as sent.
    pub wire_bytes: usize,
    /// The body after decompression: the protobuf message itself. Empty if it could not be read.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// Points, spans or log records in it, if it was accepted.
    pub items: usize,
    /// How many of them the answer said were rejected.
    pub rejected: usize,
    /// The status it was answered with, over gRPC the one of HTTP that means the same; none if the connection was reset.
    pub answer: Option<u16>,
}

/// The three signals of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Signal {
    Metrics,
    Traces,
    Logs,
}

struct Shared {
    faults: Faults<Fault>,
    limit: AtomicUsize,
    count_only: AtomicBool,
    counts: Counts,
    state: Observed<Telemetry>,
}

/// A running backend for OTLP over HTTP and gRPC; ends when it is dropped.
pub struct Sink {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// None while it is away.
    server: Option<Server>,
}

impl Sink {
    /// A backend on a port of the system's choice.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start() -> io::Result<Self> {
        Self::start_on(ANY_PORT)
    }

    /// A backend on a given port, such as that of one that was dropped before.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start_on(listen: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            faults: Faults::default(),
            limit: AtomicUsize::new(BODY_LIMIT),
            count_only: AtomicBool::new(false),
            counts: Counts::default(),
            state: Observed::new(Telemetry::default()),
        });
        let server = Server::start("otlp-sink", listen, http::router(shared.clone()))?;
        Ok(Self { shared, address: server.address(), server: Some(server) })
    }

    /// `http://127.0.0.1:PORT`: the generic endpoint, to which `/v1/metrics` and so on are appended.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Is gone: connections end, and new ones are refused. What was stored is kept.
    pub fn go_away(&mut self) {
        self.server = None;
    }

    /// Is there again, where it was.
    ///
    /// # Errors
    /// Somebody else has the port now.
    pub fn come_back(&mut self) -> io::Result<()> {
        if self.server.is_none() {
            self.server = Some(Server::start("otlp-sink", self.address, http::router(self.shared.clone()))?);
        }
        Ok(())
    }

    /// How it misbehaves.
    #[must_use]
    pub fn faults(&self) -> &Faults<Fault> {
        &self.shared.faults
    }

    /// Answers 413 to every request whose decompressed body is larger than this.
    pub fn limit_body(&self, bytes: usize) {
        self.shared.limit.store(bytes.min(BODY_LIMIT), Ordering::SeqCst);
    }

    /// From now on keeps of a request how many items and bytes it had, and nothing of what was in it.
    pub fn count_only(&self) {
        self.shared.count_only.store(true, Ordering::SeqCst);
    }

    /// Everything so far.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.shared.state.read(Clone::clone)
    }

    /// Forgets everything so far.
    pub fn forget(&self) {
        self.shared.forget();
    }

    /// Blocks until the telemetry so far satisfies a condition, and gives it.
    ///
    /// # Errors
    /// The condition was still false after `timeout`.
    pub fn wait_for(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&Telemetry) -> bool,
    ) -> Result<Telemetry, TimedOut> {
        let satisfied = |telemetry: &Telemetry| condition(telemetry).then(|| telemetry.clone());
        self.shared.state.wait(timeout, satisfied, Telemetry::summary)
    }

    /// As [`Sink::wait_for`], for async tests.
    ///
    /// # Errors
    /// The condition was still false after `timeout`.
    pub async fn wait_for_async(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&Telemetry) -> bool,
    ) -> Result<Telemetry, TimedOut> {
        let satisfied = |telemetry: &Telemetry| condition(telemetry).then(|| telemetry.clone());
        self.shared.state.wait_async(timeout, satisfied, Telemetry::summary).await
    }
}

impl Received {
    fn new(request: Request, signal: Option<Signal>) -> Self {
        Self { request, signal, wire_bytes: 0, body: Vec::new(), items: 0, rejected: 0, answer: None }
    }
}

impl Shared {
    fn body_limit(&self) -> usize {
        self.limit.load(Ordering::SeqCst)
    }

    fn forget(&self) {
        self.counts.forget();
        self.state.update(|telemetry| *telemetry = Telemetry::default());
    }

    fn store(&self, mut received: Received, decoded: Option<receive::Decoded>) {
        self.counts.add(&received);
        if self.count_only.load(Ordering::SeqCst) {
            received.body = Vec::new();
        }
        self.state.update(|telemetry| {
            remember(&mut telemetry.requests, received);
            match decoded {
                Some(receive::Decoded::Metrics(points)) => telemetry.points.extend(points),
                Some(receive::Decoded::Traces(spans)) => telemetry.spans.extend(spans),
                Some(receive::Decoded::Logs(logs)) => telemetry.logs.extend(logs),
                Some(receive::Decoded::Counted(_)) | None => {}
            }
        });
    }
}
