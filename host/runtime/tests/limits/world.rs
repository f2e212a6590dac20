//! A host with one hostile instance and one that behaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kiln_config::Limits;
use kiln_egress::{Credentials, Egress, EgressLimits, EgressSpec};
use kiln_policy::{Grants, Policy, ProxyRule, Setting};
use kiln_runtime::{
    CallError, Clock, Collection, ComponentFile, Engine, EngineSpec, Instance, InstanceSpec, StateStore,
};
use kiln_telemetry::metrics::Format;
use kiln_telemetry::{Metrics, Redaction, Subject};

use crate::guest::Guest;
use crate::memory_image::MemoryImage;

/// The instance under test.
pub(crate) const HOSTILE: &str = "hostile";

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    witness: Instance,
}

/// Limits that are soon reached.
pub(crate) fn limits() -> Limits {
    Limits { memory: 16 << 20, recycle_memory: 16 << 20, cpu: Duration::from_millis(300), ..Limits::default() }
}

impl World {
    pub(crate) async fn new() -> Self {
        let engine = Engine::new(EngineSpec::unbounded()).unwrap();
        let metrics = Metrics::new("");
        let witness = spawn(&engine, &metrics, "witness", Hostile::new(&well_behaved().plugin())).await;
        witness.collect().await.unwrap();
        Self { engine, metrics, witness }
    }

    pub(crate) async fn hostile(&self, plugin: &ComponentFile, limits: &Limits) -> Instance {
        let instance = Hostile { plugin, limits: limits.clone(), ..Hostile::new(plugin) };
        self.hostile_with(instance).await
    }

    /// As [`Self::hostile`], with more to say about it.
    pub(crate) async fn hostile_with(&self, instance: Hostile<'_>) -> Instance {
        spawn(&self.engine, &self.metrics, HOSTILE, instance).await
    }

    /// Lets the hostile instance collect while the witness does, and says how often the witness could meanwhile. It
    /// collects once more when the other has come to its end, whatever that was.
    pub(crate) async fn collect(&self, hostile: &Instance) -> (Result<Collection, CallError>, usize) {
        let collections = Arc::new(AtomicUsize::new(0));
        let collecting = tokio::spawn({
            let (witness, collections) = (self.witness.clone(), Arc::clone(&collections));
            async move {
                loop {
                    assert_eq!(witness.collect().await.unwrap().batches.len(), 1);
                    collections.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let result = hostile.collect().await;
        let collections = collections.load(Ordering::Relaxed);
        assert!(!collecting.is_finished(), "the other plugin could not collect");
        collecting.abort();
        assert_eq!(self.witness.collect().await.unwrap().batches.len(), 1);
        (result, collections)
    }

    /// Collects and expects the instance to be stopped, for this class of error.
    pub(crate) async fn expect(&self, plugin: &ComponentFile, limits: &Limits, error_type: &str) -> usize {
        let instance = self.hostile(plugin, limits).await;
        let (result, witnessed) = self.collect(&instance).await;
        let error = result.map(|collection| collection.batches).unwrap_err();
        assert_eq!(error.error_type(), error_type, "{error}");
        assert!(error.is_fatal_to_the_store());
        assert_eq!(self.errors(error_type), 1);
        if let Some(limit) = error_type.strip_prefix("limit_") {
            assert_eq!(self.hits(limit), 1, "{}", self.metrics.expose(Format::OpenMetrics));
        }
        assert!(matches!(instance.collect().await, Err(CallError::Pausing(_))), "it starts afresh, after a pause");
        witnessed
    }

    pub(crate) fn hits(&self, limit: &str) -> u64 {
        self.value(&format!("kiln_instance_limit_hits_total{{instance=\"{HOSTILE}\",limit=\"{limit}\"}}"))
    }

    pub(crate) fn errors(&self, error_type: &str) -> u64 {
        self.value(&format!("kiln_instance_errors_total{{instance=\"{HOSTILE}\",error_type=\"{error_type}\"}}"))
    }

    pub(crate) fn of_hostile(&self, metric: &str) -> u64 {
        self.value(&format!("{metric}{{instance=\"{HOSTILE}\"}}"))
    }

    /// How often the hostile one was started and took its configuration.
    pub(crate) fn configured(&self) -> u64 {
        let labels = format!("instance=\"{HOSTILE}\",function=\"configure\",outcome=\"ok\"");
        self.value(&format!("kiln_instance_calls_total{{{labels}}}"))
    }

    fn value(&self, series: &str) -> u64 {
        let exposed = self.metrics.expose(Format::OpenMetrics);
        let line = exposed.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }
}

/// Emits one point.
pub(crate) fn well_behaved() -> Guest<'static> {
    let mut memory = MemoryImage::default();
    let points = memory.list(&[MemoryImage::point((0, 0))]);
    let (at, length) = memory.batch(points);
    assert_eq!(length, 1);
    // The address depends on nothing but the code above; the text is built once for all tests.
    let collect = Box::leak(emit((at, length)).into_boxed_str());
    Guest { memory, collect, ..Guest::default() }
}

/// Emits these resource metrics and does not care what comes of it.
pub(crate) fn emit((at, length): (u32, u32)) -> String {
    format!("(call $metrics (i32.const {at}) (i32.const {length}) (i32.const 512))")
}

/// An instance to be.
pub(crate) struct Hostile<'p> {
    pub(crate) plugin: &'p ComponentFile,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    pub(crate) state: StateStore,
    /// The one server it may ask.
    pub(crate) endpoint: String,
}

impl<'p> Hostile<'p> {
    pub(crate) fn new(plugin: &'p ComponentFile) -> Self {
        Self {
            plugin,
            limits: Limits::default(),
            timeout: Duration::from_secs(60),
            state: StateStore::in_memory(),
            endpoint: "http://127.0.0.1:9".to_owned(),
        }
    }
}

async fn spawn(engine: &Engine, metrics: &Metrics, id: &str, instance: Hostile<'_>) -> Instance {
    let Hostile { plugin, limits, timeout, state, endpoint } = instance;
    let plugin = engine.compile(plugin).await.unwrap();
    let settings = serde_json::json!({ "endpoint": endpoint });
    let grants = serde_json::json!({ "http": [{ "origin": endpoint, "addresses": ["loopback"] }] });
    let grants: Grants = serde_json::from_value(grants).unwrap();
    let policy = Policy::resolve(&plugin.manifest, &grants, false, |field| Setting::find(&settings, field));
    let policy = Arc::new(policy.unwrap());
    let egress = Egress::new(EgressSpec {
        instance: id.to_owned(),
        policy: Arc::clone(&policy),
        credentials: Credentials::default(),
        limits: EgressLimits::default(),
        metrics: metrics.egress(id),
        denials: metrics.denials().of(Subject::default()),
        redaction: Redaction::default(),
        proxy: ProxyRule::Direct,
        discovery: None,
        rehearsal: None,
    });
    let spec = InstanceSpec {
        id: id.to_owned(),
        plugin,
        policy,
        config: "{}".to_owned(),
        egress: Some(Arc::new(egress.unwrap())),
        state,
        limits,
        timeout,
        metrics: metrics.instance(id),
        denials: metrics.denials().of(Subject::default()),
        clock: Clock::default(),
    };
    Instance::spawn(engine, spec).unwrap()
}
