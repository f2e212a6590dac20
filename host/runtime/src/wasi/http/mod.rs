//! `wasi:http/outgoing-handler`, through the instance's own egress.
//!
//! A request is turned into one of Kiln's own and sent by the same function, so policy, addresses, credentials, headers,
//! caps, repetitions, records and metrics are the same because they are the same code. wasmtime's client is not even
//! compiled in. A request and the body it is answered with belong to the call in which they were begun: they end with
//! it, whatever handles the guest keeps.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use kiln_egress::{Body, Egress, Opened, Request};
use kiln_policy::Method;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// What a guest may write of a request's body at once.
const WRITE_BYTES: usize = 64 << 10;

type Sent = Result<(http::Response<WasiBody>, Finished), Error>;
type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// Sends what a guest hands to `wasi:http`.
pub(crate) struct EgressHooks {
    egress: Option<Arc<Egress>>,
    /// Requests under way and bodies that are being read. Dropping it ends them.
    under_way: JoinSet<()>,
}

impl EgressHooks {
    pub(crate) fn new(egress: Option<Arc<Egress>>) -> Self {
        Self { egress, under_way: JoinSet::new() }
    }

    /// Ends everything that was begun.
    pub(crate) fn end_call(&mut self) {
        self.under_way = JoinSet::new();
    }
}

impl WasiHttpHooks for EgressHooks {
    /// None: egress judges headers, and records what it refuses.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|_| false)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        WRITE_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        // Cannot happen while linking follows the policy.
        let Some(egress) = self.egress.clone() else { return Box::new(async { Err(Error::HttpRequestDenied) }) };
        while self.under_way.try_join_next().is_some() {}
        let patience = options.and_then(|options| options.first_byte_timeout).unwrap_or(Duration::MAX);
        let (head, answered) = oneshot::channel();
        self.under_way.spawn(async move {
            let opened = tokio::time::timeout(patience, open(&egress, request)).await;
            let Opened { status, headers, body } = match opened.unwrap_or(Err(Error::HttpResponseTimeout)) {
                Ok(opened) => opened,
                Err(error) => {
                    // Whoever asked may have lost interest.
                    let _ = head.send(Err(error));
                    return;
                }
            };
            let (pieces, received) = mpsc::channel(1);
            if head.send(response(status, headers, received)).is_ok() {
                hand_over(body, pieces).await;
            }
        });
        Box::new(async move { Ok((answered.await.unwrap_or(Err(Error::ConnectionTerminated))?, finished())) })
    }
}

fn finished() -> Finished {
    Box::new(std::future::ready(Ok(())))
}

/// Sends a request and waits for the head of its response.
async fn open(egress: &Egress, request: http::Request<WasiBody>) -> Result<Opened, Error> {
    let (head, body) = request.into_parts();
    let method = Method::ALL.into_iter().find(|method| method.name() == head.method.as_str());
    let method = method.ok_or(Error::HttpRequestMethodInvalid)?;
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        // It has been checked against the body, and the host says it again.
        if name == http::header::CONTENT_LENGTH {
            continue;
        }
        let value = value.to_str().map_err(|_| Error::InternalError(Some(format!("header `{name}` is not ASCII"))))?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let body = collect(body, egress.limits().request_bytes).await?;
    let body = (!body.is_empty()).then_some(body);
    egress.open(Request { method, url: head.uri.to_string(), headers, body }).await.map_err(error)
}

/// All of a request's body, unless it is larger than allowed.
async fn collect(mut body: WasiBody, limit: u64) -> Result<Vec<u8>, Error> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if (collected.len() + piece.len()) as u64 > limit {
            return Err(Error::HttpRequestBodySize(Some(limit)));
        }
        collected.extend_from_slice(&piece);
    }
    Ok(collected)
}

/// A piece of a body, or how it ended.
type Piece = Result<Option<Bytes>, Error>;

/// Reads a body as the guest does, one piece ahead.
async fn hand_over(mut body: Body, pieces: mpsc::Sender<Piece>) {
    loop {
        let piece = tokio::select! {
            biased;
            () = pieces.closed() => return,
            piece = body.read() => piece.map_err(error),
        };
        let is_last = !matches!(piece, Ok(Some(_)));
        if pieces.send(piece).await.is_err() || is_last {
            return;
        }
    }
}

fn response(
    status: u16,
    headers: Vec<(String, String)>,
    pieces: mpsc::Receiver<Piece>,
) -> Result<http::Response<WasiBody>, Error> {
    // A body whose end was not announced was cut off, and must not look complete.
    let pieces = stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces: mpsc::Receiver<Piece> = pieces?;
        match pieces.recv().await.unwrap_or(Err(Error::ConnectionTerminated)) {
            Ok(Some(piece)) => Some((Ok(http_body::Frame::data(piece)), Some(pieces))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(StreamBody::new(pieces).boxed_unsync()).map_err(|_| Error::HttpProtocolError)
}

/// The code for an error; where none fits, its words.
fn error(error: kiln_egress::Error) -> Error {
    use kiln_egress::Error as Reason;
    match error {
        Reason::Denied(_) => Error::HttpRequestDenied,
        Reason::Timeout => Error::HttpResponseTimeout,
        Reason::Connect(_) => Error::DestinationUnavailable,
        Reason::Tls(_) => Error::TlsProtocolError,
        Reason::TooLarge(limit) => Error::HttpResponseBodySize(Some(limit)),
        Reason::Cancelled => Error::ConnectionTerminated,
        Reason::Protocol(_) => Error::HttpProtocolError,
        other => Error::InternalError(Some(other.to_string())),
    }
}
