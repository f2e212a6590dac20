//! The cumulative series of updates that have ended.
//!
//! Growth is bounded by [`MAX_SERIES`]. A further pipeline takes the place of one that no longer exists, or else is
//! counted under `other`: sums over all pipelines stay right.

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

use super::MAX_NAME;
use crate::attributes::clip;
use crate::telemetry;

/// Pipelines and ways to end.
const MAX_SERIES: usize = 2_000;
/// Stands for what exceeds the bound.
const OTHER: &str = "other";

/// All series. Times are milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Book {
    /// Start time of series that appear from now on.
    start: u64,
    /// Sorted by pipeline and end.
    series: Vec<Series>,
}

/// The updates of one pipeline that ended in one way. The names are short because state holds thousands of these.
#[derive(Debug, Serialize, Deserialize)]
struct Series {
    #[serde(rename = "i")]
    pipeline: String,
    #[serde(rename = "n")]
    name: Option<String>,
    #[serde(rename = "e")]
    end: String,
    #[serde(rename = "t")]
    start: u64,
    #[serde(rename = "c")]
    count: i64,
}

impl Book {
    pub(crate) const fn new(start: u64) -> Self {
        Self { start, series: Vec::new() }
    }

    /// Counts an update that ended so. `exists` says which pipelines still do.
    pub(crate) fn count(
        &mut self,
        now: u64,
        pipeline: &str,
        name: Option<&str>,
        end: &str,
        exists: impl Fn(&str) -> bool,
    ) {
        let index = match self.find(pipeline, end) {
            Ok(index) => index,
            Err(_) if self.has_room(now, exists) => self.insert(pipeline, name, end),
            Err(_) => self.find(OTHER, end).unwrap_or_else(|_| self.insert(OTHER, None, end)),
        };
        if let Some(series) = self.series.get_mut(index) {
            series.count = series.count.saturating_add(1);
        }
    }

    /// Notes what a pipeline is called now.
    pub(crate) fn name(&mut self, pipeline: &str, name: Option<&str>) {
        let first = self.series.partition_point(|series| series.pipeline.as_str() < pipeline);
        for series in self.series.iter_mut().skip(first).take_while(|series| series.pipeline == pipeline) {
            series.name = name.map(|name| clip(name, MAX_NAME));
        }
    }

    fn find(&self, pipeline: &str, end: &str) -> Result<usize, usize> {
        let key = (pipeline, end);
        self.series.binary_search_by(|series| (series.pipeline.as_str(), series.end.as_str()).cmp(&key))
    }

    fn insert(&mut self, pipeline: &str, name: Option<&str>, end: &str) -> usize {
        let index = self.find(pipeline, end).unwrap_or_else(|index| index);
        let (name, end) = (name.map(|name| clip(name, MAX_NAME)), end.to_owned());
        self.series.insert(index, Series { pipeline: pipeline.to_owned(), name, end, start: self.start, count: 0 });
        index
    }

    /// Drops the series of pipelines that no longer exist, if there are too many. Their ids do not come back; if one does
    /// all the same, it must not seem to have counted all along: from here on series start now.
    fn has_room(&mut self, now: u64, exists: impl Fn(&str) -> bool) -> bool {
        if self.series.len() >= MAX_SERIES {
            self.series.retain(|series| series.pipeline == OTHER || exists(&series.pipeline));
            self.start = now;
        }
        self.series.len() < MAX_SERIES
    }

    /// Adds every series.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for Series { pipeline, name, end, start, count } in &self.series {
            let attributes = telemetry::DatabricksPipelineUpdatesCount {
                databricks_pipeline_id: pipeline,
                pipeline_name: name.as_deref(),
                update_state: end,
            };
            metrics.databricks_pipeline_updates_count(UnixNanos::from_millis(*start), &attributes, *count);
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn counts(book: &Book) -> Vec<(&str, &str, i64)> {
        book.series.iter().map(|series| (series.pipeline.as_str(), series.end.as_str(), series.count)).collect()
    }

    #[test]
    fn pipelines_and_ends_are_kept_apart_and_names_follow() {
        let mut book = Book::new(5);
        for (pipeline, end) in [("b", "FAILED"), ("a", "COMPLETED"), ("a", "FAILED"), ("a", "FAILED")] {
            book.count(9, pipeline, Some("old"), end, |_| true);
        }
        assert_eq!(counts(&book), [("a", "COMPLETED", 1), ("a", "FAILED", 2), ("b", "FAILED", 1)]);
        book.name("a", Some("new"));
        let names: Vec<_> = book.series.iter().filter_map(|series| series.name.as_deref()).collect();
        assert_eq!(names, ["new", "new", "old"]);
        assert!(book.series.iter().all(|series| series.start == 5));
    }

    #[test]
    fn beyond_the_bound_what_is_gone_makes_room_or_the_rest_is_counted_together() {
        let mut book = Book::new(5);
        for n in 0..MAX_SERIES {
            book.count(9, &format!("p{n:05}"), None, "FAILED", |_| true);
        }
        for pipeline in ["x", "y", "p00003"] {
            book.count(9, pipeline, None, "FAILED", |_| true);
        }
        assert_eq!(book.series.len(), MAX_SERIES + 1);
        assert_eq!(book.series[0].count, 2);
        book.count(11, "z", None, "FAILED", |pipeline| pipeline != "p00007");
        assert!(book.series.len() <= MAX_SERIES + 1);
        let total: i64 = book.series.iter().map(|series| series.count).sum();
        assert_eq!(total, i64::try_from(MAX_SERIES).unwrap_or_default() + 4 - 1);
    }
}
