//! Simulated workspace, OTLP sink, Spark replay, end-to-end cases.
