//! The `prometheus` exporter: a page that Prometheus scrapes.
//!
//! Keys and defaults are those of the Collector's exporter of the same name; `max_series` is Kiln's own.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::error::{Location, Problem};
use crate::reader::{Section, Value};
use crate::units::MAX_DURATION;

/// Lines of the page, where the file does not say.
pub const DEFAULT_MAX_SERIES: usize = 100_000;
/// How long a series is shown that does not come any more, where the file does not say.
pub const DEFAULT_METRIC_EXPIRATION: Duration = Duration::from_secs(300);

/// Shows what it receives to whoever scrapes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// Where the page is served.
    pub endpoint: SocketAddr,
    /// What every name begins with; nothing if it is empty.
    pub namespace: String,
    /// Labels that every series has.
    pub const_labels: Vec<(String, String)>,
    /// Whether samples carry their time.
    pub send_timestamps: bool,
    /// How long a series is shown that does not come any more.
    pub metric_expiration: Duration,
    /// Whether attributes of the resource become labels of every series.
    pub resource_to_telemetry: bool,
    /// Whether OpenMetrics is offered to those who ask for it.
    pub enable_open_metrics: bool,
    /// Whether names end with their unit and `_total`.
    pub add_metric_suffixes: bool,
    /// Whether series go without the labels of their scope.
    pub without_scope_info: bool,
    /// Lines of the page; what does not fit is dropped.
    pub max_series: usize,
}

impl Prometheus {
    pub(crate) fn read(mut section: Section<'_>, at: Location) -> Option<Self> {
        let endpoint = section.get("endpoint");
        if endpoint.is_none() {
            section.report.error(at, &section.path.key("endpoint"), Problem::Missing("endpoint".to_owned()));
        }
        let endpoint = endpoint.and_then(|endpoint| address(&endpoint));
        let namespace = section.get("namespace").and_then(|value| value.text()).unwrap_or_default().to_owned();
        let const_labels = section.get("const_labels").map(|labels| {
            let entries = labels.section();
            let labels =
                entries.entries().filter_map(|(entry, value)| Some((entry.key.clone(), value.text()?.to_owned())));
            labels.collect()
        });
        let metric_expiration = section
            .get("metric_expiration")
            .and_then(|value| value.duration(Duration::from_secs(1)..=MAX_DURATION))
            .unwrap_or(DEFAULT_METRIC_EXPIRATION);
        let max_series = section.get("max_series").and_then(|value| value.integer(1..=10_000_000));
        let mut flag = |key, default| section.get(key).and_then(|value| value.boolean()).unwrap_or(default);
        let send_timestamps = flag("send_timestamps", false);
        let enable_open_metrics = flag("enable_open_metrics", false);
        let add_metric_suffixes = flag("add_metric_suffixes", true);
        let without_scope_info = flag("without_scope_info", false);
        let mut conversion = section.section("resource_to_telemetry_conversion");
        let resource_to_telemetry = conversion.get("enabled").and_then(|value| value.boolean()).unwrap_or_default();
        conversion.finish();
        for (key, remedy) in [
            ("tls", "the page is served without TLS; put a proxy before it, or bind it to the loopback address"),
            ("translation_strategy", "names are made by the compatibility rules; see `add_metric_suffixes`"),
            ("sending_queue", "the page is in memory and takes what comes; remove the key"),
            ("retry_on_failure", "the page is in memory and takes what comes; remove the key"),
        ] {
            section.unsupported(key, remedy);
        }
        section.finish();
        Some(Self {
            endpoint: endpoint?,
            namespace,
            const_labels: const_labels.unwrap_or_default(),
            send_timestamps,
            metric_expiration,
            resource_to_telemetry,
            enable_open_metrics,
            add_metric_suffixes,
            without_scope_info,
            max_series: max_series.and_then(|it| usize::try_from(it).ok()).unwrap_or(DEFAULT_MAX_SERIES),
        })
    }
}

fn address(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    value.parsed("address", "write it as in `127.0.0.1:8889`, or `0.0.0.0:8889` for every address of this machine")
}
