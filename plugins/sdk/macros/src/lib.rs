//! Typed telemetry from plugin.toml.
