//! A receiver of which one collector is on, on a host whose answers the test scripts.
#![allow(dead_code, reason = "each test file uses its own part")]

use core::time::Duration;
use std::collections::BTreeMap;

use kiln_plugin::http::Request;
use kiln_plugin::testing::{Collected, Instance, TestHost};
use kiln_plugin_databricks::{Databricks, telemetry};
use serde_json::{Value, json};

const COLLECTORS: [&str; 9] =
    ["jobs", "runs", "clusters", "warehouses", "queries", "pipelines", "serving", "pools", "inventory"];

pub(crate) fn host() -> TestHost {
    TestHost::new(telemetry::MANIFEST)
}

/// The configuration with one collector on, with these options, and no other.
pub(crate) fn only(collector: &str, options: Value) -> Value {
    let off = COLLECTORS.iter().chain(&["identity"]).map(|name| ((*name).to_owned(), json!({ "enabled": false })));
    let mut collectors: BTreeMap<String, Value> = off.collect();
    collectors.insert(collector.to_owned(), options);
    json!({ "host": "https://workspace.example", "token": "secret", "collectors": collectors })
}

pub(crate) fn configure(host: &TestHost, config: Value) -> Instance<Databricks> {
    host.configure(config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Collects a minute after the last collection.
pub(crate) fn next(host: &TestHost, instance: &mut Instance<Databricks>) -> Collected {
    host.advance(Duration::from_secs(60));
    instance.collect().unwrap_or_else(|error| panic!("{error:?}"))
}

/// The parameters of a request.
pub(crate) fn parameters(request: &Request) -> BTreeMap<String, String> {
    let query = request.url.split_once('?').map_or("", |(_, query)| query);
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => {
                    let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
                    let hex = core::str::from_utf8(&digits).unwrap_or("3f");
                    bytes.push(u8::from_str_radix(hex, 16).unwrap_or(b'?'));
                }
                other => bytes.push(other),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// How often a part has failed, as `databricks.scraper.errors` has it.
pub(crate) fn errors(collected: &Collected, collector: &str) -> f64 {
    let points = collected.metrics.points("databricks.scraper.errors");
    points.iter().filter(|point| point.attributes["collector"] == collector).map(|point| point.value).sum()
}
