//! Where an attack takes place: a real Kiln with a steady neighbour, a backend, and whatever the attacker brings.
//!
//! The neighbour collects every tenth of a second. However the attack ends, it must have gone on: no two of its
//! collections further apart than [`LONGEST_GAP`], and more of them after the attack was seen to be stopped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiln_testbed::program::{Program, get};
use kiln_testbed::sink::{Sink, Telemetry};
use serde_json::Value;
use tempfile::TempDir;

use crate::guest::packed;
use crate::hostile_resolver;
use crate::hostile_server::HostileServer;
use crate::warm_cache;

/// Far more than anything here takes; reached only by what never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Thirty intervals: what a busy machine may do to a process. What blocks Kiln blocks it for a call, a request, or ever.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// Collections of the neighbour that have to follow.
const COLLECTIONS_AFTER: usize = 5;

/// The process may take as much memory as that at its worst; no attack here is granted a fourth of it.
const MOST_MEMORY_MB: u64 = 512;

/// What plugins were denied, by instance and reason.
pub(crate) const DENIALS: &str = "kiln_denials_total";

/// How an attack ended, as far as its own part goes.
pub(crate) struct Stopped {
    /// What kind of end it was: `limit`, `trap`, `denied`, `refused`, ...
    pub(crate) class: &'static str,
    /// The metric that says so, with its labels.
    pub(crate) counter: String,
    /// Its value.
    pub(crate) value: f64,
}

/// What became of the others.
pub(crate) struct Survived {
    /// Collections of the neighbour.
    pub(crate) collections: usize,
    /// The longest time between two of them.
    pub(crate) longest_gap: Duration,
    /// The most memory the process had.
    pub(crate) peak_mb: u64,
}

pub(crate) struct Arena {
    folder: TempDir,
    sink: Sink,
    receivers: BTreeMap<String, String>,
    top: String,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    kiln: Option<Program>,
    stopped_at: Option<u64>,
}

impl Arena {
    pub(crate) fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        std::fs::create_dir(folder.path().join("plugins")).map_err(text)?;
        warm_cache::copy_to(&folder.path().join("data"))?;
        let arena = Self {
            folder,
            sink: Sink::start().map_err(text)?,
            receivers: BTreeMap::new(),
            top: String::new(),
            environment: Vec::new(),
            arguments: vec!["run".to_owned()],
            kiln: None,
            stopped_at: None,
        };
        arena.write("plugins/steady.wasm", packed("steady")?)?;
        Ok(arena)
    }

    // What the attacker brings.

    /// Where a file of the arena is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> Result<(), String> {
        std::fs::write(self.path(path), content).map_err(|error| format!("{path}: {error}"))
    }

    /// Puts a plugin into the directory and configures it, with these lines besides the schedule.
    pub(crate) fn attacker(&mut self, plugin: impl AsRef<[u8]>, lines: &str) -> Result<(), String> {
        self.write("plugins/attacker.wasm", plugin)?;
        self.receiver("attacker", lines);
        Ok(())
    }

    /// Configures the probe to ask a server, which is granted to it with its loopback address.
    pub(crate) fn probe(&mut self, server: &HostileServer, lines: &str) -> Result<(), String> {
        self.probe_origin(&server.url(), "addresses: [loopback]", lines)
    }

    /// Configures the probe to ask an origin, with a grant that says this besides.
    pub(crate) fn probe_origin(&mut self, origin: &str, grant: &str, lines: &str) -> Result<(), String> {
        self.write("plugins/probe.wasm", packed("probe")?)?;
        self.receiver(
            "probe",
            &format!("origin: \"{origin}\"\ngrants: {{ http: [ {{ origin: \"{origin}\", {grant} }} ] }}\n{lines}"),
        );
        Ok(())
    }

    /// Configures a receiver, with these lines besides the schedule.
    pub(crate) fn receiver(&mut self, id: &str, lines: &str) {
        self.receivers.insert(id.to_owned(), lines.to_owned());
    }

    /// Lines at the top of the configuration.
    pub(crate) fn top(&mut self, lines: &str) {
        self.top.push_str(lines);
        self.top.push('\n');
    }

    /// One more argument of `kiln run`.
    pub(crate) fn argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// An environment variable.
    pub(crate) fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Answers look-ups: lines of a name and what it resolves to, first, second, ...
    pub(crate) fn names(&mut self, names: &str) -> Result<(), String> {
        self.environment.extend(hostile_resolver::environment(self.folder.path(), names)?);
        Ok(())
    }

    /// How often one of these names was looked up.
    pub(crate) fn lookups(&self) -> usize {
        hostile_resolver::count_lookups(self.folder.path())
    }

    // What happens.

    /// The whole configuration.
    pub(crate) fn configuration(&self) -> String {
        let top = &self.top;
        let ids: Vec<_> = self.receivers.keys().map(String::as_str).collect();
        let mut receivers = String::new();
        for (id, lines) in &self.receivers {
            let interval = if lines.contains("collection_interval") { "" } else { "    collection_interval: 200ms\n" };
            let _ = write!(receivers, "  {id}:\n{interval}    initial_delay: 0s\n");
            for line in lines.lines() {
                let _ = writeln!(receivers, "    {line}");
            }
        }
        format!(
            r#"{top}
plugins_dir: plugins
receivers:
  steady: {{ collection_interval: 100ms, initial_delay: 0s }}
{receivers}
exporters:
  otlp_http: {{ endpoint: "{sink}" }}
service:
  data_dir: data
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [{ids}], exporters: [otlp_http] }}
"#,
            sink = self.sink.url().replace("127.0.0.1", "localhost"),
            ids = [&["steady"], ids.as_slice()].concat().join(", "),
        )
    }

    /// A kiln command that is run in the arena.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command, String> {
        kiln_in(self.folder.path(), arguments)
    }

    /// Starts Kiln and waits until the neighbour collects.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.write("kiln.yaml", self.configuration())?;
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let mut command = self.command(&arguments)?;
        command.envs(self.environment.iter().cloned());
        self.kiln = Some(Program::start(&mut command).map_err(text)?);
        self.neighbour_collects()
    }

    fn neighbour_collects(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let collects = |telemetry: &Telemetry| telemetry.points_of("kiln.steady").nth(1).is_some();
            // In short waits, because a Kiln that has ended is not waited for.
            match self.sink.wait_for(Duration::from_millis(200), collects) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("the neighbour does not collect: {error}"));
                }
                Err(_) if self.kiln.as_mut().is_some_and(Program::is_running) => {}
                Err(_) => return Err("kiln has ended by itself".to_owned()),
            }
        }
    }

    /// Starts Kiln, which must not start, and gives the code it ends with.
    pub(crate) fn must_not_start(&mut self) -> Result<i32, String> {
        self.write("kiln.yaml", self.configuration())?;
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let mut command = self.command(&arguments)?;
        let kiln = self.kiln.insert(Program::start(&mut command).map_err(text)?);
        kiln.wait(PATIENCE)
    }

    /// Starts Kiln, which may refuse to start with the code for a faulty configuration; anything but that or a neighbour
    /// that collects is a failure.
    pub(crate) fn start_or_refuse(&mut self) -> Result<Stopped, String> {
        let refused = |value| Stopped { class: "refused", counter: "exit code".to_owned(), value };
        let kept = self.start();
        let kiln = self.kiln.as_mut().ok_or("kiln was not started")?;
        match (kept, kiln.is_running()) {
            (Ok(()), true) => {
                let stopped = self.stopped("harmless", "kiln_instance_up", &["steady"])?;
                self.finish().map(|_| stopped)
            }
            (_, false) if kiln.wait(PATIENCE)? == 64 => Ok(refused(64.0)),
            (kept, running) => Err(format!("{kept:?}; running: {running}")),
        }
    }

    fn kiln(&self) -> Result<&Program, String> {
        self.kiln.as_ref().ok_or_else(|| "kiln was not started".to_owned())
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> Result<u32, String> {
        self.kiln().map(Program::id)
    }

    /// Everything Kiln has logged.
    pub(crate) fn log(&self) -> String {
        self.kiln.as_ref().map(|kiln| kiln.stderr().text()).unwrap_or_default()
    }

    /// Waits until the log has a line with all of these.
    pub(crate) fn says(&self, words: &[&str]) -> Result<(), String> {
        let has_line = |log: &str| log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(());
        self.kiln()?.stderr().wait_for(PATIENCE, has_line).map_err(|log| format!("no line has {words:?}; {log}"))
    }

    /// The log must not have this.
    pub(crate) fn never_says(&self, word: &str) -> Result<(), String> {
        let log = self.log();
        match log.lines().find(|line| line.contains(word)) {
            Some(line) => Err(format!("the log has {word:?}: {line}")),
            None => Ok(()),
        }
    }

    /// Host and port of Kiln's own pages.
    pub(crate) fn health_address(&self) -> Result<String, String> {
        self.kiln()?.stderr().wait_for(PATIENCE, |log| {
            let after = log.split("address=").nth(1)?.trim_start_matches('"');
            let end = after.find(|c: char| !c.is_ascii_digit() && !".:".contains(c))?;
            Some(after[..end].to_owned())
        })
    }

    /// A page of Kiln's own, such as `/metrics`.
    pub(crate) fn page(&self, path: &str) -> Result<String, String> {
        get(&self.health_address()?, path).map_err(|error| format!("{path}: {error}"))
    }

    /// Waits until a page has a line with all of these.
    pub(crate) fn page_says(&self, path: &str, words: &[&str]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.page(path)?;
            if page.lines().any(|line| words.iter().all(|word| line.contains(word))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{path} has no line with {words:?}; it is:\n{page}"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// `/-/denials` must list one of this instance with this reason, and which file it was.
    pub(crate) fn lists_denial(&self, instance: &str, reason: &str) -> Result<(), String> {
        let page = self.page("/-/denials")?;
        let body = page.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let listed: Value = serde_json::from_str(body).map_err(|error| format!("{error}:\n{page}"))?;
        let denials = listed["denials"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_it = |denial: &Value| {
            denial["instance"] == instance
                && denial["reason"] == reason
                && denial["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:"))
        };
        match denials.iter().any(is_it) {
            true => Ok(()),
            false => Err(format!("/-/denials lists none of {instance} for {reason}; it is:\n{page}")),
        }
    }

    /// The attack is over when an instance was refused as a whole.
    pub(crate) fn refused(&mut self, instance: &str) -> Result<Stopped, String> {
        self.stopped("refused", DENIALS, &[instance, "capability=\"load\""])
    }

    /// Waits until the instance is said to be broken, and why.
    pub(crate) fn is_broken(&self, words: &[&str]) -> Result<(), String> {
        self.page_says("/readyz", &[&["attacker", "broken"], words].concat())
    }

    /// The attack is over when this metric, of series with all of these labels, is at least 1.
    pub(crate) fn stopped(&mut self, class: &'static str, metric: &str, labels: &[&str]) -> Result<Stopped, String> {
        self.stopped_times(class, metric, labels, 1.0)
    }

    /// As [`Self::stopped`], by the class of the error an instance failed with.
    pub(crate) fn failed(&mut self, instance: &str, class: &'static str) -> Result<Stopped, String> {
        self.stopped(class, "kiln_instance_errors_total", &[instance, &format!("error_type=\"{class}\"")])
    }

    /// As [`Self::stopped`], when it is at least so much.
    pub(crate) fn stopped_times(
        &mut self,
        class: &'static str,
        metric: &str,
        labels: &[&str],
        times: f64,
    ) -> Result<Stopped, String> {
        let deadline = Instant::now() + PATIENCE;
        let value = loop {
            // Somebody may keep Kiln's pages busy.
            let page = self.page("/metrics").unwrap_or_default();
            let value = metric_value(&page, metric, labels);
            if value >= times {
                break value;
            }
            if Instant::now() > deadline {
                let lines: Vec<_> = page.lines().filter(|line| line.starts_with(metric)).collect();
                return Err(format!("{metric} {labels:?} is {value}; there is:\n{}", lines.join("\n")));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        };
        self.stopped_at = Some(now());
        Ok(Stopped { class, counter: format!("{metric}{{{}}}", labels.join(",")), value })
    }

    /// The neighbour has to have gone on, and Kiln to end as it should.
    pub(crate) fn finish(&mut self) -> Result<Survived, String> {
        let stopped_at = self.stopped_at.ok_or("the attack was not seen to be stopped")?;
        let after = |point: &kiln_testbed::sink::Point| point.time_nanos > stopped_at;
        let telemetry = self.sink.wait_for(PATIENCE, |telemetry| {
            telemetry.points_of("kiln.steady").filter(|point| after(point)).count() >= COLLECTIONS_AFTER
        });
        let telemetry = telemetry.map_err(|error| format!("the neighbour does not go on: {error}"))?;
        let mut times: Vec<u64> = telemetry.points_of("kiln.steady").map(|point| point.time_nanos).collect();
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let longest_gap = Duration::from_nanos(gaps.max().unwrap_or_default());
        if longest_gap > LONGEST_GAP {
            return Err(format!("the neighbour was kept from collecting for {longest_gap:?}"));
        }
        let kiln = self.kiln.as_mut().ok_or("kiln was not started")?;
        let peak_mb = peak_memory_mb(kiln.id())?;
        if peak_mb > MOST_MEMORY_MB {
            return Err(format!("kiln took {peak_mb} MB of memory"));
        }
        if !kiln.is_running() {
            return Err("kiln has ended by itself".to_owned());
        }
        kiln.signal("TERM").map_err(text)?;
        match kiln.wait(PATIENCE)? {
            0 => self.never_says("panicked").map(|()| Survived { collections: times.len(), longest_gap, peak_mb }),
            code => Err(format!("kiln was asked to stop and ended with {code}")),
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The real binary, in a folder and without an environment.
pub(crate) fn kiln_in(folder: &Path, arguments: &[&str]) -> Result<Command, String> {
    let binary = std::env::var("KILN_BIN").map_err(|_| "KILN_BIN is not set: run `scripts/test attacks`".to_owned())?;
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(folder).env_clear();
    Ok(command)
}

/// The sum over all series of a metric that have all of these labels; where it has had several names, of all of them.
fn metric_value(page: &str, metric: &str, labels: &[&str]) -> f64 {
    let series = page.lines().filter_map(|line| {
        let rest = metric.split('|').find_map(|name| line.strip_prefix(name))?;
        let (named, value) = rest.rsplit_once(' ')?;
        let is_it = named.is_empty() || named.starts_with('{');
        (is_it && labels.iter().all(|label| named.contains(label))).then(|| value.parse().unwrap_or(0.0))
    });
    series.fold(0.0, |sum, value: f64| sum + value)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn peak_memory_mb(process: u32) -> Result<u64, String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).map_err(text)?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.and_then(|kib| kib.parse::<u64>().ok()).map(|kib| kib / 1024).ok_or_else(|| "no VmHWM".to_owned())
}
