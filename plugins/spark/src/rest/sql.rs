//! SQL executions: which are new, which run, and which have ended.
//!
//! `/sql` has no filter by status, and its offsets shift when Spark forgets an execution. Ids do not: new executions are
//! found by theirs (see [`Cursor`]), and one that runs is asked for until it has ended. The first of the list says which
//! ids Spark has forgotten; the list is read as a whole, without details, only when Kiln has started or a collection has
//! failed.

use std::collections::BTreeMap;

use kiln_plugin::{PartialFailure, UnixNanos, lenient, moment};
use serde::{Deserialize, Serialize};

use super::api::{AT_ONCE, Api, Unread};
use super::cursor::{Cursor, note};
use super::ids::Ids;
use super::job::ids;
use super::plan::{Node, Plans};
use super::totals::{Ended, add};
use crate::telemetry as t;

/// In how many collections an execution is asked for that gives no sensible answer.
const TRIES: u8 = 3;

/// More executions than Spark retains, 1,000 unless `spark.sql.ui.retainedExecutions` says otherwise.
const MOST_LISTED: usize = 10_000;

/// So many that run are asked for in one collection, in turn: they may run for days, and what is new must not wait.
const FOLLOWED: usize = 2 * AT_ONCE;

/// The largest number of executions that are followed. One that is given up is counted as lost.
const MOST_RUNNING: usize = 1_000;

/// An execution.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Execution {
    #[serde(deserialize_with = "lenient::number")]
    id: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) description: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) error_message: Option<String>,
    #[serde(deserialize_with = "moment::deserialize")]
    pub(crate) submission_time: Option<u64>,
    #[serde(deserialize_with = "lenient::number")]
    duration: Option<i64>,
    #[serde(deserialize_with = "ids")]
    success_job_ids: Ids,
    #[serde(deserialize_with = "ids")]
    failed_job_ids: Ids,
    nodes: Option<lenient::Items<Node>>,
}

/// How an execution stands or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SqlStatus {
    Running,
    Completed,
    Failed,
    Other,
}

impl SqlStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Other => "other",
        }
    }
}

impl Execution {
    pub(crate) fn status(&self) -> SqlStatus {
        match self.status.as_deref() {
            Some("RUNNING") => SqlStatus::Running,
            Some("COMPLETED") => SqlStatus::Completed,
            Some("FAILED") => SqlStatus::Failed,
            Some(_) | None => SqlStatus::Other,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status() == SqlStatus::Failed
    }

    /// In milliseconds. Of one that runs it is until now.
    fn duration(&self) -> Option<u64> {
        u64::try_from(self.duration?).ok()
    }

    /// When it ended, in milliseconds.
    pub(crate) fn end(&self) -> Option<u64> {
        Some(self.submission_time?.saturating_add(self.duration()?))
    }

    /// The jobs it came to.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = u64> {
        self.success_job_ids.iter().chain(self.failed_job_ids.iter())
    }
}

/// What is remembered of the SQL executions of an application.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sql {
    cursor: Cursor,
    /// Those that ran last time, and how often they gave no sensible answer.
    running: BTreeMap<u64, u8>,
    /// The last of those that was asked for.
    turn: u64,
    complete: bool,
    ended: BTreeMap<String, Ended<t::SparkSqlExecutionsDurationBounds>>,
    lost: i64,
    plans: Plans,
}

impl Sql {
    /// Reads what is new, after a gap or not, with the metrics of plans if `plan_metrics`. What has ended, by id.
    pub(crate) fn read(
        &mut self,
        api: &mut Api<'_>,
        after_gap: bool,
        plan_metrics: bool,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<BTreeMap<u64, Execution>, Unread> {
        const BRIEF: &str = "details=false&planDescription=false";
        let first: Vec<Execution> = api.list(&format!("/sql?offset=0&length=1&{BRIEF}"))?;
        if let Some(first) = first.first().and_then(|first| u64::try_from(first.id?).ok()) {
            let forgotten = first.saturating_sub(self.cursor.next());
            add(&mut self.lost, i64::try_from(forgotten).unwrap_or(i64::MAX));
            self.cursor.skip_to(first);
        }
        let details = if plan_metrics { "planDescription=false" } else { BRIEF };
        let path = |id: u64| format!("/sql/{id}?{details}");
        let mut seen = BTreeMap::new();
        self.follow(api, path, &mut seen, failures);
        let known = if after_gap { self.listed(api, plan_metrics, BRIEF)? } else { BTreeMap::new() };
        self.complete = self.cursor.read(api, known, path, failures, |id, execution| {
            seen.insert(id, execution);
        });
        let (running, ended): (BTreeMap<_, _>, BTreeMap<_, _>) =
            seen.into_iter().partition(|(_, execution)| execution.status() == SqlStatus::Running);
        self.running.retain(|id, _| !ended.contains_key(id));
        for id in running.into_keys() {
            self.running.entry(id).or_default();
        }
        while self.running.len() > MOST_RUNNING {
            self.running.pop_first();
            add(&mut self.lost, 1);
        }
        for execution in ended.values() {
            self.ended.entry(execution.status().name().to_owned()).or_default().add(execution.duration());
            if let Some(nodes) = &execution.nodes {
                self.plans.add(&nodes.items);
            }
        }
        Ok(ended)
    }

    /// What there is that is new. Of a list without the metrics of plans only the last says something: how far to go.
    fn listed(&self, api: &mut Api<'_>, plan_metrics: bool, brief: &str) -> Result<BTreeMap<u64, Execution>, Unread> {
        let list: Vec<Execution> = api.list(&format!("/sql?offset=0&length={MOST_LISTED}&{brief}"))?;
        let by_id = list.into_iter().filter_map(|execution| Some((u64::try_from(execution.id?).ok()?, execution)));
        let mut known: BTreeMap<u64, Execution> = by_id.filter(|(id, _)| self.cursor.is_open(*id)).collect();
        if plan_metrics {
            known = known.pop_last().into_iter().collect();
        }
        Ok(known)
    }

    /// Asks for what ran last time.
    fn follow(
        &mut self,
        api: &mut Api<'_>,
        path: impl Fn(u64) -> String,
        seen: &mut BTreeMap<u64, Execution>,
        failures: &mut Vec<PartialFailure>,
    ) {
        let after = self.running.range(self.turn.saturating_add(1)..);
        let running: Vec<u64> =
            after.chain(self.running.range(..=self.turn)).map(|(id, _)| *id).take(FOLLOWED).collect();
        self.turn = running.last().copied().unwrap_or_default();
        for ids in running.chunks(AT_ONCE) {
            if !api.may_send() {
                return;
            }
            let paths: Vec<String> = ids.iter().map(|id| path(*id)).collect();
            for (id, answer) in ids.iter().zip(api.get_all::<Execution>(&paths)) {
                let is_lost = match answer {
                    Ok(Some(execution)) => {
                        seen.insert(*id, execution);
                        false
                    }
                    Ok(None) => true,
                    Err(unread) => {
                        note(failures, unread.failure);
                        let tries = self.running.entry(*id).or_default();
                        *tries = tries.saturating_add(u8::from(unread.is_nonsense));
                        *tries >= TRIES
                    }
                };
                if is_lost {
                    self.running.remove(id);
                    add(&mut self.lost, 1);
                }
            }
        }
    }

    /// Whether there is more to read at once.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn add_to(&self, start: UnixNanos, metrics: &mut t::Metrics) {
        metrics.spark_sql_executions_active(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
        for (status, ended) in &self.ended {
            metrics.spark_sql_executions_finished(start, &t::SparkSqlExecutionsFinished { status }, ended.count);
            if ended.duration.count() > 0 {
                let attributes = t::SparkSqlExecutionsDuration { status };
                metrics.spark_sql_executions_duration(start, &attributes, &ended.duration);
            }
        }
        metrics.spark_sql_executions_lost(start, self.lost);
        self.plans.add_to(start, metrics);
    }
}
