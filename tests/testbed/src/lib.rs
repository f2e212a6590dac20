//! The world around Kiln, small enough to run inside a test.
//!
//! Three servers stand in for what a real installation talks to: a Databricks workspace
//! ([`databricks::Workspace`]), an OTLP backend ([`sink::Sink`]) and the UI port of a Spark driver
//! ([`spark::Spark`]). Each is started with one call on a port the system picks, runs on a thread of its
//! own (so a test may block, or use any async runtime), records what it was asked, can be told to
//! misbehave, and is gone when its handle is dropped.
//!
//! Invariant: what exists (a world of jobs, a store of telemetry, a set of pages) is kept apart from how it
//! is served, and nothing a client sends makes a server panic.
//!
//! ```no_run
//! use kiln_testbed::{databricks::Workspace, sink::Sink};
//! use std::time::Duration;
//!
//! let workspace = Workspace::start().unwrap();
//! let sink = Sink::start().unwrap();
//! // ... start Kiln with workspace.url(), workspace.token() and sink.url() ...
//! let telemetry = sink
//!     .wait_for(Duration::from_secs(10), |telemetry| {
//!         telemetry.points_of("databricks.jobs.total").next().is_some()
//!     })
//!     .unwrap();
//! println!("{} points", telemetry.points.len());
//! ```

mod broken_off;
pub mod databricks;
mod faults;
mod observed;
pub mod pages;
pub mod process;
pub mod program;
mod request;
mod server;
pub mod shop;
pub mod sink;
pub mod spark;

pub use faults::{Faults, Rule};
pub use observed::TimedOut;
pub use request::Request;
