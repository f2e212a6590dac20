//! `exporters`: where telemetry goes.

use std::path::Path;

use crate::component_id::ComponentId;
use crate::document::Entry;
use crate::error::{Location, Problem};
use crate::otel_environment::OtelEnvironment;
use crate::otlp_http::OtlpHttp;
use crate::reader::{Section, Value};
use crate::suggestion::Nearest;

/// One destination.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// The key under `exporters`.
    pub id: ComponentId,
    /// Which exporter, with its settings.
    pub kind: ExporterKind,
    /// Where it is configured.
    pub at: Location,
}

/// The built-in exporters.
#[derive(Clone, Debug, PartialEq)]
pub enum ExporterKind {
    /// `otlp_http`, or `otlphttp` as it used to be called.
    OtlpHttp(Box<OtlpHttp>),
    /// `debug`.
    Debug(Debug),
}

/// Writes what it receives to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debug {
    /// How much of it.
    pub verbosity: Verbosity,
}

/// How much the debug exporter writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// How many items came.
    Basic,
    /// A line per item.
    Normal,
    /// Every field of every item.
    Detailed,
}

impl ExporterKind {
    /// What must not show anywhere: credentials in headers, with and without their scheme, and passwords of proxies.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        match self {
            Self::OtlpHttp(settings) => settings.secrets(),
            Self::Debug(_) => Vec::new(),
        }
    }
}

const KINDS: [&str; 2] = ["debug", "otlp_http"];

impl Exporter {
    /// The directory of its queue, if that is on disk.
    #[must_use]
    pub fn storage(&self) -> Option<&Path> {
        match &self.kind {
            ExporterKind::OtlpHttp(settings) => settings.queue.storage.as_ref().map(|storage| &*storage.directory),
            ExporterKind::Debug(_) => None,
        }
    }

    /// Reads one entry of `exporters`; `None` if it is not one that exists.
    pub(crate) fn read(
        id: ComponentId,
        entry: &Entry,
        value: &Value<'_>,
        environment: &OtelEnvironment<'_>,
        data_dir: Option<&Path>,
    ) -> Option<Self> {
        let unknown = |problem| {
            value.report.error(entry.key_at, &value.path, problem);
            None
        };
        let kind = match id.kind() {
            "otlp_http" | "otlphttp" => {
                ExporterKind::OtlpHttp(Box::new(OtlpHttp::read(value.section(), entry.key_at, environment, data_dir)?))
            }
            "debug" => ExporterKind::Debug(Debug::read(value.section())),
            "otlp" | "otlp_grpc" | "otlpgrpc" => {
                return unknown(Problem::Unsupported(
                    "this version does not speak OTLP over gRPC; use `otlp_http` with the backend's HTTP endpoint, \
                     usually port 4318 instead of 4317",
                ));
            }
            other => return unknown(Problem::UnknownExporter(Nearest::find(other, KINDS))),
        };
        Some(Self { id, kind, at: entry.key_at })
    }
}

impl Debug {
    fn read(mut section: Section<'_>) -> Self {
        let levels = [("basic", Verbosity::Basic), ("normal", Verbosity::Normal), ("detailed", Verbosity::Detailed)];
        let verbosity = section.get("verbosity").and_then(|verbosity| verbosity.choice(&levels));
        section.finish();
        Self { verbosity: verbosity.unwrap_or(Verbosity::Basic) }
    }
}
