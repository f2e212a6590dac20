//! Exporters and their retry rules.
