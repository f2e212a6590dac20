//! Cluster policies.
//!
//! `GET /api/2.0/policies/clusters/list` (databricks-sdk, `ClusterPoliciesAPI.list`): one answer, no pages. Only counts
//! are kept.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::api::{Api, ApiError, lenient};
use crate::telemetry;

const PATH: &str = "/api/2.0/policies/clusters/list";

/// How many policies there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policies {
    /// Those that come with every workspace.
    default: i64,
    custom: i64,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    policies: lenient::Items<Policy>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    #[serde(default, deserialize_with = "lenient::text")]
    policy_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    is_default: bool,
}

impl Policies {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let answer: Answer = api.get_json(PATH)?;
        api.pass_over(PATH, answer.policies.odd);
        let mut policies = Self::default();
        let mut seen = BTreeSet::new();
        for policy in answer.policies.items {
            if policy.policy_id.is_some_and(|id| !seen.insert(id)) {
                continue;
            }
            let count = if policy.is_default { &mut policies.default } else { &mut policies.custom };
            *count = count.saturating_add(1);
        }
        Ok(policies)
    }

    pub(crate) fn add_to(self, metrics: &mut telemetry::Metrics, by_type: bool) {
        metrics.databricks_policies_count(self.default.saturating_add(self.custom));
        if by_type {
            for (policy_type, count) in [("default", self.default), ("custom", self.custom)] {
                metrics.databricks_policies_by_type(&telemetry::DatabricksPoliciesByType { policy_type }, count);
            }
        }
    }
}
