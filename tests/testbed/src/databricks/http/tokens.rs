//! Tokens: all of them for an administrator, one's own for everybody.
//!
//! Source: `databricks/sdk/service/settings.py` (`TokenManagementAPI.list`, `TokensAPI.list`, `TokenInfo`,
//! `PublicTokenInfo`) of databricks-sdk 0.156.0. Neither list has pages; an `expiry_time` of -1 is never.

use super::super::shared::Shared;
use super::super::world::Token;
use super::query::Query;
use super::scim::CALLER;
use super::{Answer, Json};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/2.0/token-management/tokens", get(all)).route("/api/2.0/token/list", get(own))
}

async fn all(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let by = query.text("created_by_username");
    let by_id: Option<u64> = query.number("created_by_id")?;
    let org_id = shared.org_id();
    let of = |token: &&Token| {
        by.is_none_or(|name| token.created_by == name) && by_id.is_none_or(|id| id_of(&token.created_by) == id)
    };
    Ok(infos(&shared, of, |token| {
        let mut body = public(token);
        body["created_by_username"] = token.created_by.as_str().into();
        body["created_by_id"] = id_of(&token.created_by).into();
        body["owner_id"] = id_of(&token.created_by).into();
        body["workspace_id"] = org_id.into();
        body
    }))
}

async fn own(State(shared): State<Arc<Shared>>) -> Json {
    infos(&shared, |token| token.created_by == CALLER, public)
}

fn infos(shared: &Shared, shown: impl Fn(&&Token) -> bool, body: impl Fn(&Token) -> Value) -> Json {
    shared.read(|state| {
        let now = state.world.now();
        let tokens = state.world.scene().tokens.iter().filter(|token| token.created <= now);
        let infos: Vec<Value> = tokens.filter(shown).map(body).collect();
        match infos.is_empty() {
            true => Json(json!({})),
            false => Json(json!({ "token_infos": infos })),
        }
    })
}

fn public(token: &Token) -> Value {
    json!({
        "token_id": token.token_id,
        "comment": token.comment,
        "creation_time": token.created,
        "expiry_time": token.expires.map_or(-1, |expires| expires.0),
    })
}

fn id_of(name: &str) -> u64 {
    name.bytes().fold(7, |id, byte| (id * 31 + u64::from(byte)) % 9_000_000_000_000)
}
