//! What the door promises, each permitted case beside its denied twin, against servers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, unreachable_pub)]

mod addresses;
mod admission;
mod answers;
mod arbitrary;
mod bodies;
mod concurrency;
mod credentials;
mod discovery;
mod pace;
mod proxies;
mod redirects;
mod repetition;
mod server;
mod sign_in;
mod sign_in_failures;
mod tls;
mod token_file;
mod trace;
mod world;

use kiln_policy::Method;

use crate::Request;

fn get(url: impl Into<String>) -> Request {
    request(Method::Get, url)
}

fn request(method: Method, url: impl Into<String>) -> Request {
    Request { method, url: url.into(), headers: Vec::new(), body: None }
}

fn with_header(name: &str, value: &str, url: impl Into<String>) -> Request {
    Request { headers: vec![(name.to_owned(), value.to_owned())], ..get(url) }
}
