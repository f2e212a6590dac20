//! The simulated workspace without a socket: the same answers, the world's clock, and what truly happened.

use super::support::client;
use super::{NOW, RUNS, get, read, seconds};
use kiln_testbed::databricks::world::{Clock, Outcome, Run, RunGroup, Sum, Task, Truth, UnixMillis, World};
use kiln_testbed::databricks::{Broken, Fault, Offline, Options, Workspace};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

#[tokio::test]
async fn without_a_socket_the_answer_is_the_one_with_a_socket() {
    let options = || Options { world: World::living(1, 30).with_clock(Clock::Frozen(NOW)), ..Options::default() };
    let (offline, online) = (Offline::with(options()), Workspace::start_with(options()).unwrap());
    for path in ["/api/2.2/jobs/list?limit=100", "/api/2.2/jobs/runs/list?expand_tasks=true", "/api/2.0/unknown"] {
        let expected =
            client().get(format!("{}{path}", online.url())).bearer_auth(online.token()).send().await.unwrap();
        let answer = get(&offline, path).unwrap();
        assert_eq!(answer.status, expected.status().as_u16());
        for name in ["content-type", "date", "x-databricks-org-id"] {
            assert_eq!(
                answer.header(name),
                expected.headers().get(name).map(|value| value.to_str().unwrap()),
                "{name}"
            );
        }
        assert_eq!(answer.body, expected.bytes().await.unwrap());
    }
    assert_eq!(offline.requests().len(), 3);
    assert_eq!(offline.answer("GET", RUNS, &[], b"").unwrap().status, 401);
}

#[test]
fn every_answer_tells_the_worlds_time() {
    let workspace = Offline::scripted(NOW);
    assert_eq!(get(&workspace, RUNS).unwrap().header("date"), Some("Mon, 21 Sep 2026 14:13:20 GMT"));
    workspace.advance(seconds(86_400));
    assert_eq!(get(&workspace, "/nothing").unwrap().header("date"), Some("Tue, 22 Sep 2026 14:13:20 GMT"));
    for edge in [i64::MIN, i64::MAX] {
        assert!(get(&Offline::scripted(UnixMillis(edge)), RUNS).unwrap().header("date").is_some());
    }
}

#[test]
fn faults_without_a_socket_are_told_instead_of_felt() {
    let workspace = Offline::scripted(NOW);
    workspace.faults().next(1, Fault::Reset);
    assert_eq!(get(&workspace, RUNS), Err(Broken::Reset));
    workspace.faults().next(1, Fault::Slow { ms: 3_600_000 });
    let answer = get(&workspace, RUNS).unwrap();
    assert_eq!((answer.status, answer.after), (200, seconds(3600)));
    workspace.faults().next(1, Fault::RateLimited { retry_after: Some(7) });
    assert_eq!(get(&workspace, RUNS).unwrap().header("retry-after"), Some("7"));
    assert!(matches!(workspace.answer("GET", "no path", &[], b""), Err(Broken::Request(_))));
}

#[test]
fn the_truth_counts_what_ended_in_the_period_and_nothing_else() {
    let workspace = Offline::scripted(NOW);
    let task = |key: &str, execution| Task { setup: seconds(2), ..Task::new(key, seconds(execution)) };
    let mut queued = Run::new(1, 10, NOW, vec![task("only", 8)]);
    queued.queue = seconds(5);
    let several = Run::new(1, 11, NOW, vec![task("a", 10), task("b", 20)]).ending(Outcome::Failed("no".to_owned()));
    let late = Run::new(2, 20, NOW, vec![task("only", 1000)]);
    workspace.set_runs(vec![queued, several, late]);
    assert_eq!(workspace.truth(NOW, UnixMillis(i64::MAX)).runs, []);
    workspace.advance(seconds(60));
    let truth = workspace.truth(NOW, UnixMillis(i64::MAX));
    let sum = |count, seconds: i64| Sum { count, ms: seconds * 1000 };
    let [failed, succeeded] = truth.runs.as_slice() else { panic!("{:?}", truth.runs) };
    assert_eq!((failed.result_state.as_str(), succeeded.result_state.as_str()), ("FAILED", "SUCCESS"));
    let of = |group: &RunGroup| {
        let durations = group.durations;
        [durations.run, durations.queue, durations.setup, durations.execution, durations.cleanup]
    };
    assert_eq!(of(succeeded), [sum(1, 10), sum(1, 5), sum(1, 2), sum(1, 8), sum(1, 0)]);
    assert_eq!(of(failed), [sum(1, 22), sum(1, 0), sum(1, 4), sum(1, 30), sum(1, 0)]);
    let tasks: Vec<_> = truth.tasks.iter().map(|task| (task.task_key.as_str(), task.result_state.as_str())).collect();
    assert_eq!(tasks, [("a", "SUCCESS"), ("b", "FAILED"), ("only", "SUCCESS")]);
    // Both ends of the period count.
    let ended = |from, to| workspace.truth(NOW.plus(seconds(from)), NOW.plus(seconds(to))).runs.len();
    assert_eq!([ended(15, 22), ended(15, 21), ended(16, 22), ended(16, 21)], [2, 1, 1, 0]);
    let served: Truth = serde_json::from_value(read(&workspace, &format!("/-/truth?from={}", NOW.0))).unwrap();
    assert_eq!(served, truth);
}

#[test]
fn runs_that_come_and_expire_one_by_one_are_those_that_come_at_once() {
    let frozen = |now| World::living(1, 30).with_clock(Clock::Frozen(now));
    let mut patient = frozen(NOW);
    for _ in 0..200 {
        patient.advance(seconds(607));
        let _ = patient.runs(patient.now());
    }
    let now = patient.now();
    assert_eq!(patient.runs(now), frozen(now).runs(now));
    // And a look back is no different from having been there.
    assert_eq!(patient.runs(NOW), frozen(NOW).runs(NOW));
}

/// Scenario: a day of 20,000 runs with two tasks each, read page by page.
/// Guarantees: a page costs so little that a property test can ask for thousands of them.
#[test]
fn a_page_of_a_large_scene_is_cheap() {
    let workspace = Offline::scripted(NOW);
    let run = |n: i64| {
        let tasks = vec![Task::new("a", seconds(30)), Task::new("b", seconds(30)).after(&["a"])];
        Run::new(n % 100, n, NOW.minus(Duration::from_millis(n.unsigned_abs() * 4320)), tasks)
    };
    workspace.set_runs((0..20_000).map(run).collect());
    let (mut token, mut costs, mut seen) = (String::new(), Vec::new(), 0);
    loop {
        let path = format!("{RUNS}?expand_tasks=true&limit=24&page_token={}", token.replace('+', "%2B"));
        let began = Instant::now();
        let page = get(&workspace, &path).unwrap();
        costs.push(began.elapsed());
        let page: Value = serde_json::from_slice(&page.body).unwrap();
        seen += page["runs"].as_array().map_or(0, Vec::len);
        match page["next_page_token"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(seen, 20_000);
    assert_eq!(read(&workspace, &format!("{RUNS}?run_type=SUBMIT_RUN")), json!({ "has_more": false }));
    costs.sort();
    let [p50, p99] = [50, 99].map(|percent| costs[costs.len() * percent / 100]);
    writeln!(std::io::stdout(), "a page of 24 runs with tasks: p50 {p50:?}, p99 {p99:?}").unwrap();
    // Generous: without optimisation, on a busy machine.
    assert!(p50 < Duration::from_millis(100), "{p50:?}");
}
