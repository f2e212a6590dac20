//! The UI port of a Spark driver, replayed from captured pages.
//!
//! [`Pages`] is what Spark says, `serve` is how its port answers, [`Phase`] is where the driver is in its
//! start, and [`Spark`] is the handle a test holds. Before a driver's UI listens and after it has stopped its
//! port refuses connections: that is a [`Spark`] not yet started, or dropped.
//!
//! ```no_run
//! use kiln_testbed::spark::{Pages, Phase, Spark};
//!
//! let spark = Spark::start(Pages::captured("4.1.4").unwrap()).unwrap();
//! spark.set_phase(Phase::StartingUp); // 200 text/html on every path
//! // ... scrape spark.url() ...
//! spark.set_phase(Phase::Ready);
//! spark.change_pages(|pages| pages.set("metrics_executors_prometheus", "x{executor_id=\"1\"} 1\n"));
//! ```

mod executors;
mod faults;
mod pages;
mod select;
mod serve;

pub use faults::Fault;
pub use pages::Pages;

use crate::faults::Faults;
use crate::observed::{Observed, TimedOut};
use crate::request::Request;
use crate::server::{ANY_PORT, Server};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Where a driver is in its start. All of these were seen at every start of a real Spark, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every path answers 200 with an HTML sentence.
    StartingUp,
    /// Every path answers 404 with HTML.
    NotFound,
    /// Pages attach one by one: the executors' page and the API hang until the next phase.
    Attaching,
    /// Everything answers.
    Ready,
}

/// Which Prometheus pages are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// `/metrics/prometheus`: the `PrometheusServlet` sink. Off unless configured, in every version.
    pub driver: bool,
    /// `/metrics/executors/prometheus`: `spark.ui.prometheus.enabled`. Off by default in 3.5, on in 4.x.
    pub executors: bool,
}

/// A running UI port; connections are refused once it is dropped.
pub struct Spark {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    faults: Faults<Fault>,
    state: Observed<State>,
    /// Wakes requests that hang.
    changes: watch::Sender<()>,
}

struct State {
    pages: Pages,
    phase: Phase,
    prometheus: Prometheus,
    executors: Option<Executors>,
    /// The pages of the application that follows, and after how many requests for the executors' page.
    next: Option<(usize, Pages)>,
    requests: Vec<Request>,
}

/// Executors that are made up.
#[derive(Clone, Copy)]
struct Executors {
    count: usize,
    since: Instant,
}

impl Spark {
    /// A driver that is ready and has both Prometheus pages, on a port of the system's choice.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start(pages: Pages) -> io::Result<Self> {
        Self::start_on(ANY_PORT, pages, Phase::Ready)
    }

    /// A driver in a phase of its start, on a given port.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start_on(listen: SocketAddr, pages: Pages, phase: Phase) -> io::Result<Self> {
        let prometheus = Prometheus { driver: true, executors: true };
        let state = State { pages, phase, prometheus, executors: None, next: None, requests: Vec::new() };
        let shared = Arc::new(Shared {
            faults: Faults::default(),
            state: Observed::new(state),
            changes: watch::Sender::new(()),
        });
        let server = Server::start("spark-replay", listen, serve::router(shared.clone()))?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Moves the driver to a phase of its start.
    pub fn set_phase(&self, phase: Phase) {
        self.change(|state| state.phase = phase);
    }

    /// Switches the Prometheus pages on or off.
    pub fn set_prometheus(&self, prometheus: Prometheus) {
        self.change(|state| state.prometheus = prometheus);
    }

    /// Changes what the pages say, in one step.
    pub fn change_pages(&self, change: impl FnOnce(&mut Pages)) {
        self.change(|state| change(&mut state.pages));
    }

    /// How it misbehaves.
    #[must_use]
    pub fn faults(&self) -> &Faults<Fault> {
        &self.shared.faults
    }

    /// Has so many executors from now on, made from the captured ones, whose counters grow.
    pub fn set_executors(&self, count: usize) {
        let executors = Executors { count, since: Instant::now() };
        self.change(|state| state.executors = Some(executors));
    }

    /// Another application takes the port once the executors' page has been asked for so many times.
    pub fn restart_after(&self, requests: usize, pages: Pages) {
        self.change(|state| state.next = Some((requests, pages)));
    }

    /// Every request so far, in the order they came (the latest 20,000).
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state.read(|state| state.requests.clone())
    }

    /// Blocks until the requests so far satisfy a condition, and gives them.
    ///
    /// # Errors
    /// The condition was still false after `timeout`.
    pub fn wait_for_requests(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[Request]) -> bool,
    ) -> Result<Vec<Request>, TimedOut> {
        self.shared.state.wait(timeout, |state| condition(&state.requests).then(|| state.requests.clone()), describe)
    }

    /// As [`Spark::wait_for_requests`], for async tests.
    ///
    /// # Errors
    /// The condition was still false after `timeout`.
    pub async fn wait_for_requests_async(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[Request]) -> bool,
    ) -> Result<Vec<Request>, TimedOut> {
        let satisfied = |state: &State| condition(&state.requests).then(|| state.requests.clone());
        self.shared.state.wait_async(timeout, satisfied, describe).await
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.shared.state.update(change);
        self.shared.changes.send_replace(());
    }
}

fn describe(state: &State) -> String {
    let paths: Vec<&str> = state.requests.iter().rev().take(10).map(|request| request.path.as_str()).collect();
    format!("{} requests, the latest first: {}", state.requests.len(), paths.join(", "))
}
