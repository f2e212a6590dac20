//! What is made ready beside what runs, before anything of that is touched: all of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use kiln_config::{ComponentId, Role};
use kiln_export::{Exporter, Storage};
use kiln_telemetry::{Denied, DeniedCapability, Metrics, Subject};

use crate::blueprint::InstanceKey;
use crate::desired::Desired;
use crate::difference::Difference;
use crate::instances::{Running, Starter};
use crate::prepare::Obstacle;
use crate::running::Kiln;
use crate::waiting::Waiting;

/// What is ready to take its place. Dropping it leaves everything as it was.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) instances: BTreeMap<InstanceKey, Running>,
    /// What is configured and does not run, and why.
    pub(crate) idle: BTreeMap<InstanceKey, String>,
    pub(crate) new_exporters: Vec<(ComponentId, Exporter, Option<Storage>)>,
    pub(crate) changed_exporters: Vec<(ComponentId, Exporter)>,
}

impl Change {
    /// Makes ready what `kiln` lacks. An instance that did not run before is no reason to refuse the rest.
    ///
    /// # Errors
    /// Everything that keeps what is configured from taking the place of what runs, a line each.
    pub(crate) async fn prepare(kiln: &Kiln, desired: &Desired, difference: &Difference) -> Result<Self, Vec<String>> {
        let mut change = Self::default();
        let mut wrong = Vec::new();
        let may_fail = |key: &InstanceKey| kiln.is_starting() || kiln.blueprint.idle.contains_key(key);
        for refused in &desired.preparation.refused {
            if may_fail(&refused.key()) {
                tracing::error!("{}", refused.reason);
                record_refusal(&kiln.metrics, refused);
                change.idle.insert(refused.key(), refused.reason.clone());
            } else {
                wrong.push(refused.reason.clone());
            }
        }
        if wrong.is_empty() {
            wrong.extend(kiln.wait_for_leaving(difference).await.err());
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let waiting = change.exporters(kiln, desired, difference)?;
        let mut starter = Starter::new(
            &kiln.engine,
            kiln.data.as_ref(),
            &kiln.metrics,
            &kiln.redaction,
            &kiln.discovery,
            &waiting,
            kiln.instances.values(),
        );
        let wanted: BTreeSet<_> = difference.instances.added.union(&difference.instances.changed).collect();
        for prepared in desired.preparation.ready.iter().filter(|prepared| wanted.contains(&prepared.key())) {
            let key = prepared.key();
            let former = kiln.instances.get(&key);
            match starter.start(prepared, former, !may_fail(&key)).await {
                Ok(running) => drop(change.instances.insert(key, running)),
                Err(error) if may_fail(&key) => {
                    tracing::error!("error.type" = error.error_type(), "{key}: {error}");
                    change.idle.insert(key, error.to_string());
                }
                Err(error) => wrong.push(format!("{key}: {error}")),
            }
        }
        if wrong.is_empty() {
            change.count(kiln, &waiting).map_err(|error| vec![error])?;
            if !change.some_receiver_runs(kiln, difference) {
                wrong.push("no receiver can run: mend what is reported above".to_owned());
            }
        }
        if wrong.is_empty() { Ok(change) } else { Err(wrong) }
    }

    /// Whether nothing came of what was to come.
    pub(crate) fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.new_exporters.is_empty() && self.changed_exporters.is_empty()
    }

    fn exporters(&mut self, kiln: &Kiln, desired: &Desired, difference: &Difference) -> Result<Waiting, Vec<String>> {
        let mut waiting = Waiting::beside(kiln.has_durable_queue());
        let mut wrong = Vec::new();
        for exporter in &desired.config.exporters {
            let (id, is_new) = (exporter.id.clone(), difference.exporters.added.contains(&exporter.id));
            if !is_new && !difference.exporters.changed.contains(&id) {
                continue;
            }
            match Exporter::new(&id, &exporter.kind) {
                Err(error) => wrong.push(error.to_string()),
                Ok(checked) if !is_new => self.changed_exporters.push((id, checked)),
                Ok(mut checked) => {
                    let opened = waiting.open(&checked, &exporter.kind, kiln.data.as_ref());
                    match opened.and_then(|storage| checked.listen().map(|()| storage).map_err(|it| it.to_string())) {
                        Ok(storage) => self.new_exporters.push((id, checked, storage)),
                        Err(error) => wrong.push(error),
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(waiting) } else { Err(wrong) }
    }

    /// A queue on disk that comes to a running Kiln goes by the numbers of collections too.
    fn count(&self, kiln: &Kiln, waiting: &Waiting) -> Result<(), String> {
        if !self.new_exporters.iter().any(|(_, _, storage)| storage.is_some()) {
            return Ok(());
        }
        for (key, running) in &kiln.instances {
            let Some(sequence) = waiting.count_from(&key.id.to_string()) else { continue };
            let counted = tokio::task::block_in_place(|| running.state.count_from(sequence));
            counted.map_err(|error| format!("{key}: {error}"))?;
        }
        Ok(())
    }

    fn some_receiver_runs(&self, kiln: &Kiln, difference: &Difference) -> bool {
        let stays = kiln.instances.keys().filter(|key| !difference.instances.removed.contains(*key));
        self.instances.keys().chain(stays).any(|key| key.role == Role::Receiver)
    }
}

/// An instance that does not run for want of a grant, or because of its file, is denied everything at once.
fn record_refusal(metrics: &Metrics, Obstacle { instance, reason }: &Obstacle) {
    let plugin = instance.plugin.to_string();
    let subject = Subject { plugin: plugin.clone(), instance: instance.id.to_string(), digest: String::new() };
    metrics.denials().of(subject).record(&Denied {
        capability: DeniedCapability::Load,
        target: &plugin,
        reason: "refused",
        rule: None,
        text: reason,
    });
}
