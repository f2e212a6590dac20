//! `service.telemetry`: what Kiln says about itself.

use std::net::{Ipv4Addr, SocketAddr};

use crate::document::Content;
use crate::reader::{Section, Value};

/// Where health, readiness and metrics are served unless the configuration says otherwise; the port is that of the
/// Collector's health check. Loopback, because the page shows what is observed.
pub const DEFAULT_ENDPOINT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 13133);

/// Kiln's own logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Kiln's log, on standard error.
    pub logs: Logs,
    /// Where health, readiness and metrics are served; `None` turns the page off.
    pub endpoint: Option<SocketAddr>,
}

/// Kiln's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// How a line looks.
    pub encoding: LogEncoding,
}

/// How a line of Kiln's log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { logs: Logs::default(), endpoint: Some(DEFAULT_ENDPOINT) }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self { level: "info".to_owned(), encoding: LogEncoding::Text }
    }
}

impl Telemetry {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let mut telemetry = Self { logs: Logs::read(section.section("logs")), ..Self::default() };
        if let Some(value) = section.get_or_null("endpoint") {
            telemetry.endpoint = endpoint(&value);
        }
        section.unsupported("metrics", "metrics are served at `service.telemetry.endpoint`; remove this section");
        section.unsupported("traces", "this version does not trace itself; remove this section");
        section.finish();
        telemetry
    }
}

impl Logs {
    fn read(mut section: Section<'_>) -> Self {
        let mut logs = Self::default();
        let levels = ["trace", "debug", "info", "warn", "error"].map(|word| (word, word));
        if let Some(level) = section.get("level").and_then(|level| level.choice(&levels)) {
            logs.level = level.to_owned();
        }
        let encodings = [("text", LogEncoding::Text), ("json", LogEncoding::Json), ("console", LogEncoding::Text)];
        if let Some(encoding) = section.get("encoding").and_then(|encoding| encoding.choice(&encodings)) {
            logs.encoding = encoding;
        }
        section.finish();
        logs
    }
}

fn endpoint(value: &Value<'_>) -> Option<SocketAddr> {
    if matches!(value.node.content, Content::Null) {
        return None;
    }
    let text = value.text()?;
    if text == "none" {
        return None;
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    value.parsed("address", "write it as in `127.0.0.1:13133`, or `none` for no endpoint")
}
