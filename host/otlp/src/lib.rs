//! OTLP payloads: written, viewed, edited.
