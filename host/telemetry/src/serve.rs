//! How pages are served: to clients that may be slow, many or hostile.
//!
//! One exchange for each connection, a bounded number of connections, small heads, and a deadline over the whole exchange that a
//! client slow in either direction cannot stretch. A scrape a minute does not miss kept-alive connections.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::reload_door::Peer;

/// A whole exchange: reading the request, answering, the client reading the answer.
const EXCHANGE: Duration = Duration::from_secs(10);
/// More clients than this wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 32;
/// The request line and all headers together; the least that hyper allows.
const MAX_HEAD_BYTES: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;
/// Before accepting again when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until `stop` turns true or its sender is gone, then finishes the exchanges under way. `what` is for the log.
///
/// Returns within ten seconds of the signal whatever clients do.
pub async fn serve(listener: TcpListener, router: Router, what: &'static str, mut stop: watch::Receiver<bool>) {
    let limit = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&limit).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            // Collects finished tasks, so that the set does not grow with every scrape.
            Some(_) = connections.join_next() => continue,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let router = router.clone().layer(Extension(Peer(peer)));
                connections.spawn(async move {
                    exchange(stream, router, what).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, what, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn exchange(stream: TcpStream, router: Router, what: &'static str) {
    let exchange = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(EXCHANGE)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(EXCHANGE, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, what, "a client went away"),
        Err(_) => debug!(what, "a client was too slow"),
    }
}
