//! A plugin that computes and does nothing else: it reads Prometheus pages with the parser the first-party plugins use.
//!
//! [`read_pages`] is what it does with a collection, and what the benchmark does outside of a component.

use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
use kiln_prometheus_text::{Options, Parser};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Reader);

/// Pages of Spark drivers, as captured.
const PAGES: [&str; 4] = [
    include_str!("../../../../plugins/spark/tests/pages/driver-3.5.9.prom"),
    include_str!("../../../../plugins/spark/tests/pages/driver-4.1.4.prom"),
    include_str!("../../../../plugins/spark/tests/pages/executors-3.5.9.prom"),
    include_str!("../../../../plugins/spark/tests/pages/executors-4.1.4.prom"),
];

/// Reads all pages so many times; gives the number of lines that could be read, so that nothing is optimised away.
#[must_use]
pub fn read_pages(rounds: u32) -> u64 {
    let mut read = 0_u64;
    for _ in 0..rounds {
        for page in PAGES {
            let lines = Parser::new(std::hint::black_box(page), Options::default()).filter(Result::is_ok).count();
            read = read.saturating_add(lines as u64);
        }
    }
    read
}

/// Bytes of all pages.
#[must_use]
pub fn bytes_of_pages() -> usize {
    PAGES.iter().map(|page| page.len()).sum()
}

/// What the benchmark writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    rounds: u32,
}

/// The plugin.
#[derive(Debug)]
pub struct Reader {
    rounds: u32,
}

impl Receiver for Reader {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { rounds: config.rounds })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let mut metrics = telemetry::Metrics::new();
        metrics.kiln_parser_samples(i64::try_from(read_pages(self.rounds)).unwrap_or(i64::MAX));
        host.emit_metrics([metrics])?;
        Ok(Outcome::complete())
    }
}
