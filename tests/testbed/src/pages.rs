//! A target that serves pages of text, whatever it is asked for: status 200, gzip where the client takes it.

use crate::server::{ANY_PORT, Server};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What the server calls it.
    pub content_type: String,
    /// What it holds.
    pub body: String,
}

/// A running target; connections are refused once it is dropped.
pub struct Target {
    server: Server,
}

impl Target {
    /// Serves these pages, by their paths, on a port of the system's choice.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start(pages: BTreeMap<String, Page>) -> io::Result<Self> {
        let router = Router::new().fallback(answer).with_state(Arc::new(pages));
        Ok(Self { server: Server::start("pages", ANY_PORT, router)? })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

async fn answer(State(pages): State<Arc<BTreeMap<String, Page>>>, request: Request) -> Response {
    let (status, body, content_type) = match pages.get(request.uri().path()) {
        Some(page) => (StatusCode::OK, page.body.as_str(), page.content_type.as_str()),
        None => (StatusCode::NOT_FOUND, "no such page", "text/plain"),
    };
    let compressed = takes_gzip(request.headers()).then(|| gzip(body)).and_then(Result::ok);
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    if compressed.is_some() {
        response = response.header(CONTENT_ENCODING, "gzip");
    }
    response.body(Body::from(compressed.unwrap_or_else(|| body.into()))).unwrap_or_default()
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|encoding| encoding.trim().starts_with("gzip"))
}

fn gzip(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}
