//! A workspace without a port: it answers in the calling thread.
//!
//! Property tests of a client ask thousands of times; a socket, a thread and a runtime for each would be most
//! of what they do. [`Offline`] drives the same router as [`super::Workspace`], so an answer has the same
//! status, headers and body.
//!
//! Invariant: [`Offline::answer`] never waits. A handler needs nothing from outside to finish, so one that is
//! not finished and does not ask to be polled again never will be, and that is what a client would see; an answer
//! that a fault delays is given at once and tells by how much.

use super::stage::Stage;
use super::world::{Scene, UnixMillis, World};
use super::{Options, http};
use crate::server::Connection;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tower::ServiceExt;

/// A workspace to be asked by function call; dereferences to its [`Stage`].
pub struct Offline {
    stage: Stage,
    router: Router,
}

/// What a client would have received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers with lower-case names, in no particular order.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// How late the answer would have come.
    pub after: Duration,
}

/// A client would have received no answer, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The request was none: its method, path or headers cannot be sent.
    Request(String),
    /// The connection was reset before the answer.
    Reset,
    /// The connection was cut within the body.
    Cut,
    /// The answer, or the rest of it, never came.
    Hung,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(why) => write!(f, "this cannot be sent: {why}"),
            Self::Reset => f.write_str("the connection was reset before the answer"),
            Self::Cut => f.write_str("the connection was cut within the body"),
            Self::Hung => f.write_str("the answer never came"),
        }
    }
}

impl std::error::Error for Broken {}

impl Default for Offline {
    fn default() -> Self {
        Self::with(Options::default())
    }
}

impl Offline {
    /// An empty workspace in which time stands still at `now`.
    #[must_use]
    pub fn scripted(now: UnixMillis) -> Self {
        Self::with(Options { world: World::scripted(now, Scene::default()), ..Options::default() })
    }

    /// A workspace as described; where it shall listen is of no interest.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let stage = Stage::new(options);
        let router = http::router(stage.shared().clone());
        Self { stage, router }
    }

    /// Asks the workspace. `path_and_query` is percent-encoded, as on the wire.
    ///
    /// # Errors
    /// A client would have received no whole answer.
    pub fn answer(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Answer, Broken> {
        let connection = Connection::without_socket();
        let mut request = Request::builder().method(method).uri(path_and_query);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.extension(ConnectInfo(connection.clone())).body(Body::from(body.to_vec()));
        let request = request.map_err(|error| Broken::Request(error.to_string()))?;
        let Ok(response) = at_once(self.router.clone().oneshot(request)).ok_or(Broken::Hung)?;
        if connection.is_reset() {
            return Err(Broken::Reset);
        }
        let (head, body) = response.into_parts();
        let body = at_once(axum::body::to_bytes(body, usize::MAX)).ok_or(Broken::Hung)?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            body: body.map_err(|_| Broken::Cut)?.to_vec(),
            after: connection.delay(),
        })
    }
}

impl Deref for Offline {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl Answer {
    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Polls for as long as the future itself asks to be polled again.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let again = Arc::new(Again(AtomicBool::new(true)));
    let waker = Waker::from(again.clone());
    let mut future = pin!(future);
    while again.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    None
}

struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
