//! Kiln plugin.
