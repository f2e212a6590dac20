//! A job run and its tasks, as the API tells them, and the facts that follow.
//!
//! Fields are those of `BaseRun` and `RunTask` (databricks-sdk 0.156.0, `service/jobs.py`). Words the API may add pass
//! through; a time that is 0 and a duration below 0 are not there.

use serde::Deserialize;

use crate::api::lenient::{self, Items};
use crate::api::{non_negative, positive};
use crate::compute::NewCluster;

/// Stands where the API says nothing.
const UNKNOWN: &str = "UNKNOWN";

/// A job run.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Run {
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) run_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) job_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) run_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) run_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) trigger: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) creator_user_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) run_page_url: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) attempt_number: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) original_attempt_run_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    queue_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    run_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    end_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    setup_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    execution_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    cleanup_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object")]
    state: Option<State>,
    #[serde(default, deserialize_with = "lenient::object")]
    status: Option<Status>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) cluster_instance: Option<ClusterInstance>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) cluster_spec: Option<ClusterSpec>,
    #[serde(default)]
    pub(crate) job_clusters: Items<JobCluster>,
    #[serde(default)]
    pub(crate) tasks: Items<Task>,
    /// Whether there are more tasks than this answer shows: a list shows 100.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub(crate) has_more: bool,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_token: Option<String>,
}

/// A task of a run: one attempt at it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Task {
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) run_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) task_key: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(crate) attempt_number: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    queue_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    end_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    setup_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    execution_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::number")]
    cleanup_duration: Option<i64>,
    #[serde(default, deserialize_with = "lenient::object")]
    state: Option<State>,
    #[serde(default, deserialize_with = "lenient::object")]
    status: Option<Status>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) cluster_instance: Option<ClusterInstance>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) existing_cluster_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) job_cluster_key: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) new_cluster: Option<NewCluster>,
    #[serde(default)]
    pub(crate) depends_on: Items<Dependency>,
}

/// The deprecated account of how a run is doing, and the only one that has `result_state` and a message.
#[derive(Clone, Debug, Deserialize)]
struct State {
    #[serde(default, deserialize_with = "lenient::text")]
    life_cycle_state: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    result_state: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    state_message: Option<String>,
}

/// The current account of how a run is doing.
#[derive(Clone, Debug, Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "lenient::text")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    termination_details: Option<Termination>,
}

/// Why a run ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Termination {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text", rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ClusterInstance {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) cluster_id: Option<String>,
}

/// What a run of one task runs on.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ClusterSpec {
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) new_cluster: Option<NewCluster>,
}

/// A cluster that tasks of a run share.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct JobCluster {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) job_cluster_key: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub(crate) new_cluster: Option<NewCluster>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) task_key: Option<String>,
}

/// What runs and tasks have in common: when, for how long, and with which end. Times and durations are milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    /// When it started.
    pub(crate) start: Option<u64>,
    /// When it ended.
    pub(crate) end: Option<u64>,
    /// How long it waited in the queue.
    pub(crate) queue: Option<u64>,
    /// How long it took to get compute.
    pub(crate) setup: Option<u64>,
    /// How long it executed.
    pub(crate) execution: Option<u64>,
    /// How long it took to end.
    pub(crate) cleanup: Option<u64>,
    state: Option<&'a State>,
    status: Option<&'a Status>,
}

impl Run {
    pub(crate) fn course(&self) -> Course<'_> {
        Course {
            start: positive(self.start_time),
            end: positive(self.end_time),
            queue: non_negative(self.queue_duration),
            setup: non_negative(self.setup_duration),
            execution: non_negative(self.execution_duration),
            cleanup: non_negative(self.cleanup_duration),
            state: self.state.as_ref(),
            status: self.status.as_ref(),
        }
    }

    /// Leads to further tasks, in an answer of `runs/get`.
    pub(crate) fn next_page_token(&self) -> Option<&str> {
        self.next_page_token.as_deref().filter(|token| !token.is_empty())
    }

    /// How long it took, repairs included and the queue not: `run_duration`, or its phases where the API gives none.
    /// Nothing if it never began.
    pub(crate) fn duration(&self) -> Option<u64> {
        let phases = || self.phases().into_iter().flatten().fold(0, u64::saturating_add);
        positive(self.run_duration).or_else(|| Some(phases())).filter(|millis| *millis > 0)
    }

    /// Setup, execution and clean-up: of a run with several tasks the sums over its tasks, because the API says 0 for
    /// such a run.
    pub(crate) fn phases(&self) -> [Option<u64>; 3] {
        let own = self.course();
        let tasks = &self.tasks.items;
        if tasks.len() < 2 {
            return [own.setup, own.execution, own.cleanup];
        }
        let sum = |phase: fn(Course<'_>) -> Option<u64>| {
            let known = tasks.iter().filter_map(|task| phase(task.course()));
            known.fold(None, |sum: Option<u64>, phase| Some(sum.unwrap_or_default().saturating_add(phase)))
        };
        [sum(|course| course.setup), sum(|course| course.execution), sum(|course| course.cleanup)]
    }

    /// When it ended, if it has. Some runs end without saying when.
    pub(crate) fn ended(&self, now: u64) -> Option<u64> {
        let course = self.course();
        if !course.has_ended() {
            return None;
        }
        let reckoned = || {
            let took = self.duration().unwrap_or_default().saturating_add(course.queue.unwrap_or_default());
            Some(course.start?.saturating_add(took).min(now))
        };
        Some(course.end.or_else(reckoned).unwrap_or(now))
    }

    /// The clusters its tasks share, by key.
    pub(crate) fn job_cluster(&self, key: &str) -> Option<&NewCluster> {
        let named = |cluster: &&JobCluster| cluster.job_cluster_key.as_deref() == Some(key);
        self.job_clusters.items.iter().find(named).and_then(|cluster| cluster.new_cluster.as_ref())
    }
}

impl Task {
    pub(crate) fn course(&self) -> Course<'_> {
        Course {
            start: positive(self.start_time),
            end: positive(self.end_time),
            queue: non_negative(self.queue_duration),
            setup: non_negative(self.setup_duration),
            execution: non_negative(self.execution_duration),
            cleanup: non_negative(self.cleanup_duration),
            state: self.state.as_ref(),
            status: self.status.as_ref(),
        }
    }

    /// How long it took: setup, execution and clean-up. Nothing if it never began.
    pub(crate) fn duration(&self) -> Option<u64> {
        let course = self.course();
        let phases = [course.setup, course.execution, course.cleanup].into_iter().flatten();
        let sum = phases.fold(0_u64, u64::saturating_add);
        let between = || course.end?.checked_sub(course.start?);
        (sum > 0).then_some(sum).or_else(between).filter(|millis| *millis > 0)
    }

    pub(crate) fn cluster_id(&self) -> Option<&str> {
        let instance = self.cluster_instance.as_ref().and_then(|instance| instance.cluster_id.as_deref());
        instance.or(self.existing_cluster_id.as_deref()).filter(|id| !id.is_empty())
    }
}

impl<'a> Course<'a> {
    fn life_cycle(self) -> Option<&'a str> {
        self.state.and_then(|state| state.life_cycle_state.as_deref())
    }

    /// Why it ended.
    pub(crate) fn termination(self) -> Option<&'a Termination> {
        self.status.and_then(|status| status.termination_details.as_ref())
    }

    /// Whether it will not go on by itself. The deprecated account knows more ways to end than the current one.
    fn has_ended(self) -> bool {
        let state = self.status.and_then(|status| status.state.as_deref());
        match (self.life_cycle(), state) {
            (Some("TERMINATED" | "SKIPPED" | "INTERNAL_ERROR"), _) | (_, Some("TERMINATED")) => true,
            (None, None) => self.end.is_some(),
            (Some(_), _) | (None, Some(_)) => false,
        }
    }

    /// How it ended. `result_state` is missing for runs that were skipped or broke before they could have a result.
    pub(crate) fn result_state(self) -> &'a str {
        let result = self.state.and_then(|state| state.result_state.as_deref());
        let life_cycle = self.life_cycle().filter(|word| matches!(*word, "SKIPPED" | "INTERNAL_ERROR"));
        let code = self.termination().and_then(|details| details.code.as_deref());
        result.or(life_cycle).or(code).unwrap_or(UNKNOWN)
    }

    /// Where it is.
    pub(crate) fn run_state(self) -> &'a str {
        let state = self.status.and_then(|status| status.state.as_deref());
        state.or_else(|| self.life_cycle()).unwrap_or(UNKNOWN)
    }

    /// What there is to say about its end, for people.
    pub(crate) fn message(self) -> Option<&'a str> {
        let message = self.state.and_then(|state| state.state_message.as_deref());
        let details = || self.termination().and_then(|details| details.message.as_deref());
        message.filter(|message| !message.is_empty()).or_else(details).filter(|message| !message.is_empty())
    }

    /// Whether it ended in a way somebody has to look at. What was cancelled or skipped ended as somebody wanted.
    pub(crate) fn has_failed(self) -> bool {
        match self.result_state() {
            "SUCCESS"
            | "SUCCESS_WITH_FAILURES"
            | "CANCELED"
            | "USER_CANCELED"
            | "UPSTREAM_CANCELED"
            | "SKIPPED"
            | "EXCLUDED"
            | "DISABLED" => false,
            "FAILED" | "TIMEDOUT" | "INTERNAL_ERROR" | "UPSTREAM_FAILED" | "MAXIMUM_CONCURRENT_RUNS_REACHED" => true,
            // A word of a later release: the kind of its end is from a shorter list.
            _ => self.termination().and_then(|details| details.kind.as_deref()).is_some_and(|kind| kind != "SUCCESS"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(body: Value) -> Run {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn the_duration_is_the_runs_own_or_that_of_its_phases() {
        let phases = json!({ "start_time": 1_000, "end_time": 90_000, "setup_duration": 3, "execution_duration": 40, "cleanup_duration": 2 });
        assert_eq!(run(phases.clone()).duration(), Some(45));
        let mut own = phases;
        own["run_duration"] = json!(70);
        assert_eq!(run(own).duration(), Some(70));
        let tasks = json!([{ "execution_duration": 7 }, { "execution_duration": 8 }]);
        assert_eq!(run(json!({ "execution_duration": 0, "tasks": tasks })).duration(), Some(15));
        assert_eq!(run(json!({ "start_time": 1_000, "end_time": 5_000 })).duration(), None);
        assert_eq!(run(json!({ "run_duration": -5, "setup_duration": -1 })).duration(), None);
    }

    #[test]
    fn phases_of_a_run_with_several_tasks_are_those_of_its_tasks() {
        let task = |setup: i64, execution: i64| json!({ "setup_duration": setup, "execution_duration": execution });
        let own = json!({ "setup_duration": 0, "execution_duration": 0, "cleanup_duration": 0, "tasks": [task(3, 40), task(-1, 5)] });
        assert_eq!(run(own).phases(), [Some(3), Some(45), None]);
        let single =
            json!({ "setup_duration": 1, "execution_duration": 2, "cleanup_duration": 0, "tasks": [task(9, 9)] });
        assert_eq!(run(single).phases(), [Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn a_run_has_ended_if_either_account_says_so() {
        let ended = |body: Value| run(body).ended(9_000);
        let life =
            |word: &str| json!({ "state": { "life_cycle_state": word }, "start_time": 1_000, "end_time": 2_000 });
        for word in ["TERMINATED", "SKIPPED", "INTERNAL_ERROR"] {
            assert_eq!(ended(life(word)), Some(2_000), "{word}");
        }
        for word in ["QUEUED", "PENDING", "RUNNING", "TERMINATING", "WAITING_FOR_RETRY", "BLOCKED", "DREAMING"] {
            assert_eq!(ended(life(word)), None, "{word}");
        }
        assert_eq!(ended(json!({ "status": { "state": "TERMINATED" }, "end_time": 2_000 })), Some(2_000));
        assert_eq!(ended(json!({ "status": { "state": "RUNNING" } })), None);
    }

    #[test]
    fn an_end_that_is_not_told_follows_from_the_start_or_is_now() {
        let body = json!({ "state": { "life_cycle_state": "TERMINATED" }, "start_time": 1_000, "end_time": 0, "run_duration": 500 });
        assert_eq!(run(body).ended(9_000), Some(1_500));
        assert_eq!(run(json!({ "state": { "life_cycle_state": "SKIPPED" } })).ended(9_000), Some(9_000));
    }

    #[test]
    fn the_result_is_told_in_the_words_of_the_api() {
        let result = |body: Value| run(body).course().result_state().to_owned();
        let code = json!({ "state": "TERMINATED", "termination_details": { "code": "BUDGET_EXCEEDED" } });
        let state = |state: Value| json!({ "state": state, "status": code });
        assert_eq!(result(state(json!({ "life_cycle_state": "TERMINATED", "result_state": "NEW" }))), "NEW");
        assert_eq!(result(state(json!({ "life_cycle_state": "SKIPPED" }))), "SKIPPED");
        assert_eq!(result(state(json!({ "life_cycle_state": "INTERNAL_ERROR" }))), "INTERNAL_ERROR");
        assert_eq!(result(state(json!({ "life_cycle_state": "TERMINATED" }))), "BUDGET_EXCEEDED");
        assert_eq!(result(state(Value::Null)), "BUDGET_EXCEEDED");
        assert_eq!(result(json!({})), "UNKNOWN");
    }

    #[test]
    fn a_word_nobody_knows_is_a_failure_if_its_kind_is_one() {
        let failed = |kind: &str| {
            let details = json!({ "code": "GLITTER", "type": kind });
            run(json!({ "status": { "state": "TERMINATED", "termination_details": details } })).course().has_failed()
        };
        assert!(failed("CLOUD_FAILURE") && !failed("SUCCESS"));
    }
}
