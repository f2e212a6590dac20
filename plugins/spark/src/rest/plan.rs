//! Metrics of the operators of plans, which Spark writes for people: `1.2 s`, `512.0 KiB`, or a total with the least, the
//! median and the greatest over tasks behind it.
//!
//! The totals are added up by operator and metric. They are as rounded as they are written. What a plan names a series is
//! bounded: an operator is told without what it reads, and there are no more than [`MOST`] series.

use std::collections::BTreeMap;

use kiln_plugin::{UnixNanos, lenient};
use serde::{Deserialize, Serialize};

use crate::telemetry as t;

/// The largest number of series. What is beyond is left out: operators and their metrics are words of Spark, and few.
const MOST: usize = 1_000;

/// No name of Spark's is longer.
const MOST_NAME: usize = 64;

/// An operator of a plan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Node {
    #[serde(deserialize_with = "lenient::text")]
    node_name: Option<String>,
    metrics: Option<lenient::Items<Metric>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Metric {
    #[serde(deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    value: Option<String>,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    Count,
}

/// Sums over plans of executions that have ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Plans(Vec<Series>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Series {
    node: String,
    metric: String,
    unit: Unit,
    /// The bits of the sum: decimals would come back a little less, which looks like a reset.
    sum: u64,
}

impl Plans {
    /// Adds the metrics of a plan.
    pub(crate) fn add(&mut self, nodes: &[Node]) {
        let mut found: BTreeMap<(String, String, Unit), f64> = BTreeMap::new();
        for node in nodes {
            let Some(name) = node.node_name.as_deref().map(operator).filter(|name| is_name(name)) else { continue };
            for metric in node.metrics.iter().flat_map(|metrics| &metrics.items) {
                let Some(metric_name) = metric.name.as_deref().filter(|name| is_name(name)) else { continue };
                let Some((value, unit)) = metric.value.as_deref().and_then(total) else { continue };
                *found.entry((name.to_owned(), metric_name.to_owned(), unit)).or_default() += value;
            }
        }
        for ((node, metric, unit), value) in found {
            let same = |series: &Series| series.node == node && series.metric == metric && series.unit == unit;
            let (known, room) = (self.0.iter().position(same), self.0.len() < MOST);
            match known.and_then(|index| self.0.get_mut(index)) {
                Some(series) => {
                    let sum = f64::from_bits(series.sum) + value;
                    series.sum = if sum.is_finite() { sum.to_bits() } else { series.sum };
                }
                None if room => self.0.push(Series { node, metric, unit, sum: value.to_bits() }),
                None => {}
            }
        }
    }

    pub(crate) fn add_to(&self, start: UnixNanos, metrics: &mut t::Metrics) {
        for Series { node, metric, unit, sum } in &self.0 {
            let (spark_sql_node, spark_sql_metric) = (node.as_str(), metric.as_str());
            let sum = f64::from_bits(*sum);
            match unit {
                Unit::Seconds => {
                    metrics.spark_sql_node_time(start, &t::SparkSqlNodeTime { spark_sql_node, spark_sql_metric }, sum);
                }
                Unit::Bytes => {
                    metrics.spark_sql_node_size(start, &t::SparkSqlNodeSize { spark_sql_node, spark_sql_metric }, sum);
                }
                Unit::Count => {
                    metrics.spark_sql_node_count(
                        start,
                        &t::SparkSqlNodeCount { spark_sql_node, spark_sql_metric },
                        sum,
                    );
                }
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MOST_NAME
}

/// `Scan parquet main.sales.orders` is a `Scan parquet`, `WholeStageCodegen (3)` a `WholeStageCodegen`.
fn operator(name: &str) -> &str {
    let words = if name.starts_with("Scan ") || name.starts_with("Execute ") { 2 } else { 1 };
    let end = name.match_indices(' ').nth(words - 1).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or(name)
}

/// The total that is written, in seconds, bytes or whatever is counted. An average, which has no total, is none.
pub(crate) fn total(text: &str) -> Option<(f64, Unit)> {
    let text = text.trim();
    let written = match text.split_once('\n') {
        Some((heading, rest)) if heading.trim_start().starts_with("total") => rest.trim().split(" (").next()?,
        Some(_) => return None,
        None => text,
    };
    let (number, unit) = match written.split_once(' ') {
        Some((number, unit)) => (number, unit.trim()),
        None => (written, ""),
    };
    let (scale, unit) = match unit {
        "" => (1.0, Unit::Count),
        "ms" => (1e-3, Unit::Seconds),
        "s" => (1.0, Unit::Seconds),
        "m" => (60.0, Unit::Seconds),
        "h" => (3_600.0, Unit::Seconds),
        "B" => (1.0, Unit::Bytes),
        "KiB" => (1_024.0, Unit::Bytes),
        "MiB" => (1_048_576.0, Unit::Bytes),
        "GiB" => (1_073_741_824.0, Unit::Bytes),
        "TiB" => (1_099_511_627_776.0, Unit::Bytes),
        "PiB" => (1_125_899_906_842_624.0, Unit::Bytes),
        "EiB" => (1_152_921_504_606_846_976.0, Unit::Bytes),
        _ => return None,
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'.'));
    let value: f64 = number.replace(',', "").parse().ok().filter(|_| is_plain)?;
    Some((value * scale, unit)).filter(|(value, _)| value.is_finite())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn totals_are_read_as_spark_writes_them() {
        for (text, expected) in [
            ("340", (340.0, Unit::Count)),
            ("1,234,567", (1_234_567.0, Unit::Count)),
            ("0.0 B", (0.0, Unit::Bytes)),
            ("0 ms", (0.0, Unit::Seconds)),
            (
                "total (min, med, max (stageId: taskId))\n981 ms (471 ms, 510 ms, 510 ms (stage 18.0: task 38))",
                (0.981, Unit::Seconds),
            ),
            (
                "total (min, med, max (stageId: taskId))\n1.9 s (915 ms, 970 ms, 970 ms (stage 11.0: task 25))",
                (1.9, Unit::Seconds),
            ),
            (
                "total (min, med, max (stageId: taskId))\n32.5 MiB (16.2 MiB, 16.2 MiB, 16.2 MiB (stage 10.0: task 21))",
                (34_078_720.0, Unit::Bytes),
            ),
            ("2.0 m", (120.0, Unit::Seconds)),
            ("1.50 h", (5_400.0, Unit::Seconds)),
        ] {
            assert_eq!(total(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_total_is_none() {
        for text in [
            "",
            "(min, med, max (stageId: taskId)):\n(1, 1, 1 (stage 17.0: task 34))",
            "many",
            "-1",
            "1e3",
            "NaN",
            "3 furlongs",
            ".",
        ] {
            assert_eq!(total(text), None, "{text}");
        }
    }

    #[test]
    fn an_operator_is_told_without_what_it_reads() {
        for (name, expected) in [
            ("HashAggregate", "HashAggregate"),
            ("WholeStageCodegen (3)", "WholeStageCodegen"),
            ("Scan parquet main.sales.orders", "Scan parquet"),
            ("Scan ExistingRDD", "Scan ExistingRDD"),
            ("Execute InsertIntoHadoopFsRelationCommand file:/tmp/x", "Execute InsertIntoHadoopFsRelationCommand"),
            ("BatchScan main.orders", "BatchScan"),
            ("", ""),
        ] {
            assert_eq!(operator(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_come_back(number in 0_u64..1 << 53) {
            prop_assert_eq!(total(&number.to_string()), Some((number as f64, Unit::Count)));
        }

        #[test]
        fn any_text_is_read(text in "(total \\(min\\)\n)?[0-9.,() a-zA-Zé\n-]{0,20}") {
            prop_assert!(total(&text).is_none_or(|(value, _)| value.is_finite() && value >= 0.0));
            let _ = operator(&text);
        }
    }
}
