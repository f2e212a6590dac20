//! What the jobs of a living world cost, as a query on `system.billing` tells it.
//!
//! Invariant: the costs are those of the runs that the same world lists: a job without runs costs nothing.

use super::World;
use super::statement::SqlRule;
use super::time::{UnixMillis, millis};
use std::collections::BTreeMap;
use std::time::Duration;

/// Dollars for an hour of a run's tasks: three nodes of one DBU an hour each, at fifteen cents.
const DBUS_PER_HOUR: f64 = 3.0;
const PRICE: f64 = 0.15;

impl World {
    /// Statements on the usage table: what ended in the last 24 hours, per job.
    #[allow(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
    pub(super) fn billing(&self, now: UnixMillis) -> SqlRule {
        let mut executed: BTreeMap<i64, i64> = BTreeMap::new();
        let since = now.minus(Duration::from_secs(86_400));
        self.with_runs(now, |runs| {
            for view in runs.plans().iter().filter_map(|run| run.at(now)) {
                if view.end.is_some_and(|end| end >= since) {
                    let tasks = view.tasks.iter().map(|task| millis(task.task.setup + task.task.execution));
                    *executed.entry(view.run.job_id).or_default() += tasks.sum::<i64>();
                }
            }
        });
        let row = |(job_id, ms): (i64, i64)| {
            let dbus = ms as f64 / 3_600_000.0 * DBUS_PER_HOUR;
            vec![
                Some(job_id.to_string()),
                Some("PREMIUM_JOBS_COMPUTE".to_owned()),
                Some(format!("{dbus:.6}")),
                Some(format!("{:.6}", dbus * PRICE)),
                Some("USD".to_owned()),
            ]
        };
        let columns = [
            ("job_id", "STRING"),
            ("sku_name", "STRING"),
            ("dbus", "DECIMAL"),
            ("list_cost", "DECIMAL"),
            ("currency_code", "STRING"),
        ];
        SqlRule::rows("system.billing", &columns, executed.into_iter().map(row).collect())
            .taking(Duration::from_millis(200), Duration::from_millis(500))
    }
}
