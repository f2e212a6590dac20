//! Where the page is: `GET /metrics` on an address of the exporter's own.
//!
//! The address is bound before the exporter takes the place of what runs, so that an address that is taken refuses a start
//! or a reload. Clients are held to the bounds of Kiln's own endpoint: one exchange for each connection, few connections, small
//! heads, a deadline. The page is compressed for those that ask for it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kiln_telemetry::metrics::{Format, PageMetrics};
use tokio::sync::watch;

use super::Exposition;
use crate::payload::gzip;

/// An address that is listened on, and nobody answers there yet.
#[derive(Debug)]
pub(crate) struct Listening(TcpListener);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; set `endpoint` to a free address of this machine")]
pub(crate) struct ListenError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

impl Listening {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        bound.map(Self).map_err(|source| ListenError { address, source })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Shows the page that is current, for as long as it is polled.
    pub(crate) async fn serve(
        self,
        current: impl Fn() -> Option<Exposition> + Clone + Send + Sync + 'static,
        metrics: PageMetrics,
    ) {
        let listener = match tokio::net::TcpListener::from_std(self.0) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "cannot serve the page of the exporter");
                return;
            }
        };
        let router = Router::new().route("/metrics", get(show::<_>)).with_state((current, metrics));
        let (_running, never) = watch::channel(false);
        kiln_telemetry::serve(listener, router, "the prometheus exporter", never).await;
    }
}

async fn show<C: Fn() -> Option<Exposition> + Clone + Send + Sync + 'static>(
    State((current, metrics)): State<(C, PageMetrics)>,
    headers: HeaderMap,
) -> Response {
    let Some(page) = current() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let asked = Format::negotiate(header(ACCEPT));
    let is_gzip = accepts_gzip(header(ACCEPT_ENCODING));
    // A page of a hundred thousand lines takes a while.
    let rendered = tokio::task::spawn_blocking(move || {
        let (format, text, series) = page.render(asked);
        let capacity = page.max_series();
        let compressed = if is_gzip { gzip(text.as_bytes()).ok() } else { None };
        (format, text, compressed, series, capacity)
    });
    let Ok((format, text, compressed, series, capacity)) = rendered.await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    metrics.scraped(series, capacity);
    let mut response = match compressed {
        Some(body) => ([(CONTENT_ENCODING, "gzip")], body).into_response(),
        None => text.into_response(),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    response
}

/// Whether `gzip` is among the codings, and not ruled out by a weight of 0.
fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight == 0.0))
        });
        is_gzip && !is_refused
    })
}
