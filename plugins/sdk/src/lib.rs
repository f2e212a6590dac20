//! Guest SDK for Kiln plugins.
//!
//! A plugin is a type that implements [`Receiver`] or [`Processor`], a `plugin.toml` that declares what it asks for
//! and emits, and one line that exports it. The same crate compiles to a component for the host and natively for its
//! tests, which run against [`testing`].
//!
//! ```
//! use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver, UnixNanos};
//! use serde::Deserialize;
//!
//! kiln_plugin::manifest!("tests/example/plugin.toml");
//!
//! #[derive(Deserialize)]
//! struct Config {
//!     host: String,
//! }
//!
//! struct Queue {
//!     host: String,
//! }
//!
//! impl Receiver for Queue {
//!     type Config = Config;
//!
//!     fn configure(config: Config) -> Result<Self, ConfigError> {
//!         Ok(Self { host: config.host })
//!     }
//!
//!     fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
//!         let depth: i64 = host.http().get_json(&format!("{}/api/depth", self.host))?;
//!         let resource = telemetry::Resource { example_host: &self.host, example_region: None };
//!         let mut metrics = telemetry::Metrics::new(&resource);
//!         metrics.example_queue_depth(&telemetry::ExampleQueueDepth { queue: "main" }, depth);
//!         host.emit_metrics([metrics])?;
//!         Ok(Outcome::complete())
//!     }
//! }
//!
//! kiln_plugin::export_receiver!(Queue);
//! ```
//!
//! and its test, which needs neither WebAssembly nor a network:
//!
//! ```
//! # use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
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
//! use serde_json::json;
//!
//! let host = TestHost::new(telemetry::MANIFEST);
//! host.on_get("/api/depth", Reply::json(&7).then(Reply::status(503, "later")));
//! let mut queue = host.configure::<Queue>(json!({ "host": "https://queue.example", "token": "secret" })).unwrap();
//! assert_eq!(queue.collect().unwrap().metrics.value("example.queue.depth", &[("queue", "main")]), 7.0);
//! assert!(matches!(queue.collect(), Err(CollectError::Unavailable(_))));
//! ```
//!
//! # Where to find what
//!
//! | to | there is |
//! | --- | --- |
//! | ask a server, and read lists that come in pages | [`http`], [`http::Pages`] |
//! | remember how far a receiver has come | [`Checkpoint`]; single values in [`state`] |
//! | emit metrics; spans and log records | what [`manifest!`] makes; [`telemetry`] |
//! | emit many thousand points without copying their texts | [`telemetry::borrowed`], [`Host::emit_borrowed_metrics`] |
//! | sum up durations and sizes | [`Histogram`] |
//! | read answers that are not quite what the API documents | [`lenient`] |
//! | look at a batch and change it | [`processor`] |
//! | read granted files and variables | `files` and `env`, features of these names |
//! | test all of it: scripted HTTP, a clock that is moved, state, files, variables | [`testing`] |
//!
//! The features `receiver` and `processor` name the world of a plugin. It needs one of them, and [`export_receiver!`] or
//! [`export_processor!`].
//!
//! # What is not declared does not compile
//!
//! [`manifest!`] makes a method of every metric in `plugin.toml`, and only of those. This one is declared:
//!
//! ```
//! # kiln_plugin::manifest!("tests/example/plugin.toml");
//! fn emit(metrics: &mut telemetry::Metrics) {
//!     metrics.example_consumers(3);
//! }
//! ```
//!
//! and this one is not:
//!
//! ```compile_fail,E0599
//! # kiln_plugin::manifest!("tests/example/plugin.toml");
//! fn emit(metrics: &mut telemetry::Metrics) {
//!     metrics.example_producers(3);
//! }
//! ```
//!
//! Nor does a value of another type, an attribute that is not declared, or the histogram of another metric:
//!
//! ```compile_fail,E0308
//! # kiln_plugin::manifest!("tests/example/plugin.toml");
//! fn emit(metrics: &mut telemetry::Metrics) {
//!     metrics.example_consumers(3.5);
//! }
//! ```
//!
//! ```compile_fail,E0560
//! # kiln_plugin::manifest!("tests/example/plugin.toml");
//! let attributes = telemetry::ExampleQueueDepth { queue: "main", colour: "blue" };
//! ```
//!
//! ```compile_fail,E0308
//! # kiln_plugin::manifest!("tests/example/plugin.toml");
//! struct Other;
//! impl kiln_plugin::Bounds for Other { const BOUNDS: &'static [f64] = &[1.0, 10.5]; }
//! fn emit(metrics: &mut telemetry::Metrics, start: kiln_plugin::UnixNanos) {
//!     metrics.example_wait(start, &kiln_plugin::Histogram::<Other>::new());
//! }
//! ```
//!
//! # Staying small
//!
//! A component imports an interface only if its code can reach it, and so asks for no more than it uses. What keeps it
//! small: linking as `cargo rustc --crate-type cdylib` does, since cargo optimises across crates only what is nothing but a `cdylib`; no
//! formatting of floats or `Debug` in code that runs, no regular expressions, no async runtime; and doing without `std`, for which
//! there is [`prelude`].

#![cfg_attr(all(target_arch = "wasm32", not(feature = "std")), no_std)]

// The generated code names this crate from inside and outside alike.
extern crate alloc;
extern crate self as kiln_plugin;

#[cfg(all(target_arch = "wasm32", not(feature = "std")))]
mod bare;
pub mod bindings;
mod checkpoint;
pub mod component;
#[cfg(feature = "env")]
pub mod env;
#[cfg(feature = "files")]
pub mod files;
mod histogram;
mod host;
pub mod http;
mod imports;
pub mod json;
pub mod lenient;
pub mod metrics;
pub mod moment;
pub mod prelude;
pub mod processor;
pub mod receiver;
pub mod state;
pub mod telemetry;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod time;

pub use checkpoint::Checkpoint;
pub use histogram::{Bounds, Histogram};
pub use host::{Host, Level, ProcessorHost};
pub use kiln_plugin_macros::manifest;
pub use processor::Processor;
pub use receiver::{CollectError, ConfigError, Outcome, PartialFailure, Receiver};
pub use time::UnixNanos;
#[doc(hidden)]
pub use wit_bindgen;
