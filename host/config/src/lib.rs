//! YAML to validated configuration.
