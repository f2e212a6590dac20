//! What runs, or is to run, told so that two of it can be compared: nothing in it depends on lines, comments or order.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kiln_config::{
    ComponentId, Config, ExporterKind, Limits, LoadingLimits, Logs, MemoryLimit, Pipeline, Role, Secret,
};
use kiln_policy::{Policy, ProxyRule};
use kiln_runtime::Digest;
use serde_json::Value as Json;

use crate::prepare::{Preparation, Prepared};

/// Everything there is to run.
#[derive(Clone, Default)]
pub(crate) struct Blueprint {
    /// `None` of what does not run yet.
    pub(crate) fixed: Option<Fixed>,
    /// Those that run, or can.
    pub(crate) instances: BTreeMap<InstanceKey, InstancePlan>,
    /// Those that are configured and do not run.
    pub(crate) idle: BTreeMap<InstanceKey, String>,
    pub(crate) exporters: BTreeMap<ComponentId, ExporterKind>,
    pub(crate) pipelines: Vec<Pipeline>,
}

/// An instance among all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceKey {
    pub(crate) role: Role,
    pub(crate) id: ComponentId,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s.{}", self.role, self.id)
    }
}

/// What cannot change as long as the process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) reload_endpoint: bool,
    pub(crate) logs: Logs,
    pub(crate) loading: LoadingLimits,
    pub(crate) memory: MemoryLimit,
}

/// What an instance is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InstancePlan {
    pub(crate) substance: Substance,
    /// From one collection to the next, which an instance need not know.
    pub(crate) interval: Duration,
    /// Whether there is one more at the end.
    pub(crate) final_collection: bool,
}

/// What makes an instance another one if it changes: the plugin's file, what it may do, use and know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Substance {
    pub(crate) digest: Digest,
    pub(crate) policy: Json,
    pub(crate) settings: Json,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    pub(crate) proxy: ProxyRule,
}

impl Blueprint {
    /// What a configuration and its plugins come to.
    pub(crate) fn of(config: &Config, preparation: &Preparation) -> Self {
        let fixed = Fixed {
            data_dir: config.data_dir.clone(),
            endpoint: config.telemetry.endpoint,
            reload_endpoint: config.reloading.endpoint,
            logs: config.telemetry.logs.clone(),
            loading: config.loading.clone(),
            memory: config.memory,
        };
        let instances = preparation.ready.iter().map(|prepared| (prepared.key(), InstancePlan::of(prepared)));
        let idle = preparation.refused.iter().map(|refused| (refused.key(), refused.reason.clone()));
        let exporters = config.exporters.iter().map(|exporter| (exporter.id.clone(), exporter.kind.clone()));
        Self {
            fixed: Some(fixed),
            instances: instances.collect(),
            idle: idle.collect(),
            exporters: exporters.collect(),
            pipelines: config.pipelines.clone(),
        }
    }
}

impl InstancePlan {
    fn of(prepared: &Prepared) -> Self {
        let Prepared { instance, file, settings, policy, proxy, .. } = prepared;
        let substance = Substance {
            digest: file.digest,
            policy: told(policy),
            settings: settings.public.clone(),
            secrets: settings.secrets.clone(),
            limits: instance.limits.clone(),
            timeout: instance.timeout,
            proxy: proxy.clone(),
        };
        Self { substance, interval: instance.collection_interval, final_collection: instance.final_collection }
    }
}

/// A policy without the lines its grants stand on, which change with every comment above them.
pub(crate) fn told(policy: &Policy) -> Json {
    let mut policy = serde_json::to_value(policy).unwrap_or_default();
    forget_lines(&mut policy);
    policy
}

pub(crate) fn forget_lines(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.remove("written");
            fields.values_mut().for_each(forget_lines);
        }
        Json::Array(items) => items.iter_mut().for_each(forget_lines),
        _ => {}
    }
}
