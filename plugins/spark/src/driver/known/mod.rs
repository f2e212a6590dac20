//! The metrics of the driver that have a name of their own, one module for each family of Spark's sources.
//!
//! Names are those of the Collector's receiver for Spark where it has one. Kinds are what Spark does, not always what
//! the Collector says: the scheduler's failed stages are those that wait to be submitted again, and fall; averages and
//! quantiles are over recent events, and are gauges.

mod app_status;
mod jvm;
mod listener_bus;
mod memory;
mod scheduler;
mod sql;
mod tasks;

use kiln_plugin::UnixNanos;

use super::reading::{Part, Reading};
use crate::telemetry as t;

/// Numbers from here on do not fit into the integers of telemetry.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// Spark rounds sizes of block managers to these.
const MEBIBYTE: i64 = 1 << 20;

/// What became of a reading. None of Spark's own sources counts below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was added to its metric, or says what others say already.
    Yes,
    /// It has no name of its own.
    No,
    /// It is a number none of these sources can have.
    Nonsense,
}

/// Adds the reading to the metric the manifest has for it.
pub(crate) fn add(reading: &Reading<'_>, start: UnixNanos, metrics: &mut t::Metrics) -> Known {
    let Some((source, name)) = reading.name.split_once('_') else { return Known::No };
    let add: fn(&Figure<'_>, &mut t::Metrics) -> bool = match source {
        "appStatus" => app_status::add,
        "BlockManager" => memory::block_manager,
        "CodeGenerator" => sql::code_generator,
        "DAGScheduler" => scheduler::add,
        "executor" => tasks::add,
        "ExecutorAllocationManager" => scheduler::allocation,
        "ExecutorMetrics" => memory::executor_metrics,
        "HiveExternalCatalog" => sql::hive_catalog,
        "jvm" => jvm::add,
        "JVMCPU" => jvm::cpu,
        "LiveListenerBus" => listener_bus::add,
        _ => return Known::No,
    };
    let number = reading.value.as_f64();
    if !(0.0..TOO_LARGE).contains(&number) {
        // Java says -1 of memory without a limit, and of what the machine cannot tell.
        return if number == -1.0 { Known::Yes } else { Known::Nonsense };
    }
    let written = reading.written.and_then(|written| written.get(source.len() + 1..));
    let figure = Figure { name, written, part: reading.part, number, count: reading.value.as_i64(), start };
    if add(&figure, metrics) { Known::Yes } else { Known::No }
}

/// One reading on its way to its metric.
struct Figure<'a> {
    /// The name behind that of the source, every character but letters and digits an underscore.
    name: &'a str,
    /// The same as its author wrote it, where the page says so.
    written: Option<&'a str>,
    part: Part,
    /// Not negative, and less than 2⁶³.
    number: f64,
    count: i64,
    start: UnixNanos,
}

impl<'a> Figure<'a> {
    /// Whether it is the number of a gauge or the count of a counter, and not one of several.
    const fn is_plain(&self) -> bool {
        matches!(self.part, Part::Value | Part::Count)
    }

    /// Milliseconds in seconds.
    fn millis(&self) -> f64 {
        self.number / 1e3
    }

    /// Nanoseconds in seconds.
    fn nanos(&self) -> f64 {
        self.number / 1e9
    }

    /// Mebibytes in bytes.
    const fn mebibytes(&self) -> i64 {
        self.count.saturating_mul(MEBIBYTE)
    }

    /// What stands between the two: as it was written, or else as it is in the name.
    fn between(&self, before: &str, after: &str) -> Option<Middle<'a>> {
        let mangled = self.name.strip_prefix(before)?.strip_suffix(after).filter(|middle| !middle.is_empty())?;
        let end = |written: &'a str| written.len().checked_sub(after.len());
        let written = self.written.and_then(|written| written.get(before.len()..end(written)?));
        Some(Middle { mangled, written })
    }
}

/// A part of a name that is the name of something else.
#[derive(Clone, Copy)]
struct Middle<'a> {
    mangled: &'a str,
    written: Option<&'a str>,
}

impl<'a> Middle<'a> {
    fn as_written(&self) -> &'a str {
        self.written.unwrap_or(self.mangled)
    }
}

/// The garbage collector a name starts with, and the rest of the name.
pub(crate) fn collector(name: &str) -> Option<(&'static str, &str)> {
    let collectors = [("Minor", "minor"), ("Major", "major"), ("Concurrent", "concurrent")];
    collectors.into_iter().find_map(|(prefix, gc_type)| Some((gc_type, name.strip_prefix(prefix)?)))
}
