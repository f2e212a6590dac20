//! What clusters are made by and from: policies and instance pools.
//!
//! Source: `databricks/sdk/service/compute.py` (`Policy`, `InstancePoolAndStats`) of databricks-sdk 0.156.0.

use super::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// A cluster policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Unique in the workspace.
    pub policy_id: String,
    /// Shown to users.
    pub name: String,
    /// `is_default`: made by Databricks.
    #[serde(default)]
    pub is_default: bool,
    /// `created_at_timestamp`.
    #[serde(default)]
    pub created: UnixMillis,
}

/// An instance pool now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstancePool {
    /// `instance_pool_id`.
    pub pool_id: String,
    /// `instance_pool_name`.
    pub name: String,
    /// `ACTIVE`, `STOPPED` or `DELETED`.
    pub state: String,
    /// `min_idle_instances`.
    #[serde(default)]
    pub min_idle: u32,
    /// `max_capacity`.
    #[serde(default)]
    pub max_capacity: u32,
    /// `stats`: idle, used, pending idle, pending used.
    #[serde(default)]
    pub stats: [u32; 4],
}

impl Policy {
    /// A policy of the workspace's own.
    #[must_use]
    pub fn new(policy_id: &str, name: &str) -> Self {
        Self { policy_id: policy_id.to_owned(), name: name.to_owned(), is_default: false, created: UnixMillis(0) }
    }
}

impl InstancePool {
    /// An active pool with so many idle and so many used instances.
    #[must_use]
    pub fn new(pool_id: &str, name: &str, idle: u32, used: u32) -> Self {
        Self {
            pool_id: pool_id.to_owned(),
            name: name.to_owned(),
            state: "ACTIVE".to_owned(),
            min_idle: 0,
            max_capacity: 100,
            stats: [idle, used, 0, 0],
        }
    }
}
