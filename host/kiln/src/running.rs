//! What runs, and how it becomes what is configured: at one moment, between the collections of each receiver.
//!
//! Nothing that can fail is left for that moment ([`Change`]). What stays the same does not notice; what is replaced
//! finishes what it is at, with what it began with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kiln_config::{ComponentId, Config, Pipeline as PipelineConfig, Role};
use kiln_egress::Discovery;
use kiln_export::ExporterHandle;
use kiln_memory::Memory;
use kiln_pipeline::{Hold, Order, Pipeline, Processor, ProcessorSpec, Released, Route, Schedule, Source};
use kiln_runtime::{Engine, EngineSpec, Precompiled};
use kiln_telemetry::{Component, ComponentKind, Health, Metrics, Redaction, Status};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::blueprint::{Blueprint, InstanceKey};
use crate::change::Change;
use crate::commands::compiler;
use crate::data_dir::DataDir;
use crate::desired::Desired;
use crate::difference::Difference;
use crate::discovery::discovery;
use crate::exit::Failure;
use crate::instances::Running;

/// Of the time a shutdown may take, the part in which collections may finish; the rest is for sending.
const COLLECTING: f64 = 0.4;

/// Everything that runs, and what it runs with.
pub(crate) struct Kiln {
    pub(crate) engine: Engine,
    pub(crate) data: Option<DataDir>,
    memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) redaction: Redaction,
    /// Who knows where the Spark UI is.
    pub(crate) discovery: Arc<Discovery>,
    /// What looks for that server, once there is a receiver that reads it.
    looking: JoinSet<()>,
    health: Health,
    /// What runs.
    pub(crate) blueprint: Blueprint,
    pub(crate) instances: BTreeMap<InstanceKey, Running>,
    exporters: BTreeMap<ComponentId, ExporterHandle>,
    sources: BTreeMap<ComponentId, Feed>,
    components: BTreeMap<InstanceKey, Component>,
    broken_pipelines: BTreeSet<String>,
    collecting: JoinSet<()>,
    /// Of each generation of routes, the latest last: over when nothing is on its way along one of them any more.
    released: Vec<Released>,
    /// What was removed and is not done yet.
    departing: Departing,
    shutdown_timeout: Duration,
}

/// How a receiver is told what to do.
struct Feed {
    orders: watch::Sender<Order>,
    /// Over when it has finished its last collection.
    gone: Released,
}

struct Departing {
    receivers: BTreeMap<ComponentId, Released>,
    exporters: JoinSet<()>,
    /// When the last of them must be gone, once Kiln stops.
    deadline: watch::Sender<Option<Instant>>,
}

impl Kiln {
    /// Makes ready what plugins need to run; none does yet.
    ///
    /// # Errors
    /// The machine cannot run plugins, `data_dir` cannot be used, or the environment contradicts itself.
    pub(crate) fn new(
        config: &Config,
        metrics: Metrics,
        health: Health,
        redaction: Redaction,
        precompiled: Option<Precompiled>,
    ) -> Result<Self, Failure> {
        let data = config.data_dir.as_deref().map(DataDir::open).transpose()?;
        let engine = Engine::new(EngineSpec {
            cache: config.data_dir.as_deref().map(|dir| dir.join("cache")),
            cache_bytes: config.loading.cache_bytes,
            compiler: compiler(&config.loading),
            precompiled,
            metrics: metrics.loading(),
        });
        let memory = Memory::new(&config.memory, metrics.memory());
        tracing::info!(batches = memory.batches_limit(), process = memory.process_limit(), "memory limits, in bytes");
        Ok(Self {
            engine: engine.map_err(Failure::runtime)?,
            data,
            memory,
            metrics,
            redaction,
            discovery: discovery()?,
            looking: JoinSet::new(),
            health,
            blueprint: Blueprint::default(),
            instances: BTreeMap::new(),
            exporters: BTreeMap::new(),
            sources: BTreeMap::new(),
            components: BTreeMap::new(),
            broken_pipelines: BTreeSet::new(),
            collecting: JoinSet::new(),
            released: Vec::new(),
            departing: Departing {
                receivers: BTreeMap::new(),
                exporters: JoinSet::new(),
                deadline: watch::Sender::new(None),
            },
            shutdown_timeout: config.shutdown_timeout,
        })
    }

    /// Whether nothing runs yet.
    pub(crate) const fn is_starting(&self) -> bool {
        self.blueprint.fixed.is_none()
    }

    /// How many receivers and exporters there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.sources.len(), self.exporters.len())
    }

    pub(crate) fn has_durable_queue(&self) -> bool {
        self.exporters.values().any(ExporterHandle::is_durable)
    }

    /// Waits for receivers that were removed and are to come back: two of one id would share what they remember.
    ///
    /// # Errors
    /// One does not finish its last collection, and why that is in the way.
    pub(crate) async fn wait_for_leaving(&self, difference: &Difference) -> Result<(), String> {
        let deadline = Instant::now() + self.longest_call() + self.shutdown_timeout;
        let added = difference.instances.added.iter().filter(|key| key.role == Role::Receiver);
        for key in added {
            let Some(gone) = self.departing.receivers.get(&key.id) else { continue };
            if timeout_at(deadline, gone.clone().wait()).await.is_err() {
                return Err(format!("{key}: the one that was removed has not finished its last collection yet"));
            }
        }
        Ok(())
    }

    /// Makes what is configured run.
    pub(crate) fn adopt(&mut self, desired: &Desired, difference: &Difference, change: Change) {
        let Change { instances, idle, new_exporters, changed_exporters } = change;
        for (id, exporter) in changed_exporters {
            if let Some(handle) = self.exporters.get(&id) {
                handle.replace(exporter);
            }
        }
        for (id, exporter, storage) in new_exporters {
            self.exporters.insert(id, exporter.start(storage, &self.memory, &self.metrics, &self.health));
        }
        let leaving = difference.exporters.removed.iter().filter_map(|id| self.exporters.remove(id)).collect();
        for (key, running) in instances {
            if let Some(former) = self.instances.get(&key) {
                former.metrics.hide();
            }
            running.metrics.show();
            self.component(&key).set(Status::Ok);
            self.instances.insert(key, running);
        }
        for key in &difference.instances.removed {
            self.instances.remove(key);
        }
        self.forget(difference, &idle);
        for (key, reason) in &idle {
            self.component(key).set(Status::PermanentError(reason.clone()));
        }
        let calls = self.longest_call();
        let mut blueprint = desired.blueprint.clone();
        blueprint.instances.retain(|key, _| self.instances.contains_key(key));
        blueprint.idle = idle;
        self.blueprint = blueprint;
        self.shutdown_timeout = desired.config.shutdown_timeout;
        self.lay_routes(desired);
        self.depart(leaving, calls);
    }

    /// Instances that are gone, or do not run, are spoken of no more.
    fn forget(&mut self, difference: &Difference, idle: &BTreeMap<InstanceKey, String>) {
        let known = difference.instances.removed.iter().chain(self.blueprint.idle.keys());
        for key in known.filter(|key| !self.instances.contains_key(*key) && !idle.contains_key(*key)) {
            self.components.remove(key);
            self.health.remove(kind(key.role), &key.id.to_string());
        }
        for id in &difference.exporters.removed {
            self.health.remove(ComponentKind::Exporter, &id.to_string());
        }
    }

    /// Where the health of an instance shows, whichever of its kind is at work.
    fn component(&mut self, key: &InstanceKey) -> Component {
        let known = self.components.entry(key.clone());
        known.or_insert_with(|| self.health.component(kind(key.role), &key.id.to_string())).clone()
    }

    /// Joins instances and exporters into pipelines, and has every receiver take its new route.
    fn lay_routes(&mut self, desired: &Desired) {
        let pipelines = self.pipelines(&desired.config.pipelines);
        let (hold, released) = Hold::new();
        let receivers = desired.config.instances.iter().filter(|instance| instance.role == Role::Receiver);
        let mut fed = BTreeSet::new();
        for configured in receivers {
            let key = InstanceKey { role: Role::Receiver, id: configured.id.clone() };
            let health = self.component(&key);
            let Some(running) = self.instances.get(&key) else { continue };
            let ways = pipelines.iter().filter(|(pipeline, _)| pipeline.receivers.contains(&configured.id));
            let ways: Vec<_> = ways.map(|(_, pipeline)| Arc::clone(pipeline)).collect();
            if ways.is_empty() {
                health.set(Status::PermanentError("none of its pipelines runs".to_owned()));
                continue;
            }
            fed.insert(configured.id.clone());
            let route = Arc::new(Route {
                instance: running.instance.clone(),
                interval: configured.collection_interval,
                collects_at_the_end: configured.final_collection,
                found: running.egress.as_ref().and_then(|egress| egress.found()),
                pipelines: ways,
                hold: hold.clone(),
            });
            if route.found.is_some() && self.looking.is_empty() {
                let discovery = Arc::clone(&self.discovery);
                self.looking.spawn(async move { discovery.keep_looking().await });
            }
            let order = Order::Collect(route);
            if let Some(feed) = self.sources.get(&configured.id) {
                feed.orders.send_replace(order);
                continue;
            }
            let (orders, latest) = watch::channel(order);
            let id = configured.id.to_string();
            health.set(Status::Ok);
            let source = Source {
                metrics: self.metrics.receiver(&id),
                id,
                schedule: Schedule::new(configured.collection_interval, configured.initial_delay),
                orders: latest,
                memory: self.memory.clone(),
                health,
            };
            let (at_work, gone) = Hold::new();
            self.collecting.spawn(async move {
                source.run().await;
                drop(at_work);
            });
            self.sources.insert(configured.id.clone(), Feed { orders, gone });
        }
        let unfed: Vec<_> = self.sources.keys().filter(|id| !fed.contains(*id)).cloned().collect();
        for id in unfed {
            if let Some(Feed { orders, gone }) = self.sources.remove(&id) {
                orders.send_replace(Order::Stop);
                self.departing.receivers.insert(id, gone);
            }
        }
        self.released.push(released);
    }

    /// The pipelines all of whose processors run.
    fn pipelines<'c>(&mut self, configured: &'c [PipelineConfig]) -> Vec<(&'c PipelineConfig, Arc<Pipeline>)> {
        let mut pipelines = Vec::new();
        let mut broken = BTreeSet::new();
        for pipeline in configured {
            match self.processors(pipeline) {
                Ok(processors) => {
                    let handles = pipeline.exporters.iter().filter_map(|id| self.exporters.get(id).cloned()).collect();
                    pipelines.push((pipeline, Arc::new(Pipeline::new(pipeline.signal, processors, handles))));
                }
                Err(missing) => {
                    let name = pipeline_name(pipeline);
                    let reason = format!("processor {missing} does not run, and nothing passes unprocessed");
                    tracing::error!("pipeline {name} does not run: {reason}");
                    self.health.component(ComponentKind::Pipeline, &name).set(Status::PermanentError(reason));
                    broken.insert(name);
                }
            }
        }
        for mended in self.broken_pipelines.difference(&broken) {
            self.health.remove(ComponentKind::Pipeline, mended);
        }
        self.broken_pipelines = broken;
        pipelines
    }

    /// The processors of a pipeline, in order; or the first that does not run.
    fn processors<'c>(&mut self, pipeline: &'c PipelineConfig) -> Result<Vec<Processor>, &'c ComponentId> {
        let mut processors = Vec::new();
        for id in &pipeline.processors {
            let key = InstanceKey { role: Role::Processor, id: id.clone() };
            let health = self.component(&key);
            let Running { instance, sight, edits, metrics, .. } = self.instances.get(&key).ok_or(id)?;
            let id = id.to_string();
            processors.push(Processor::from(ProcessorSpec {
                instance: instance.clone(),
                sight: sight.clone(),
                edits: *edits,
                metrics: self.metrics.processor(&id),
                instance_metrics: metrics.clone(),
                health: Some(health),
                id,
            }));
        }
        Ok(processors)
    }

    /// Sees off what was removed: exporters go when nothing is on its way to them any more, and send what they have. Calls
    /// that are under way may take so long.
    fn depart(&mut self, exporters: Vec<ExporterHandle>, calls: Duration) {
        self.departing.receivers.retain(|_, gone| !gone.is_over());
        while self.departing.exporters.try_join_next().is_some() {}
        while self.collecting.try_join_next().is_some() {}
        let latest = self.released.pop();
        self.released.retain(|former| !former.is_over());
        let former = self.released.clone();
        self.released.extend(latest);
        if exporters.is_empty() {
            return;
        }
        let drain = self.shutdown_timeout;
        let stopping = self.departing.deadline.subscribe();
        self.departing.exporters.spawn(async move {
            let released = async {
                for former in former {
                    former.wait().await;
                }
            };
            tokio::select! {
                // Whoever waits for room in the queue of one that sends nothing any more would wait for ever.
                _ = timeout(calls + drain, released) => {}
                _ = stopped(stopping.clone()) => {}
            }
            let drained =
                exporters.into_iter().map(|exporter| see_off(exporter, Instant::now() + drain, stopping.clone()));
            drained.collect::<JoinSet<()>>().join_all().await;
        });
    }

    /// How long a collection may take that is under way.
    fn longest_call(&self) -> Duration {
        let timeouts = self.blueprint.instances.values().map(|plan| plan.substance.timeout);
        timeouts.max().unwrap_or_default()
    }

    /// Comes to an end: collections finish, and what they brought is sent, within the time there is.
    pub(crate) async fn stop(mut self) {
        let deadline = Instant::now() + self.shutdown_timeout;
        self.departing.deadline.send_replace(Some(deadline));
        for Feed { orders, .. } in self.sources.values() {
            orders.send_modify(|order| *order = order.at_the_end());
        }
        let finished = timeout(self.shutdown_timeout.mul_f64(COLLECTING), async {
            while self.collecting.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!("{} receivers did not finish in time and are stopped", self.collecting.len());
            let egresses = self.instances.values().filter_map(|running| running.egress.as_ref());
            egresses.for_each(|egress| egress.close());
            self.collecting.shutdown().await;
        }
        let mut draining = JoinSet::new();
        for exporter in self.exporters.into_values() {
            draining.spawn(async move { exporter.drain(deadline).await });
        }
        while draining.join_next().await.is_some() {}
        while self.departing.exporters.join_next().await.is_some() {}
    }
}

/// Sends what an exporter has that was removed, until a deadline, and lets go of it.
async fn see_off(exporter: ExporterHandle, deadline: Instant, stopping: watch::Receiver<Option<Instant>>) {
    let id = exporter.id().to_owned();
    let report = {
        let mut drain = std::pin::pin!(exporter.drain(deadline));
        tokio::select! {
            report = &mut drain => report,
            sooner = stopped(stopping) => {
                // All this does is to tell it.
                exporter.drain(sooner.min(deadline)).await;
                drain.await
            }
        }
    };
    drop(exporter);
    tracing::info!(exporter = id, lost = report.undelivered.total(), "removed");
}

/// Once Kiln stops: when everything must be over.
async fn stopped(mut stopping: watch::Receiver<Option<Instant>>) -> Instant {
    loop {
        if let Some(deadline) = *stopping.borrow_and_update() {
            return deadline;
        }
        if stopping.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn kind(role: Role) -> ComponentKind {
    match role {
        Role::Receiver => ComponentKind::Receiver,
        Role::Processor => ComponentKind::Processor,
    }
}

fn pipeline_name(pipeline: &PipelineConfig) -> String {
    match &pipeline.name {
        Some(name) => format!("{}/{name}", pipeline.signal),
        None => pipeline.signal.to_string(),
    }
}
