//! Streaming queries, whose names or ids are part of the names of their metrics.
//!
//! Where the query ends and the metric begins is known for the metrics of this list, and for others from the queries
//! that have one of this list: a name is never passed on with a query in it. All are gauges, whatever they are called.

use kiln_prometheus_text::Value;

use std::collections::BTreeSet;

use crate::telemetry as t;

/// What every query has.
const INPUT_RATE: &str = "_inputRate_total";

const KNOWN: [&str; 6] = [
    "_inputRate_total",
    "_processingRate_total",
    "_latency",
    "_eventTime_watermark",
    "_states_rowsTotal",
    "_states_usedBytes",
];

/// Lengths of the parts of an id, whose hyphens have become underscores.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// The name of a metric behind what all metrics of streaming queries start with.
pub(crate) fn strip(name: &str) -> Option<&str> {
    name.strip_prefix("spark").and_then(|rest| rest.strip_prefix(['.', '_'])).and_then(|rest| {
        let rest = rest.strip_prefix("streaming")?;
        rest.strip_prefix(['.', '_'])
    })
}

/// The queries on a page, as they are written in names.
#[derive(Debug, Default)]
pub(crate) struct Queries<'a>(BTreeSet<&'a str>);

impl<'a> Queries<'a> {
    /// Finds them among the names on the page, without namespace.
    pub(crate) fn find(names: impl Iterator<Item = &'a str>) -> Self {
        Self(names.filter_map(|name| strip(name)?.strip_suffix(INPUT_RATE)).filter(|query| !query.is_empty()).collect())
    }

    /// Takes what stands behind the prefix apart: the query, and its metric.
    pub(crate) fn split<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        let known = KNOWN.iter().find_map(|metric| name.strip_suffix(metric));
        let query = known.or_else(|| {
            let is_start = |query: &&&str| name.strip_prefix(**query).is_some_and(|rest| rest.starts_with('_'));
            let longest = self.0.iter().filter(is_start).max_by_key(|query| query.len())?;
            name.get(..longest.len())
        })?;
        let metric = name.get(query.len() + 1..)?;
        (!query.is_empty()).then_some((query, metric))
    }
}

/// The query as it is sent: as it was written, where the page says so. Otherwise an id gets its hyphens back, and of a
/// name every character but letters and digits is an underscore.
pub(crate) fn query_name(query: &str, written: Option<&str>) -> String {
    // Every character of the one is a character of the other.
    let as_written = written.and_then(strip).and_then(|written| {
        let end = written.char_indices().nth(query.len()).map_or(written.len(), |(end, _)| end);
        written.get(..end)
    });
    if let Some(query) = as_written {
        return query.to_owned();
    }
    let parts: Vec<&str> = query.split('_').collect();
    let is_id = parts.iter().map(|part| part.len()).eq(UUID)
        && query.chars().all(|c| c == '_' || matches!(c, '0'..='9' | 'a'..='f'));
    if is_id { parts.join("-") } else { query.to_owned() }
}

/// Adds the value to the metric the manifest has for it. Says whether there is one.
pub(crate) fn declared(spark_streaming_query: &str, metric: &str, value: Value, metrics: &mut t::Metrics) -> bool {
    let (number, count) = (value.as_f64(), value.as_i64());
    match metric {
        // Spark has a rate that is less than nothing for a trigger whose time it did not get.
        _ if number < 0.0 => return KNOWN.iter().any(|known| known.strip_prefix('_') == Some(metric)),
        "inputRate_total" => {
            metrics.spark_streaming_input_rate(&t::SparkStreamingInputRate { spark_streaming_query }, number);
        }
        "processingRate_total" => {
            metrics.spark_streaming_processing_rate(&t::SparkStreamingProcessingRate { spark_streaming_query }, number);
        }
        "latency" => {
            metrics.spark_streaming_latency(&t::SparkStreamingLatency { spark_streaming_query }, number / 1e3);
        }
        // Zero says that there is none.
        "eventTime_watermark" if number <= 0.0 => {}
        "eventTime_watermark" => {
            let attributes = t::SparkStreamingEventTimeWatermark { spark_streaming_query };
            metrics.spark_streaming_event_time_watermark(&attributes, number / 1e3);
        }
        "states_rowsTotal" => {
            metrics.spark_streaming_state_rows(&t::SparkStreamingStateRows { spark_streaming_query }, count);
        }
        "states_usedBytes" => {
            let attributes = t::SparkStreamingStateMemoryUsage { spark_streaming_query };
            metrics.spark_streaming_state_memory_usage(&attributes, count);
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries() -> Queries<'static> {
        let names = ["spark_streaming_orders_inputRate_total", "spark_streaming_orders_late_inputRate_total"];
        Queries::find(names.into_iter())
    }

    #[test]
    fn a_query_may_be_called_like_a_metric() {
        assert_eq!(queries().split("a_latency_latency"), Some(("a_latency", "latency")));
        assert_eq!(queries().split("a_inputRate_total"), Some(("a", "inputRate_total")));
    }

    #[test]
    fn an_unknown_metric_belongs_to_the_longest_known_query() {
        assert_eq!(queries().split("orders_late_custom_rows"), Some(("orders_late", "custom_rows")));
        assert_eq!(queries().split("orders_custom"), Some(("orders", "custom")));
        assert_eq!(queries().split("returns_custom"), None);
        assert_eq!(queries().split("ordersX"), None);
        assert_eq!(queries().split("_latency"), None);
    }

    #[test]
    fn only_an_id_gets_hyphens() {
        assert_eq!(query_name("e673ba2f_9149_4212_93eb_5fcd30695966", None), "e673ba2f-9149-4212-93eb-5fcd30695966");
        assert_eq!(query_name("orders_per_window_v1", None), "orders_per_window_v1");
        assert_eq!(query_name("zzzzzzzz_9149_4212_93eb_5fcd30695966", None), "zzzzzzzz_9149_4212_93eb_5fcd30695966");
    }

    #[test]
    fn a_query_is_called_as_it_was_written_where_the_page_says_so() {
        let named = |query, written| query_name(query, Some(written));
        assert_eq!(named("orders_v1", "spark.streaming.orders-v1.latency"), "orders-v1");
        assert_eq!(named("h_ufig", "spark.streaming.häufig.latency"), "häufig");
    }
}
