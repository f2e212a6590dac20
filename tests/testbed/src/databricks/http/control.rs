//! `/-/requests`: what the workspace was asked, for callers that cannot hold the library's handle.
//!
//! Needs no token: it exists only in a simulated workspace. Faults have their own page, see `crate::faults`.

use super::super::shared::Shared;
use crate::faults::json;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/-/requests", get(requests))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    json(&shared.read(|state| state.requests.clone()))
}
