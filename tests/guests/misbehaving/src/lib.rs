//! A plugin that does what it should not, one way per `mode`.
//!
//! Each mode does one thing wrong and everything else right, so that a test sees only the host's answer to that.

use std::hint::black_box;

use kiln_plugin::http::{HttpError, Request};
use kiln_plugin::state::StateError;
use kiln_plugin::telemetry::{EmitError, Metric, MetricData, Resource, ResourceMetrics, Scope};
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, PartialFailure, Receiver};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Misbehaving);

/// Points of `huge_output`, in calls small enough for the guest's own memory: more than any limit a test would set.
const HUGE_CALLS: i64 = 1_000;
const HUGE_POINTS_PER_CALL: i64 = 10_000;
/// Messages of `log_flood`.
const REQUESTS: u32 = 40;
const FLOOD: u32 = 100_000;
/// What the contract allows `keep_bodies`.
const OPEN_BODIES: usize = 8;

/// What the test writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    mode: Mode,
    endpoint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Ok,
    Trap,
    Loop,
    EatMemory,
    DeepRecursion,
    UndeclaredMetric,
    HugeOutput,
    LogFlood,
    ForbiddenOrigin,
    ManyRequests,
    ReadInPieces,
    KeepBodies,
    BadConfig,
    TrapOnceThenOk,
}

/// The plugin.
#[derive(Debug)]
pub struct Misbehaving {
    mode: Mode,
    endpoint: String,
    collections: i64,
}

impl Receiver for Misbehaving {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if config.mode == Mode::BadConfig {
            return Err(ConfigError::new("/mode", "is bad_config, which is never accepted"));
        }
        Ok(Self { mode: config.mode, endpoint: config.endpoint, collections: 0 })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        self.collections = self.collections.saturating_add(1);
        match self.mode {
            Mode::Ok => {}
            Mode::Trap => trap(),
            Mode::Loop => spin(),
            Mode::EatMemory => eat_memory(),
            Mode::DeepRecursion => {
                black_box(descend(0));
            }
            Mode::UndeclaredMetric => host.emit_metrics([undeclared()])?,
            Mode::HugeOutput => emit_too_much(host)?,
            Mode::LogFlood => (0..FLOOD).for_each(|_| host.log(Level::Info, "the same again", &[])),
            Mode::ForbiddenOrigin => return Ok(Outcome::with_failures(vec![ask_elsewhere(host)])),
            Mode::ManyRequests => ask_often(host, &self.endpoint),
            Mode::ReadInPieces => return read_in_pieces(host, &self.endpoint),
            Mode::KeepBodies => keep_bodies(host, &self.endpoint)?,
            Mode::BadConfig => return Err(CollectError::Failed("bad_config was accepted".to_owned())),
            Mode::TrapOnceThenOk => trap_once(host, self.collections)?,
        }
        let mut metrics = telemetry::Metrics::new();
        metrics.kiln_test_value(self.collections);
        host.emit_metrics([metrics])?;
        Ok(Outcome::complete())
    }
}

fn trap() -> ! {
    std::process::abort()
}

fn spin() -> ! {
    loop {
        black_box(());
    }
}

fn eat_memory() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        black_box(&hoard);
    }
}

/// Frames are small on purpose: large ones would run off the guest's own stack before they exhaust the host's.
fn descend(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    black_box(descend(black_box(depth) + 1)) ^ depth
}

fn undeclared() -> ResourceMetrics {
    let metric = Metric {
        name: "kiln.test.undeclared".to_owned(),
        description: String::new(),
        unit: "1".to_owned(),
        metadata: Vec::new(),
        data: MetricData::Gauge(Vec::new()),
    };
    let scope = Scope { name: "misbehaving".to_owned(), version: String::new(), attributes: Vec::new() };
    ResourceMetrics { resource: Resource { attributes: Vec::new() }, scope, metrics: vec![metric] }
}

fn emit_too_much(host: &Host) -> Result<(), EmitError> {
    for call in 0..HUGE_CALLS {
        let mut metrics = telemetry::Metrics::new();
        for point in 0..HUGE_POINTS_PER_CALL {
            let n = call * HUGE_POINTS_PER_CALL + point;
            metrics.kiln_test_huge(&telemetry::KilnTestHuge { n }, n);
        }
        host.emit_metrics([metrics])?;
    }
    Ok(())
}

fn ask_elsewhere(host: &Host) -> PartialFailure {
    match host.http().get("https://forbidden.example/") {
        Ok(page) => PartialFailure::new("https://forbidden.example/", format!("status {}", page.response().status)),
        Err(error) => PartialFailure::new("https://forbidden.example/", error.to_string()),
    }
}

/// Waits far longer than it computes.
fn ask_often(host: &Host, endpoint: &str) {
    for _ in 0..REQUESTS {
        // Whatever the answer, it took its time.
        let _ = host.http().get(endpoint);
    }
}

/// Counts the bytes of a page that may be larger than all of its memory. What breaks it is reported, like any page.
fn read_in_pieces(host: &Host, endpoint: &str) -> Result<Outcome, CollectError> {
    let path = "/metrics/prometheus/";
    let mut read = 0;
    let result = host.http().open(&Request::get(format!("{endpoint}{path}"))).and_then(|mut opened| {
        while let Some(piece) = opened.body.read()? {
            read += piece.len();
        }
        Ok(())
    });
    let mut metrics = telemetry::Metrics::new();
    metrics.kiln_test_value(i64::try_from(read).unwrap_or(i64::MAX));
    host.emit_metrics([metrics])?;
    Ok(match result {
        Ok(()) => Outcome::complete(),
        Err(error) => Outcome::with_failures(vec![PartialFailure::new(path, format!("{error:?}"))]),
    })
}

/// Opens as many bodies as may be open, and never lets go of them.
fn keep_bodies(host: &Host, endpoint: &str) -> Result<(), CollectError> {
    let open = || host.http().open(&Request::get(format!("{endpoint}/metrics/prometheus/")));
    for _ in 0..OPEN_BODIES {
        std::mem::forget(open().map_err(|error| CollectError::Failed(format!("{error:?}")))?);
    }
    match open() {
        Err(HttpError::InvalidRequest(_)) => Ok(()),
        other => Err(CollectError::Failed(format!("one more body: {other:?}"))),
    }
}

/// Succeeds, traps, and succeeds ever after. The trap comes second because it takes its own state with it: what the
/// next instance can know is only what a successful collection left.
fn trap_once(host: &Host, collections: i64) -> Result<(), StateError> {
    let phase: Option<u8> = host.state().get("phase")?;
    match (phase, collections) {
        (None, _) => host.state().set("phase", &1),
        (Some(1), 1) => host.state().set("phase", &2),
        (Some(1), _) => trap(),
        (Some(_), _) => Ok(()),
    }
}
