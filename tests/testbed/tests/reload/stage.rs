//! A running Kiln whose configuration and plugins change under it, and a backend that sees what comes of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kiln_testbed::program::{Program, get};
use kiln_testbed::sink::{Sink, Telemetry};
use tempfile::TempDir;

/// Far more than anything here takes; reached only by what never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Thirty intervals: what a busy machine may do to a process. A collection that was missed for a reload would be missed for
/// as long as the reload takes, or for ever.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// A configuration, in parts a test may change.
#[derive(Clone)]
pub(crate) struct Configuration {
    /// Lines under `receivers`.
    pub(crate) receivers: String,
    /// What takes part: `[steady]`.
    pub(crate) received: String,
    pub(crate) processors: String,
    pub(crate) processed: String,
    /// The settings of `otlp_http`.
    pub(crate) exporter: String,
    /// Lines under `exporters` besides.
    pub(crate) exporters: String,
    pub(crate) exported: String,
    /// Lines under `service`.
    pub(crate) service: String,
    /// Lines at the top.
    pub(crate) top: String,
}

impl Configuration {
    /// The steady plugin, ten times a second, to a backend.
    pub(crate) fn steady(sink: &Sink) -> Self {
        Self {
            receivers: "  steady: { collection_interval: 100ms, initial_delay: 0s }\n".to_owned(),
            received: "[steady]".to_owned(),
            processors: "{}".to_owned(),
            processed: "[]".to_owned(),
            exporter: exporter(sink, ""),
            exporters: String::new(),
            exported: "[otlp_http]".to_owned(),
            service: String::new(),
            top: String::new(),
        }
    }

    fn text(&self) -> String {
        let Self { receivers, received, processors, processed, exporter, exporters, exported, service, top } = self;
        format!(
            "{top}\nreceivers:\n{receivers}processors: {processors}\nexporters:\n  otlp_http: {exporter}\n{exporters}\nservice:\n  \
             data_dir: data\n  telemetry: {{ endpoint: 127.0.0.1:0 }}\n{service}  pipelines:\n    metrics: {{ receivers: \
             {received}, processors: {processed}, exporters: {exported} }}\n"
        )
    }
}

/// Settings of an exporter that sends there and is impatient, and these besides.
pub(crate) fn exporter(sink: &Sink, more: &str) -> String {
    let url = sink.url();
    format!("{{ endpoint: \"{url}\", retry_on_failure: {{ initial_interval: 50ms, max_interval: 200ms }}{more} }}")
}

pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) sink: Sink,
    pub(crate) kiln: Option<Program>,
    arguments: Vec<&'static str>,
    /// Log read already.
    read: usize,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        let stage = Self { folder, sink: Sink::start().unwrap(), kiln: None, arguments: vec!["run"], read: 0 };
        stage.put("steady", &guest("steady"));
        stage
    }

    pub(crate) fn locked(mut self) -> Self {
        self.arguments.push("--locked");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a plugin into the directory, in one step.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path("aside"), bytes).unwrap();
        fs::rename(self.path("aside"), self.path(&format!("plugins/{name}.wasm"))).unwrap();
    }

    pub(crate) fn configure(&self, configuration: &Configuration) {
        fs::write(self.path("aside"), configuration.text()).unwrap();
        fs::rename(self.path("aside"), self.path("kiln.yaml")).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let binary = std::env::var("KILN_BIN").expect("KILN_BIN: run `scripts/test cases`");
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command
    }

    pub(crate) fn start(&mut self, configuration: &Configuration) {
        self.start_with(configuration, |_| {});
    }

    /// Starts Kiln and does something before it runs.
    pub(crate) fn start_with(&mut self, configuration: &Configuration, meanwhile: impl FnOnce(&Program)) {
        self.configure(configuration);
        self.read = 0;
        let kiln = Program::start(&mut self.command(&self.arguments)).unwrap();
        meanwhile(&kiln);
        self.kiln = Some(kiln);
        self.says("running receivers");
        self.collects("kiln.steady", 2);
    }

    pub(crate) fn kiln(&self) -> &Program {
        self.kiln.as_ref().expect("kiln was started")
    }

    /// Asks for a reload and waits until the log says how it ended: what follows `reloaded: ` or `reload refused: `.
    pub(crate) fn reload(&mut self) -> String {
        self.kiln().signal("HUP").unwrap();
        self.ended()
    }

    /// How the next reload ends.
    pub(crate) fn ended(&mut self) -> String {
        let from = self.read;
        let (to, line) = self
            .kiln()
            .stderr()
            .wait_for(PATIENCE, |log| {
                let fresh = log.get(from..)?;
                let ends = [("reloaded: ", "\n"), ("reload refused: ", "what ran before goes on")];
                let (at, until) = ends.iter().filter_map(|(it, until)| Some((fresh.find(it)?, until))).min()?;
                let end = at + fresh[at..].find(until)? + until.len();
                Some((from + end, fresh[at..end].trim_end().to_owned()))
            })
            .unwrap();
        self.read = to;
        line
    }

    pub(crate) fn says(&self, text: &str) {
        self.kiln().stderr().wait_for(PATIENCE, |log| log.contains(text).then_some(())).unwrap();
    }

    /// Waits until so many more points of a metric have arrived.
    pub(crate) fn collects(&self, metric: &str, more: usize) {
        let count = |telemetry: &Telemetry| telemetry.points_of(metric).count();
        let before = count(&self.sink.telemetry());
        let arrived = self.sink.wait_for(PATIENCE, |telemetry| count(telemetry) >= before + more);
        arrived.unwrap_or_else(|error| panic!("{error}\n{}", self.kiln().stderr().text()));
    }

    fn address(&self) -> String {
        let log = self.kiln().stderr().text();
        let after = log.split("address=").nth(1).expect("an address in the log").trim_start_matches('"');
        after.split(|it: char| it.is_whitespace() || it == '"').next().unwrap().to_owned()
    }

    pub(crate) fn page(&self, path: &str) -> String {
        get(&self.address(), path).unwrap()
    }

    /// Answers to a POST, status line first.
    pub(crate) fn post(&self, path: &str, headers: &str) -> String {
        let address = self.address();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n{headers}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The value of a series of Kiln's own metrics; 0 if there is none.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.page("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    pub(crate) fn reloads(&self, outcome: &str) -> f64 {
        self.metric(&format!("kiln_reloads_total{{outcome=\"{outcome}\"}}"))
    }

    /// Ends Kiln, in good order, and returns what has arrived.
    pub(crate) fn stop(&mut self) -> Telemetry {
        let mut kiln = self.kiln.take().expect("kiln was started");
        kiln.signal("TERM").unwrap();
        assert_eq!(kiln.wait(PATIENCE).unwrap(), 0, "{}", kiln.stderr().text());
        self.sink.telemetry()
    }
}

/// A plugin made for tests.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
    fs::read(Path::new(&plugins).join(format!("{name}.wasm"))).unwrap()
}

/// Another file with the same plugin: it has one more section that means nothing.
pub(crate) fn another(plugin: &[u8], mark: u8) -> Vec<u8> {
    [plugin, &[0, 3, 1, b'x', mark]].concat()
}

/// How often the steady plugin was started, by the numbers it sends: it counts its collections from one.
pub(crate) fn starts(telemetry: &Telemetry) -> usize {
    telemetry.points_of("kiln.steady").filter(|point| point.number() == Some(1.0)).count()
}

/// None of its collections was missed or sent twice, and none came late.
pub(crate) fn assert_steady(telemetry: &Telemetry) {
    let points: Vec<_> = telemetry.points_of("kiln.steady").collect();
    for pair in points.windows(2) {
        let (before, after) = (pair[0].number().unwrap(), pair[1].number().unwrap());
        assert!(after == before + 1.0 || after == 1.0, "{after} after {before}");
        let gap = Duration::from_nanos(pair[1].time_nanos.saturating_sub(pair[0].time_nanos));
        assert!(gap <= LONGEST_GAP, "{gap:?} between collections {before} and {after}");
    }
}

/// Waits until something is true that nobody announces.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
