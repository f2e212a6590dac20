//! The HTTP endpoint Kiln answers on: `/healthz`, `/readyz`, `/metrics`, and `/-/denials` with what plugins were denied of
//! late. No answer shows a secret that Kiln knows.
//!
//! It is reachable by whoever reaches the address, so it only ever reads, but for `POST /-/reload`, which has a door of its
//! own ([`ReloadDoor`]): GET and HEAD, no bodies, and clients that are held to bounds ([`serve`]).

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Format;
use crate::reload_door::{self, ReloadDoor};
use crate::serve::serve;
use crate::{DenialRecord, Health, Metrics, Redaction};

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve health and metrics on {address}: {source}; set `service.telemetry.endpoint` to a free address of this machine"
)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// The endpoint, bound and ready to run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Binds the address; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// When the address is taken, or not one of this machine's.
    pub async fn bind(
        address: SocketAddr,
        metrics: Metrics,
        health: Health,
        redaction: Redaction,
        reload: Option<ReloadDoor>,
    ) -> Result<Self, BindError> {
        let fail = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let mut router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz).with_state((health, redaction.clone())))
            .route("/metrics", get(exposition).with_state((metrics.clone(), redaction.clone())))
            .route("/-/denials", get(denials).with_state((metrics, redaction.clone())));
        if let Some(door) = reload {
            router = router.route("/-/reload", post(reload_door::reload).with_state((door, redaction)));
        }
        Ok(Self { listener, address, router })
    }

    /// Where it listens, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` turns true or its sender is gone, then finishes the exchanges under way.
    ///
    /// Returns within ten seconds of the signal whatever clients do.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        serve(self.listener, self.router, "health and metrics", stop).await;
    }
}

async fn healthz() -> Response {
    plain(StatusCode::OK, "ok\n".to_owned())
}

async fn readyz(State((health, redaction)): State<(Health, Redaction)>) -> Response {
    match health.readiness() {
        Ok(()) => plain(StatusCode::OK, "ready\n".to_owned()),
        Err(reasons) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, redaction.text(&(reasons.join("\n") + "\n")).into_owned())
        }
    }
}

async fn exposition(State((metrics, redaction)): State<(Metrics, Redaction)>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::negotiate(accept);
    let text = redaction.text(&metrics.expose(format)).into_owned();
    ([(CONTENT_TYPE, format.content_type())], text).into_response()
}

/// The latest first.
#[derive(Serialize)]
struct DenialsAnswer {
    denials: Vec<DenialRecord>,
}

async fn denials(State((metrics, redaction)): State<(Metrics, Redaction)>) -> Response {
    match serde_json::to_string_pretty(&DenialsAnswer { denials: metrics.denials().recent() }) {
        Ok(json) => {
            let json = redaction.text(&json).into_owned() + "\n";
            (StatusCode::OK, [(CONTENT_TYPE, "application/json")], json).into_response()
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

pub(crate) fn plain(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::{ComponentKind, Denied, DeniedCapability, Status, Subject};

    struct Running {
        address: SocketAddr,
        metrics: Metrics,
        health: Health,
        redaction: Redaction,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    }

    async fn start() -> Running {
        let (metrics, health) = (Metrics::new("1.2.3"), Health::default());
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let redaction = Redaction::default();
        let server = Server::bind(any_port, metrics.clone(), health.clone(), redaction.clone(), None).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let (address, task) = (server.address(), tokio::spawn(server.run(stopped)));
        Running { address, metrics, health, redaction, stop, task }
    }

    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses to read on resets the connection after its answer.
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: kiln\r\n\r\n")).await
    }

    #[tokio::test]
    async fn alive_as_soon_as_it_listens_and_ready_only_when_every_component_is() {
        let kiln = start().await;
        let receiver = kiln.health.component(ComponentKind::Receiver, "databricks");
        kiln.health.running();
        assert!(get(kiln.address, "/healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
        let answer = get(kiln.address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nreceiver databricks: starting\n"), "{answer}");
        receiver.set(Status::Ok);
        assert!(get(kiln.address, "/readyz").await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_that_was_asked_for() {
        let kiln = start().await;
        kiln.metrics.exporter("otlp_http").sent(kiln_otlp::Signal::Metrics, 5);
        let plain = get(kiln.address, "/metrics").await;
        assert!(plain.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{plain}");
        assert!(plain.contains("# TYPE otelcol_exporter_sent_metric_points_total counter\n"));
        assert!(plain.contains("otelcol_exporter_sent_metric_points_total{exporter=\"otlp_http\"} 5\n"));
        let request = "GET /metrics HTTP/1.1\r\nhost: kiln\r\naccept: application/openmetrics-text\r\n\r\n";
        let open = exchange(kiln.address, request).await;
        assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
        assert!(open.ends_with("# EOF\n"));
    }

    fn deny(metrics: &Metrics, target: &str) {
        let subject = Subject { plugin: "p".to_owned(), instance: "p/a".to_owned(), digest: "sha256:00".to_owned() };
        let denied =
            Denied { capability: DeniedCapability::Http, target, reason: "origin", rule: None, text: "not granted" };
        metrics.denials().of(subject).record(&denied);
    }

    #[tokio::test]
    async fn what_was_denied_is_told_as_json_the_latest_first() {
        let kiln = start().await;
        deny(&kiln.metrics, "https://a.example/");
        deny(&kiln.metrics, "https://b.example/");
        let answer = get(kiln.address, "/-/denials").await;
        assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["denials"][0]["target"], "https://b.example/");
        let expected = serde_json::json!({
            "first": json["denials"][1]["first"], "last": json["denials"][1]["last"], "count": 1, "plugin": "p",
            "instance": "p/a", "digest": "sha256:00", "capability": "http", "target": "https://a.example/",
            "reason": "origin", "rule": "default", "text": "not granted",
        });
        assert_eq!(json["denials"][1], expected);
    }

    /// Scenario: a secret has got into a state, a label and the target of a denial.
    /// Guarantees: no answer shows it.
    #[tokio::test]
    async fn no_answer_shows_a_known_secret() {
        let kiln = start().await;
        kiln.redaction.protect_for_good("dapi-s3cret");
        let receiver = kiln.health.component(ComponentKind::Receiver, "databricks");
        receiver.set(Status::PermanentError("the server said dapi-s3cret".to_owned()));
        kiln.metrics.exporter("dapi-s3cret");
        deny(&kiln.metrics, "https://dapi-s3cret.example/");
        for path in ["/readyz", "/metrics", "/-/denials"] {
            let answer = get(kiln.address, path).await;
            assert!(answer.contains("[REDACTED]") && !answer.contains("s3cret"), "{answer}");
        }
    }

    #[tokio::test]
    async fn only_reading_is_allowed() {
        let kiln = start().await;
        let post = exchange(kiln.address, "POST /metrics HTTP/1.1\r\nhost: kiln\r\ncontent-length: 2\r\n\r\nhi").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        assert!(get(kiln.address, "/").await.starts_with("HTTP/1.1 404 "));
        let reload = exchange(kiln.address, "POST /-/reload HTTP/1.1\r\nhost: kiln\r\n\r\n").await;
        assert!(reload.starts_with("HTTP/1.1 404 "), "{reload}");
    }

    #[tokio::test]
    async fn a_large_head_is_refused() {
        let kiln = start().await;
        let long = format!("GET /healthz HTTP/1.1\r\nhost: kiln\r\nx: {}\r\n\r\n", "a".repeat(64 * 1024));
        let answer = exchange(kiln.address, &long).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let many = format!("GET /healthz HTTP/1.1\r\nhost: kiln\r\n{}\r\n", "x: y\r\n".repeat(200));
        let answer = exchange(kiln.address, &many).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(get(kiln.address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn connections_are_not_kept() {
        let kiln = start().await;
        let two = "GET /healthz HTTP/1.1\r\nhost: kiln\r\n\r\n".repeat(2);
        assert_eq!(exchange(kiln.address, &two).await.matches("HTTP/1.1 200").count(), 1);
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_request_is_let_go() {
        let kiln = start().await;
        let mut slow = TcpStream::connect(kiln.address).await.unwrap();
        slow.write_all(b"GET /healthz HT").await.unwrap();
        // Another exchange first: by then the slow connection has been accepted, and its clock runs.
        assert!(get(kiln.address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        tokio::time::pause();
        let mut answer = Vec::new();
        // Ends when the server closes; with the clock paused, as soon as nothing else is left to do.
        let _reset = slow.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    }

    #[tokio::test]
    async fn stopping_closes_the_door_and_returns() {
        let kiln = start().await;
        assert!(get(kiln.address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        kiln.stop.send_replace(true);
        kiln.task.await.unwrap();
        assert!(TcpStream::connect(kiln.address).await.is_err());
    }

    #[tokio::test]
    async fn stopping_does_not_wait_for_a_client_for_ever() {
        let kiln = start().await;
        let mut slow = TcpStream::connect(kiln.address).await.unwrap();
        slow.write_all(b"GET /healthz HT").await.unwrap();
        assert!(get(kiln.address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        kiln.stop.send_replace(true);
        tokio::time::pause();
        kiln.task.await.unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_names_the_setting() {
        let kiln = start().await;
        let error = Server::bind(kiln.address, Metrics::new(""), Health::default(), Redaction::default(), None);
        let error = error.await.unwrap_err();
        let message = error.to_string();
        assert!(
            message
                .starts_with(&format!("cannot serve health and metrics on {}: Address already in use", kiln.address)),
            "{message}"
        );
        assert!(message.ends_with("set `service.telemetry.endpoint` to a free address of this machine"), "{message}");
    }
}
