//! Outbound HTTP for plugins.
