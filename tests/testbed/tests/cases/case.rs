//! What a `case.toml` says.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_testbed::Rule;
use kiln_testbed::spark::Fault;
use serde::Deserialize;

/// One case. What is absent is not there, or not looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What the situation is.
    pub(crate) scenario: String,
    /// What holds in it.
    pub(crate) guarantees: String,

    /// Command line; `kiln.yaml` of the case is the configuration.
    #[serde(default = "run")]
    pub(crate) arguments: Vec<String>,
    /// Environment variables beside those of the servers.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// A page of the repository whose first YAML block is the configuration, in place of `kiln.yaml`.
    pub(crate) config_from: Option<String>,
    /// Packed plugins to put into `plugins/`.
    #[serde(default)]
    pub(crate) plugins: Vec<String>,
    /// Text files to write, by path below `CASE_DIR`.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Components to write into `plugins/`, by file name.
    #[serde(default)]
    pub(crate) components: BTreeMap<String, Component>,
    /// The simulated workspace, if any: `DATABRICKS_URL`, `DATABRICKS_TOKEN`, `DATABRICKS_CLIENT_ID`,
    /// `DATABRICKS_CLIENT_SECRET`.
    pub(crate) databricks: Option<SimulatedWorkspace>,
    /// The Spark UI, if any: `SPARK_URL`.
    pub(crate) spark: Option<SparkPages>,
    /// The pages of a Prometheus target, by path, if there is one: `TARGET`, its host and port.
    pub(crate) pages: Option<BTreeMap<String, TargetPage>>,
    /// The backend, if any: `SINK_URL`.
    pub(crate) sink: Option<SinkFaults>,

    /// The code kiln ends with by itself; absent: it runs until it is stopped, and then ends with 0.
    pub(crate) exit: Option<i32>,
    /// Text that must appear on standard error.
    #[serde(default)]
    pub(crate) stderr: Vec<String>,
    /// Text that must appear in one line of it, and in no other.
    #[serde(default)]
    pub(crate) stderr_once: Vec<String>,
    /// Text that must not.
    #[serde(default)]
    pub(crate) stderr_without: Vec<String>,
    /// Text that must appear on standard output.
    #[serde(default)]
    pub(crate) stdout: Vec<String>,
    /// Points that must arrive at the backend.
    #[serde(default)]
    pub(crate) points: Vec<ExpectedPoint>,
    /// Metrics of which no point may have arrived by the time everything else has.
    #[serde(default)]
    pub(crate) points_without: Vec<String>,
    /// Traces that must arrive at the backend.
    #[serde(default)]
    pub(crate) traces: Vec<ExpectedTrace>,
    /// A file with points, spans and log records that must arrive; every field it gives must be as it says.
    pub(crate) arrives: Option<String>,
    /// Text that must appear at `/readyz`.
    #[serde(default)]
    pub(crate) readyz: Vec<String>,
    /// Lines that must appear at `/metrics`, by their beginning.
    #[serde(default)]
    pub(crate) metrics: Vec<String>,
}

fn run() -> Vec<String> {
    vec!["run".to_owned()]
}

/// How much there is in the workspace, and how it answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimulatedWorkspace {
    /// How many jobs it has.
    #[serde(default = "thirty")]
    pub(crate) jobs: u32,
    /// How long every answer takes.
    #[serde(default)]
    pub(crate) slow_ms: u64,
    /// Paths that are answered with 403.
    #[serde(default)]
    pub(crate) forbidden: Vec<String>,
    /// A file to write the token into.
    pub(crate) token_file: Option<String>,
}

fn thirty() -> u32 {
    30
}

/// A component made for the case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    /// The component as text ...
    pub(crate) wat: Option<String>,
    /// ... or a packed plugin.
    pub(crate) plugin: Option<String>,
    /// The manifest it gets in place of its own.
    pub(crate) manifest: Option<String>,
}

/// Which Spark answers, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SparkPages {
    /// Version whose captured pages are served.
    pub(crate) version: String,
    /// Only the page of a Spark that is still starting.
    #[serde(default)]
    pub(crate) starting: bool,
    /// HTML where Prometheus text belongs, as Spark 3.5 answers by default.
    #[serde(default)]
    pub(crate) without_prometheus: bool,
    /// So many executors in place of the captured ones.
    pub(crate) executors: Option<usize>,
    /// The application's name in place of the captured one, written into the pages as Spark does: not escaped.
    pub(crate) application_name: Option<String>,
    /// How it misbehaves.
    #[serde(default)]
    pub(crate) faults: Vec<Rule<Fault>>,
    /// Version whose pages take over, as another application, after two collections.
    pub(crate) restarted_as: Option<String>,
    /// The driver's page of metrics is this large instead.
    #[serde(default)]
    pub(crate) page_mib: usize,
}

/// A page of a Prometheus target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetPage {
    /// What the target calls it.
    pub(crate) content_type: String,
    /// What it holds.
    pub(crate) body: String,
}

/// How the backend misbehaves at first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkFaults {
    /// Statuses of the first answers.
    #[serde(default)]
    pub(crate) first_statuses: Vec<u16>,
}

/// A point that must arrive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedPoint {
    /// Name of the metric.
    pub(crate) metric: String,
    /// Unit, if it matters.
    pub(crate) unit: Option<String>,
    /// Attributes the resource must have, by value; `*` for any.
    #[serde(default)]
    pub(crate) resource: BTreeMap<String, String>,
    /// Attributes the point must have, by value; `*` for any.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    /// The value, if it matters.
    pub(crate) value: Option<f64>,
    /// How many such points must arrive.
    #[serde(default = "one")]
    pub(crate) times: usize,
}

fn one() -> usize {
    1
}

/// Spans and log records of one and the same trace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedTrace {
    /// Attributes its root span must have, by value; `*` for any.
    pub(crate) root: BTreeMap<String, String>,
    /// Attributes a child of the root must have.
    pub(crate) child: BTreeMap<String, String>,
    /// What a log record must be that names the trace and the root, if there must be one.
    pub(crate) log: Option<ExpectedLog>,
}

/// A log record that must arrive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedLog {
    /// `event_name`.
    pub(crate) event: String,
    /// Attributes it must have, by value; `*` for any.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Case {
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join("case.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}
