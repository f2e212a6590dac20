//! OTLP payloads: how they are written, looked at and changed, without ever becoming a tree of objects.
//!
//! A payload stays bytes from the moment a plugin emits it to the moment an exporter sends it. What nobody touches
//! survives byte for byte, unknown fields included. This crate knows neither wasmtime nor tokio.

mod batch;

pub use batch::{Batch, Signal, UnknownSignal};
