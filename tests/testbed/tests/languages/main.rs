//! The same plugin in every language, end to end: the real binary, a shop to read and a backend to tell.
//!
//! The plugins are those of `plugins/examples`, built by `scripts/build-examples`. One that is not there fails its test:
//! what nobody sees skipped is not skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod example;
mod new;
#[path = "../process/mod.rs"]
mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_testbed::shop::{Order, Shop};
use kiln_testbed::sink::{Sink, Telemetry, Value};

use crate::example::Example;
use crate::process::PATIENCE;

/// Far more than compiling the largest of the plugins takes: 14 MB are ten seconds of a core, and ever more beside other tests.
/// Reached only by what never comes.
const PATIENCE_TO_COMPILE: Duration = Duration::from_secs(300);

const BEFORE: [Order; 5] = [
    Order { status: "paid", seconds: 0.25 },
    Order { status: "paid", seconds: 0.5 },
    Order { status: "void", seconds: 0.75 },
    Order { status: "paid", seconds: 20.0 },
    Order { status: "paid", seconds: 5.0 },
];

const AFTER: [Order; 2] = [Order { status: "void", seconds: 1.0 }, Order { status: "lost \"in\" post", seconds: 10.5 }];

/// The last point of each series of the counter, by status.
fn counts(telemetry: &Telemetry) -> BTreeMap<String, i64> {
    let points = telemetry.points_of("shop.orders.count");
    points
        .map(|point| (point.attributes["status"].as_str().unwrap().to_owned(), point.number().unwrap() as i64))
        .collect()
}

fn expected(counts: &[(&str, i64)]) -> BTreeMap<String, i64> {
    counts.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
}

/// Scenario: a shop with three pages of orders, read without a grant, then with one, then again by a new process after
/// further orders have come.
/// Guarantees: without the grant not one request arrives and the log says which line is missing; with it all pages are
/// followed, the token is shown, and every value is right; the new process goes on from the cursor, counts nothing twice
/// and keeps the start time.
fn reads_the_shop(language: &str) {
    let shop = Shop::start().unwrap();
    shop.trade(&BEFORE, 7);
    let sink = Sink::start().unwrap();
    let example = Example::new(language, &shop, &sink);

    let mut kiln = example.start("grants: {}");
    kiln.wait_until(|| example.log().contains("addresses: [loopback]"));
    drop(kiln);
    assert_eq!(shop.requests(), Vec::<String>::new());

    let grants = format!("grants: {{ http: [ {{ origin: \"{}\", addresses: [loopback] }} ] }}", shop.url());
    let mut kiln = example.start(&grants);
    let first = expected(&[("paid", 4), ("void", 1)]);
    let arrived = sink.wait_for(PATIENCE_TO_COMPILE, |telemetry| counts(telemetry) == first);
    let telemetry = arrived.unwrap_or_else(|error| panic!("{error}\n{}", example.log()));
    kiln.stop();
    assert_eq!(
        shop.requests()[..3],
        ["/api/orders?limit=2", "/api/orders?limit=2&after=2", "/api/orders?limit=2&after=4"]
    );
    assert_first_reading(language, &shop, &telemetry);

    let seen = shop.requests().len();
    shop.trade(&AFTER, 0);
    let mut kiln = example.start(&grants);
    let second = expected(&[("paid", 4), ("void", 2), ("lost \"in\" post", 1)]);
    let arrived = sink.wait_for(PATIENCE, |telemetry| counts(telemetry) == second);
    let telemetry = arrived.unwrap_or_else(|error| panic!("{error}\n{}", example.log()));
    // Once is luck: what is wrong with memory shows after a few collections.
    kiln.wait_until(|| shop.requests().len() >= seen + 8);
    kiln.stop();
    assert!(!example.log().contains("this is a fault in the plugin"), "{}", example.log());
    assert_eq!(shop.requests()[seen], "/api/orders?limit=2&after=5");
    assert_second_reading(&telemetry);
}

fn assert_first_reading(language: &str, shop: &Shop, telemetry: &Telemetry) {
    let point = telemetry.points_of("shop.orders.open").next().unwrap();
    assert_eq!((point.number(), point.unit.as_str()), (Some(7.0), "{order}"));
    assert_eq!(point.origin.resource["shop.host"], shop.url().as_str());
    assert!(point.origin.scope.ends_with(&format!("orders-{language}")), "{}", point.origin.scope);
    let count = telemetry.points_of("shop.orders.count").next().unwrap();
    assert_eq!(count.monotonic, Some(true));
    assert!(count.start_nanos > 0 && count.start_nanos <= count.time_nanos);
    let duration = telemetry.points_of("shop.order.duration").next().unwrap();
    assert_eq!(duration.unit, "s");
    let Value::Histogram { count, sum, bounds, counts, .. } = &duration.value else { panic!("{duration:?}") };
    assert_eq!((*count, *sum), (5, Some(26.5)));
    assert_eq!((bounds.as_slice(), counts.as_slice()), (&[0.5, 1.0, 5.0, 10.0][..], &[2, 1, 1, 0, 1][..]));
}

fn assert_second_reading(telemetry: &Telemetry) {
    let duration = telemetry.points_of("shop.order.duration").last().unwrap();
    let Value::Histogram { count, sum, counts, .. } = &duration.value else { panic!("{duration:?}") };
    assert_eq!((*count, *sum, counts.as_slice()), (7, Some(38.0), &[2, 2, 1, 0, 2][..]));
    assert_eq!(telemetry.points_of("shop.orders.open").last().unwrap().number(), Some(0.0));
    let starts: Vec<_> = telemetry.points_of("shop.orders.count").map(|point| point.start_nanos).collect();
    assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
}

#[test]
fn rust() {
    reads_the_shop("rust");
}

#[test]
fn python() {
    reads_the_shop("python");
}

#[test]
fn javascript() {
    reads_the_shop("javascript");
}

/// Its requests are those of the language, through `wasi:http`, under the same grant.
#[test]
fn javascript_fetch() {
    reads_the_shop("javascript-fetch");
}

#[test]
fn go() {
    reads_the_shop("go");
}

#[test]
fn c() {
    reads_the_shop("c");
}

/// Scenario: what the example in Rust reads is passed through a processor that replaces the shop's address, and every
/// status by the same word.
/// Guarantees: the address arrives nowhere, what was around it and everything else does; the series that came to be alike
/// arrive as one, added up.
fn redacts(language: &str) {
    let shop = Shop::start().unwrap();
    shop.trade(&[BEFORE[0], AFTER[0]], 7);
    let sink = Sink::start().unwrap();
    let example = Example::new("rust", &shop, &sink).with_processor(&format!("redact-{language}"));
    let grants = format!("grants: {{ http: [ {{ origin: \"{}\", addresses: [loopback] }} ] }}", shop.url());
    let mut kiln = example.start(&grants);
    let joined = expected(&[("any", 2)]);
    let arrived = sink.wait_for(PATIENCE, |telemetry| counts(telemetry) == joined);
    let telemetry = arrived.unwrap_or_else(|error| panic!("{error}\n{}", example.log()));
    kiln.stop();
    assert_eq!(telemetry.points_of("shop.orders.open").next().unwrap().number(), Some(7.0));
    let port = shop.url().rsplit_once(':').unwrap().1.to_owned();
    for point in &telemetry.points {
        assert_eq!(point.origin.resource["shop.host"], format!("http://<host>:{port}").as_str());
    }
}

#[test]
fn python_processor() {
    redacts("python");
}

#[test]
fn javascript_processor() {
    redacts("javascript");
}
