//! Answers that are wrong in the ways real ones have been: cut off, not JSON, too long, without an end.
//!
//! A distorted page is made from the right one, so that what a client should make of it (the items that are
//! whole, each once, and then an end) can still be told. What concerns paging is done while the page is cut:
//! the request is marked with a parameter that no client can send through the API's own names.
//!
//! Invariant: a token that a fault made up is taken back by every list as the request for its first page.

use super::super::faults::{Fault, Tokens, make_unfamiliar};
use crate::broken_off::{End, broken_off};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// The parameters that tell [`super::paging`] to cut a page wrongly.
pub(super) const OVERSIZED: &str = "-/oversized";
pub(super) const REPEATING: &str = "-/repeating";

/// How many times as long an oversized page is.
pub(super) const OVERSIZE: usize = 10;

const ENDLESS: &str = "ENDLESS+";

/// Marks a request for what its page shall be, and takes out the tokens that faults made up. Gives the one it
/// took out.
pub(super) fn request(fault: Option<&Fault>, uri: &mut Uri, body: &mut Bytes) -> Option<String> {
    let mark = match fault {
        Some(Fault::OversizedPages) => Some(OVERSIZED),
        Some(Fault::RepeatedItems) => Some(REPEATING),
        _ => None,
    };
    let mut parameters = crate::request::parse_query(uri);
    let is_endless = |name: &str, value: &str| name == "page_token" && value.starts_with(ENDLESS);
    let mut endless = parameters.iter().find(|(name, value)| is_endless(name, value)).map(|(_, value)| value.clone());
    if mark.is_some() || endless.is_some() {
        parameters.retain(|(name, value)| !is_endless(name, value));
        parameters.extend(mark.map(|mark| (mark.to_owned(), "true".to_owned())));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        if let Ok(marked) = format!("{}?{query}", uri.path()).parse() {
            *uri = marked;
        }
    }
    if let Ok(Value::Object(mut asked)) = serde_json::from_slice(body)
        && let Some(token) = asked.get("page_token").and_then(Value::as_str).filter(|token| token.starts_with(ENDLESS))
    {
        endless = Some(token.to_owned());
        asked.remove("page_token");
        *body = Bytes::from(Value::Object(asked).to_string());
    }
    endless
}

/// Distorts a right answer. `endless` is the made-up token that the request came with.
pub(super) async fn response(fault: &Fault, endless: Option<&str>, response: Response) -> Response {
    let half = |bytes: &Bytes| bytes.slice(..bytes.len() / 2);
    match fault {
        Fault::Unfamiliar => rewrite(response, make_unfamiliar).await,
        Fault::NullElements => rewrite(response, add_nulls).await,
        Fault::NullObjects => rewrite(response, |value| make_null(value, 0)).await,
        Fault::EndlessPages { tokens } => {
            let next = made_up(*tokens, endless);
            rewrite(response, |page| make_endless(page, &next)).await
        }
        Fault::TruncatedJson => replace(response, |bytes| Body::from(half(&bytes))).await,
        Fault::InvalidJson => replace(response, |_| Body::from("{\"runs\": [{\"run_id\": 1,}], nan}")).await,
        Fault::Html => html(StatusCode::OK),
        Fault::BadGateway => html(StatusCode::BAD_GATEWAY),
        Fault::CutBody | Fault::EndlessBody => {
            let end = if *fault == Fault::CutBody { End::Cut } else { End::Never };
            broken_off(response, super::BODY_LIMIT, end).await
        }
        _ => response,
    }
}

fn html(status: StatusCode) -> Response {
    let page = "<!DOCTYPE html><html><head><title>Databricks - Sign In</title></head><body>Sign in</body></html>";
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn replace(response: Response, with: impl FnOnce(Bytes) -> Body) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, super::BODY_LIMIT).await.unwrap_or_default();
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, with(bytes))
}

async fn rewrite(response: Response, change: impl FnOnce(&mut Value)) -> Response {
    let rewritten = |bytes: Bytes| match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) => {
            change(&mut value);
            Body::from(value.to_string())
        }
        Err(_) => Body::from(bytes),
    };
    replace(response, rewritten).await
}

/// A `null` before the first element of every array.
fn add_nulls(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(add_nulls);
            items.insert(0, Value::Null);
        }
        Value::Object(fields) => fields.values_mut().for_each(add_nulls),
        _ => {}
    }
}

/// `null` for every object within an item of a list.
fn make_null(value: &mut Value, depth: usize) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| make_null(item, depth + 1)),
        Value::Object(fields) => {
            for value in fields.values_mut() {
                match value {
                    Value::Object(_) if depth > 0 => *value = Value::Null,
                    value => make_null(value, depth),
                }
            }
        }
        _ => {}
    }
}

/// Another page follows, whatever there is.
fn make_endless(page: &mut Value, next: &str) {
    let Some(fields) = page.as_object_mut() else {
        return;
    };
    fields.insert("next_page_token".to_owned(), next.into());
    for flag in ["has_more", "has_next_page"] {
        if let Some(more) = fields.get_mut(flag) {
            *more = true.into();
        }
    }
    if let Some(events) = fields.get("events").and_then(|events| events.get(0)) {
        let next_page = json!({ "cluster_id": events.get("cluster_id"), "page_token": next });
        fields.insert("next_page".to_owned(), next_page);
    }
}

/// The made-up token that follows another, or none.
fn made_up(tokens: Tokens, before: Option<&str>) -> String {
    static MADE_UP: AtomicU64 = AtomicU64::new(0);
    match (tokens, before) {
        (Tokens::Same, _) => format!("{ENDLESS}same=="),
        (Tokens::Alternating, Some(token)) if token.ends_with("+tick==") => format!("{ENDLESS}+tock=="),
        (Tokens::Alternating, _) => format!("{ENDLESS}+tick=="),
        (Tokens::New, _) => format!("{ENDLESS}{}==", MADE_UP.fetch_add(1, Ordering::Relaxed)),
    }
}
