//! The whole document: reads each section and checks what they say about each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::batching::Batching;
use crate::component_id::ComponentId;
use crate::document::{self, Entry, MAX_BYTES, Node};
use crate::error::{Errors, Problem, Report, Warning, YamlPath};
use crate::exporter::{Exporter, ExporterKind};
use crate::instance::{Instance, Role};
use crate::loading_limits::LoadingLimits;
use crate::memory_limit::MemoryLimit;
use crate::otel_environment::OtelEnvironment;
use crate::pipeline::{self, Batched, Defined, Pipeline};
use crate::policy_settings::PolicySettings;
use crate::reader::{Section, Value};
use crate::reloading::Reloading;
use crate::substitution::{Sources, substitute};
use crate::telemetry::Telemetry;
use crate::units::MAX_DURATION;

/// How long a shutdown may drain unless the configuration says otherwise.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where plugins are looked for, relative to the configuration.
const DEFAULT_PLUGINS_DIR: &str = "plugins";

const NO_EXTENSIONS: &str = "there are no extensions; health and metrics are at `service.telemetry.endpoint`";

/// Accepting it without an effect would leave whoever wrote it without the limit they rely on.
const NO_MEMORY_LIMITER: &str =
    "there is no such processor: what may be in memory is `service.memory_limit`, for all pipelines";

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where plugins are looked for.
    pub plugins_dir: PathBuf,
    /// Where queues, checkpoints and caches are kept; `None` keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// How grants are decided, and which plugin files may run.
    pub policy: PolicySettings,
    /// Receivers and processors that are in a pipeline, in the order of the file.
    pub instances: Vec<Instance>,
    /// Exporters that are in a pipeline, in the order of the file.
    pub exporters: Vec<Exporter>,
    /// At least one.
    pub pipelines: Vec<Pipeline>,
    /// Kiln's own logs and metrics.
    pub telemetry: Telemetry,
    /// What turning plugin files into running code may use up.
    pub loading: LoadingLimits,
    /// What telemetry and the process may take in memory.
    pub memory: MemoryLimit,
    /// What makes it be read again.
    pub reloading: Reloading,
    /// How long a shutdown may drain.
    pub shutdown_timeout: Duration,
    /// What is accepted without having the effect its author may expect, in the order of the file.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads the configuration in a file.
    ///
    /// Relative paths in it start at its directory. `env` looks up environment variables.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place; or that the file cannot be read.
    pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Errors> {
        Self::examine(path, env)?.conclude()
    }

    /// Reads the configuration in a file and goes on after errors, so that a validator can look further.
    ///
    /// # Errors
    /// The file cannot be read, or is not YAML.
    pub fn examine(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Examined, Errors> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| Errors::of_file(&name, Problem::Unreadable(error.to_string())))?;
        let text = String::from_utf8(bytes).map_err(|_| Errors::of_file(&name, Problem::NotText))?;
        Self::examine_text(&name, &text, path.parent().unwrap_or(Path::new("")), env)
    }

    /// Reads a configuration from text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(
        name: &str,
        text: &str,
        base_dir: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Errors> {
        Self::examine_text(name, text, base_dir, env)?.conclude()
    }

    fn examine_text(
        name: &str,
        text: &str,
        base_dir: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Examined, Errors> {
        let report = Report::default();
        let mut root = document::parse(name, text, &report)?;
        substitute(&mut root, &Sources { env, base_dir }, &report);
        let config = Reading { file: name, base_dir, env, report: &report }.root(&root);
        Ok(match report.conclude(name, ()) {
            Ok(((), warnings)) => Examined { config: Self { warnings, ..config }, errors: None },
            Err(errors) => Examined { config, errors: Some(errors) },
        })
    }
}

/// A configuration that may be wrong.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What could be understood. It has stand-ins where something is wrong, so it must not be run if anything is.
    pub config: Config,
    /// Everything that is wrong with it, but for what only the plugins' manifests tell.
    pub errors: Option<Errors>,
}

impl Examined {
    /// The configuration if nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is.
    pub fn conclude(self) -> Result<Config, Errors> {
        match self.errors {
            None => Ok(self.config),
            Some(errors) => Err(errors),
        }
    }
}

/// What every section needs.
struct Reading<'a> {
    file: &'a str,
    base_dir: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    report: &'a Report,
}

/// One entry of `receivers`, `processors` or `exporters` with the name it gave itself.
struct Definition<'a> {
    id: ComponentId,
    entry: &'a Entry,
    value: Value<'a>,
}

impl<'a> Reading<'a> {
    fn root(&self, root: &'a Node) -> Config {
        let mut root = Value { node: root, path: YamlPath::default(), report: self.report }.section();
        let plugins_dir = self.path(&mut root, "plugins_dir");
        let policy = PolicySettings::read(&Arc::from(self.file), root.section("policy"));
        let receivers = self.definitions(root.section("receivers"));
        let processors = self.definitions(root.section("processors"));
        let exporters = self.definitions(root.section("exporters"));

        let mut service = root.section("service");
        let ids = |definitions: &[Definition<'_>]| definitions.iter().map(|d| d.id.clone()).collect();
        let defined = Defined { receivers: ids(&receivers), processors: ids(&processors), exporters: ids(&exporters) };
        let mut batched = Vec::new();
        let pipelines = pipeline::read(&service.section("pipelines"), &defined, &mut batched);
        let telemetry = Telemetry::read(service.section("telemetry"));
        let data_dir = self.path(&mut service, "data_dir");
        let shutdown_timeout = service
            .get("shutdown_timeout")
            .and_then(|timeout| timeout.duration(Duration::ZERO..=MAX_DURATION))
            .unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT);
        let reloading = Reloading::read(&mut service, telemetry.endpoint.is_some());
        let loading = LoadingLimits::read(service.section("limits"));
        let memory = MemoryLimit::read(service.section("memory_limit"));
        service.unsupported("extensions", NO_EXTENSIONS);
        service.finish();

        root.unsupported("extensions", NO_EXTENSIONS);
        root.unsupported("connectors", "there are no connectors; remove the section");
        root.unsupported("data_dir", "belongs under `service`");
        root.unsupported("telemetry", "belongs under `service`");
        root.unsupported("pipelines", "belongs under `service`");
        root.finish();

        let used = |part: fn(&Pipeline) -> &[ComponentId]| pipelines.iter().flat_map(part).collect::<BTreeSet<_>>();
        let (used_receivers, used_processors, used_exporters) =
            (used(|p| &p.receivers), used(|p| &p.processors), used(|p| &p.exporters));
        let (batchers, processors): (Vec<_>, Vec<_>) =
            processors.into_iter().partition(|definition| pipeline::is_batch(&definition.id));
        let mut instances = self.instances(Role::Receiver, receivers, &used_receivers);
        instances.extend(self.instances(Role::Processor, processors, &used_processors));
        let mut exporters = self.exporters(exporters, &used_exporters, data_dir.as_deref());
        self.batch(&batchers, &batched, &mut exporters);
        self.check_signals(&pipelines, &exporters);

        Config {
            plugins_dir: plugins_dir.unwrap_or_else(|| self.base_dir.join(DEFAULT_PLUGINS_DIR)),
            data_dir,
            policy,
            instances,
            exporters,
            pipelines,
            telemetry,
            loading,
            memory,
            reloading,
            shutdown_timeout,
            warnings: Vec::new(),
        }
    }

    fn path(&self, section: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
        let value = section.get(key)?;
        let text = value.text()?;
        if text.is_empty() {
            value.error(Problem::Empty);
            return None;
        }
        Some(self.base_dir.join(text))
    }

    fn definitions(&self, section: Section<'a>) -> Vec<Definition<'a>> {
        let mut seen = BTreeSet::new();
        let mut definitions = Vec::new();
        for (entry, value) in section.entries() {
            match entry.key.parse::<ComponentId>() {
                // Spaces around the parts do not count, so two keys can be one id.
                Ok(id) if seen.insert(id.clone()) => definitions.push(Definition { id, entry, value }),
                Ok(_) => self.report.error(entry.key_at, &value.path, Problem::ListedTwice),
                Err(error) => self.report.error(entry.key_at, &value.path, error),
            }
        }
        definitions
    }

    fn instances(&self, role: Role, definitions: Vec<Definition<'a>>, used: &BTreeSet<&ComponentId>) -> Vec<Instance> {
        let mut instances = Vec::new();
        for Definition { id, entry, value } in definitions {
            if role == Role::Processor && id.kind() == "memory_limiter" {
                self.report.error(entry.key_at, &value.path, Problem::Unsupported(NO_MEMORY_LIMITER));
                continue;
            }
            // Read even if it does not run: it is wrong today or the day it is used.
            let in_use = self.check_use(&id, entry, &value, used);
            instances.extend(Instance::read(self.file, id, role, entry, &value).filter(|_| in_use));
        }
        instances
    }

    fn exporters(
        &self,
        definitions: Vec<Definition<'a>>,
        used: &BTreeSet<&ComponentId>,
        data_dir: Option<&Path>,
    ) -> Vec<Exporter> {
        let environment = OtelEnvironment { env: self.env };
        let mut exporters: Vec<Exporter> = Vec::new();
        for Definition { id, entry, value } in definitions {
            let in_use = self.check_use(&id, entry, &value, used);
            let Some(exporter) = Exporter::read(id, entry, &value, &environment, data_dir) else { continue };
            let storage = exporter.storage();
            if storage.is_some() && exporters.iter().any(|other| other.storage() == storage) {
                let path = value.path.key("sending_queue").key("storage");
                let problem = Problem::Unsupported("another exporter's queue has this directory; give each its own");
                self.report.error(entry.key_at, &path, problem);
            }
            if let ExporterKind::File(file) = &exporter.kind
                && exporters.iter().any(|other| matches!(&other.kind, ExporterKind::File(it) if it.path == file.path))
            {
                let problem = Problem::Unsupported("another exporter writes to this file; give each its own");
                self.report.error(entry.key_at, &value.path.key("path"), problem);
            }
            exporters.extend(Some(exporter).filter(|_| in_use));
        }
        exporters
    }

    /// Not every exporter takes every signal.
    fn check_signals(&self, pipelines: &[Pipeline], exporters: &[Exporter]) {
        let service = YamlPath::default().key("service").key("pipelines");
        for pipeline in pipelines {
            let used = exporters.iter().filter(|exporter| pipeline.exporters.contains(&exporter.id));
            if used.into_iter().any(|exporter| !exporter.kind.takes(pipeline.signal)) {
                let key = pipeline
                    .name
                    .as_ref()
                    .map_or_else(|| pipeline.signal.name().to_owned(), |name| format!("{}/{name}", pipeline.signal));
                let path = service.key(&key).key("exporters");
                let problem = Problem::Unsupported("`prometheus` takes metrics only; use another exporter here");
                self.report.error(pipeline.at, &path, problem);
            }
        }
    }

    fn check_use(&self, id: &ComponentId, entry: &Entry, value: &Value<'_>, used: &BTreeSet<&ComponentId>) -> bool {
        let in_use = used.contains(id);
        if !in_use {
            let message = "is in no pipeline and does not run; list it under `service.pipelines` or remove it";
            self.report.warning(entry.key_at, &value.path, message);
        }
        in_use
    }

    /// The Collector's batch processor: the exporters of its pipelines join batches as it says, unless they are told how
    /// themselves, or by another one before.
    fn batch(&self, batchers: &[Definition<'_>], batched: &[Batched], exporters: &mut [Exporter]) {
        let mut given: BTreeMap<&ComponentId, &ComponentId> = BTreeMap::new();
        let has_own = |exporter: &Exporter| exporter.kind.queue().is_some_and(|queue| queue.batch.is_some());
        let own: BTreeSet<_> = exporters.iter().filter(|it| has_own(it)).map(|it| it.id.clone()).collect();
        for Definition { id, entry, value } in batchers {
            let batching = Batching::of_processor(entry, value);
            let message =
                "becomes `sending_queue.batch` of the exporters of its pipelines: there is no batch processor";
            self.report.warning(entry.key_at, &value.path, message);
            let of_this = batched.iter().filter(|batched| batched.processor == *id);
            for exporter in of_this.flat_map(|batched| &batched.exporters).filter(|it| !own.contains(*it)) {
                if *given.entry(exporter).or_insert(id) != id {
                    let message =
                        "has no effect where another one comes first: an exporter has one `sending_queue.batch`";
                    self.report.warning(entry.key_at, &value.path, message);
                    continue;
                }
                let exporter = exporters.iter_mut().find(|it| it.id == *exporter);
                if let Some(queue) = exporter.and_then(|exporter| exporter.kind.queue_mut()) {
                    queue.batch = Some(batching);
                }
            }
        }
    }
}
