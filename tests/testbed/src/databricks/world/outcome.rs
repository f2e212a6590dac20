//! How a run or a task can end, in both of the API's languages.
//!
//! The API reports every end twice: in the old `state` object (`result_state`) and in the new `status`
//! object (`termination_details`). Source: the doc comments of `TerminationCodeCode`, `RunResultState` and
//! `TerminationTypeType` in databricks-sdk 0.156.0. Which code goes with which result is not written down
//! there for every pair; the pairs below are the ones its descriptions suggest.
//!
//! Invariant: both languages always tell the same story, because both are derived from one [`Outcome`].

use serde::{Deserialize, Serialize};

/// How a run or a task ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything worked.
    #[default]
    Success,
    /// Leaf tasks succeeded, others failed.
    SuccessWithFailures,
    /// User code failed; the text is the error message.
    Failed(String),
    /// Stopped after reaching its timeout.
    TimedOut,
    /// Cancelled by a user.
    Canceled,
    /// A task that never ran because one before it failed.
    UpstreamFailed,
    /// A task that never ran because one before it was cancelled.
    UpstreamCanceled,
    /// A task whose condition to run was not met.
    Excluded,
    /// Switched off by a user.
    Disabled,
    /// Skipped because the job already had as many runs as it may.
    MaxConcurrentRuns,
    /// The cluster could not be had; the text is the cloud's message.
    ClusterFailed(String),
    /// The platform failed; the text is its message.
    InternalError(String),
    /// Skipped, and `state` has no result.
    Skipped,
    /// The platform failed so badly that `state` has no result; the text is its message.
    Crashed(String),
    /// Anything else, word for word: for values that the API may introduce.
    Custom(Verdict),
}

/// The words the API uses for an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `state.life_cycle_state`: `TERMINATED`, `SKIPPED` or `INTERNAL_ERROR`.
    pub life_cycle: String,
    /// `state.result_state`.
    pub result: Option<String>,
    /// `status.termination_details.code`.
    pub code: String,
    /// `status.termination_details.type`.
    pub kind: String,
    /// `state.state_message` and `status.termination_details.message`.
    pub message: String,
}

impl Outcome {
    pub(crate) fn verdict(&self) -> Verdict {
        let (life_cycle, result, code, kind, message) = match self {
            Self::Success => ("TERMINATED", Some("SUCCESS"), "SUCCESS", "SUCCESS", ""),
            Self::SuccessWithFailures => {
                ("TERMINATED", Some("SUCCESS_WITH_FAILURES"), "SUCCESS_WITH_FAILURES", "SUCCESS", "")
            }
            Self::Failed(message) => {
                ("TERMINATED", Some("FAILED"), "RUN_EXECUTION_ERROR", "CLIENT_ERROR", message.as_str())
            }
            Self::TimedOut => ("TERMINATED", Some("TIMEDOUT"), "CANCELED", "CLIENT_ERROR", "Run timed out."),
            Self::Canceled => ("TERMINATED", Some("CANCELED"), "USER_CANCELED", "CLIENT_ERROR", "Run cancelled."),
            Self::UpstreamFailed => {
                ("TERMINATED", Some("UPSTREAM_FAILED"), "SKIPPED", "CLIENT_ERROR", "An upstream task failed.")
            }
            Self::UpstreamCanceled => {
                ("TERMINATED", Some("UPSTREAM_CANCELED"), "SKIPPED", "CLIENT_ERROR", "An upstream task was canceled.")
            }
            Self::Excluded => ("TERMINATED", Some("EXCLUDED"), "SKIPPED", "SUCCESS", ""),
            Self::Disabled => ("TERMINATED", Some("DISABLED"), "DISABLED", "SUCCESS", ""),
            Self::MaxConcurrentRuns => (
                "SKIPPED",
                Some("MAXIMUM_CONCURRENT_RUNS_REACHED"),
                "MAX_CONCURRENT_RUNS_EXCEEDED",
                "CLIENT_ERROR",
                "Skipped: the job has reached its maximum of concurrent runs.",
            ),
            Self::ClusterFailed(message) => {
                ("INTERNAL_ERROR", Some("FAILED"), "CLUSTER_ERROR", "CLOUD_FAILURE", message.as_str())
            }
            Self::InternalError(message) => {
                ("INTERNAL_ERROR", Some("FAILED"), "INTERNAL_ERROR", "INTERNAL_ERROR", message.as_str())
            }
            Self::Skipped => ("SKIPPED", None, "SKIPPED", "SUCCESS", ""),
            Self::Crashed(message) => ("INTERNAL_ERROR", None, "INTERNAL_ERROR", "INTERNAL_ERROR", message.as_str()),
            Self::Custom(verdict) => return verdict.clone(),
        };
        Verdict {
            life_cycle: life_cycle.to_owned(),
            result: result.map(str::to_owned),
            code: code.to_owned(),
            kind: kind.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl Verdict {
    /// `state.result_state`, else the life cycle if that tells how it ended, else the termination code.
    pub(crate) fn in_one_word(&self) -> String {
        self.of_state().unwrap_or_else(|| self.code.clone())
    }

    /// The same, as far as `state` alone tells it.
    pub(crate) fn of_state(&self) -> Option<String> {
        match (&self.result, self.life_cycle.as_str()) {
            (Some(result), _) => Some(result.clone()),
            (None, "SKIPPED" | "INTERNAL_ERROR") => Some(self.life_cycle.clone()),
            (None, _) => None,
        }
    }

    /// The error that the output of such a task shows.
    pub(crate) fn error(&self) -> Option<&str> {
        (self.kind != "SUCCESS" && !self.message.is_empty()).then_some(self.message.as_str())
    }
}
