//! From what is configured to what runs.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use kiln_config::{ComponentId, Config, Role};
use kiln_egress::{Egress, EgressLimits, EgressSpec};
use kiln_export::{Exporter, ExporterHandle, Storage};
use kiln_pipeline::{Pipeline, Processor, Schedule, Source};
use kiln_policy::Capability;
use kiln_runtime::{CallError, Digest, Engine, EngineSpec, Instance, InstanceSpec, Plugin, StateStore};
use kiln_telemetry::{Component, ComponentKind, Denied, DeniedCapability, Health, Metrics, Redaction, Status, Subject};

use crate::commands::compile::compiler;
use crate::exit::Failure;
use crate::prepare::{Obstacle, Preparation, Prepared};

/// Everything that runs.
pub(crate) struct Assembly {
    pub(crate) sources: Vec<Source>,
    pub(crate) exporters: Vec<ExporterHandle>,
    pub(crate) egresses: Vec<Arc<Egress>>,
}

/// Starts plugins and exporters and joins them into pipelines. An instance that does not start costs its own data only.
pub(crate) async fn assemble(
    config: &Config,
    preparation: &Preparation<'_>,
    metrics: &Metrics,
    health: &Health,
    redaction: &Redaction,
) -> Result<Assembly, Failure> {
    for Obstacle { instance, reason } in &preparation.refused {
        tracing::error!("{reason}");
        record_refusal(metrics, instance, reason);
        health.component(kind(instance.role), &instance.id.to_string()).set(Status::PermanentError(reason.clone()));
    }
    let data = config.data_dir.as_deref().map(DataDir::open).transpose()?;
    let mut opened = Vec::new();
    // Before any instance opens its state: what was committed decides what of the queues is still to be sent.
    let mut waiting = Waiting::default();
    for exporter in &config.exporters {
        let checked = Exporter::new(&exporter.id, &exporter.kind).map_err(Failure::usage)?;
        let storage = open_storage(&checked, exporter, data.as_ref()).await?;
        waiting.add(storage.as_ref());
        opened.push((&exporter.id, checked, storage));
    }
    let running = start_instances(config, preparation, data.as_ref(), &waiting, metrics, health, redaction).await?;
    let mut exporters = BTreeMap::new();
    for (id, checked, storage) in opened {
        exporters.insert(id, checked.start(storage, metrics, health));
    }
    let mut pipelines = Vec::new();
    for pipeline in &config.pipelines {
        match processors(pipeline, &running, metrics) {
            Ok(processors) => {
                let handles = pipeline.exporters.iter().filter_map(|id| exporters.get(id).cloned()).collect();
                pipelines.push((pipeline, Arc::new(Pipeline::new(pipeline.signal, processors, handles))));
            }
            Err(missing) => {
                let name = pipeline_name(pipeline);
                let reason = format!("processor {missing} does not run, and nothing passes unprocessed");
                tracing::error!("pipeline {name} does not run: {reason}");
                health.component(ComponentKind::Pipeline, &name).set(Status::PermanentError(reason));
            }
        }
    }
    let egresses = running.iter().filter_map(|running| running.egress.clone()).collect();
    let sources = sources(running, &pipelines, metrics);
    if sources.is_empty() {
        return Err(Failure::usage("no receiver can run: mend what is reported above"));
    }
    Ok(Assembly { sources, exporters: exporters.into_values().collect(), egresses })
}

/// An instance that does not run for want of a grant, or because of its file, is denied everything at once.
fn record_refusal(metrics: &Metrics, instance: &kiln_config::Instance, reason: &str) {
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

/// The latest collection of each instance that waits in a queue on disk.
#[derive(Default)]
struct Waiting {
    is_counted: bool,
    sequences: BTreeMap<String, u64>,
}

impl Waiting {
    fn add(&mut self, storage: Option<&Storage>) {
        let Some(storage) = storage else { return };
        self.is_counted = true;
        for (instance, sequence) in storage.sequences() {
            let latest = self.sequences.entry(instance.clone()).or_default();
            *latest = (*latest).max(*sequence);
        }
    }

    /// What an instance's collections are to be counted from, if queues on disk go by that.
    fn count_from(&self, instance: &str) -> Option<u64> {
        self.is_counted.then(|| self.sequences.get(instance).copied().unwrap_or_default())
    }
}

/// Opens the queue of an exporter, if it has one on disk.
async fn open_storage(
    exporter: &Exporter,
    configured: &kiln_config::Exporter,
    data: Option<&DataDir>,
) -> Result<Option<Storage>, Failure> {
    let (Some(data), Some(_)) = (data, configured.storage()) else { return Ok(None) };
    let committed = |instance: &str| StateStore::committed(&data.state, instance);
    let opened = tokio::task::block_in_place(|| exporter.open_storage(&committed));
    opened.map_err(|error| Failure::usage(format!("exporter `{}`: {error}", configured.id)))
}

/// An instance whose plugin is loaded, and most likely started.
struct Running<'p> {
    prepared: &'p Prepared<'p>,
    instance: Instance,
    egress: Option<Arc<Egress>>,
    health: Component,
}

impl Running<'_> {
    fn is(&self, role: Role, id: &ComponentId) -> bool {
        self.prepared.instance.role == role && self.prepared.instance.id == *id
    }
}

async fn start_instances<'p>(
    config: &Config,
    preparation: &'p Preparation<'p>,
    data: Option<&DataDir>,
    waiting: &Waiting,
    metrics: &Metrics,
    health: &Health,
    redaction: &Redaction,
) -> Result<Vec<Running<'p>>, Failure> {
    let cache = config.data_dir.as_deref().map(|dir| dir.join("cache"));
    let engine = Engine::new(EngineSpec {
        cache,
        cache_bytes: config.loading.cache_bytes,
        compiler: compiler(&config.loading),
        metrics: metrics.loading(),
    });
    let engine = engine.map_err(Failure::runtime)?;
    let mut plugins = Plugins { engine: &engine, compiled: BTreeMap::new() };
    let mut running = Vec::new();
    for prepared in &preparation.ready {
        let role = prepared.instance.role;
        let id = prepared.instance.id.to_string();
        let health = health.component(kind(role), &id);
        match start(prepared, &mut plugins, data, waiting, metrics, redaction).await {
            Ok((instance, egress)) => {
                health.set(Status::Ok);
                running.push(Running { prepared, instance, egress, health });
            }
            Err(error) => {
                tracing::error!("{role}s.{id}: {error}");
                health.set(Status::PermanentError(error));
            }
        }
    }
    Ok(running)
}

/// The processors of a pipeline, in order; or the first that does not run.
fn processors<'c>(
    pipeline: &'c kiln_config::Pipeline,
    running: &[Running<'_>],
    metrics: &Metrics,
) -> Result<Vec<Processor>, &'c ComponentId> {
    let find = |id| running.iter().find(|running| running.is(Role::Processor, id)).ok_or(id);
    let mut processors = Vec::new();
    for id in &pipeline.processors {
        let Running { prepared, instance, health, .. } = find(id)?;
        let reads =
            prepared.file.manifest.processor.as_ref().map(|declared| declared.reads.clone()).unwrap_or_default();
        let id = id.to_string();
        let metrics = metrics.processor(&id);
        processors.push(Processor::new(id, instance.clone(), reads, metrics).with_health(health.clone()));
    }
    Ok(processors)
}

/// The receivers that have a pipeline to feed.
fn sources(
    running: Vec<Running<'_>>,
    pipelines: &[(&kiln_config::Pipeline, Arc<Pipeline>)],
    metrics: &Metrics,
) -> Vec<Source> {
    let mut sources = Vec::new();
    for Running { prepared, instance, health, .. } in running {
        let configured = prepared.instance;
        if configured.role != Role::Receiver {
            continue;
        }
        let fed = pipelines.iter().filter(|(pipeline, _)| pipeline.receivers.contains(&configured.id));
        let fed: Vec<_> = fed.map(|(_, pipeline)| Arc::clone(pipeline)).collect();
        if fed.is_empty() {
            health.set(Status::PermanentError("none of its pipelines runs".to_owned()));
            continue;
        }
        let id = configured.id.to_string();
        let schedule = Schedule::new(configured.collection_interval, configured.initial_delay);
        sources.push(Source { metrics: metrics.receiver(&id), id, instance, schedule, pipelines: fed, health });
    }
    sources
}

fn kind(role: Role) -> ComponentKind {
    match role {
        Role::Receiver => ComponentKind::Receiver,
        Role::Processor => ComponentKind::Processor,
    }
}

fn pipeline_name(pipeline: &kiln_config::Pipeline) -> String {
    match &pipeline.name {
        Some(name) => format!("{}/{name}", pipeline.signal),
        None => pipeline.signal.to_string(),
    }
}

/// Plugins compiled so far: several instances share one.
struct Plugins<'e> {
    engine: &'e Engine,
    compiled: BTreeMap<Digest, Plugin>,
}

impl Plugins<'_> {
    async fn get(&mut self, prepared: &Prepared<'_>) -> Result<Plugin, String> {
        if let Some(plugin) = self.compiled.get(&prepared.file.digest) {
            return Ok(plugin.clone());
        }
        let plugin = self.engine.compile(prepared.file).await;
        let plugin = plugin.map_err(|error| format!("plugin `{}` {error}", prepared.file.manifest.name))?;
        self.compiled.insert(prepared.file.digest, plugin.clone());
        Ok(plugin)
    }
}

async fn start(
    prepared: &Prepared<'_>,
    plugins: &mut Plugins<'_>,
    data: Option<&DataDir>,
    waiting: &Waiting,
    metrics: &Metrics,
    redaction: &Redaction,
) -> Result<(Instance, Option<Arc<Egress>>), String> {
    let Prepared { instance, settings, policy, .. } = prepared;
    let id = instance.id.to_string();
    let plugin = plugins.get(prepared).await?;
    let has_egress = policy.links(Capability::Http);
    let egress = if has_egress { Some(Arc::new(egress(prepared, &id, metrics, redaction)?)) } else { None };
    let state = match data {
        Some(data) => data.state(&id, waiting.count_from(&id))?,
        None => StateStore::in_memory(),
    };
    let spec = InstanceSpec {
        id: id.clone(),
        plugin: plugin.clone(),
        policy: Arc::clone(policy),
        config: settings.public.to_string(),
        egress: egress.clone(),
        state,
        limits: instance.limits.clone(),
        timeout: instance.timeout,
        metrics: metrics.instance(&id),
        denials: metrics.denials().of(prepared.subject()),
    };
    let spawned =
        Instance::spawn(plugins.engine, spec).map_err(|error| format!("plugin `{}` {error}", plugin.manifest.name))?;
    match spawned.start().await {
        Ok(()) => {}
        Err(error @ CallError::Config { .. }) => return Err(format!("plugin `{}` {error}", plugin.manifest.name)),
        // It is started again at its first collection.
        Err(error) => tracing::warn!("{}s.{id}: plugin `{}` {error}", instance.role, plugin.manifest.name),
    }
    tracing::info!(instance = id, plugin = %plugin.manifest.name, version = plugin.manifest.version, digest = %plugin.digest, "started");
    Ok((spawned, egress))
}

fn egress(prepared: &Prepared<'_>, id: &str, metrics: &Metrics, redaction: &Redaction) -> Result<Egress, String> {
    let Prepared { instance, policy, .. } = prepared;
    for sentence in prepared.sign_ins() {
        tracing::info!(instance = id, "{sentence}");
    }
    let limits = EgressLimits {
        response_bytes: instance.limits.response_bytes,
        stream_bytes: instance.limits.http_stream_bytes,
        concurrency: u16::try_from(instance.limits.concurrency)
            .ok()
            .and_then(NonZeroU16::new)
            .unwrap_or(NonZeroU16::MAX),
        requests_per_call: instance.limits.http_requests,
        requests_per_second: NonZeroU32::new(instance.limits.http_requests_per_second).unwrap_or(NonZeroU32::MIN),
        request_timeout: instance.timeout / REQUESTS_PER_TIMEOUT,
        ..EgressLimits::default()
    };
    let spec = EgressSpec {
        instance: id.to_owned(),
        policy: Arc::clone(policy),
        credentials: prepared.credentials(),
        limits,
        metrics: metrics.egress(id),
        denials: metrics.denials().of(prepared.subject()),
        redaction: redaction.clone(),
        proxy: prepared.proxy.clone(),
    };
    Egress::new(spec).map_err(|error| error.to_string())
}

/// How many requests that never end fit into one call. If a request might take as long as the call, one slow page would
/// end the call with everything it had read, and the next call would meet the same page.
const REQUESTS_PER_TIMEOUT: u32 = 3;

/// `data_dir`, for this user only.
struct DataDir {
    state: Dir,
}

impl DataDir {
    fn open(path: &Path) -> Result<Self, Failure> {
        let unusable = |error| Failure::usage(format!("data_dir {} cannot be used: {error}", path.display()));
        let mut private = DirBuilder::new();
        private.mode(0o700);
        let create = |parent: &Dir, name: &Path| match parent.create_dir_with(name, &private) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => parent.open_dir(name),
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let root = Dir::open_ambient_dir(path, ambient_authority()).map_err(unusable)?;
        Ok(Self { state: create(&root, Path::new("state")).map_err(unusable)? })
    }

    fn state(&self, id: &str, count_from: Option<u64>) -> Result<StateStore, String> {
        let dir = self.state.try_clone().map_err(|error| error.to_string())?;
        let store = StateStore::open(dir, id).map_err(|error| error.to_string())?;
        if let Some(sequence) = count_from {
            store.count_from(sequence).map_err(|error| error.to_string())?;
        }
        Ok(store)
    }
}
