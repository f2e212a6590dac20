//! A plugin that sends what it is told to send, and says in the log what the host let it have.
//!
//! What it is refused is no error of a collection: the next one asks again.

use std::collections::BTreeMap;
use std::hint::black_box;

use kiln_plugin::http::{HttpError, Method, Request};
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, Receiver};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Probe);

/// So much of an answer is repeated.
const EXCERPT: usize = 300;

/// What the test writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    origin: String,
    url: String,
    method: Verb,
    headers: Vec<BTreeMap<String, String>>,
    in_pieces: bool,
    times: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Get,
    Post,
    Delete,
}

/// Bytes that are in the memory of this plugin and nowhere else, by which a test finds that memory: no file has them as they
/// are.
#[must_use]
pub fn marker(secret: u8) -> Vec<u8> {
    (0..64_u8).map(|n| n.wrapping_mul(37) ^ secret).collect()
}

/// The plugin.
#[derive(Debug)]
pub struct Probe {
    marker: Vec<u8>,
    request: Request,
    in_pieces: bool,
    times: u32,
}

impl Receiver for Probe {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let Config { origin, url, method, headers, in_pieces, times } = config;
        let method = match method {
            Verb::Get => Method::Get,
            Verb::Post => Method::Post,
            Verb::Delete => Method::Delete,
        };
        let url = if url.is_empty() { format!("{origin}/") } else { url };
        let request = Request { method, ..Request::get(url) };
        let request =
            headers.into_iter().flatten().fold(request, |request, (name, value)| request.with_header(name, value));
        // A compiler that knew the argument would write the bytes into the file.
        Ok(Self { marker: marker(black_box(0x5a)), request, in_pieces, times })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        black_box(&self.marker);
        for _ in 0..self.times {
            let answer = if self.in_pieces { self.read_in_pieces(host) } else { self.read(host) };
            let mut metrics = telemetry::Metrics::new();
            match answer {
                Ok((status, body)) => {
                    let excerpt = String::from_utf8_lossy(body.get(..body.len().min(EXCERPT)).unwrap_or_default());
                    host.log(Level::Info, &format!("answered {status}: {excerpt}"), &[]);
                    metrics.kiln_probe_bytes(i64::try_from(body.len()).unwrap_or(i64::MAX));
                }
                Err(error) => {
                    host.log(Level::Info, &format!("no answer: {error:?}"), &[]);
                    metrics.kiln_probe_bytes(0);
                }
            }
            host.emit_metrics([metrics])?;
        }
        Ok(Outcome::complete())
    }
}

impl Probe {
    fn read(&self, host: &Host) -> Result<(u16, Vec<u8>), HttpError> {
        let response = host.http().send(&self.request)?;
        let location = response.header("location").unwrap_or_default().as_bytes();
        let body = [location, &response.body].concat();
        Ok((response.status, body))
    }

    fn read_in_pieces(&self, host: &Host) -> Result<(u16, Vec<u8>), HttpError> {
        let mut opened = host.http().open(&self.request)?;
        let mut read = Vec::new();
        while let Some(piece) = opened.body.read()? {
            read.truncate(EXCERPT);
            read.extend(piece);
        }
        Ok((opened.status, read))
    }
}
