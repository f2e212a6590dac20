//! How a world is served: the REST API of a Databricks workspace, one file per API family.
//!
//! Every request passes the same gates in the same order: it is recorded, meets the fault that is scripted
//! for it, is authenticated, and reaches its family. Every answer carries `X-Databricks-Org-Id` and the world's
//! own time as `Date`: a client that takes the time from the server must not meet two clocks.
//!
//! Invariant: whatever is asked is answered in the API's own terms (`{"error_code", "message"}` for errors);
//! no input makes a handler panic.

#![allow(
    clippy::indexing_slicing,
    reason = "`body[\"field\"] = ..` on JSON objects built in the line above; there are no slices here"
)]

mod clusters;
mod control;
mod distort;
mod driver_proxy;
mod events;
mod history;
mod jobs;
mod oauth;
mod paging;
mod pipelines;
mod policies;
mod query;
mod run_body;
mod scim;
mod serving;
mod sql;
mod statements;
mod tokens;
mod tree;

use super::faults::Fault;
use super::shared::Shared;
use super::stage::Seen;
use super::world::UnixMillis;
use crate::request::Request as Record;
use crate::server::Connection;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The most that is read of a request's or buffered of an answer's body.
const BODY_LIMIT: usize = 64 << 20;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(jobs::routes())
        .merge(sql::routes())
        .merge(clusters::routes())
        .merge(driver_proxy::routes())
        .merge(events::routes())
        .merge(history::routes())
        .merge(pipelines::routes())
        .merge(serving::routes())
        .merge(statements::routes())
        .merge(oauth::routes())
        .merge(scim::routes())
        .merge(tokens::routes())
        .merge(tree::routes())
        .merge(policies::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(from_fn_with_state(shared.clone(), gates))
        // After the layer: looking at a workspace from outside is neither recorded nor faulty.
        .merge(control::routes())
        .merge(crate::faults::routes(shared.faults.clone()).with_state(()))
        .with_state(shared)
}

async fn gates(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let authorized = shared.authorizes(request.headers().get(AUTHORIZATION));
    let path = request.uri().path().to_owned();
    let (mut head, body) = request.into_parts();
    let mut body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let record = Record::new(&head.method, &head.uri, &head.headers);
    shared.record(Seen { request: record, body: String::from_utf8_lossy(&body).into_owned(), authorized });
    let fault = shared.faults.take(&path);
    match &fault {
        Some(Fault::Reset) => connection.reset(),
        Some(Fault::Slow { ms }) => connection.wait(*ms).await,
        Some(Fault::Hang) => std::future::pending().await,
        _ => {}
    }
    let endless = distort::request(fault.as_ref(), &mut head.uri, &mut body);
    let request = Request::from_parts(head, Body::from(body));
    let mut response = match fault.as_ref().and_then(Fault::error) {
        Some((status, code, message)) => ApiError::new(status, code, message).into_response(),
        None if !authorized && is_for_the_authorized(&path) => unauthenticated(request.headers()),
        None => next.run(request).await,
    };
    let now = shared.read(|state| state.world.now());
    if let Some(fault) = &fault {
        response = distort::response(fault, endless.as_deref(), response).await;
        if let Some(wait) = retry_after(fault, now) {
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
    }
    response.headers_mut().insert("x-databricks-org-id", HeaderValue::from(shared.org_id()));
    response.headers_mut().insert(DATE, date(now));
    response
}

fn is_for_the_authorized(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with(driver_proxy::PREFIX)
}

fn retry_after(fault: &Fault, now: UnixMillis) -> Option<HeaderValue> {
    match fault {
        Fault::RateLimited { retry_after } | Fault::Unavailable { retry_after } => retry_after.map(HeaderValue::from),
        Fault::RateLimitedUntil { seconds } => Some(date(now.plus(Duration::from_secs(*seconds)))),
        _ => None,
    }
}

/// The world's time as the value of a `Date` header (RFC 9110, IMF-fixdate), between 1970 and 9999.
fn date(now: UnixMillis) -> HeaderValue {
    const END_OF_9999: u64 = 253_402_300_799;
    let seconds = u64::try_from(now.0.div_euclid(1000)).unwrap_or_default().min(END_OF_9999);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn unauthenticated(headers: &HeaderMap) -> Response {
    let message = match headers.contains_key(AUTHORIZATION) {
        true => "Invalid access token.",
        false => "Credential was not sent or was of an unsupported type for this API.",
    };
    ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message).into_response()
}

async fn unknown(method: Method, uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", format!("No API found for '{method} {}'", uri.path()))
}

type Answer = Result<Json, ApiError>;

struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        // Faster than `Display`, which checks every piece of text again.
        let text = serde_json::to_vec(&self.0).unwrap_or_default();
        ([(CONTENT_TYPE, "application/json")], text).into_response()
    }
}

/// An answer with a list whose items have been written already.
struct Written {
    /// The answer without the list.
    rest: Value,
    list: &'static str,
    items: Vec<Arc<str>>,
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        if self.items.is_empty() {
            return Json(self.rest).into_response();
        }
        let rest = self.rest.to_string();
        let length = self.items.iter().map(|item| item.len() + 1).sum::<usize>() + rest.len() + 64;
        let mut text = String::with_capacity(length);
        text.push_str("{\"");
        text.push_str(self.list);
        text.push_str("\":[");
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(item);
        }
        text.push(']');
        // The rest is an object of its own: its fields follow.
        match rest.strip_prefix('{') {
            Some("}") | None => text.push('}'),
            Some(fields) => {
                text.push(',');
                text.push_str(fields);
            }
        }
        ([(CONTENT_TYPE, "application/json")], text).into_response()
    }
}

#[derive(Debug)]
struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.code, "message": self.message });
        (self.status, Json(body)).into_response()
    }
}
