//! `/-/requests`: what the workspace was asked, and `/-/truth?from=MS&to=MS`: what a client should have
//! counted, for callers that cannot hold the library's handle.
//!
//! Needs no token: it exists only in a simulated workspace. Faults have their own page, see `crate::faults`.

use super::super::shared::Shared;
use super::super::world::UnixMillis;
use super::ApiError;
use super::query::Query;
use crate::faults::json;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/-/requests", get(requests)).route("/-/truth", get(truth))
}

/// Without `from` the period begins with time, without `to` it ends now.
async fn truth(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::of(&uri);
    let from = UnixMillis(query.number("from")?.unwrap_or(i64::MIN));
    let to = UnixMillis(query.number("to")?.unwrap_or(i64::MAX));
    Ok(json(&shared.read(|state| state.world.truth(from, to))))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    json(&shared.read(|state| state.requests.clone()))
}
