//! How one instance comes to run: compiled, given its door and its memory, started.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use kiln_egress::{Discovery, Egress, EgressLimits, EgressSpec, Rehearsal};
use kiln_otlp::{Amount, Level, Sight};
use kiln_policy::{Capability, ProcessorDeclaration};
use kiln_runtime::{
    CallError, Clock, CompileError, Digest, Engine, Instance, InstanceSpec, LinkError, Plugin, StateStore,
};
use kiln_telemetry::metrics::InstanceMetrics;
use kiln_telemetry::{Metrics, Redaction};

use crate::data_dir::DataDir;
use crate::prepare::Prepared;
use crate::waiting::Waiting;

/// How many requests that never end fit into one call. If a request might take as long as the call, one slow page would
/// end the call with everything it had read, and the next call would meet the same page.
const REQUESTS_PER_TIMEOUT: u32 = 3;

/// An instance whose plugin is loaded.
pub(crate) struct Running {
    plugin: Plugin,
    pub(crate) instance: Instance,
    pub(crate) egress: Option<Arc<Egress>>,
    pub(crate) state: StateStore,
    pub(crate) metrics: InstanceMetrics,
    /// What a processor sees.
    pub(crate) sight: Sight,
    /// What a processor may change of one batch.
    pub(crate) edits: Amount,
}

/// Why an instance does not run, or not yet; finishes the sentence "receivers.x: …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("plugin `{0}` {1}")]
    Compile(String, #[source] CompileError),
    #[error("plugin `{0}` {1}")]
    Link(String, #[source] LinkError),
    #[error("plugin `{0}` {1}")]
    Call(String, #[source] CallError),
    #[error("{0}")]
    Surroundings(String),
}

/// What a processor may see; no more than how many resources there are, should it declare nothing.
fn sight(declared: Option<&ProcessorDeclaration>) -> Sight {
    let Some(declared) = declared else { return Sight::new(Level::Resource, &[]) };
    let level = match declared.level {
        kiln_policy::Level::Resource => Level::Resource,
        kiln_policy::Level::Metric => Level::Metric,
        kiln_policy::Level::Point => Level::Point,
    };
    Sight::new(level, &declared.reads)
}

impl StartError {
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::Compile(_, error) => error.error_type(),
            Self::Link(..) => "link",
            Self::Call(_, error) => error.error_type(),
            Self::Surroundings(_) => "start",
        }
    }
}

/// What the surroundings of an instance are when somebody tries it. In operation they are as they are.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    /// What is played instead of servers.
    pub(crate) rehearsal: Option<Rehearsal>,
    /// The time it is told.
    pub(crate) clock: Clock,
    /// What it remembers from earlier times.
    pub(crate) state: Option<StateStore>,
}

/// Starts instances one after the other.
pub(crate) struct Starter<'s> {
    pub(crate) engine: &'s Engine,
    pub(crate) data: Option<&'s DataDir>,
    pub(crate) metrics: &'s Metrics,
    pub(crate) redaction: &'s Redaction,
    pub(crate) discovery: &'s Arc<Discovery>,
    pub(crate) waiting: &'s Waiting,
    /// Compiled so far, those that run among them: several instances share a plugin.
    plugins: BTreeMap<Digest, Plugin>,
    stage: Stage,
}

impl<'s> Starter<'s> {
    pub(crate) fn new(
        engine: &'s Engine,
        data: Option<&'s DataDir>,
        metrics: &'s Metrics,
        redaction: &'s Redaction,
        discovery: &'s Arc<Discovery>,
        waiting: &'s Waiting,
        running: impl Iterator<Item = &'s Running>,
    ) -> Self {
        let plugins = running.map(|running| (running.plugin.digest, running.plugin.clone())).collect();
        Self { engine, data, metrics, redaction, discovery, waiting, plugins, stage: Stage::default() }
    }

    /// With surroundings that are played.
    #[cfg(feature = "compiler")]
    pub(crate) fn on(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// Starts an instance beside `former`, which goes on, and whose memory it shares. One that takes nobody's place may fail
    /// in a way that passes: it is tried again at its first collection.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) async fn start(
        &mut self,
        prepared: &Prepared,
        former: Option<&Running>,
        must_work: bool,
    ) -> Result<Running, StartError> {
        let Prepared { instance, settings, policy, file, .. } = prepared;
        let id = instance.id.to_string();
        let name = file.manifest.name.to_string();
        let plugin = self.plugin(prepared, &name).await?;
        let egress = policy.links(Capability::Http).then(|| self.egress(prepared, &id)).transpose()?.map(Arc::new);
        let state = match (&self.stage.state, former) {
            (Some(state), _) => state.clone(),
            (None, Some(former)) => former.state.clone(),
            (None, None) => self.state(&id).map_err(StartError::Surroundings)?,
        };
        let metrics = match former {
            Some(former) => former.metrics.beside(),
            None => self.metrics.instance(&id).beside(),
        };
        let spec = InstanceSpec {
            id: id.clone(),
            plugin: plugin.clone(),
            policy: Arc::clone(policy),
            config: settings.public.to_string(),
            egress: egress.clone(),
            state: state.clone(),
            limits: instance.limits.clone(),
            timeout: instance.timeout,
            metrics: metrics.clone(),
            denials: self.metrics.denials().of(prepared.subject()),
            clock: self.stage.clock.clone(),
        };
        let spawned = Instance::spawn(self.engine, spec).map_err(|error| StartError::Link(name.clone(), error))?;
        match spawned.start().await {
            Ok(()) => {}
            Err(error @ CallError::Config { .. }) => return Err(StartError::Call(name, error)),
            Err(error) if must_work => return Err(StartError::Call(name, error)),
            Err(error) => tracing::warn!("{}s.{id}: plugin `{name}` {error}", instance.role),
        }
        let sight = sight(file.manifest.processor.as_ref());
        let limits = &instance.limits;
        let count = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
        let edits = Amount { bytes: count(limits.edit_bytes), items: count(limits.edits) };
        tracing::info!(instance = id, plugin = name, version = file.manifest.version, digest = %file.digest, "started");
        Ok(Running { plugin, instance: spawned, egress, state, metrics, sight, edits })
    }

    async fn plugin(&mut self, prepared: &Prepared, name: &str) -> Result<Plugin, StartError> {
        if let Some(plugin) = self.plugins.get(&prepared.file.digest) {
            return Ok(plugin.clone());
        }
        let plugin = self.engine.compile(&prepared.file).await;
        let plugin = plugin.map_err(|error| StartError::Compile(name.to_owned(), error))?;
        self.plugins.insert(prepared.file.digest, plugin.clone());
        Ok(plugin)
    }

    fn state(&self, id: &str) -> Result<StateStore, String> {
        let Some(data) = self.data else { return Ok(StateStore::in_memory()) };
        let state = data.state(id)?;
        if let Some(sequence) = self.waiting.count_from(id) {
            state.count_from(sequence).map_err(|error| error.to_string())?;
        }
        Ok(state)
    }

    fn egress(&self, prepared: &Prepared, id: &str) -> Result<Egress, StartError> {
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
            metrics: self.metrics.egress(id),
            denials: self.metrics.denials().of(prepared.subject()),
            redaction: self.redaction.clone(),
            proxy: prepared.proxy.clone(),
            discovery: Some(Arc::clone(self.discovery)),
            rehearsal: self.stage.rehearsal.clone(),
        };
        Egress::new(spec).map_err(|error| StartError::Surroundings(error.to_string()))
    }
}
