"""Kiln and the OpenTelemetry Collector on the same work, by turns."""
