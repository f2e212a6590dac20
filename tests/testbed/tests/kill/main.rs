//! Kiln, killed again and again while it counts the runs of a workspace.
//!
//! What a process knows when it is killed is lost, what it has remembered on disk is not, and what it has sent cannot be
//! called back. Whatever lies between the three, a backend must not see it: this test kills the real binary at moments
//! that chance picks and compares what arrived with what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod counted;
#[path = "../process/mod.rs"]
mod process;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use kiln_testbed::databricks::world::{Clock, Job, Outcome, Run, Scene, Task, UnixMillis, World};
use kiln_testbed::databricks::{Options, Workspace};
use kiln_testbed::sink::{Fault, Sink, Telemetry};
use tempfile::TempDir;

use crate::counted::{
    Checkpoint, Counted, assert_never_too_much, assert_nothing_fell, assert_one_trace_per_run, start_of, starts,
};
use crate::process::{Kiln, PATIENCE};

const KILLS: usize = 24;
const RUNS: i64 = 500;
const JOBS: i64 = 12;

/// Scenario: 500 runs of 12 jobs and of none end before, while and after Kiln is killed 24 times: as it starts, in the
/// middle of its requests, between sending and remembering. The workspace's clock moves on while Kiln is away.
/// Guarantees: in the end each run has been counted exactly once, with its durations; at no time were more counted than
/// had ended; no value ever fell, the start time never moved; and a run whose trace was sent twice has one trace.
#[test]
fn what_is_counted_survives_any_number_of_kills() {
    let workspace = workspace();
    let sink = Sink::start().unwrap();
    let folder = configure(&workspace, &sink, "{}", "{}");
    let mut dice = Dice(1);
    let mut checkpoints: Vec<Checkpoint> = Vec::new();

    let mut kiln = Kiln::start(folder.path());
    // Who is killed before the first state is written starts counting again, with a start time that says so.
    kiln.wait_until(|| folder.path().join("data/state/databricks.state").exists());
    let first_kill = workspace.now();
    for _ in 0..KILLS {
        kill_at_a_moment(&mut dice, &mut kiln, &workspace, &sink);
        checkpoints.push(Checkpoint::now(&workspace, &sink));
        workspace.advance(Duration::from_millis(10_000 + dice.below(40_000)));
        kiln = Kiln::start(folder.path());
    }
    workspace.advance(Duration::from_secs(600));

    let start = start_of(&sink.telemetry());
    let end = workspace.now();
    let expected = Counted::of(&workspace.truth(start, end));
    let arrived = sink.wait_for(PATIENCE, |telemetry| Counted::latest(telemetry) == expected);
    kiln.kill();
    let telemetry = arrived.unwrap_or_else(|_| {
        panic!("{:#?}\nshould have been\n{expected:#?}", Counted::latest(&sink.telemetry()));
    });
    checkpoints.push(Checkpoint::now(&workspace, &sink));

    let ended: u64 = workspace.truth(first_kill, end).runs.iter().map(|group| group.count).sum();
    assert!(ended >= 200, "{ended} runs ended after the first kill");
    assert_eq!(starts(&telemetry), BTreeSet::from([start]));
    assert_nothing_fell(&telemetry);
    assert_never_too_much(&telemetry, &checkpoints, &workspace, start);
    assert_one_trace_per_run(&telemetry);
}

/// Scenario: the same, but Kiln is not killed: the plugin's file is replaced by another one with the same plugin, and Kiln told
/// to reload, in the middle of what it does.
/// Guarantees: the same; and not one collection failed, nor was Kiln ever started again.
#[test]
fn what_is_counted_survives_any_number_of_reloads() {
    let workspace = workspace();
    let sink = Sink::start().unwrap();
    let folder = configure(&workspace, &sink, "{ storage: queue, num_consumers: 1 }", "{}");
    let plugins = folder.path().join("plugins");
    let original = std::fs::read(original_plugins().join("databricks.wasm")).unwrap();
    std::fs::create_dir(&plugins).unwrap();
    std::fs::write(plugins.join("databricks.wasm"), &original).unwrap();
    let text = std::fs::read_to_string(folder.path().join("kiln.yaml")).unwrap();
    let text = text.replace(&original_plugins().display().to_string(), "plugins");
    std::fs::write(folder.path().join("kiln.yaml"), text).unwrap();
    let mut dice = Dice(3);

    let mut kiln = Kiln::start(folder.path());
    assert!(sink.wait_for(PATIENCE, |telemetry| !telemetry.points.is_empty()).is_ok(), "nothing arrives");
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    for reload in 1..=KILLS {
        let mark = u8::try_from(reload).unwrap();
        std::fs::write(folder.path().join("aside"), [&original[..], &[0, 3, 1, b'x', mark]].concat()).unwrap();
        std::fs::rename(folder.path().join("aside"), plugins.join("databricks.wasm")).unwrap();
        let more = usize::try_from(dice.below(60)).unwrap();
        let (mut before, mut told) = (None, false);
        let asked = workspace.wait_for_requests(PATIENCE, |requests| {
            told = requests.len() >= *before.get_or_insert(requests.len()) + more;
            if told {
                kiln.reload();
            }
            told
        });
        asked.expect("kiln to ask");
        kiln.wait_until(|| log().matches("reloaded: receivers.databricks changed").count() == reload);
        workspace.advance(Duration::from_millis(10_000 + dice.below(40_000)));
    }
    workspace.advance(Duration::from_secs(600));

    let start = start_of(&sink.telemetry());
    let expected = Counted::of(&workspace.truth(start, workspace.now()));
    let arrived = sink.wait_for(PATIENCE, |telemetry| Counted::latest(telemetry) == expected);
    kiln.stop();
    let telemetry = arrived.unwrap_or_else(|_| {
        panic!("{:#?}\nshould have been\n{expected:#?}", Counted::latest(&sink.telemetry()));
    });
    assert_eq!(starts(&telemetry), BTreeSet::from([start]));
    assert_nothing_fell(&telemetry);
    assert_one_trace_per_run(&telemetry);
    assert!(!log().contains("error.type"), "{}", log());
}

/// Scenario: the same with all three signals and a queue on disk, and with a backend that is down for a third of the kills.
/// Guarantees: in the end every run that ended has been counted exactly once, has its trace, and has its log record if it
/// failed; no value ever fell; and a run whose trace or log record was sent twice has one of each.
#[test]
fn with_a_queue_on_disk_traces_and_logs_survive_any_number_of_kills_and_outages() {
    // One consumer, so that what is sent again is not overtaken by what comes after it.
    survives_kills_and_outages("{ storage: queue, num_consumers: 1 }", 2);
}

/// Scenario: the same, and what waits is joined to requests and cut to smaller ones.
/// Guarantees: the same: a batch is settled when the request it became part of is, and not before.
#[test]
fn what_is_joined_on_its_way_out_survives_any_number_of_kills_and_outages() {
    let batch = "{ flush_timeout: 300ms, min_size: 500, max_size: 700 }";
    survives_kills_and_outages(&format!("{{ storage: queue, num_consumers: 1, batch: {batch} }}"), 4);
}

fn survives_kills_and_outages(queue: &str, seed: u64) {
    let workspace = workspace();
    let sink = Sink::start().unwrap();
    let folder = configure(&workspace, &sink, queue, "{ initial_interval: 50ms, max_interval: 200ms }");
    let mut dice = Dice(seed);

    let mut kiln = Kiln::start(folder.path());
    assert!(sink.wait_for(PATIENCE, |telemetry| !telemetry.points.is_empty()).is_ok(), "nothing arrives");
    for kill in 0..KILLS {
        if kill % 3 == 1 {
            sink.faults().at("/", Fault::status(503));
        }
        kill_at_a_moment(&mut dice, &mut kiln, &workspace, &sink);
        workspace.advance(Duration::from_millis(10_000 + dice.below(40_000)));
        kiln = Kiln::start(folder.path());
        if kill % 3 == 2 {
            sink.faults().clear();
        }
    }
    workspace.advance(Duration::from_secs(600));

    let start = start_of(&sink.telemetry());
    let truth = workspace.truth(start, workspace.now());
    let expected = Counted::of(&truth);
    let ended: u64 = truth.runs.iter().map(|group| group.count).sum();
    let failed: u64 = truth.runs.iter().filter(|group| group.result_state == "FAILED").map(|group| group.count).sum();
    let told = |telemetry: &Telemetry| (traced(telemetry).len() as u64, logged(telemetry).len() as u64);
    let arrived = sink
        .wait_for(PATIENCE, |telemetry| Counted::latest(telemetry) == expected && told(telemetry) == (ended, failed));
    kiln.kill();
    let telemetry = arrived.unwrap_or_else(|_| {
        let telemetry = sink.telemetry();
        let counted = Counted::latest(&telemetry);
        panic!("{counted:#?}\nand {:?}\nshould have been\n{expected:#?}\nand {ended}, {failed}", told(&telemetry));
    });
    assert!(failed >= 10, "{failed} runs failed");
    assert_eq!(starts(&telemetry), BTreeSet::from([start]));
    assert_nothing_fell(&telemetry);
    assert_one_trace_per_run(&telemetry);
}

/// The runs whose root span arrived.
fn traced(telemetry: &Telemetry) -> BTreeSet<i64> {
    let roots = telemetry.spans.iter().filter(|span| span.parent_span_id.is_empty());
    roots.filter_map(|root| root.attributes.get("databricks.run.id")?.as_i64()).collect()
}

/// The runs whose failure arrived as a log record.
fn logged(telemetry: &Telemetry) -> BTreeSet<i64> {
    let failures = telemetry.logs.iter().filter(|record| record.event_name == "databricks.job_run.failed");
    failures.filter_map(|record| record.attributes.get("databricks.run.id")?.as_i64()).collect()
}

/// Runs of 1 to 90 seconds that start from ten minutes ago until a quarter of an hour from now.
fn workspace() -> Workspace {
    let now = UnixMillis::now();
    let mut dice = Dice(7);
    let jobs = (1..=JOBS).map(|id| Job::new(id, &format!("job-{id}"), now.minus(Duration::from_secs(86_400))));
    let runs = (1..=RUNS).map(|run_id| {
        let start = now.minus(Duration::from_secs(600)).plus(Duration::from_millis(dice.below(1_500_000)));
        let mut task = |key| {
            let mut task = Task::new(key, Duration::from_millis(1_000 + dice.below(40_000)));
            task.setup = Duration::from_millis(dice.below(3_000));
            task.cleanup = Duration::from_millis(dice.below(1_000));
            task
        };
        let tasks =
            if run_id % 3 == 0 { vec![task("read"), task("write").after(&["read"])] } else { vec![task("all")] };
        let mut run = Run::new(1 + run_id % JOBS, run_id, start, tasks);
        if run_id % 10 == 0 {
            // Submitted, and of no job that is listed.
            (run.job_id, run.run_type, run.name) = (900_000 + run_id, "SUBMIT_RUN".to_owned(), "one-time".to_owned());
        }
        if run_id % 4 == 0 {
            run.queue = Duration::from_millis(dice.below(5_000));
        }
        match dice.below(10) {
            0 => run.ending(Outcome::Failed("no such table".to_owned())),
            1 => run.ending(Outcome::Canceled),
            _ => run,
        }
    });
    let scene = Scene { jobs: jobs.collect(), runs: runs.collect(), ..Scene::default() };
    let world = World::scripted(now, scene).with_clock(Clock::wall());
    Workspace::start_with(Options { world, ..Options::default() }).unwrap()
}

fn original_plugins() -> PathBuf {
    PathBuf::from(std::env::var("KILN_PLUGINS").expect("KILN_PLUGINS: run `scripts/test cases`"))
}

fn configure(workspace: &Workspace, sink: &Sink, queue: &str, retry: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugins = original_plugins();
    let config = format!(
        r#"
plugins_dir: {plugins}
receivers:
  databricks:
    host: {workspace}
    token: {token}
    collection_interval: 200ms
    initial_delay: 0s
    initial_lookback: 1h
    grants: {{ http: [ {{ origin: "{workspace}", addresses: [loopback] }} ] }}
exporters:
  otlp_http: {{ endpoint: "{sink}", sending_queue: {queue}, retry_on_failure: {retry} }}
service:
  data_dir: data
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [databricks], exporters: [otlp_http] }}
    traces: {{ receivers: [databricks], exporters: [otlp_http] }}
    logs: {{ receivers: [databricks], exporters: [otlp_http] }}
"#,
        plugins = plugins.display(),
        workspace = workspace.url(),
        token = workspace.token(),
        sink = sink.url(),
    );
    std::fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    folder
}

/// Kills it some way into what it does: after so many requests to the workspace, or so many to the backend. That is done
/// within the condition, so that it happens while the request is under way and what led to it may not be remembered yet.
fn kill_at_a_moment(dice: &mut Dice, kiln: &mut Kiln, workspace: &Workspace, sink: &Sink) {
    let more = usize::try_from(dice.below(60)).unwrap();
    let (to_the_backend, mut before) = (dice.below(2) == 0, None);
    let more = if to_the_backend { 1 + more % 6 } else { more };
    let mut is_time = |requests: usize| {
        let reached = requests >= *before.get_or_insert(requests) + more;
        if reached {
            kiln.kill();
        }
        reached
    };
    let killed = if to_the_backend {
        sink.wait_for(PATIENCE, |telemetry| is_time(telemetry.requests.len())).map(drop)
    } else {
        workspace.wait_for_requests(PATIENCE, |requests| is_time(requests.len())).map(drop)
    };
    killed.expect("kiln to ask and to send");
}

/// Throws that depend on the seed alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
