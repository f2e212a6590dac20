//! What a reload would change: the least there is, so that whatever stays the same does not notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kiln_config::{ComponentId, ExporterKind, Pipeline};

use crate::blueprint::{Blueprint, Fixed, InstanceKey, InstancePlan};

/// What is to be done to what runs, for it to be what is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) instances: Changes<InstanceKey>,
    /// Instances that stay as they are and collect at other times.
    pub(crate) rescheduled: BTreeSet<InstanceKey>,
    pub(crate) exporters: Changes<ComponentId>,
    /// Whether something is to take another way.
    pub(crate) pipelines: bool,
}

/// What comes, goes and becomes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes<K> {
    pub(crate) added: BTreeSet<K>,
    pub(crate) changed: BTreeSet<K>,
    pub(crate) removed: BTreeSet<K>,
}

impl<K> Default for Changes<K> {
    fn default() -> Self {
        Self { added: BTreeSet::new(), changed: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Changes<K> {
    fn between<V>(running: &BTreeMap<K, V>, desired: &BTreeMap<K, V>, is_same: impl Fn(&V, &V) -> bool) -> Self {
        let mut changes = Self::default();
        for (key, value) in desired {
            match running.get(key) {
                None => changes.added.insert(key.clone()),
                Some(now) if !is_same(now, value) => changes.changed.insert(key.clone()),
                Some(_) => false,
            };
        }
        changes.removed = running.keys().filter(|key| !desired.contains_key(*key)).cloned().collect();
        changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// What cannot change as long as the process runs, and would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot change while Kiln runs: restart it, or undo the change", .0.join(" and "))]
pub(crate) struct Immovable(pub(crate) Vec<String>);

impl Difference {
    /// What is to be done to `running` for it to be `desired`.
    ///
    /// # Errors
    /// Something would change that cannot.
    pub(crate) fn between(running: &Blueprint, desired: &Blueprint) -> Result<Self, Immovable> {
        let mut immovable = fixed(running.fixed.as_ref(), desired.fixed.as_ref());
        for (id, kind) in &desired.exporters {
            if running.exporters.get(id).is_some_and(|now| !is_same_queue(now, kind)) {
                immovable.push(format!("`exporters.{id}.sending_queue`"));
            }
        }
        for (id, kind) in &desired.exporters {
            if running.exporters.get(id).is_some_and(|now| !is_same_endpoint(now, kind)) {
                immovable.push(format!("`exporters.{id}.endpoint`"));
            }
        }
        if !immovable.is_empty() {
            return Err(Immovable(immovable));
        }
        let instances =
            Changes::between(&running.instances, &desired.instances, |now, then| now.substance == then.substance);
        let rescheduled = desired.instances.iter().filter(|(key, plan)| {
            let schedule = |plan: &InstancePlan| (plan.interval, plan.final_collection);
            running
                .instances
                .get(key)
                .is_some_and(|now| now.substance == plan.substance && schedule(now) != schedule(plan))
        });
        Ok(Self {
            instances,
            rescheduled: rescheduled.map(|(key, _)| key.clone()).collect(),
            exporters: Changes::between(&running.exporters, &desired.exporters, |now, then| now == then),
            pipelines: !are_same_pipelines(&running.pipelines, &desired.pipelines),
        })
    }

    /// Whether all there is to do is to start what did not run.
    pub(crate) fn only_adds(&self) -> bool {
        let nothing = Changes { added: self.instances.added.clone(), ..Changes::default() };
        *self == Self { instances: nothing, ..Self::default() }
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.rescheduled.is_empty() && self.exporters.is_empty() && !self.pipelines
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let Changes { added, changed, removed } = &self.instances;
        let instances =
            [(added, "added"), (changed, "changed"), (removed, "removed"), (&self.rescheduled, "rescheduled")];
        for (keys, what) in instances {
            parts.extend(keys.iter().map(|key| format!("{key} {what}")));
        }
        let Changes { added, changed, removed } = &self.exporters;
        for (ids, what) in [(added, "added"), (changed, "changed"), (removed, "removed")] {
            parts.extend(ids.iter().map(|id| format!("exporters.{id} {what}")));
        }
        if self.pipelines {
            parts.push("service.pipelines changed".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

fn fixed(running: Option<&Fixed>, desired: Option<&Fixed>) -> Vec<String> {
    let (Some(running), Some(desired)) = (running, desired) else { return Vec::new() };
    let differ = [
        (running.data_dir != desired.data_dir, "`service.data_dir`"),
        (running.endpoint != desired.endpoint, "`service.telemetry.endpoint`"),
        (running.logs != desired.logs, "`service.telemetry.logs`"),
        (running.reload_endpoint != desired.reload_endpoint, "`service.reload_endpoint`"),
        (running.loading != desired.loading, "`service.limits`"),
        (running.memory != desired.memory, "`service.memory_limit`"),
    ];
    differ.into_iter().filter(|(differs, _)| *differs).map(|(_, key)| key.to_owned()).collect()
}

/// A queue stays where it is and as large as it is; how many take from it may change, and how they join what they take.
fn is_same_queue(now: &ExporterKind, then: &ExporterKind) -> bool {
    match (now.queue(), then.queue()) {
        (Some(now), Some(then)) => {
            *now == kiln_config::Queue { num_consumers: now.num_consumers, batch: now.batch, ..then.clone() }
        }
        _ => true,
    }
}

/// What listens stays where it listens: a new address could be bound only once the old one is given up.
fn is_same_endpoint(now: &ExporterKind, then: &ExporterKind) -> bool {
    match (now, then) {
        (ExporterKind::Prometheus(now), ExporterKind::Prometheus(then)) => now.endpoint == then.endpoint,
        _ => true,
    }
}

fn are_same_pipelines(now: &[Pipeline], then: &[Pipeline]) -> bool {
    // By signal and name, in whatever order they are written.
    let ways = |pipelines: &[Pipeline]| -> BTreeMap<_, _> {
        let way = |it: &Pipeline| {
            let receivers: BTreeSet<_> = it.receivers.iter().cloned().collect();
            let exporters: BTreeSet<_> = it.exporters.iter().cloned().collect();
            ((it.signal.to_string(), it.name.clone()), (receivers, it.processors.clone(), exporters))
        };
        pipelines.iter().map(way).collect()
    };
    ways(now) == ways(then)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
