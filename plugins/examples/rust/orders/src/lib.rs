//! Counts the orders of a shop, each once, and says how long they took.
//!
//! The API hands out orders in pages, oldest first, each with the cursor to go on from. The cursor and what has been counted
//! so far are one value in the host's state: it is committed with the telemetry or not at all, so an order is counted once
//! whatever happens in between.

use std::collections::BTreeMap;

use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver, UnixNanos};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Orders);

/// What was emitted is queued before further pages are asked for; so many are read in one go.
pub const PAGES: usize = 10;

const STATE_KEY: &str = "progress";

/// What the operator writes, with defaults filled in and the token left out.
#[derive(Debug, Deserialize)]
pub struct Config {
    host: String,
    page_size: u32,
}

/// The receiver.
#[derive(Debug)]
pub struct Orders {
    host: String,
    page_size: u32,
}

#[derive(Deserialize)]
struct Page {
    orders: Vec<Order>,
    cursor: String,
    more: bool,
    open: i64,
}

#[derive(Deserialize)]
struct Order {
    status: String,
    seconds: f64,
}

/// What is remembered between collections.
#[derive(Serialize, Deserialize)]
struct Progress {
    start: UnixNanos,
    cursor: Option<String>,
    counts: BTreeMap<String, i64>,
    durations: telemetry::ShopOrderDurationHistogram,
}

impl Receiver for Orders {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { host: config.host.trim_end_matches('/').to_owned(), page_size: config.page_size })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let mut progress = match host.state().get(STATE_KEY)? {
            Some(progress) => progress,
            None => Progress::new(host.now()),
        };
        let mut page = self.page(host, &progress)?;
        progress.record(&page);
        for _ in 1..PAGES {
            if !page.more {
                break;
            }
            page = self.page(host, &progress)?;
            progress.record(&page);
        }
        host.emit_metrics([self.telemetry(&progress, page.open)])?;
        host.state().set(STATE_KEY, &progress)?;
        Ok(Outcome { failures: Vec::new(), more: page.more })
    }
}

impl Orders {
    fn page(&self, host: &Host, progress: &Progress) -> Result<Page, CollectError> {
        let mut url = format!("{}/api/orders?limit={}", self.host, self.page_size);
        if let Some(cursor) = &progress.cursor {
            url.push_str("&after=");
            url.extend(utf8_percent_encode(cursor, NON_ALPHANUMERIC));
        }
        Ok(host.http().get_json(&url)?)
    }

    fn telemetry(&self, progress: &Progress, open: i64) -> telemetry::Metrics {
        let mut metrics = telemetry::Metrics::new(&telemetry::Resource { shop_host: &self.host });
        metrics.shop_orders_open(open);
        for (status, count) in &progress.counts {
            metrics.shop_orders_count(progress.start, &telemetry::ShopOrdersCount { status }, *count);
        }
        metrics.shop_order_duration(progress.start, &progress.durations);
        metrics
    }
}

impl Progress {
    fn new(start: UnixNanos) -> Self {
        Self { start, cursor: None, counts: BTreeMap::new(), durations: telemetry::ShopOrderDurationHistogram::new() }
    }

    fn record(&mut self, page: &Page) {
        for order in &page.orders {
            let count = self.counts.entry(order.status.clone()).or_default();
            *count = count.saturating_add(1);
            self.durations.record(order.seconds);
        }
        self.cursor = Some(page.cursor.clone());
    }
}
