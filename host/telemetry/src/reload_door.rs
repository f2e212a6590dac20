//! `POST /-/reload`: the one thing that can be asked of the telemetry endpoint, and by whom.
//!
//! It carries nothing, so all it can do is have files read again that only the operator can write. It is there only if it is
//! switched on, it answers this machine only, and no page in a browser: a browser says on every such request where it
//! comes from, and whatever says so is refused, so that neither a foreign site nor a name that was made to point here can
//! ask. One reload at a time.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::Redaction;
use crate::server::plain;

/// How long the client is kept waiting; the reload goes on.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a browser adds by itself and a page cannot leave out.
const BROWSER_HEADERS: [&str; 4] = ["origin", "sec-fetch-site", "sec-fetch-mode", "referer"];

/// Who is on the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where reloads are asked for.
#[derive(Clone, Debug)]
pub struct ReloadDoor(mpsc::Sender<ReloadAnswer>);

/// Where they are asked of.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<ReloadAnswer>);

/// Where it is said how one ended.
#[derive(Debug)]
pub struct ReloadAnswer(oneshot::Sender<Result<String, String>>);

impl ReloadDoor {
    /// A door and what is behind it.
    #[must_use]
    pub fn new() -> (Self, ReloadRequests) {
        let (ask, asked) = mpsc::channel(1);
        (Self(ask), ReloadRequests(asked))
    }
}

impl ReloadRequests {
    /// Waits for the next request, for ever if there is no door.
    pub async fn next(&mut self) -> ReloadAnswer {
        match self.0.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

impl ReloadAnswer {
    /// Says how the reload ended: what has changed, or why nothing has.
    pub fn give(self, ended: Result<String, String>) {
        // Who asked may have gone away.
        let _ = self.0.send(ended);
    }
}

pub(crate) async fn reload(
    State((door, redaction)): State<(ReloadDoor, Redaction)>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    if !peer.ip().to_canonical().is_loopback() {
        return plain(StatusCode::FORBIDDEN, "a reload can be asked for from this machine only\n".to_owned());
    }
    if BROWSER_HEADERS.iter().any(|name| headers.contains_key(*name)) {
        return plain(StatusCode::FORBIDDEN, "a reload cannot be asked for from a browser\n".to_owned());
    }
    let (answer, answered) = oneshot::channel();
    if door.0.try_send(ReloadAnswer(answer)).is_err() {
        return plain(StatusCode::CONFLICT, "reloads are under way already\n".to_owned());
    }
    let (status, text) = match timeout(PATIENCE, answered).await {
        Ok(Ok(Ok(text))) => (StatusCode::OK, text),
        Ok(Ok(Err(text))) => (StatusCode::UNPROCESSABLE_ENTITY, text),
        Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "kiln is stopping".to_owned()),
        Err(_) => (StatusCode::ACCEPTED, "not done yet; the log and kiln_reloads_total say how it ends".to_owned()),
    };
    plain(status, redaction.text(&(text + "\n")).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(door: &ReloadDoor, peer: &str, method: &str, headers: &[(&str, &str)]) -> u16 {
        let state = (door.clone(), Redaction::default());
        let router = Router::new().route("/-/reload", post(reload).with_state(state));
        let router = router.layer(Extension(Peer(peer.parse().unwrap())));
        let mut request = Request::builder().method(method).uri("/-/reload");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn this_machine_may_ask_and_hears_how_it_ended() {
        let (door, mut requests) = ReloadDoor::new();
        let host = tokio::spawn(async move {
            for ended in [Ok("changed".to_owned()), Err("faulty".to_owned())] {
                requests.next().await.give(ended);
            }
        });
        assert_eq!(ask(&door, "127.0.0.1:1", "POST", &[("user-agent", "curl")]).await, 200);
        assert_eq!(ask(&door, "[::ffff:127.0.0.1]:1", "POST", &[]).await, 422);
        host.await.unwrap();
        assert_eq!(ask(&door, "[::1]:1", "POST", &[]).await, 409);
    }

    #[tokio::test]
    async fn neither_others_nor_browsers_may_ask() {
        let (door, mut requests) = ReloadDoor::new();
        for peer in ["192.0.2.1:1", "[2001:db8::1]:1", "0.0.0.0:1"] {
            assert_eq!(ask(&door, peer, "POST", &[]).await, 403, "{peer}");
        }
        for header in [("origin", "null"), ("sec-fetch-site", "same-origin"), ("Referer", "http://127.0.0.1:13133/")] {
            assert_eq!(ask(&door, "127.0.0.1:1", "POST", &[header]).await, 403, "{header:?}");
        }
        for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
            assert_eq!(ask(&door, "127.0.0.1:1", method, &[]).await, 405, "{method}");
        }
        assert!(requests.0.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_waits_while_another_is_under_way_and_no_more() {
        let (door, mut requests) = ReloadDoor::new();
        let first = ask(&door, "127.0.0.1:1", "POST", &[]);
        let (first, second) = tokio::join!(first, ask(&door, "127.0.0.1:2", "POST", &[]));
        assert_eq!((first, second), (202, 409));
        requests.next().await.give(Ok(String::new()));
        drop(requests);
        assert_eq!(ask(&door, "127.0.0.1:1", "POST", &[]).await, 409);
    }
}
