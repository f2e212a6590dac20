//! A host for the tests of a plugin: `cargo test`, no WebAssembly.
//!
//! It keeps the promises the real host makes and plugins rely on: a request goes out only if the manifest covers it,
//! secrets never reach the configuration, what a failed collection emitted is discarded and its state rolled back, and
//! telemetry the manifest does not declare is refused. HTTP is scripted; a request nobody scripted fails the test.
//!
//! Methods panic where a test would otherwise have to: on a manifest that is invalid, a request without a script, a
//! metric that is not there.
//!
//! ```
//! # use kiln_plugin::{ConfigError, CollectError, Host, Outcome, Receiver};
//! # use serde_json::json;
//! # kiln_plugin::manifest!("tests/example/plugin.toml");
//! # #[derive(serde::Deserialize)] struct Config { host: String }
//! # struct Queue { host: String }
//! # impl Receiver for Queue {
//! #     type Config = Config;
//! #     fn configure(config: Config) -> Result<Self, ConfigError> { Ok(Self { host: config.host }) }
//! #     fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
//! #         let depth: i64 = host.http().get_json(&format!("{}/api/depth", self.host))?;
//! #         let resource = telemetry::Resource { example_host: &self.host, example_region: None };
//! #         let mut metrics = telemetry::Metrics::new(&resource);
//! #         metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "main" }, depth);
//! #         host.emit_metrics([metrics])?;
//! #         Ok(Outcome::complete())
//! #     }
//! # }
//! use kiln_plugin::testing::{Reply, TestHost};
//!
//! let host = TestHost::new(telemetry::MANIFEST);
//! host.on_get("/api/depth", Reply::json(&json!(7)));
//! let mut queue = host.configure::<Queue>(json!({ "host": "https://queue.example", "token": "secret" })).unwrap();
//! let collected = queue.collect().unwrap();
//! assert_eq!(collected.metrics.value("example.queue.depth", &[("queue", "main")]), 7.0);
//! ```
#![allow(clippy::panic, clippy::expect_used, reason = "an expectation of a test that is not met is a panic by nature")]

mod batch;
mod config;
mod convert;
mod declared;
mod emitted;
mod owned;
mod points;
mod processing;
mod script;
mod world;

use std::collections::BTreeMap;
use std::rc::Rc;

use kiln_policy::Manifest;
use serde_json::Value;

pub use batch::{Telemetry, TestBatch};
pub use emitted::{Emitted, Point};
pub(crate) use script::Pieces;
pub use script::Reply;
pub use world::LogLine;

use crate::host::{Host, ProcessorHost};
use crate::http::{Method, Request};
use crate::processor::Processor;
use crate::receiver::{CollectError, ConfigError, Outcome, Receiver, parse_config};
use crate::telemetry::{ResourceLogs, ResourceSpans};
use crate::time::UnixNanos;
pub(crate) use world::World;

/// A host under the test's control. Its state outlives the instances configured on it, as it does in production.
pub struct TestHost {
    manifest: Manifest,
    world: Rc<World>,
}

impl TestHost {
    /// A host that has loaded a plugin with this manifest. Its clock stands at 2026-01-01T00:00:00Z.
    ///
    /// # Panics
    /// The manifest is not valid.
    #[must_use]
    pub fn new(manifest: &str) -> Self {
        let manifest = Manifest::parse(manifest).unwrap_or_else(|error| panic!("{error}"));
        Self { world: Rc::new(World::new(&manifest)), manifest }
    }

    /// Makes an instance of a receiver, from the configuration an operator would write: the host fills in the schema's
    /// defaults and takes out the secrets. Every origin it requests is granted.
    ///
    /// # Errors
    /// The receiver does not accept the configuration.
    ///
    /// # Panics
    /// The configuration lacks a field the schema requires, or names one it does not have.
    pub fn configure<R: Receiver>(&self, config: Value) -> Result<Instance<R>, ConfigError> {
        Ok(Instance { plugin: R::configure(self.prepare(config)?)?, world: Rc::clone(&self.world) })
    }

    /// Makes an instance of a processor.
    ///
    /// # Errors
    /// The processor does not accept the configuration.
    ///
    /// # Panics
    /// The configuration lacks a field the schema requires, or names one it does not have.
    pub fn configure_processor<P: Processor>(&self, config: Value) -> Result<Instance<P>, ConfigError> {
        let mut plugin = P::configure(self.prepare(config)?)?;
        self.world.begin();
        let started = plugin.start(&mut ProcessorHost::new(self.world.clone()));
        self.world.finish(started.is_ok());
        started.map(|()| Instance { plugin, world: Rc::clone(&self.world) })
    }

    fn prepare<C: serde::de::DeserializeOwned>(&self, mut config: Value) -> Result<C, ConfigError> {
        config::apply_schema(&self.manifest.config, &mut config);
        self.world.grant(&self.manifest, &config);
        config::remove_secrets(&self.manifest.config, &mut config);
        parse_config(&config.to_string())
    }

    /// Answers GET requests for this path and query. The order of the query's parameters does not matter.
    pub fn on_get(&self, path_and_query: &str, reply: Reply) {
        self.on(Method::Get, path_and_query, reply);
    }

    /// Answers requests with this method, path and query; a later script for the same request replaces an earlier one.
    pub fn on(&self, method: Method, path_and_query: &str, reply: Reply) {
        self.world.script.borrow_mut().set(method, path_and_query, reply);
    }

    /// Answers, with a function, every request for this path that has no script of its own, whatever its query.
    pub fn on_path(&self, path: &str, respond: impl Fn(&Request) -> Reply + 'static) {
        self.world.script.borrow_mut().set_path(path, Box::new(respond));
    }

    /// Answers, with a function, every request that has no script at all: a whole simulated server.
    pub fn on_any(&self, respond: impl Fn(&Request) -> Reply + 'static) {
        self.world.script.borrow_mut().set_any(Box::new(respond));
    }

    /// The requests that were sent since this was last asked, as `GET /path?query`.
    #[must_use]
    pub fn take_requests(&self) -> Vec<String> {
        self.world.script.borrow_mut().take_sent()
    }

    /// Sets an environment variable of the host. The plugin sees it if its manifest requests it.
    #[cfg(feature = "env")]
    pub fn set_variable(&self, name: &str, value: &str) {
        self.world.variables.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// Lets a directory of this machine stand for one the manifest requests files of.
    #[cfg(feature = "files")]
    pub fn on_directory(&self, guest: &str, directory: impl Into<std::path::PathBuf>) {
        self.world.directories.borrow_mut().insert(guest.to_owned(), directory.into());
    }

    /// Sets the clock, as an administrator does; the monotonic clock goes on as before.
    pub fn set_clock(&self, now: UnixNanos) {
        self.world.now.set(now);
    }

    /// Moves both clocks on.
    pub fn advance(&self, duration: core::time::Duration) {
        self.world.now.set(self.world.now.get().after(duration));
        let passed = u64::try_from(duration.as_nanos()).expect("a duration of less than 500 years");
        self.world.monotonic.set(self.world.monotonic.get() + passed);
    }

    /// The time of the clock.
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        self.world.now.get()
    }

    /// The messages logged since this was last asked.
    #[must_use]
    pub fn take_log(&self) -> Vec<LogLine> {
        self.world.log.take()
    }

    /// The committed value under a key of the state, as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<Value> {
        let committed = self.world.state.borrow().committed(key)?.to_vec();
        Some(serde_json::from_slice(&committed).expect("state written through the SDK is JSON"))
    }

    /// All of the committed state, to be put back with [`Self::restore_state`]: what a process leaves behind that ends
    /// before its batch is accepted.
    #[must_use]
    pub fn save_state(&self) -> SavedState {
        SavedState(self.world.state.borrow().all())
    }

    /// Puts all of the state back to what it was.
    pub fn restore_state(&self, saved: &SavedState) {
        self.world.state.borrow_mut().replace(saved.0.clone());
    }

    /// How many bytes the committed state has, keys and values, as `limits.state_bytes` counts them.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.save_state().0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// How much state the operator allows, in bytes; without a limit until this is called.
    pub fn limit_state(&self, bytes: usize) {
        self.world.state_limit.set(bytes);
    }

    /// Puts a value under a key of the state, as an older version of the plugin might have.
    pub fn set_state(&self, key: &str, value: &Value) {
        self.world.state.borrow_mut().put(key, value.to_string().into_bytes());
    }
}

/// The state of an instance at some moment.
#[derive(Clone, Debug)]
pub struct SavedState(BTreeMap<String, Vec<u8>>);

/// A configured plugin on a [`TestHost`].
pub struct Instance<P> {
    plugin: P,
    world: Rc<World>,
}

impl<P> Instance<P> {
    /// The plugin itself.
    pub const fn plugin_mut(&mut self) -> &mut P {
        &mut self.plugin
    }
}

impl<R: Receiver> Instance<R> {
    /// Runs one collection. State is committed when it succeeds and rolled back when it does not.
    ///
    /// # Errors
    /// As the receiver says.
    pub fn collect(&mut self) -> Result<Collected, CollectError> {
        self.world.begin();
        let result = self.plugin.collect(&mut Host::new(self.world.clone()));
        let (metrics, spans, logs) = self.world.finish(result.is_ok());
        result.map(|outcome| Collected { outcome, metrics: Emitted::new(metrics), spans, logs })
    }
}

/// What one successful collection came to.
#[derive(Debug)]
pub struct Collected {
    /// What the receiver returned.
    pub outcome: Outcome,
    /// The metrics it emitted.
    pub metrics: Emitted,
    /// The spans it emitted.
    pub spans: Vec<ResourceSpans>,
    /// The log records it emitted.
    pub logs: Vec<ResourceLogs>,
}

impl Collected {
    /// The sources of the partial failures, in their order.
    #[must_use]
    pub fn failed_sources(&self) -> Vec<&str> {
        self.outcome.failures.iter().map(|failure| failure.source.as_str()).collect()
    }
}
