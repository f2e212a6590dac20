//! What a plugin instance costs and how it behaves: calls, time, memory, restarts, limits, log records.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Level;

use super::declare::{Declarations, Labelled, SecondsCounter, count, fast_durations};
use super::shown::{OwnGauge, Shown};
use crate::activity::{Activity, SeenMessage};
use kiln_otlp::{PerSignal, Signal};

/// A function a plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Takes the configuration, once per start.
    Configure,
    /// A receiver's collection.
    Collect,
    /// A processor's turn at a batch.
    Process,
}

impl Function {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Collect => "collect",
            Self::Process => "process",
        }
    }
}

/// How a call into a plugin ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It returned `ok`.
    Ok,
    /// It returned an error of its own.
    Error,
    /// It trapped.
    Trap,
    /// It was stopped at a limit: CPU, wall clock or memory.
    Limit,
    /// The host gave it up because it is stopping.
    Cancelled,
}

impl CallOutcome {
    /// The word for it in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug)]
pub(super) struct Families {
    calls: Labelled<Counter, 3>,
    call_duration: Labelled<Histogram, 2>,
    cpu: Labelled<SecondsCounter, 1>,
    memory: Labelled<Gauge, 1>,
    memory_limit: Labelled<Gauge, 1>,
    state: Labelled<Gauge, 1>,
    errors: Labelled<Counter, 2>,
    restarts: Labelled<Counter, 1>,
    recycles: Labelled<Counter, 1>,
    quarantined: Labelled<Gauge, 1>,
    limit_hits: Labelled<Counter, 2>,
    log_records: Labelled<Counter, 2>,
    up: Labelled<Gauge, 1>,
    /// A receiver's, declared there.
    discarded: PerSignal<Labelled<Counter, 1>>,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations, discarded: PerSignal<Labelled<Counter, 1>>) -> Self {
        Self {
            discarded,
            calls: declare.counter(
                "kiln_instance_calls_total",
                "Calls into the plugin, by function and outcome: ok, error, trap, limit or cancelled",
                ["instance", "function", "outcome"],
            ),
            call_duration: declare.histogram(
                "kiln_instance_call_duration_seconds",
                "How long calls into the plugin took on the wall clock, waiting for the host included",
                ["instance", "function"],
                fast_durations,
            ),
            cpu: declare.seconds_counter(
                "kiln_instance_cpu_seconds_total",
                "Time the plugin's own code ran, and the host on its behalf; waiting is not counted",
                ["instance"],
            ),
            memory: declare.gauge(
                "kiln_instance_memory_bytes",
                "Linear memory the plugin holds, over all its memories",
                ["instance"],
            ),
            memory_limit: declare.gauge(
                "kiln_instance_memory_limit_bytes",
                "Linear memory the plugin may hold, over all its memories: `limits.memory`",
                ["instance"],
            ),
            state: declare.gauge(
                "kiln_instance_state_bytes",
                "What the plugin remembers across restarts, keys and values",
                ["instance"],
            ),
            errors: declare.counter(
                "kiln_instance_errors_total",
                "Calls into the plugin that failed, by the class of the error, which the log calls `error.type`",
                ["instance", "error_type"],
            ),
            restarts: declare.counter(
                "kiln_instance_restarts_total",
                "Times the plugin was thrown away after a failure and started afresh",
                ["instance"],
            ),
            recycles: declare.counter(
                "kiln_instance_recycles_total",
                "Times the plugin was started afresh between two calls because what it holds kept growing",
                ["instance"],
            ),
            quarantined: declare.gauge(
                "kiln_instance_quarantined",
                "1 while the plugin is not started again because it failed too often in a row, otherwise 0",
                ["instance"],
            ),
            limit_hits: declare.counter(
                "kiln_instance_limit_hits_total",
                "Times the plugin was held at a limit, by limit",
                ["instance", "limit"],
            ),
            log_records: declare.counter(
                "kiln_instance_log_records_total",
                "Log messages the plugin wrote for the operator, by level",
                ["instance", "level"],
            ),
            up: declare.gauge(
                "kiln_instance_up",
                "1 while the plugin is loaded and answering, 0 while it is restarting or quarantined",
                ["instance"],
            ),
        }
    }

    pub(super) fn handles(&self, id: &str, activity: Option<Activity>) -> InstanceMetrics {
        let log = |level: &str| self.log_records.with([id, level]);
        InstanceMetrics {
            configure: PerFunction::new(self, id, Function::Configure),
            collect: PerFunction::new(self, id, Function::Collect),
            process: PerFunction::new(self, id, Function::Process),
            cpu: self.cpu.with([id]),
            memory: OwnGauge::of(self.memory.with([id])),
            memory_limit: OwnGauge::of(self.memory_limit.with([id])),
            state: OwnGauge::of(self.state.with([id])),
            errors: self.errors.clone(),
            restarts: self.restarts.with([id]),
            recycles: self.recycles.with([id]),
            quarantined: OwnGauge::of(self.quarantined.with([id])),
            limit_hits: self.limit_hits.clone(),
            log_error: log("error"),
            log_warn: log("warn"),
            log_info: log("info"),
            log_debug: log("debug"),
            log_trace: log("trace"),
            up: OwnGauge::of(self.up.with([id])),
            discarded: self.discarded.clone(),
            shown: Shown::new(true),
            activity,
            id: id.to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
struct PerFunction {
    ok: Counter,
    error: Counter,
    trap: Counter,
    limit: Counter,
    cancelled: Counter,
    duration: Histogram,
}

impl PerFunction {
    fn new(families: &Families, id: &str, function: Function) -> Self {
        let calls = |outcome: CallOutcome| families.calls.with([id, function.name(), outcome.name()]);
        Self {
            ok: calls(CallOutcome::Ok),
            error: calls(CallOutcome::Error),
            trap: calls(CallOutcome::Trap),
            limit: calls(CallOutcome::Limit),
            cancelled: calls(CallOutcome::Cancelled),
            duration: families.call_duration.with([id, function.name()]),
        }
    }
}

/// One plugin instance's metrics.
#[derive(Clone, Debug)]
pub struct InstanceMetrics {
    configure: PerFunction,
    collect: PerFunction,
    process: PerFunction,
    cpu: SecondsCounter,
    memory: OwnGauge,
    memory_limit: OwnGauge,
    state: OwnGauge,
    errors: Labelled<Counter, 2>,
    restarts: Counter,
    recycles: Counter,
    quarantined: OwnGauge,
    limit_hits: Labelled<Counter, 2>,
    log_error: Counter,
    log_warn: Counter,
    log_info: Counter,
    log_debug: Counter,
    log_trace: Counter,
    up: OwnGauge,
    discarded: PerSignal<Labelled<Counter, 1>>,
    shown: Shown,
    pub(super) activity: Option<Activity>,
    id: String,
}

impl InstanceMetrics {
    /// Metrics of an instance that is tried out beside the one that runs under the same id: what it does is counted, and
    /// how it is does not show before [`Self::show`].
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            memory: self.memory.another(),
            memory_limit: self.memory_limit.another(),
            state: self.state.another(),
            quarantined: self.quarantined.another(),
            up: self.up.another(),
            shown: Shown::new(false),
            ..self.clone()
        }
    }

    /// From now on it is this one that shows.
    pub fn show(&self) {
        self.shown.show([&self.memory, &self.memory_limit, &self.state, &self.quarantined, &self.up]);
    }

    /// From now on this one does not show any more; what was seen last stays until another shows.
    pub fn hide(&self) {
        self.shown.hide();
    }

    /// A call into the plugin ended after `took` on the wall clock.
    pub fn called(&self, function: Function, outcome: CallOutcome, took: Duration) {
        let handles = match function {
            Function::Configure => &self.configure,
            Function::Collect => &self.collect,
            Function::Process => &self.process,
        };
        let calls = match outcome {
            CallOutcome::Ok => &handles.ok,
            CallOutcome::Error => &handles.error,
            CallOutcome::Trap => &handles.trap,
            CallOutcome::Limit => &handles.limit,
            CallOutcome::Cancelled => &handles.cancelled,
        };
        calls.inc();
        handles.duration.observe(took.as_secs_f64());
        self.activity.iter().for_each(|activity| activity.called(function, outcome, took));
    }

    /// The plugin's own code ran for `spent` more.
    pub fn cpu(&self, spent: Duration) {
        self.cpu.inc_by(spent.as_secs_f64());
        self.activity.iter().for_each(|activity| activity.cpu(spent));
    }

    /// The plugin holds this many bytes of linear memory.
    pub fn memory(&self, bytes: usize) {
        self.shown.set(&self.memory, i64::try_from(bytes).unwrap_or(i64::MAX));
        self.activity.iter().for_each(|activity| activity.memory(bytes));
    }

    /// The plugin may hold this many bytes of linear memory.
    pub fn memory_limit(&self, bytes: usize) {
        self.shown.set(&self.memory_limit, i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The plugin remembers this many bytes.
    pub fn state(&self, bytes: usize) {
        self.shown.set(&self.state, i64::try_from(bytes).unwrap_or(i64::MAX));
        self.activity.iter().for_each(|activity| activity.state(bytes));
    }

    /// A call failed. A word from the source, as the type says: never text from a guest.
    ///
    /// Looks the series up, since calls fail rarely.
    pub fn failed(&self, error_type: &'static str) {
        self.errors.with([&self.id, error_type]).inc();
    }

    /// The plugin was started afresh after a failure.
    pub fn restarted(&self) {
        self.restarts.inc();
    }

    /// The plugin was started afresh because what it holds kept growing.
    pub fn recycled(&self) {
        self.recycles.inc();
    }

    /// Whether the plugin rests because it failed too often.
    pub fn quarantined(&self, quarantined: bool) {
        self.shown.set(&self.quarantined, i64::from(quarantined));
    }

    /// The plugin was held at a limit. A word from the source, as the type says: never text from a guest.
    ///
    /// Looks the series up, since limits are hit rarely.
    pub fn limit_hit(&self, limit: &'static str) {
        self.limit_hits.with([&self.id, limit]).inc();
        self.activity.iter().for_each(|activity| activity.limit_hit(limit));
    }

    /// A collection failed with `items` emitted, which are discarded. Looks the series up, since that is rare.
    pub fn discarded(&self, signal: Signal, items: usize) {
        self.discarded.of(signal).with([&self.id]).inc_by(count(items));
    }

    /// The plugin wrote a log message.
    pub fn log_record(&self, level: Level) {
        let records = match level {
            Level::ERROR => &self.log_error,
            Level::WARN => &self.log_warn,
            Level::INFO => &self.log_info,
            Level::DEBUG => &self.log_debug,
            Level::TRACE => &self.log_trace,
        };
        records.inc();
    }

    /// What such a message says, if it was let through: cut and on one line. It is not counted.
    pub fn wrote(&self, level: Level, text: &str, attributes: &str) {
        if let Some(activity) = &self.activity {
            activity.wrote(SeenMessage { level, text: text.to_owned(), attributes: attributes.to_owned() });
        }
    }

    /// What the plugin wanted to emit was refused, for this reason. It is not counted: the plugin is told.
    pub fn refused(&self, text: &str) {
        self.activity.iter().for_each(|activity| activity.refused(text));
    }

    /// Whether the plugin is loaded and answering.
    pub fn up(&self, up: bool) {
        self.shown.set(&self.up, i64::from(up));
    }
}
