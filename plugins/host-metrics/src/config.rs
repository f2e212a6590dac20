//! What is read, as the operator writes it.

use serde::Deserialize;

use crate::fields;

/// The configuration; defaults and limits are in `plugin.toml`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    groups: Vec<Group>,
    pub(crate) per_cpu: bool,
    pub(crate) disks: Excluding,
    pub(crate) interfaces: Excluding,
    pub(crate) process: Processes,
}

impl Config {
    pub(crate) fn has(&self, group: Group) -> bool {
        self.groups.contains(&group)
    }
}

/// A kind of metrics that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Group {
    Cpu,
    Load,
    Memory,
    Paging,
    Disk,
    Network,
    Processes,
    Process,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Excluding {
    pub(crate) exclude: Names,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Processes {
    pub(crate) names: Names,
    pub(crate) limit: usize,
}

/// Names in which `*` stands for any text.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn contain(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fields::matches(pattern, name))
    }
}
