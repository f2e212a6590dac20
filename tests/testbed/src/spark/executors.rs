//! Executors in any number, made from those of a captured page.
//!
//! Invariant: order of lines, labels and forms of numbers are the captured ones, and no counter of an executor is ever
//! lower in a page of a later time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value as Json, json};

/// The counters of the captured executors are taken for those of ten minutes.
const CAPTURED: f64 = 600.0;

/// The executors' page with the captured driver and `count` executors that have worked for a time.
pub(super) fn prometheus(captured: &str, count: usize, worked: Duration) -> String {
    let mut page = String::new();
    let mut blocks: BTreeMap<&str, Vec<Line<'_>>> = BTreeMap::new();
    for line in captured.lines() {
        match Line::read(line) {
            Some(read) if read.executor != "driver" => blocks.entry(read.executor).or_default().push(read),
            _ => {
                page.push_str(line);
                page.push('\n');
            }
        }
    }
    let blocks: Vec<&Vec<Line<'_>>> = blocks.values().collect();
    for id in 0..if blocks.is_empty() { 0 } else { count } {
        for line in blocks.get(id % blocks.len()).into_iter().flat_map(|block| block.iter()) {
            line.write(id, worked, &mut page);
        }
    }
    page
}

/// The page `allexecutors` of the same.
pub(super) fn json(captured: &[u8], count: usize) -> Option<Vec<u8>> {
    let captured: Vec<Json> = serde_json::from_slice(captured).ok()?;
    let (driver, workers): (Vec<Json>, Vec<Json>) =
        captured.into_iter().partition(|executor| executor["id"] == "driver");
    let mut all = driver;
    for id in 0..count {
        let mut executor = workers.get(id % workers.len().max(1))?.clone();
        let fields = executor.as_object_mut()?;
        fields.insert("id".to_owned(), json!(id.to_string()));
        let address = format!("10.{}.{}.{}:35000", id >> 16 & 255, id >> 8 & 255, id & 255);
        fields.insert("hostPort".to_owned(), json!(address));
        all.push(executor);
    }
    serde_json::to_vec_pretty(&all).ok()
}

/// A line of one executor, around its id.
struct Line<'a> {
    before: &'a str,
    executor: &'a str,
    after: &'a str,
    value: &'a str,
    is_counter: bool,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        const LABEL: &str = "executor_id=\"";
        let start = line.rfind(LABEL)? + LABEL.len();
        let (before, rest) = line.split_at_checked(start)?;
        let (executor, rest) = rest.split_once('"')?;
        let (after, value) = rest.rsplit_once(' ')?;
        let is_counter = before.split('{').next()?.ends_with("_total");
        Some(Self { before, executor, after, value, is_counter })
    }

    fn write(&self, id: usize, worked: Duration, page: &mut String) {
        let _ = write!(page, "{}{id}\"{} ", self.before, self.after);
        let number: f64 = self.value.parse().unwrap_or_default();
        // Between a half and one and a half, different for each executor and metric and the same at any time.
        let share = 0.5 + ((id * 31 + self.before.len() * 17) % 101) as f64 / 100.0;
        let number = match self.is_counter {
            true => number.max(1.0) * share * worked.as_secs_f64() / CAPTURED,
            false => number,
        };
        let _ = match self.value.contains('.') {
            true => writeln!(page, "{number:?}"),
            false => writeln!(page, "{}", number.trunc()),
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::spark::Pages;

    fn page(count: usize, seconds: u64) -> String {
        let pages = Pages::captured("4.1.4").unwrap();
        let captured = String::from_utf8(pages.get("metrics_executors_prometheus").unwrap().to_vec()).unwrap();
        prometheus(&captured, count, Duration::from_secs(seconds))
    }

    fn values(page: &str) -> BTreeMap<&str, f64> {
        let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
        lines.map(|(series, value)| (series, value.parse().unwrap())).collect()
    }

    #[test]
    fn a_page_has_as_many_executors_as_asked_for_each_with_all_its_lines() {
        // 41 lines for each executor and the driver, and one of Spark itself.
        assert_eq!(page(100, 600).lines().count(), 101 * 41 + 1);
        assert_eq!(values(&page(100, 600)).len(), 101 * 41 + 1);
    }

    #[test]
    fn no_counter_falls_with_time() {
        let (earlier, later) = (page(50, 600), page(50, 630));
        let earlier = values(&earlier);
        for (series, value) in values(&later) {
            assert!(!series.contains("_total{") || value >= *earlier.get(series).unwrap(), "{series}");
        }
    }
}
