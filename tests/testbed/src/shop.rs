//! A shop whose API hands out orders in pages: what the example plugins in every language read.
//!
//! Orders come oldest first, each page with the cursor to go on from. Whoever does not show the token gets a 401 and no
//! order. Every request is kept, so that a test sees which pages were asked for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::observed::{Observed, TimedOut};
use crate::server::{ANY_PORT, Server};

/// What a request has to show.
pub const TOKEN: &str = "shop-token";

/// An order that has come to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// What became of it.
    pub status: &'static str,
    /// How long it took.
    pub seconds: f64,
}

#[derive(Default)]
struct Business {
    orders: Vec<Order>,
    open: i64,
    requests: Vec<String>,
}

/// A running shop; connections are refused once it is dropped.
pub struct Shop {
    business: Arc<Observed<Business>>,
    server: Server,
}

impl Shop {
    /// A shop without orders on a port of the system's choice.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn start() -> io::Result<Self> {
        let business = Arc::new(Observed::new(Business::default()));
        let router = Router::new().fallback(answer).with_state(business.clone());
        Ok(Self { server: Server::start("shop", ANY_PORT, router)?, business })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Further orders come to their end, and so many wait.
    pub fn trade(&self, orders: &[Order], open: i64) {
        self.business.update(|business| {
            business.orders.extend_from_slice(orders);
            business.open = open;
        });
    }

    /// Paths and queries of the requests so far, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.business.read(|business| business.requests.clone())
    }

    /// Waits until a request after the first `seen` satisfies the condition.
    ///
    /// # Errors
    /// None did in time.
    pub fn wait_for(&self, seen: usize, timeout: Duration, condition: impl Fn(&str) -> bool) -> Result<(), TimedOut> {
        let found = |business: &Business| business.requests.iter().skip(seen).any(|r| condition(r)).then_some(());
        self.business.wait(timeout, found, |business| format!("{:?}", business.requests))
    }
}

async fn answer(State(business): State<Arc<Observed<Business>>>, headers: HeaderMap, uri: Uri) -> Response {
    business.update(|business| business.requests.push(uri.to_string()));
    if headers.get("authorization").is_none_or(|value| value != format!("Bearer {TOKEN}").as_str()) {
        return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
    }
    if uri.path() != "/api/orders" {
        return (StatusCode::NOT_FOUND, "no such page").into_response();
    }
    let query: BTreeMap<_, _> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
    let number = |key: &str| query.get(key).map_or(Ok(None), |text| text.parse().map(Some));
    let (Ok(after), Ok(limit)) = (number("after"), number("limit")) else {
        return (StatusCode::BAD_REQUEST, "no such cursor").into_response();
    };
    let page = business.read(|business| page(business, after.unwrap_or(0), limit.unwrap_or(100)));
    ([("content-type", "application/json")], page.to_string()).into_response()
}

/// The cursor is the number of orders before it; a client has no business knowing that.
fn page(business: &Business, after: usize, limit: usize) -> Value {
    let orders = business.orders.iter().skip(after).take(limit);
    let orders: Vec<_> = orders
        .map(|order| json!({ "status": order.status, "seconds": order.seconds, "note": "\"ü\u{1f4e6}\\" }))
        .collect();
    let cursor = after.saturating_add(orders.len());
    json!({ "orders": orders, "cursor": cursor.to_string(), "more": cursor < business.orders.len(), "open": business.open })
}
