//! One schedule, from the first entry of the ledger to the account of all of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_testbed::program::get;
use kiln_testbed::sink::Sink;
use tempfile::TempDir;

use crate::dice::Dice;
use crate::ledger::{Ledger, told};
use crate::machine::Machine;
use crate::process::{Kiln, PATIENCE};
use crate::schedule::{Kind, Step};

pub(crate) const ENTRIES: i64 = 1_200;
const PAGE: i64 = 20;
/// Smaller than a page of any signal as it is sent, larger than an entry.
const SMALL_BODY: usize = 600;
/// What the queue may take where it is to be too small, and how long a log record is to be for that.
const SMALL_QUEUE: &str = "1MiB";
const LONG_RECORD: usize = 2_000;

/// A schedule, how it is sent and where it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) kind: Kind,
    pub(crate) exporter: &'static str,
    pub(crate) on_disk: bool,
    pub(crate) seed: u64,
}

/// What became of the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) items: usize,
    pub(crate) delivered: usize,
    pub(crate) duplicates: usize,
    /// By reason.
    pub(crate) dropped: BTreeMap<String, usize>,
    /// Delivered by the next process, which collected nothing, out of the queue of the one before.
    pub(crate) queued: usize,
}

struct World {
    trial: Trial,
    sink: Sink,
    folder: TempDir,
    machine: Machine,
    kiln: Kiln,
}

impl Trial {
    pub(crate) fn run(self) -> Account {
        let mut dice = Dice(self.seed);
        let steps = self.kind.steps(&mut dice, self.on_disk);
        let mut world = World::start(self);
        let share = ENTRIES / 2 / i64::try_from(steps.len()).unwrap();
        for (number, step) in (1..).zip(&steps) {
            // By what has been told and not by the clock, so that a busy machine sees the same schedule.
            world.wait_until("entries to be told", |world| told(world.folder.path()) >= number * share);
            std::thread::park_timeout(dice.micros_below(Duration::from_millis(60)));
            world.perform(step);
        }
        // A batch that had to make room while it was being sent may arrive all the same, so that one waits for its end.
        let ends_at_once = self.on_disk && self.kind != Kind::DropsOldest;
        if ends_at_once { world.end_on_disk() } else { world.end_in_one_process() }
    }
}

impl World {
    fn start(trial: Trial) -> Self {
        let sink = Sink::start().unwrap();
        if trial.kind == Kind::TooLarge {
            sink.limit_body(SMALL_BODY);
        }
        let folder = tempfile::tempdir().unwrap();
        let plugins = std::env::var("KILN_TEST_PLUGINS").expect("KILN_TEST_PLUGINS: run `scripts/test cases`");
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::copy(Path::new(&plugins).join("ledger.wasm"), folder.path().join("plugins/ledger.wasm")).unwrap();
        configure(trial, &sink, folder.path(), ENTRIES);
        let machine = Machine::new(folder.path());
        let kiln = Kiln::start_with(folder.path(), &machine.environment());
        Self { trial, sink, folder, machine, kiln }
    }

    fn perform(&mut self, step: &Step) {
        match step {
            Step::Fault(times, fault) => self.sink.faults().next(*times, fault.clone()),
            Step::Away(time) => {
                self.sink.go_away();
                std::thread::park_timeout(*time);
                self.sink.come_back().unwrap();
            }
            Step::DiskFull(room, time) => {
                // Nothing starts on a disk that is full; what is asked here is whether it goes on.
                self.wait_until("Kiln to run", |world| world.log().contains("running receivers="));
                self.machine.leave_room(Some(*room));
                std::thread::park_timeout(*time);
                self.machine.leave_room(None);
            }
            Step::Clock { ahead, by } => self.machine.turn_clock(*ahead, *by),
            Step::Kill(time) => {
                std::thread::park_timeout(*time);
                self.kiln.kill();
                self.restart();
            }
            Step::KillWithin(operations) => {
                self.machine.kill_after(Some(*operations));
                let deadline = Instant::now() + PATIENCE;
                while !self.kiln.has_ended() && Instant::now() < deadline {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                assert!(self.kiln.has_ended(), "{:?}: Kiln has not written {operations} times", self.trial);
                self.machine.kill_after(None);
                self.restart();
            }
        }
    }

    fn restart(&mut self) {
        // So that nobody takes the address of the one before for that of this one.
        std::fs::rename(self.folder.path().join("log"), self.folder.path().join("log-before")).unwrap();
        self.kiln = Kiln::start_with(self.folder.path(), &self.machine.environment());
    }

    /// The backend is well; Kiln goes on until everything has an end.
    fn end_in_one_process(mut self) -> Account {
        self.sink.faults().clear();
        self.wait_until("every entry to be told", |world| told(world.folder.path()) == ENTRIES);
        self.wait_until("every entry to have an end", |world| {
            let dropped = world.dropped();
            let count = |reason: &str| dropped.get(reason).copied().unwrap_or(0);
            let given_up = count("retries_exhausted") + count("queue_full");
            world.ledger().missing(ENTRIES, PAGE).unseen.len() <= given_up
                && world.own("otelcol_exporter_queue_size") == Some(0)
        });
        let dropped = self.dropped();
        self.kiln.stop();
        self.account(&dropped, 0)
    }

    /// The backend is away while the rest is told, and Kiln is stopped; the next Kiln collects nothing.
    fn end_on_disk(mut self) -> Account {
        self.sink.go_away();
        self.sink.faults().clear();
        self.wait_until("every entry to be told", |world| told(world.folder.path()) == ENTRIES);
        let dropped = self.dropped();
        if self.trial.kind.kills() {
            self.kiln.kill();
        } else {
            self.kiln.stop();
        }
        let before = self.ledger().accepted.len();
        configure(self.trial, &self.sink, self.folder.path(), 0);
        self.sink.come_back().unwrap();
        self.restart();
        let lost = dropped.get("queue_full").copied().unwrap_or(0);
        self.wait_until("every entry to have an end", |world| {
            world.ledger().missing(ENTRIES, PAGE).unseen.len() <= lost
                && world.own("otelcol_exporter_queue_size") == Some(0)
        });
        self.kiln.stop();
        let queued = self.ledger().accepted.len() - before;
        self.account(&dropped, queued)
    }

    /// Compares what the backend saw with what Kiln counted.
    fn account(&self, counted: &BTreeMap<String, usize>, queued: usize) -> Account {
        let trial = self.trial;
        let ledger = self.ledger();
        ledger.assert_counted_once(PAGE, ENTRIES);
        let missing = ledger.missing(ENTRIES, PAGE);
        let count = |reason: &str| counted.get(reason).copied().unwrap_or(0);
        let unseen = count("retries_exhausted") + count("queue_full");
        assert!(missing.unseen.len() <= unseen, "{trial:?}: {missing}, counted {counted:?}");
        let is_exact = trial.kind != Kind::DropsOldest || missing.unseen.len() == unseen;
        assert!(is_exact, "{trial:?}: {} are missing and {unseen} were counted", missing.unseen.len());
        let has_killed = trial.kind.kills() || trial.kind == Kind::Everything && trial.on_disk;
        if !has_killed {
            // Whatever is missing was counted, and nothing was counted that the backend did not refuse.
            assert!(missing.rejected <= count("rejected"), "{trial:?}: {missing}, counted {counted:?}");
            assert!(
                missing.partially_rejected <= count("partially_rejected"),
                "{trial:?}: {missing}, counted {counted:?}"
            );
            assert!(count("rejected") <= ledger.rejections, "{trial:?}: {} and {counted:?}", ledger.rejections);
            assert!(count("partially_rejected") <= ledger.partial_rejections, "{trial:?}: {counted:?}");
        }
        self.assert_allowed(counted);
        let items = 3 * usize::try_from(ENTRIES).unwrap() + usize::try_from(ENTRIES / PAGE).unwrap();
        let mut dropped = BTreeMap::from([
            ("rejected".to_owned(), missing.rejected),
            ("partially_rejected".to_owned(), missing.partially_rejected),
            (if count("queue_full") > 0 { "queue_full" } else { "retries_exhausted" }.to_owned(), missing.unseen.len()),
        ]);
        dropped.retain(|_, count| *count > 0);
        let delivered = ledger.accepted.len();
        assert_eq!(delivered + dropped.values().sum::<usize>(), items, "{trial:?}: more was delivered than was told");
        Account { items, delivered, duplicates: ledger.duplicates(), dropped, queued }
    }

    /// Only what the schedule and the settings allow to be dropped is dropped.
    fn assert_allowed(&self, counted: &BTreeMap<String, usize>) {
        let Trial { kind, on_disk, .. } = self.trial;
        let any = kind == Kind::Everything;
        for (reason, count) in counted.iter().filter(|(_, count)| **count > 0) {
            let is_allowed = match reason.as_str() {
                "rejected" => any || kind == Kind::Broken,
                "partially_rejected" => any || kind == Kind::Partial,
                "retries_exhausted" => !on_disk && (any || kind == Kind::Outage || kind == Kind::Slow),
                "queue_full" => kind == Kind::DropsOldest,
                _ => false,
            };
            assert!(is_allowed, "{:?}: {count} were dropped as {reason}\n{}", self.trial, self.log());
        }
        let is_ambiguous = any || matches!(kind, Kind::Reset | Kind::Slow | Kind::Outage) || kind.kills() || on_disk;
        let duplicates = self.ledger().duplicates();
        assert!(is_ambiguous || duplicates == 0, "{:?}: {duplicates} came twice", self.trial);
    }

    fn ledger(&self) -> Ledger {
        Ledger::of(&self.sink.telemetry().requests)
    }

    /// What Kiln has dropped, by reason, over all signals.
    fn dropped(&self) -> BTreeMap<String, usize> {
        let mut dropped = BTreeMap::new();
        let metrics =
            self.metrics().unwrap_or_else(|| panic!("{:?}: Kiln shows no metrics\n{}", self.trial, self.log()));
        for line in metrics.lines().filter(|line| line.starts_with("otelcol_exporter_send_failed_")) {
            let reason = line.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            *dropped.entry(reason.to_owned()).or_default() += value(line);
        }
        dropped
    }

    /// One of Kiln's own metrics, added up.
    fn own(&self, name: &str) -> Option<usize> {
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let metrics = self.metrics()?;
        Some(metrics.lines().filter(is_it).map(value).sum())
    }

    /// The page of Kiln's own metrics, once it has one.
    fn metrics(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("metrics at /metrics"))?;
        let address = line.split("address=").nth(1)?.split_whitespace().next()?;
        get(address.trim_matches('"'), "/metrics").ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            let trial = self.trial;
            assert!(!self.kiln.has_ended(), "{trial:?}: Kiln ended by itself\n{}", self.log());
            assert!(
                Instant::now() < deadline,
                "{trial:?}: waited in vain for {what}; {} told, {}, {:?}\n{}",
                told(self.folder.path()),
                self.ledger().missing(ENTRIES, PAGE),
                self.metrics().map(|_| self.dropped()),
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

fn value(line: &str) -> usize {
    let value: f64 = line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
    let value = value as usize;
    value
}

fn configure(trial: Trial, sink: &Sink, folder: &Path, entries: i64) {
    let (exporter, insecure) = match trial.exporter {
        "otlp" => ("otlp", "tls: { insecure: true }, "),
        http => (http, ""),
    };
    let queue = match (trial.on_disk, trial.kind) {
        (false, _) => "queue_size: 100000".to_owned(),
        (true, Kind::DropsOldest) => format!("storage: queue, on_full: drop_oldest, max_bytes: {SMALL_QUEUE}"),
        (true, _) => "storage: queue".to_owned(),
    };
    let padding = if trial.kind == Kind::DropsOldest { LONG_RECORD } else { 0 };
    let elapsed = if trial.on_disk { "0s" } else { "3s" };
    let config = format!(
        r#"
receivers:
  ledger: {{ collection_interval: 100ms, initial_delay: 0s, entries: {entries}, page: {PAGE}, padding: {padding} }}
exporters:
  {exporter}:
    endpoint: "{url}"
    {insecure}
    timeout: 500ms
    sending_queue: {{ {queue} }}
    retry_on_failure: {{ initial_interval: 50ms, max_interval: 300ms, max_elapsed_time: {elapsed} }}
service:
  data_dir: data
  shutdown_timeout: 5s
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [ledger], exporters: [{exporter}] }}
    traces: {{ receivers: [ledger], exporters: [{exporter}] }}
    logs: {{ receivers: [ledger], exporters: [{exporter}] }}
"#,
        url = sink.url(),
        insecure = insecure.trim_end_matches(", "),
    );
    std::fs::write(folder.join("kiln.yaml"), config).unwrap();
}
