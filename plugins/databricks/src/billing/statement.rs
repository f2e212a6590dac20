//! The statement that reads the system tables, and what the SQL Statement Execution API answers.
//!
//! `POST /api/2.0/sql/statements`, `GET /api/2.0/sql/statements/{id}` and
//! `GET /api/2.0/sql/statements/{id}/result/chunks/{n}` (databricks-sdk, `StatementExecutionAPI`). A statement that
//! failed is answered with status 200 as well. Nothing but named parameters goes into the statement.
//!
//! A result is read to its end or not used; its chunks and rows are bounded.

use serde::{Deserialize, Serialize};

use super::day::Day;
use crate::api::{Api, ApiError, encode, lenient};

pub(super) const PATH: &str = "/api/2.0/sql/statements";

/// `RETRACTION` rows have negative quantities and `RESTATEMENT` rows the right ones, so that a sum over all rows is what
/// was used. Prices are list prices; where they changed, each hour has the price it had.
const STATEMENT: &str = "\
SELECT usage.usage_metadata.job_id AS job_id, \
max_by(usage.usage_metadata.job_name, usage.usage_start_time) \
FILTER (WHERE usage.usage_metadata.job_name IS NOT NULL) AS job_name, \
prices.currency_code AS currency_code, \
SUM(CASE WHEN usage.usage_date < :fold THEN usage.usage_quantity * prices.pricing.default ELSE 0 END) AS folded, \
SUM(CASE WHEN usage.usage_date >= :fold THEN usage.usage_quantity * prices.pricing.default ELSE 0 END) AS recent \
FROM system.billing.usage AS usage \
INNER JOIN system.billing.list_prices AS prices \
ON usage.cloud = prices.cloud AND usage.sku_name = prices.sku_name \
AND usage.usage_start_time >= prices.price_start_time \
AND (prices.price_end_time IS NULL OR usage.usage_start_time < prices.price_end_time) \
WHERE usage.workspace_id = :workspace_id AND usage.usage_metadata.job_id IS NOT NULL AND usage.usage_date >= :from \
GROUP BY usage.usage_metadata.job_id, prices.currency_code \
ORDER BY folded + recent DESC";

/// A result is 25 MiB at most.
const MAX_CHUNKS: usize = 100;
const MAX_ROWS: usize = 500_000;

/// What is asked: the days from `from` on, in two sums, before `fold` and from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) from: Day,
    pub(super) fold: Day,
}

#[derive(Serialize)]
struct Execute<'a> {
    warehouse_id: &'a str,
    statement: &'static str,
    parameters: [Parameter<'a>; 3],
    wait_timeout: &'static str,
    disposition: &'static str,
    format: &'static str,
}

#[derive(Serialize)]
struct Parameter<'a> {
    name: &'static str,
    value: &'a str,
    r#type: &'static str,
}

/// Where a statement has come to.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(super) statement_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    status: Option<Status>,
    #[serde(default, deserialize_with = "lenient::object")]
    manifest: Option<Manifest>,
    #[serde(default, deserialize_with = "lenient::object")]
    result: Option<Chunk>,
}

#[derive(Debug, Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "lenient::text")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    error: Option<StatementError>,
}

#[derive(Debug, Deserialize)]
struct StatementError {
    #[serde(default, deserialize_with = "lenient::text")]
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default, deserialize_with = "lenient::flag")]
    truncated: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Chunk {
    #[serde(default)]
    data_array: Option<Vec<Row>>,
    #[serde(default, deserialize_with = "lenient::number")]
    next_chunk_index: Option<i64>,
}

/// A row: a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Row {
    Cells(Vec<Cell>),
    Odd(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Cell(#[serde(deserialize_with = "lenient::text")] Option<String>);

/// How a statement stands.
#[derive(Debug)]
pub(super) enum Progress {
    Running,
    Succeeded,
    /// In words for the operator.
    Failed(String),
}

/// What a job cost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobCost {
    pub(super) job_id: String,
    pub(super) job_name: Option<String>,
    pub(super) currency: String,
    /// Before the day from which on costs may still be restated.
    pub(super) folded: f64,
    /// Since.
    pub(super) recent: f64,
}

/// Starts the statement and does not wait for it.
pub(super) fn execute(
    api: &mut Api<'_>,
    warehouse_id: &str,
    workspace_id: &str,
    span: Span,
) -> Result<Answer, ApiError> {
    let (from, fold) = (span.from.to_string(), span.fold.to_string());
    let parameters = [
        Parameter { name: "workspace_id", value: workspace_id, r#type: "STRING" },
        Parameter { name: "from", value: &from, r#type: "DATE" },
        Parameter { name: "fold", value: &fold, r#type: "DATE" },
    ];
    let (wait_timeout, disposition, format) = ("0s", "INLINE", "JSON_ARRAY");
    api.post_json(PATH, &Execute { warehouse_id, statement: STATEMENT, parameters, wait_timeout, disposition, format })
}

/// Asks where a statement has come to.
pub(super) fn poll(api: &mut Api<'_>, id: &str) -> Result<Answer, ApiError> {
    api.get_json(&format!("{PATH}/{}", encode(id)))
}

impl Answer {
    pub(super) fn progress(&self) -> Progress {
        let state = self.status.as_ref().and_then(|status| status.state.as_deref());
        match state {
            Some("PENDING" | "RUNNING") => Progress::Running,
            Some("SUCCEEDED") if self.manifest.as_ref().is_some_and(|manifest| manifest.truncated) => {
                Progress::Failed("its result is truncated".to_owned())
            }
            Some("SUCCEEDED") => Progress::Succeeded,
            other => {
                let error = self.status.as_ref().and_then(|status| status.error.as_ref());
                let message = error.and_then(|error| error.message.as_deref()).unwrap_or("no reason is given");
                let message: String = message.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
                Progress::Failed(format!("{}: {message}", other.unwrap_or("no state")))
            }
        }
    }

    /// Reads the result of a statement that succeeded.
    pub(super) fn rows(self, api: &mut Api<'_>, id: &str) -> Result<Vec<JobCost>, ApiError> {
        let mut chunk = self.result.unwrap_or_default();
        let (mut rows, mut odd, mut last) = (Vec::new(), 0_usize, 0_i64);
        for _ in 0..MAX_CHUNKS {
            for row in chunk.data_array.unwrap_or_default() {
                match row.read() {
                    Some(row) => rows.push(row),
                    None => odd = odd.saturating_add(1),
                }
            }
            if rows.len() > MAX_ROWS {
                break;
            }
            let Some(next) = chunk.next_chunk_index else {
                api.pass_over(PATH, odd);
                return Ok(rows);
            };
            if next <= last {
                break;
            }
            if api.is_out_of_time() {
                return Err(ApiError::OutOfTime(PATH.to_owned()));
            }
            last = next;
            chunk = api.get_json(&format!("{PATH}/{}/result/chunks/{next}", encode(id)))?;
        }
        Err(ApiError::Endless(PATH.to_owned()))
    }
}

impl Row {
    fn read(self) -> Option<JobCost> {
        let Self::Cells(cells) = self else { return None };
        let mut cells = cells.into_iter().map(|Cell(text)| text);
        let (job_id, job_name, currency) = (cells.next()??, cells.next()?, cells.next()??);
        let (folded, recent): (f64, f64) = (cells.next()??.parse().ok()?, cells.next()??.parse().ok()?);
        let is_sound = !job_id.is_empty() && folded.is_finite() && recent.is_finite();
        is_sound.then_some(JobCost { job_id, job_name, currency, folded, recent })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(json: &str) -> Option<JobCost> {
        serde_json::from_str::<Row>(json).unwrap().read()
    }

    #[test]
    fn a_row_is_five_texts_of_which_the_name_may_be_missing() {
        let cost = row(r#"["7", null, "USD", "1.5", "-0.250000000000000001"]"#).unwrap();
        assert_eq!((cost.job_id.as_str(), cost.job_name, cost.folded, cost.recent), ("7", None, 1.5, -0.25));
        for odd in [
            "null",
            "7",
            "{}",
            "[]",
            r#"["7", "a", "USD", "1"]"#,
            r#"["7", "a", null, "1", "2"]"#,
            r#"[7, "a", "USD", "1", "2"]"#,
            r#"["", "a", "USD", "1", "2"]"#,
            r#"["7", "a", "USD", "much", "2"]"#,
            r#"["7", "a", "USD", "1", "NaN"]"#,
        ] {
            assert_eq!(row(odd), None, "{odd}");
        }
    }

    #[test]
    fn every_parameter_is_named_and_nothing_else_is_in_the_statement() {
        for name in [":workspace_id", ":from", ":fold"] {
            assert!(STATEMENT.contains(name), "{name}");
        }
        assert_eq!(STATEMENT.matches(':').count(), 4);
        assert!(!STATEMENT.contains(['\'', '"', ';']));
    }

    #[test]
    fn a_state_that_is_no_success_is_a_failure_with_its_reason() {
        let progress = |json: &str| serde_json::from_str::<Answer>(json).unwrap().progress();
        assert!(matches!(progress(r#"{"status": {"state": "PENDING"}}"#), Progress::Running));
        assert!(matches!(progress(r#"{"status": {"state": "SUCCEEDED"}}"#), Progress::Succeeded));
        for (json, expected) in [
            (r#"{"status": {"state": "FAILED", "error": {"message": "no\ntable"}}}"#, "FAILED: no table"),
            (r#"{"status": {"state": "CLOSED"}}"#, "CLOSED: no reason is given"),
            ("{}", "no state: no reason is given"),
            (r#"{"status": {"state": "SUCCEEDED"}, "manifest": {"truncated": true}}"#, "its result is truncated"),
        ] {
            assert!(matches!(progress(json), Progress::Failed(reason) if reason == expected), "{json}");
        }
    }
}
