//! Where a plugin is started and called, and what it did is noted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_config::Config;
use kiln_egress::Discovery;
use kiln_otlp::Batch;
use kiln_pipeline::{Processor, ProcessorSpec};
use kiln_runtime::{Collection, Engine, EngineSpec};
use kiln_telemetry::{Activity, DenialRecord, Metrics, Redaction};
use kiln_trial::{Attempt, Left};

use crate::commands::compiler;
use crate::discovery::discovery;
use crate::exit::Failure;
use crate::instances::{Running, Stage, StartError, Starter};
use crate::prepare::Prepared;
use crate::user_cache::user_cache;
use crate::waiting::Waiting;

/// Where compiled plugins are kept, below the user's caches. Never in `data_dir`: what somebody else makes there, Kiln could
/// not use.
const COMPILED: &str = "compiled";

/// One instance at a time, in memory.
pub(crate) struct Bench {
    engine: Engine,
    metrics: Metrics,
    activity: Activity,
    discovery: Arc<Discovery>,
    pub(crate) redaction: Redaction,
    running: Option<Running>,
    /// The last one that ran, for what it has compiled and remembers.
    idle: Option<Running>,
    /// How often each denial had been made the last time somebody asked.
    denied: BTreeMap<String, u64>,
}

impl Bench {
    /// Starts nothing yet.
    ///
    /// # Errors
    /// The machine cannot run plugins.
    pub(crate) fn new(config: &Config, redaction: Redaction) -> Result<Self, Failure> {
        let (metrics, activity) = Metrics::watched(env!("CARGO_PKG_VERSION"));
        let spec = EngineSpec {
            cache: compiled(),
            cache_bytes: config.loading.cache_bytes,
            compiler: compiler(&config.loading),
            precompiled: None,
            metrics: metrics.loading(),
        };
        let engine = Engine::new(spec).map_err(Failure::runtime)?;
        let discovery = discovery()?;
        Ok(Self { engine, metrics, activity, discovery, redaction, running: None, idle: None, denied: BTreeMap::new() })
    }

    /// Starts an instance in the place of the one before, whose memory it takes over.
    ///
    /// # Errors
    /// It does not run; nothing does then.
    pub(crate) async fn start(&mut self, prepared: &Prepared) -> Result<(), StartError> {
        self.start_on(prepared, Stage::default()).await
    }

    /// The same, with surroundings that are played.
    ///
    /// # Errors
    /// It does not run; nothing does then.
    pub(crate) async fn start_on(&mut self, prepared: &Prepared, stage: Stage) -> Result<(), StartError> {
        let former = self.running.take().or_else(|| self.idle.take());
        let waiting = Waiting::beside(false);
        let running = former.iter();
        let starter =
            Starter::new(&self.engine, None, &self.metrics, &self.redaction, &self.discovery, &waiting, running);
        let started = starter.on(stage).start(prepared, former.as_ref(), true).await;
        match started {
            Ok(running) => {
                // What was done while it started is told with its first call.
                self.running = Some(running);
                Ok(())
            }
            Err(error) => {
                self.idle = former;
                Err(error)
            }
        }
    }

    /// Lets a receiver read its source once. What it remembers is kept, as if what it emitted had been queued.
    pub(crate) async fn collect(&mut self) -> Attempt {
        let Some(running) = &self.running else { return self.attempt(None, Err(not_running())) };
        let result = match running.instance.collect().await {
            Err(error) => Err((error.error_type(), error.to_string())),
            Ok(Collection { batches, failures, failure_count, more, checkpoint }) => match checkpoint.commit() {
                Err(error) => Err(("state", error.to_string())),
                Ok(()) => {
                    let failures = failures.into_iter().map(|failure| (failure.source, failure.message)).collect();
                    Ok(Left { batches, failures, failure_count, more })
                }
            },
        };
        self.attempt(None, result)
    }

    /// Lets a processor see a batch, and applies what it wants.
    pub(crate) async fn process(&mut self, id: &str, batch: Batch) -> Attempt {
        let Some(running) = &self.running else { return self.attempt(Some(batch), Err(not_running())) };
        let processor = Processor::from(ProcessorSpec {
            id: id.to_owned(),
            instance: running.instance.clone(),
            sight: running.sight.clone(),
            edits: running.edits,
            metrics: self.metrics.processor(id),
            instance_metrics: running.metrics.clone(),
            health: None,
        });
        let result = match processor.process(batch.clone()).await {
            Ok(left) => Ok(Left { batches: left.into_iter().collect(), ..Left::default() }),
            Err(error) => Err((error.error_type(), error.to_string())),
        };
        self.attempt(Some(batch), result)
    }

    /// Everything that was noted since the last time.
    pub(crate) fn attempt(&mut self, given: Option<Batch>, result: Result<Left, (&'static str, String)>) -> Attempt {
        Attempt { seen: self.activity.take(), denials: self.new_denials(), result, given }
    }

    fn new_denials(&mut self) -> Vec<DenialRecord> {
        let mut new = Vec::new();
        for mut record in self.metrics.denials().recent() {
            let DenialRecord { capability, target, reason, rule, digest, .. } = &record;
            let key = [*capability, target.as_str(), *reason, rule.as_str(), digest.as_str()].join("\n");
            let before = self.denied.insert(key, record.count).unwrap_or_default();
            // One that was displaced and came back counts from one again.
            record.count = record.count.checked_sub(before).unwrap_or(record.count);
            if record.count > 0 {
                new.push(record);
            }
        }
        new.reverse();
        new
    }
}

fn not_running() -> (&'static str, String) {
    ("start", "does not run".to_owned())
}

/// The directory of compiled plugins, below one that is there.
fn compiled() -> Option<PathBuf> {
    let caches = user_cache()?;
    // If it cannot be made, the engine says that it does not use it.
    let _refused = std::fs::create_dir_all(&caches);
    Some(caches.join(COMPILED))
}
