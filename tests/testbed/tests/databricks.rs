//! The simulated workspace, over the wire: pages, filters, time, authorization and faults, in exact numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use kiln_testbed::Rule;
use kiln_testbed::databricks::world::{
    Clock, Cluster, Compute, Job, Outcome, Run, Task, UnixMillis, Verdict, Warehouse, World,
};
use kiln_testbed::databricks::{Fault, Options, UNFAMILIAR_FIELD, UNFAMILIAR_VALUE, Workspace};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::client;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const LONG: Duration = Duration::from_secs(10);
const JOBS: &str = "/api/2.2/jobs/list";
const RUNS: &str = "/api/2.2/jobs/runs/list";
const RUN: &str = "/api/2.2/jobs/runs/get";
const CLUSTERS: &str = "/api/2.1/clusters/list";
const WAREHOUSES: &str = "/api/2.0/sql/warehouses";
const ME: &str = "/api/2.0/preview/scim/v2/Me";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn ask(workspace: &Workspace, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
    let response = request(workspace, path, query).bearer_auth(workspace.token()).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

fn request(workspace: &Workspace, path: &str, query: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let mut url = url::Url::parse(&format!("{}{path}", workspace.url())).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    client().get(url)
}

/// Follows the pages of a list to its end; the ids in the order they came, and how many pages there were.
async fn all(workspace: &Workspace, path: &str, query: &[(&str, &str)], list: &str, id: &str) -> (Vec<Value>, usize) {
    let (mut ids, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let mut query = query.to_vec();
        if !token.is_empty() {
            query.push(("page_token", &token));
        }
        let (status, page) = ask(workspace, path, &query).await;
        assert_eq!(status, 200, "{page}");
        pages += 1;
        ids.extend(page[list].as_array().into_iter().flatten().map(|item| item[id].clone()));
        let next = page["next_page_token"].as_str().unwrap_or_default();
        assert!(page.get("has_more").is_none_or(|more| more == !next.is_empty()), "{page}");
        if next.is_empty() {
            return (ids, pages);
        }
        token = next.to_owned();
    }
}

fn jobs(count: i64) -> Vec<Job> {
    (0..count).map(|n| Job::new(n, &format!("job {n}"), NOW.minus(seconds(n as u64)))).collect()
}

fn one_second_runs(count: i64) -> Vec<Run> {
    (0..count).map(|n| Run::new(1, n, NOW.minus(seconds(n as u64)), vec![Task::new("only", seconds(1))])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_job_and_run_comes_exactly_once_whatever_the_limit(
        count in 0..70i64,
        jobs_limit in 1..=100usize,
        runs_limit in 1..=24usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let workspace = Workspace::scripted(NOW).unwrap();
            // Given in another order than the one they are listed in.
            workspace.set_jobs(jobs(count).into_iter().rev().collect());
            workspace.set_runs(one_second_runs(count).into_iter().rev().collect());
            let expected: Vec<Value> = (0..count).map(Value::from).collect();
            let pages = |limit: usize| (count as usize).div_ceil(limit).max(1);
            let limit = jobs_limit.to_string();
            let listed = all(&workspace, JOBS, &[("limit", &limit)], "jobs", "job_id").await;
            prop_assert_eq!(listed, (expected.clone(), pages(jobs_limit)));
            let limit = runs_limit.to_string();
            let listed = all(&workspace, RUNS, &[("limit", &limit)], "runs", "run_id").await;
            prop_assert_eq!(listed, (expected, pages(runs_limit)));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn without_a_limit_a_page_has_twenty_and_zero_means_the_most_runs() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.set_jobs(jobs(41));
    workspace.set_runs(one_second_runs(41));
    assert_eq!(all(&workspace, JOBS, &[], "jobs", "job_id").await.1, 3);
    assert_eq!(all(&workspace, RUNS, &[], "runs", "run_id").await.1, 3);
    let (_, page) = ask(&workspace, RUNS, &[("limit", "0")]).await;
    assert_eq!(page["runs"].as_array().unwrap().len(), 24);
    let (_, page) = ask(&workspace, JOBS, &[("offset", "40")]).await;
    assert_eq!(page["jobs"].as_array().unwrap().len(), 1, "deprecated, and still served");
}

#[tokio::test]
async fn parameters_outside_their_bounds_are_refused_and_those_at_the_bounds_are_not() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let both = [("active_only", "true"), ("completed_only", "true")];
    let refused: [(&str, &[(&str, &str)]); 14] = [
        (JOBS, &[("limit", "0")]),
        (JOBS, &[("limit", "101")]),
        (JOBS, &[("limit", "-1")]),
        (JOBS, &[("limit", "many")]),
        (JOBS, &[("expand_tasks", "1")]),
        (JOBS, &[("page_token", "x")]),
        (RUNS, &[("limit", "25")]),
        (RUNS, &both),
        (RUNS, &[("start_time_from", "yesterday")]),
        (RUNS, &[("run_type", "OTHER")]),
        (RUN, &[]),
        (RUN, &[("run_id", "7")]),
        (CLUSTERS, &[("page_size", "0")]),
        (WAREHOUSES, &[("page_size", "0")]),
    ];
    for (path, query) in refused {
        let (status, error) = ask(&workspace, path, query).await;
        assert_eq!((status, &error["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{path} {query:?}");
        assert!(error["message"].is_string());
    }
    let taken: [(&str, &[(&str, &str)]); 6] = [
        (JOBS, &[("limit", "1")]),
        (JOBS, &[("limit", "100")]),
        (RUNS, &[("limit", "0")]),
        (RUNS, &[("limit", "24")]),
        (RUNS, &[("active_only", "true"), ("completed_only", "false")]),
        (CLUSTERS, &[("page_size", "1000")]),
    ];
    for (path, query) in taken {
        assert_eq!(ask(&workspace, path, query).await.0, 200, "{path} {query:?}");
    }
    let (status, error) = ask(&workspace, CLUSTERS, &[("sort_by.field", "CLUSTER_NAME")]).await;
    assert_eq!((status, &error["error_code"]), (501, &json!("NOT_IMPLEMENTED")));
}

#[tokio::test]
async fn a_run_moves_from_active_to_completed_as_time_is_advanced() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let mut run = Run::new(7, 70, NOW, vec![Task::new("load", seconds(60))]);
    run.queue = seconds(5);
    run.tasks[0].setup = seconds(30);
    run.tasks[0].cleanup = seconds(2);
    workspace.set_runs(vec![run.ending(Outcome::Failed("no such table".to_owned()))]);

    for (advance, state, active) in [
        (0, "QUEUED", true),
        (5, "PENDING", true),
        (30, "RUNNING", true),
        (60, "TERMINATING", true),
        (2, "TERMINATED", false),
    ] {
        workspace.advance(seconds(advance));
        let list = |filter| all(&workspace, RUNS, filter, "runs", "run_id");
        assert_eq!(list(&[("active_only", "true")]).await.0.len(), usize::from(active), "{state}");
        assert_eq!(list(&[("completed_only", "true")]).await.0.len(), usize::from(!active), "{state}");
        let (_, run) = ask(&workspace, RUN, &[("run_id", "70")]).await;
        assert_eq!((&run["status"]["state"], &run["state"]["life_cycle_state"]), (&json!(state), &json!(state)));
        assert_eq!(run["end_time"] == 0, active);
        assert_eq!(run["state"].get("result_state").is_none(), active);
    }
    let (_, run) = ask(&workspace, RUN, &[("run_id", "70")]).await;
    let times =
        ["setup_duration", "execution_duration", "cleanup_duration", "queue_duration", "run_duration", "end_time"]
            .map(|field| run[field].as_i64().unwrap());
    assert_eq!(times, [30_000, 60_000, 2_000, 5_000, 92_000, NOW.0 + 97_000]);
    assert_eq!(run["state"]["result_state"], "FAILED");
    let details = json!({ "code": "RUN_EXECUTION_ERROR", "type": "CLIENT_ERROR", "message": "no such table" });
    assert_eq!(run["status"]["termination_details"], details);
}

#[tokio::test]
async fn start_times_limit_the_list_at_both_ends_inclusively() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.set_runs(one_second_runs(10));
    let from = NOW.minus(seconds(6)).0.to_string();
    let to = NOW.minus(seconds(3)).0.to_string();
    let (ids, _) = all(&workspace, RUNS, &[("start_time_from", &from), ("start_time_to", &to)], "runs", "run_id").await;
    assert_eq!(ids, [3, 4, 5, 6]);
}

#[tokio::test]
async fn a_run_with_one_task_carries_its_phases_and_a_run_with_more_does_not() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let task = |key: &str| Task { setup: seconds(1), ..Task::new(key, seconds(2)) };
    let shared = |key: &str| Task { compute: Compute::Existing("0101-c".to_owned()), ..task(key) };
    workspace.set_runs(vec![
        Run::new(1, 10, NOW, vec![task("only")]),
        Run::new(1, 20, NOW, vec![task("a"), shared("b").after(&["a"])]),
    ]);
    workspace.advance(seconds(60));
    let (_, listed) = ask(&workspace, RUNS, &[("expand_tasks", "true")]).await;
    let (several, single) = (&listed["runs"][0], &listed["runs"][1]);
    assert_eq!((&single["run_id"], &several["run_id"]), (&json!(10), &json!(20)));
    assert_eq!((&single["setup_duration"], &single["execution_duration"]), (&json!(1000), &json!(2000)));
    assert_eq!(single["cluster_instance"], single["tasks"][0]["cluster_instance"]);
    assert_eq!((&several["setup_duration"], &several["execution_duration"]), (&json!(0), &json!(0)));
    assert_eq!((&several["run_duration"], several.get("cluster_instance")), (&json!(6000), None));
    assert_eq!(several["tasks"][1]["cluster_instance"]["cluster_id"], "0101-c");
    assert_eq!(several["tasks"][1]["depends_on"], json!([{ "task_key": "a" }]));
    let (_, plain) = ask(&workspace, RUNS, &[]).await;
    assert!(plain["runs"][0].get("tasks").is_none());
}

#[tokio::test]
async fn more_than_a_hundred_tasks_are_read_page_by_page() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let tasks = (0..250).map(|n| Task::new(&format!("t{n}"), seconds(1))).collect();
    workspace.set_runs(vec![Run::new(1, 10, NOW, tasks)]);
    let (_, listed) = ask(&workspace, RUNS, &[("expand_tasks", "true")]).await;
    let run = &listed["runs"][0];
    assert_eq!((run["tasks"].as_array().unwrap().len(), &run["has_more"]), (100, &json!(true)));
    let (keys, pages) = all(&workspace, RUN, &[("run_id", "10")], "tasks", "task_key").await;
    let expected: Vec<String> = (0..250).map(|n| format!("t{n}")).collect();
    assert_eq!((keys, pages), (expected.into_iter().map(Value::from).collect(), 3));
}

#[tokio::test]
async fn an_attempt_and_its_retry_are_two_tasks_of_the_run() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let first = Task { outcome: Outcome::Failed("flaky".to_owned()), ..Task::new("load", seconds(1)) };
    let second = Task { attempt: 1, ..Task::new("load", seconds(2)) };
    workspace.set_runs(vec![Run::new(1, 10, NOW, vec![first, second])]);
    workspace.advance(seconds(3));
    let (_, run) = ask(&workspace, RUN, &[("run_id", "10")]).await;
    let attempts: Vec<_> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| {
            (task["attempt_number"].as_u64(), task["state"]["result_state"].as_str(), task["start_time"].as_i64())
        })
        .collect();
    assert_eq!(attempts, [(Some(0), Some("FAILED"), Some(NOW.0)), (Some(1), Some("SUCCESS"), Some(NOW.0 + 1000))]);
    assert_ne!(run["tasks"][0]["run_id"], run["tasks"][1]["run_id"]);
}

#[tokio::test]
async fn an_outcome_nobody_has_heard_of_is_told_word_for_word() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let verdict = Verdict {
        life_cycle: "EVAPORATED".to_owned(),
        result: Some("PARTLY".to_owned()),
        code: "SOLAR_FLARE".to_owned(),
        kind: "ACT_OF_GOD".to_owned(),
        message: "?".to_owned(),
    };
    let run = Run::new(1, 10, NOW, vec![Task::new("load", seconds(1))]).ending(Outcome::Custom(verdict));
    workspace.set_runs(vec![run]);
    workspace.advance(seconds(1));
    let (_, run) = ask(&workspace, RUN, &[("run_id", "10")]).await;
    assert_eq!(
        (&run["state"]["life_cycle_state"], &run["state"]["result_state"]),
        (&json!("EVAPORATED"), &json!("PARTLY"))
    );
    assert_eq!(run["status"]["termination_details"]["code"], "SOLAR_FLARE");
}

#[tokio::test]
async fn a_job_cluster_lives_as_long_as_its_run() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let mut run = Run::new(7, 70, NOW, vec![Task::new("load", seconds(60))]);
    run.tasks[0].setup = seconds(30);
    workspace.set_runs(vec![run]);
    let mut shared = Cluster::new("0101-shared", "shared", "RUNNING", NOW);
    shared.pinned = true;
    workspace.set_clusters(vec![shared]);
    for (advance, state) in [(0, "PENDING"), (30, "RUNNING"), (60, "TERMINATED")] {
        workspace.advance(seconds(advance));
        let (_, listed) = ask(&workspace, CLUSTERS, &[]).await;
        let clusters = listed["clusters"].as_array().unwrap();
        assert_eq!(clusters[0]["cluster_id"], "0101-shared", "{state}");
        assert_eq!((&clusters[1]["cluster_name"], &clusters[1]["state"]), (&json!("job-7-run-70"), &json!(state)));
        let (_, run) = ask(&workspace, RUN, &[("run_id", "70")]).await;
        assert_eq!(clusters[1]["cluster_id"], run["cluster_instance"]["cluster_id"]);
    }
    let (_, pinned) = ask(&workspace, CLUSTERS, &[("filter_by.is_pinned", "true")]).await;
    assert_eq!(pinned["clusters"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn clusters_and_warehouses_come_page_by_page() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let name = |n: i64| format!("{n:04}");
    workspace.set_clusters((0..45).map(|n| Cluster::new(&name(n), &name(n), "RUNNING", NOW)).collect());
    workspace.set_warehouses((0..5).map(|n| Warehouse::new(&name(n), &name(n), "STOPPED")).collect());
    let expected = |count: i64| (0..count).map(|n| Value::from(name(n))).collect::<Vec<_>>();
    assert_eq!(all(&workspace, CLUSTERS, &[], "clusters", "cluster_id").await, (expected(45), 3));
    assert_eq!(all(&workspace, WAREHOUSES, &[], "warehouses", "id").await, (expected(5), 1));
    assert_eq!(all(&workspace, WAREHOUSES, &[("page_size", "2")], "warehouses", "id").await, (expected(5), 3));
}

#[tokio::test]
async fn a_wrong_token_is_refused_everywhere_and_recorded_and_the_right_one_is_not() {
    let workspace = Workspace::start().unwrap();
    for path in [JOBS, RUNS, RUN, CLUSTERS, WAREHOUSES, ME, "/api/2.0/unknown"] {
        for wrong in [Some("Bearer dapi-wrong"), Some("Basic eDp5"), Some("bearer"), None] {
            let mut request = request(&workspace, path, &[]);
            if let Some(wrong) = wrong {
                request = request.header("authorization", wrong);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{path} {wrong:?}");
            assert_eq!(response.headers()["x-databricks-org-id"], workspace.org_id().to_string().as_str());
        }
    }
    assert!(workspace.requests().iter().all(|seen| !seen.authorized));
    assert_eq!(ask(&workspace, ME, &[]).await.1["active"], true);
    let last = workspace.requests().pop().unwrap();
    assert!(last.authorized);
    assert_eq!((last.request.method.as_str(), last.request.path.as_str()), ("GET", ME));
}

#[tokio::test]
async fn requests_are_recorded_with_their_decoded_query_and_can_be_waited_for() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let ((status, _), seen) = tokio::join!(
        ask(&workspace, JOBS, &[("name", "a+b c&d=ü")]),
        workspace.wait_for_requests_async(LONG, |seen| !seen.is_empty()),
    );
    assert_eq!(status, 200);
    assert_eq!(seen.unwrap()[0].request.param("name"), Some("a+b c&d=ü"));
    let error = workspace.wait_for_requests(Duration::ZERO, |seen| seen.len() > 1).unwrap_err();
    assert!(error.seen.contains(JOBS), "{error}");
}

#[tokio::test]
async fn a_rate_limit_holds_for_as_many_requests_as_it_was_told() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.faults().next(2, Fault::RateLimited { retry_after: Some(7) });
    for _ in 0..2 {
        let response = request(&workspace, JOBS, &[]).bearer_auth(workspace.token()).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (429, "7"));
        let error: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(error["error_code"], "REQUEST_LIMIT_EXCEEDED");
    }
    assert_eq!(ask(&workspace, JOBS, &[]).await.0, 200);
}

#[tokio::test]
async fn a_fault_of_one_path_leaves_the_others_alone_until_it_is_cleared() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.faults().at(CLUSTERS, Fault::Forbidden);
    workspace.faults().at(WAREHOUSES, Fault::InternalError);
    for _ in 0..2 {
        assert_eq!(ask(&workspace, CLUSTERS, &[]).await.0, 403);
        assert_eq!(ask(&workspace, WAREHOUSES, &[]).await.0, 500);
        assert_eq!(ask(&workspace, JOBS, &[]).await.0, 200);
    }
    workspace.faults().clear();
    assert_eq!(ask(&workspace, CLUSTERS, &[]).await.0, 200);
}

#[tokio::test]
async fn a_slow_answer_comes_late_and_is_right() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.faults().next(1, Fault::Slow { ms: 120 });
    let began = Instant::now();
    assert_eq!(ask(&workspace, JOBS, &[]).await.0, 200);
    assert!(began.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn a_reset_connection_gives_no_answer() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.faults().next(1, Fault::Reset);
    let error = request(&workspace, JOBS, &[]).bearer_auth(workspace.token()).send().await.unwrap_err();
    assert!(support::is_connection_reset(&error), "{error:?}");
    assert_eq!(ask(&workspace, JOBS, &[]).await.0, 200);
    assert_eq!(workspace.requests().len(), 2);
}

#[tokio::test]
async fn unfamiliar_answers_have_new_words_and_fields_around_the_same_facts() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.set_runs(one_second_runs(1));
    workspace.faults().at("/api", Fault::Unfamiliar);
    let (status, page) = ask(&workspace, RUNS, &[]).await;
    let run = &page["runs"][0];
    assert_eq!((status, &run["run_id"]), (200, &json!(0)));
    assert_eq!(run["status"]["state"], UNFAMILIAR_VALUE);
    assert!(run.get(UNFAMILIAR_FIELD).is_some());
}

#[tokio::test]
async fn faults_can_be_scripted_over_http_and_a_rule_that_cannot_be_read_is_refused() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let url = format!("{}/-/faults", workspace.url());
    let rule = json!({ "path": JOBS, "times": 1, "fault": "rate_limited", "retry_after": 1 });
    assert_eq!(client().post(&url).body(rule.to_string()).send().await.unwrap().status(), 200);
    let expected =
        Rule { path: Some(JOBS.to_owned()), times: Some(1), fault: Fault::RateLimited { retry_after: Some(1) } };
    assert_eq!(workspace.faults().rules(), [expected]);
    assert_eq!(ask(&workspace, JOBS, &[]).await.0, 429);
    assert_eq!(client().post(&url).body("{\"fault\": \"earthquake\"}").send().await.unwrap().status(), 400);
    assert_eq!(workspace.requests().len(), 1, "looking behind the stage is not recorded");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_in_the_apis_words() {
    let workspace = Workspace::start().unwrap();
    let (status, error) = ask(&workspace, "/api/2.1/jobs/list", &[]).await;
    assert_eq!((status, &error["error_code"]), (404, &json!("ENDPOINT_NOT_FOUND")));
    let posted =
        client().post(format!("{}{JOBS}", workspace.url())).bearer_auth(workspace.token()).send().await.unwrap();
    assert_eq!(posted.status(), 404);
}

#[tokio::test]
async fn a_living_workspace_moves_on_by_itself_and_is_the_same_for_the_same_seed() {
    let start = |seed| {
        let world = World::living(seed, 30).with_clock(Clock::Frozen(NOW));
        Workspace::start_with(Options { world, ..Options::default() }).unwrap()
    };
    let (one, twin, other) = (start(1), start(1), start(2));
    let runs = async |workspace: &Workspace| ask(workspace, RUNS, &[("expand_tasks", "true")]).await.1;
    let before = runs(&one).await;
    assert_eq!(before, runs(&twin).await);
    assert_ne!(before, runs(&other).await);
    one.advance(seconds(600));
    assert_ne!(before, runs(&one).await);
    twin.advance(seconds(600));
    assert_eq!(runs(&one).await, runs(&twin).await);
}

#[tokio::test]
async fn a_body_that_is_cut_off_has_begun_and_does_not_end() {
    let workspace = Workspace::scripted(NOW).unwrap();
    workspace.set_runs(one_second_runs(20));
    let begin = async || {
        let response = request(&workspace, RUNS, &[]).bearer_auth(workspace.token()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response
    };
    workspace.faults().next(1, Fault::CutBody);
    let mut response = begin().await;
    assert!(!response.chunk().await.unwrap().unwrap().is_empty(), "half of it came");
    assert!(response.bytes().await.is_err(), "and the rest did not");
    workspace.faults().next(1, Fault::EndlessBody);
    let mut response = begin().await;
    assert!(!response.chunk().await.unwrap().unwrap().is_empty());
    assert!(tokio::time::timeout(Duration::from_millis(50), response.chunk()).await.is_err());
    workspace.faults().next(1, Fault::Hang);
    let hanging = request(&workspace, RUNS, &[]).bearer_auth(workspace.token()).send();
    assert!(tokio::time::timeout(Duration::from_millis(50), hanging).await.is_err());
    assert_eq!(ask(&workspace, RUNS, &[]).await.0, 200);
}

#[tokio::test]
async fn every_fault_can_be_scripted_over_http() {
    let workspace = Workspace::scripted(NOW).unwrap();
    let url = format!("{}/-/faults", workspace.url());
    let rules = [
        json!({ "fault": "rate_limited_until", "seconds": 5 }),
        json!({ "fault": "unavailable" }),
        json!({ "fault": "endless_pages", "tokens": "alternating" }),
        json!({ "fault": "cut_body" }),
        json!({ "fault": "oversized_pages", "times": 1 }),
    ];
    for rule in &rules {
        assert_eq!(client().post(&url).body(rule.to_string()).send().await.unwrap().status(), 200, "{rule}");
    }
    assert_eq!(workspace.faults().rules().len(), rules.len());
}
