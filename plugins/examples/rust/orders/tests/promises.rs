//! What the receiver promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use kiln_plugin::CollectError;
use kiln_plugin::testing::{Instance, Reply, TestHost};
use orders_rust::{Orders, PAGES, telemetry};
use serde_json::{Value, json};

const FIRST: &str = "/api/orders?limit=2";
const SECOND: &str = "/api/orders?limit=2&after=a";

fn host() -> TestHost {
    TestHost::new(telemetry::MANIFEST)
}

fn configured(host: &TestHost) -> Instance<Orders> {
    host.configure(json!({ "host": "https://shop.example/", "page_size": 2 })).unwrap()
}

fn page(orders: &[(&str, f64)], cursor: &str, more: bool, open: i64) -> Reply {
    let orders: Vec<Value> =
        orders.iter().map(|(status, seconds)| json!({ "status": status, "seconds": seconds })).collect();
    Reply::json(&json!({ "orders": orders, "cursor": cursor, "more": more, "open": open }))
}

#[test]
fn pages_are_followed_and_every_order_is_counted() {
    let host = host();
    host.on_get(FIRST, page(&[("paid", 0.2), ("paid", 3.0)], "a", true, 0));
    host.on_get(SECOND, page(&[("void", 0.5)], "b", false, 4));
    let collected = configured(&host).collect().unwrap();
    assert!(!collected.outcome.more);
    assert_eq!(collected.metrics.value("shop.orders.count", &[("status", "paid")]), 2.0);
    assert_eq!(collected.metrics.value("shop.orders.count", &[("status", "void")]), 1.0);
    assert_eq!(collected.metrics.value("shop.orders.open", &[]), 4.0);
    let duration = collected.metrics.histogram("shop.order.duration", &[]);
    assert_eq!((duration.bucket_counts, duration.sum), (vec![2, 0, 1, 0, 0], Some(3.7)));
}

#[test]
fn what_was_counted_is_not_counted_again() {
    let host = host();
    host.on_get(FIRST, page(&[("paid", 1.0)], "a", false, 0));
    host.on_get(SECOND, page(&[("paid", 1.0)], "b", false, 0));
    let start = host.now();
    configured(&host).collect().unwrap();
    host.advance(core::time::Duration::from_secs(60));
    // An instance of its own, as after a restart.
    let collected = configured(&host).collect().unwrap();
    let point = collected.metrics.point("shop.orders.count", &[("status", "paid")]);
    assert_eq!(collected.metrics.value("shop.orders.count", &[("status", "paid")]), 2.0);
    assert_eq!(point.start, start);
}

#[test]
fn many_pages_are_queued_in_between() {
    let host = host();
    host.on_path("/api/orders", |_| page(&[], "x", true, 0));
    assert!(configured(&host).collect().unwrap().outcome.more);
    assert_eq!(host.take_requests().len(), PAGES);
}

#[test]
fn what_goes_wrong_has_a_name() {
    let failed = |reply: Reply| {
        let host = host();
        host.on_get(FIRST, reply);
        let error = configured(&host).collect().unwrap_err();
        assert_eq!(host.state("progress"), None);
        error
    };
    assert!(matches!(failed(Reply::status(401, "")), CollectError::Unauthorized(_)));
    assert!(matches!(failed(Reply::status(503, "")), CollectError::Unavailable(_)));
    assert!(matches!(failed(Reply::new("text/html", "<html>")), CollectError::InvalidData(_)));
    assert!(matches!(failed(Reply::json(&json!({ "orders": [{}] }))), CollectError::InvalidData(_)));
}
