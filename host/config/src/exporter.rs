//! `exporters`: where telemetry goes.

use std::path::Path;

use kiln_otlp::Signal;

use crate::component_id::ComponentId;
use crate::document::Entry;
use crate::error::{Location, Problem};
use crate::file::File;
use crate::otel_environment::OtelEnvironment;
use crate::otlp_grpc::OtlpGrpc;
use crate::otlp_http::OtlpHttp;
use crate::prometheus::Prometheus;
use crate::reader::{Section, Value};
use crate::sending_queue::Queue;
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
    /// `otlp`, or `otlp_grpc`.
    OtlpGrpc(Box<OtlpGrpc>),
    /// `prometheus`.
    Prometheus(Box<Prometheus>),
    /// `file`.
    File(Box<File>),
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
            Self::OtlpGrpc(settings) => settings.secrets(),
            Self::Prometheus(_) | Self::File(_) | Self::Debug(_) => Vec::new(),
        }
    }

    /// Its queue, if it has one that is configured.
    #[must_use]
    pub fn queue(&self) -> Option<&Queue> {
        match self {
            Self::OtlpHttp(settings) => Some(&settings.queue),
            Self::OtlpGrpc(settings) => Some(&settings.queue),
            Self::File(settings) => Some(&settings.queue),
            Self::Prometheus(_) | Self::Debug(_) => None,
        }
    }

    pub(crate) fn queue_mut(&mut self) -> Option<&mut Queue> {
        match self {
            Self::OtlpHttp(settings) => Some(&mut settings.queue),
            Self::OtlpGrpc(settings) => Some(&mut settings.queue),
            Self::File(settings) => Some(&mut settings.queue),
            Self::Prometheus(_) | Self::Debug(_) => None,
        }
    }

    /// Whether it takes telemetry of this kind.
    #[must_use]
    pub fn takes(&self, signal: Signal) -> bool {
        !matches!(self, Self::Prometheus(_)) || signal == Signal::Metrics
    }
}

const KINDS: [&str; 5] = ["debug", "file", "otlp", "otlp_http", "prometheus"];

impl Exporter {
    /// The directory of its queue, if that is on disk.
    #[must_use]
    pub fn storage(&self) -> Option<&Path> {
        self.kind.queue()?.storage.as_ref().map(|storage| &*storage.directory)
    }

    /// Reads one entry of `exporters`; `None` if it is not one that exists.
    pub(crate) fn read(
        id: ComponentId,
        entry: &Entry,
        value: &Value<'_>,
        environment: &OtelEnvironment<'_>,
        data_dir: Option<&Path>,
    ) -> Option<Self> {
        let kind = match id.kind() {
            "otlp_http" | "otlphttp" => {
                ExporterKind::OtlpHttp(Box::new(OtlpHttp::read(value.section(), entry.key_at, environment, data_dir)?))
            }
            "debug" => ExporterKind::Debug(Debug::read(value.section())),
            "otlp" | "otlp_grpc" => {
                ExporterKind::OtlpGrpc(Box::new(OtlpGrpc::read(value.section(), entry.key_at, environment, data_dir)?))
            }
            "prometheus" => ExporterKind::Prometheus(Box::new(Prometheus::read(value.section(), entry.key_at)?)),
            "file" => ExporterKind::File(Box::new(File::read(value.section(), entry.key_at, data_dir)?)),
            other => {
                let problem = Problem::UnknownExporter(Nearest::find(other, KINDS));
                value.report.error(entry.key_at, &value.path, problem);
                return None;
            }
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
