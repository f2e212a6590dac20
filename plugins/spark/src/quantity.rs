//! In which unit Spark counts what, and whether a gauge is in truth a counter.
//!
//! The page says neither. What is known here comes from Spark's sources; of anything else the unit stays empty and the
//! kind is that of the page. Times become seconds and sizes become bytes.

use kiln_plugin::telemetry::Number;
use kiln_prometheus_text::Value;

use crate::reading::{Kind, Part, Reading};

/// What a number of the driver's page means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// UCUM, after scaling; empty when it is not known.
    pub(crate) unit: &'static str,
    /// What to do with the number.
    pub(crate) scale: Scale,
    /// Whether it never falls while the application runs.
    pub(crate) counter: bool,
}

/// From Spark's unit to the one that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    One,
    MillisToSeconds,
    NanosToSeconds,
    MebibytesToBytes,
}

impl Scale {
    /// The number in the unit that is sent.
    pub(crate) fn apply(self, value: Value) -> Number {
        match (self, value) {
            (Self::One, Value::Integer(value)) => Number::Integer(value),
            (Self::One, Value::Float(value)) => Number::Float(value),
            (Self::MillisToSeconds, value) => Number::Float(value.as_f64() / 1e3),
            (Self::NanosToSeconds, value) => Number::Float(value.as_f64() / 1e9),
            (Self::MebibytesToBytes, Value::Integer(value)) => Number::Integer(value.saturating_mul(1 << 20)),
            (Self::MebibytesToBytes, Value::Float(value)) => Number::Float(value * f64::from(1 << 20)),
        }
    }
}

const UNKNOWN: Quantity = Quantity { unit: "", scale: Scale::One, counter: false };
const BYTES: Quantity = Quantity { unit: "By", ..UNKNOWN };
const MILLIS: Quantity = Quantity { unit: "s", scale: Scale::MillisToSeconds, counter: false };
const NANOS: Quantity = Quantity { unit: "s", scale: Scale::NanosToSeconds, counter: false };
const COLLECTIONS: Quantity = Quantity { unit: "{collection}", scale: Scale::One, counter: true };

const fn counted(unit: &'static str) -> Quantity {
    Quantity { unit, scale: Scale::One, counter: true }
}

impl Quantity {
    /// What this reading means.
    pub(crate) fn of(reading: &Reading<'_>) -> Self {
        let quantity = match (reading.kind, reading.part) {
            (Kind::Histogram | Kind::Timer, Part::Count) => counted("{event}"),
            (Kind::Timer, _) => NANOS,
            (Kind::Gauge | Kind::Counter | Kind::Histogram, _) => Self::of_name(reading.name),
        };
        Self { counter: quantity.counter || reading.part == Part::Count, ..quantity }
    }

    fn of_name(name: &str) -> Self {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        let (source, rest) = name.split_once('_').unwrap_or((name, ""));
        match source {
            "jvm" if ends(&["_used", "_committed", "_init", "_max", "_capacity", "_used_after_gc"]) => BYTES,
            "jvm" if ends(&["_usage"]) => Self { unit: "1", ..UNKNOWN },
            "jvm" if matches!(rest, "direct_count" | "mapped_count") => Self { unit: "{buffer}", ..UNKNOWN },
            "jvm" if ends(&["_count"]) => COLLECTIONS,
            "jvm" if ends(&["_time"]) => Self { counter: true, ..MILLIS },
            "ExecutorMetrics" if ends(&["Memory"]) => BYTES,
            "ExecutorMetrics" if ends(&["GCTime"]) => Self { counter: true, ..MILLIS },
            "ExecutorMetrics" if ends(&["GCCount"]) => COLLECTIONS,
            "BlockManager" if ends(&["_MB"]) => Self { scale: Scale::MebibytesToBytes, ..BYTES },
            "CodeGenerator" if rest == "compilationTime" => MILLIS,
            "CodeGenerator" if matches!(rest, "generatedClassSize" | "generatedMethodSize") => BYTES,
            "CodeGenerator" if rest == "sourceCodeSize" => Self { unit: "{character}", ..UNKNOWN },
            "executor" => Self::of_task_metric(rest),
            _ => UNKNOWN,
        }
    }

    /// What tasks counted, which the driver's page has only if tasks run in the driver.
    fn of_task_metric(name: &str) -> Self {
        if let Some(filesystem) = name.strip_prefix("filesystem_") {
            return if filesystem.ends_with("_bytes") { counted("By") } else { counted("{operation}") };
        }
        match name {
            "threadpool_completeTasks" | "threadpool_startedTasks" => counted("{task}"),
            "threadpool_activeTasks" => Self { unit: "{task}", ..UNKNOWN },
            "succeededTasks" => counted("{task}"),
            "cpuTime" | "deserializeCpuTime" | "shuffleWriteTime" => NANOS,
            _ if name.ends_with("Time") || name.ends_with("Duration") => MILLIS,
            _ if name.contains("Bytes") || name.contains("bytes") || name == "resultSize" => BYTES,
            _ if name.contains("ecords") => counted("{record}"),
            _ if name.ends_with("BlocksFetched") => counted("{block}"),
            _ => UNKNOWN,
        }
    }
}

/// The name without the unit that is part of it and is no longer true.
pub(crate) fn without_unit(name: &str) -> &str {
    name.strip_suffix("_MB").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, kind: Kind, part: Part) -> Quantity {
        Quantity::of(&Reading { name, kind, part, value: Value::Integer(1) })
    }

    #[test]
    fn a_timer_is_in_nanoseconds_and_its_count_is_not() {
        assert_eq!(of("DAGScheduler_messageProcessingTime", Kind::Timer, Part::Mean), NANOS);
        assert_eq!(of("DAGScheduler_messageProcessingTime", Kind::Timer, Part::Count), counted("{event}"));
        assert_eq!(of("CodeGenerator_compilationTime", Kind::Histogram, Part::Count), counted("{event}"));
        assert_eq!(of("CodeGenerator_compilationTime", Kind::Histogram, Part::Mean), MILLIS);
    }

    #[test]
    fn a_gauge_that_only_grows_is_a_counter() {
        assert!(of("jvm_G1_Old_Generation_time", Kind::Gauge, Part::Value).counter);
        assert!(!of("jvm_direct_count", Kind::Gauge, Part::Value).counter);
        assert!(of("ExecutorMetrics_TotalGCTime", Kind::Gauge, Part::Value).counter);
        assert!(!of("ExecutorMetrics_OnHeapUnifiedMemory", Kind::Gauge, Part::Value).counter);
    }

    #[test]
    fn what_nobody_knows_has_no_unit() {
        assert_eq!(of("Databricks_directoryCommit_x", Kind::Counter, Part::Count), counted(""));
        assert_eq!(of("Databricks_directoryCommit_x", Kind::Gauge, Part::Value), UNKNOWN);
    }

    #[test]
    fn numbers_are_scaled_without_overflow() {
        assert_eq!(Scale::NanosToSeconds.apply(Value::Float(2.5e9)), Number::Float(2.5));
        assert_eq!(Scale::MebibytesToBytes.apply(Value::Integer(434)), Number::Integer(455_081_984));
        assert_eq!(Scale::MebibytesToBytes.apply(Value::Integer(i64::MAX)), Number::Integer(i64::MAX));
        assert_eq!(Scale::One.apply(Value::Integer(i64::MAX)), Number::Integer(i64::MAX));
    }
}
