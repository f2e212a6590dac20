//! The cumulative series of queries that have ended.
//!
//! Growth is bounded: beyond [`MAX_SERIES`] combinations of warehouse, status and statement type the type is dropped,
//! and beyond [`MAX_COARSE`] without it so are warehouse and status. Sums over all series stay right.

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

use super::query::Query;
use crate::api::seconds;
use crate::telemetry::{self, DatabricksQueryDurationHistogram};

/// Combinations of warehouse, status and statement type.
const MAX_SERIES: usize = 2_000;
/// Combinations of warehouse and status.
const MAX_COARSE: usize = 1_000;
/// Stands for what exceeds a bound.
const OTHER: &str = "other";

/// All series. The names are short because state holds thousands of these.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Book {
    /// Milliseconds of the workspace's clock.
    start: u64,
    /// Sorted by warehouse and status.
    series: Vec<Series>,
}

/// The ended queries of one warehouse with one status.
#[derive(Debug, Serialize, Deserialize)]
struct Series {
    #[serde(rename = "w")]
    warehouse: Option<String>,
    #[serde(rename = "s")]
    status: String,
    /// How many, by statement type.
    #[serde(rename = "n")]
    counts: Vec<(Option<String>, i64)>,
    #[serde(rename = "d")]
    duration: DatabricksQueryDurationHistogram,
    #[serde(rename = "r")]
    read_bytes: i64,
    #[serde(rename = "p")]
    spilled_bytes: i64,
}

impl Book {
    pub(crate) const fn new(start: u64) -> Self {
        Self { start, series: Vec::new() }
    }

    /// Counts a query that has ended.
    pub(crate) fn count(&mut self, query: &Query) {
        let total: usize = self.series.iter().map(|series| series.counts.len()).sum();
        let Some(series) = self.series(query.warehouse(), query.status()) else { return };
        series.count(query, total < MAX_SERIES);
    }

    fn series(&mut self, warehouse: Option<&str>, status: &str) -> Option<&mut Series> {
        let index = match self.find(warehouse, status) {
            Ok(index) => index,
            Err(index) if self.series.len() < MAX_COARSE => self.insert(index, warehouse, status),
            Err(_) => self.find(None, OTHER).unwrap_or_else(|index| self.insert(index, None, OTHER)),
        };
        self.series.get_mut(index)
    }

    fn find(&self, warehouse: Option<&str>, status: &str) -> Result<usize, usize> {
        let key = (warehouse, status);
        self.series.binary_search_by(|series| (series.warehouse.as_deref(), series.status.as_str()).cmp(&key))
    }

    fn insert(&mut self, index: usize, warehouse: Option<&str>, status: &str) -> usize {
        let series = Series {
            warehouse: warehouse.map(str::to_owned),
            status: status.to_owned(),
            counts: Vec::new(),
            duration: DatabricksQueryDurationHistogram::new(),
            read_bytes: 0,
            spilled_bytes: 0,
        };
        self.series.insert(index, series);
        index
    }

    /// Adds every series.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let start = UnixNanos::from_millis(self.start);
        for Series { warehouse, status, counts, duration, .. } in &self.series {
            let (databricks_warehouse_id, query_status) = (warehouse.as_deref(), status.as_str());
            for (statement_type, count) in counts {
                let statement_type = statement_type.as_deref();
                let attributes =
                    telemetry::DatabricksQueriesCount { databricks_warehouse_id, query_status, statement_type };
                metrics.databricks_queries_count(start, &attributes, *count);
            }
            if duration.count() > 0 {
                let attributes = telemetry::DatabricksQueryDuration { databricks_warehouse_id, query_status };
                metrics.databricks_query_duration(start, &attributes, duration);
            }
        }
        // Series of one warehouse stand together.
        for of_warehouse in self.series.chunk_by(|a, b| a.warehouse == b.warehouse) {
            let databricks_warehouse_id = of_warehouse.first().and_then(|series| series.warehouse.as_deref());
            let sum = |bytes: fn(&Series) -> i64| of_warehouse.iter().map(bytes).fold(0, i64::saturating_add);
            let attributes = telemetry::DatabricksQueryReadBytes { databricks_warehouse_id };
            metrics.databricks_query_read_bytes(start, &attributes, sum(|series| series.read_bytes));
            let attributes = telemetry::DatabricksQuerySpilledBytes { databricks_warehouse_id };
            metrics.databricks_query_spilled_bytes(start, &attributes, sum(|series| series.spilled_bytes));
        }
    }
}

impl Series {
    fn count(&mut self, query: &Query, has_room: bool) {
        let statement_type = query.statement_type();
        let find = |counts: &[(Option<String>, i64)], kind: Option<&str>| {
            counts.iter().position(|(known, _)| known.as_deref() == kind)
        };
        let known = find(&self.counts, statement_type);
        let statement_type = if known.is_some() || has_room { statement_type } else { None };
        let index = known.or_else(|| find(&self.counts, statement_type)).unwrap_or_else(|| {
            self.counts.push((statement_type.map(str::to_owned), 0));
            self.counts.len().saturating_sub(1)
        });
        if let Some((_, count)) = self.counts.get_mut(index) {
            *count = count.saturating_add(1);
        }
        if let Some(duration) = query.duration() {
            self.duration.record(seconds(duration));
        }
        self.read_bytes = self.read_bytes.saturating_add(query.read_bytes());
        self.spilled_bytes = self.spilled_bytes.saturating_add(query.spilled_bytes());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(warehouse: &str, status: &str, kind: &str) -> Query {
        let body = json!({ "warehouse_id": warehouse, "status": status, "statement_type": kind, "duration": 1_500,
            "metrics": { "read_bytes": 10, "spill_to_disk_bytes": 1 } });
        serde_json::from_value(body).unwrap()
    }

    fn total(book: &Book) -> i64 {
        book.series.iter().flat_map(|series| series.counts.iter().map(|(_, count)| count)).sum()
    }

    #[test]
    fn warehouses_statuses_and_types_are_kept_apart() {
        let mut book = Book::new(5);
        for kind in ["SELECT", "SELECT", "MERGE"] {
            book.count(&query("w1", "FINISHED", kind));
        }
        book.count(&query("w1", "FAILED", "SELECT"));
        book.count(&query("w2", "FINISHED", ""));
        let keys: Vec<_> =
            book.series.iter().map(|series| (series.warehouse.as_deref().unwrap(), series.status.as_str())).collect();
        assert_eq!(keys, [("w1", "FAILED"), ("w1", "FINISHED"), ("w2", "FINISHED")]);
        assert_eq!(book.series[1].counts, [(Some("SELECT".to_owned()), 2), (Some("MERGE".to_owned()), 1)]);
        assert_eq!(book.series[2].counts, [(None, 1)]);
        assert_eq!((book.series[1].duration.sum(), book.series[1].read_bytes), (4.5, 30));
    }

    #[test]
    fn beyond_the_bound_the_type_is_dropped_and_then_the_rest() {
        let mut book = Book::new(5);
        for n in 0..5_000 {
            book.count(&query("w", "FINISHED", &n.to_string()));
        }
        assert_eq!(book.series[0].counts.len(), MAX_SERIES + 1);
        book.count(&query("w", "FINISHED", "7"));
        assert_eq!(book.series[0].counts[7].1, 2);
        for n in 0..5_000 {
            book.count(&query(&format!("w{n}"), &"S".repeat(n), ""));
        }
        assert_eq!(book.series.len(), MAX_COARSE + 1);
        assert_eq!(total(&book), 10_001);
    }

    #[test]
    fn storing_changes_nothing() {
        let mut book = Book::new(5);
        for kind in ["SELECT", "", "MERGE"] {
            book.count(&query("w1", "FINISHED", kind));
        }
        let stored = serde_json::to_string(&book).unwrap();
        let restored: Book = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    }
}
