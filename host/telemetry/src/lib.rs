//! Kiln's own logs, metrics and health.
