//! Answers of real applications.

use kiln_plugin::http::Request;
use kiln_plugin::testing::Reply;

use super::*;

const CAPTURES: [(&str, &str); 2] =
    [("3.5.9", include_str!("captured/3.5.9.json")), ("4.1.4", include_str!("captured/4.1.4.json"))];

/// Answers as the application did.
fn answer(captured: &Value, request: &Request) -> Reply {
    let target = request.url.splitn(4, '/').nth(3).unwrap().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let id = captured["applications"][0]["id"].as_str().unwrap();
    let rest = path.strip_prefix(&format!("api/v1/applications/{id}/")).unwrap_or(path);
    let all = |key: &str| captured[key].as_array().unwrap().clone();
    let one = |key: &str, field: &str, id: &str| {
        all(key).into_iter().filter(|item| item[field].as_u64() == id.parse().ok()).collect::<Vec<_>>()
    };
    let missing = || Reply::status(404, "unknown");
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        ["metrics", "executors", "prometheus"] => Reply::text(&format!(
            "metrics_executor_rddBlocks{{application_id=\"{id}\", application_name=\"x\", executor_id=\"driver\"}} 0\n"
        )),
        ["metrics", ..] => Reply::text("metrics_x_driver_DAGScheduler_job_allJobs_Value{type=\"gauges\"} 1\n"),
        ["api", "v1", "applications"] => Reply::json(&captured["applications"]),
        ["jobs" | "stages"] => {
            let status = query.split('&').find_map(|pair| pair.strip_prefix("status=")).map(str::to_uppercase);
            let items = all(parts[0]).into_iter();
            Reply::json(
                &items
                    .filter(|item| status.as_deref().is_none_or(|status| item["status"] == status))
                    .collect::<Vec<_>>(),
            )
        }
        ["jobs", id] => one("jobs", "jobId", id).first().map_or_else(missing, Reply::json),
        ["stages", id] => {
            let attempts = one("stages", "stageId", id);
            if attempts.is_empty() { missing() } else { Reply::json(&attempts) }
        }
        ["sql"] => Reply::json(&captured["sql"]),
        ["sql", id] => one("sql", "id", id).first().map_or_else(missing, Reply::json),
        ["allexecutors"] => Reply::json(&captured["allexecutors"]),
        ["storage", "rdd"] => Reply::json(&captured["storage_rdd"]),
        ["environment"] => Reply::json(&captured["environment"]),
        _ => missing(),
    }
}

fn read(captured: &Value) -> Collected {
    let host = TestHost::new(telemetry::MANIFEST);
    let served = captured.clone();
    host.on_any(move |request| answer(&served, request));
    let config = json!({ "rest": { "traces": { "enabled": true }, "sql": { "plan_metrics": true } } });
    let collected = collect(&mut host.configure(config).unwrap());
    assert_eq!(collected.failed_sources(), [""; 0]);
    collected
}

#[test]
fn jobs_and_stages_come_to_what_spark_said() {
    for (version, text) in CAPTURES {
        let captured: Value = serde_json::from_str(text).unwrap();
        let metrics = read(&captured).metrics;
        let jobs =
            |status: &str| captured["jobs"].as_array().unwrap().iter().filter(|job| job["status"] == status).count();
        assert_eq!(metrics.value("spark.jobs.active", &[]), jobs("RUNNING") as f64, "{version}");
        assert_eq!(metrics.value("spark.jobs.finished", &[("status", "succeeded")]), jobs("SUCCEEDED") as f64);
        assert_eq!(metrics.value("spark.jobs.finished", &[("status", "failed")]), jobs("FAILED") as f64);
        // A stage that has ended while its job runs is told when the job ends.
        let of_finished = |stage: &&Value| {
            let owner = captured["jobs"]
                .as_array()
                .unwrap()
                .iter()
                .find(|job| job["stageIds"].as_array().unwrap().contains(&stage["stageId"]));
            owner.is_some_and(|job| job["status"] != "RUNNING")
        };
        let ended: Vec<&Value> = captured["stages"].as_array().unwrap().iter().filter(of_finished).collect();
        let sum = |field: &str| ended.iter().map(|stage| stage[field].as_f64().unwrap()).sum::<f64>();
        assert_eq!(metrics.value("spark.stages.executor.run_time", &[]), sum("executorRunTime") / 1e3);
        assert_eq!(metrics.value("spark.stages.executor.cpu_time", &[]), sum("executorCpuTime") / 1e9);
        assert_eq!(metrics.value("spark.stages.disk.spilled", &[]), sum("diskBytesSpilled"));
        assert_eq!(metrics.value("spark.stages.shuffle.io.size", &[("direction", "in")]), sum("shuffleReadBytes"));
        assert_eq!(metrics.value("spark.stages.task.result", &[("result", "failed")]), sum("numFailedTasks"));
        for (status, word) in [("complete", "COMPLETE"), ("failed", "FAILED"), ("skipped", "SKIPPED")] {
            let count = ended.iter().filter(|stage| stage["status"] == word).count();
            assert_eq!(
                metrics.value("spark.stages.finished", &[("status", status)]),
                count as f64,
                "{version} {status}"
            );
        }
    }
}

#[test]
fn what_is_cached_and_what_runs_where_is_as_spark_said() {
    let captured: Value = serde_json::from_str(CAPTURES[1].1).unwrap();
    let metrics = read(&captured).metrics;
    assert_eq!(metrics.value("spark.rdd.memory.usage", &[("spark.rdd.id", "80")]), 201_185.0);
    assert_eq!(metrics.value("spark.rdd.cached_partitions", &[("spark.rdd.id", "189")]), 2.0);
    assert_eq!(metrics.value("spark.executors.active", &[]), 2.0);
    let point = metrics.point("spark.executor.excluded", &[("spark.executor.id", "1")]);
    assert_eq!(point.attributes["spark.executor.host"], "127.0.0.1");
    assert_eq!(point.resource["spark.master"], "local-cluster[2,1,1024]");
    assert_eq!(point.resource["spark.scala.version"], "2.13.17");
    assert_eq!(point.resource["spark.deploy_mode"], "client");
}

#[test]
fn plans_are_added_up_as_they_are_written() {
    for (version, text) in CAPTURES {
        let captured: Value = serde_json::from_str(text).unwrap();
        let metrics = read(&captured).metrics;
        assert_eq!(metrics.value("spark.sql.executions.finished", &[("status", "completed")]), 1.0);
        for name in ["spark.sql.node.time", "spark.sql.node.size", "spark.sql.node.count"] {
            let points = metrics.points(name);
            assert!(!points.is_empty() && points.iter().all(|point| point.value >= 0.0), "{version} {name}");
        }
        let nodes: Vec<String> = metrics
            .points("spark.sql.node.count")
            .iter()
            .map(|point| point.attributes["spark.sql.node"].clone())
            .collect();
        assert!(nodes.iter().all(|node| !node.contains('(') && !node.contains(char::is_whitespace)), "{nodes:?}");
    }
}

#[test]
fn quantiles_over_tasks_are_told_if_they_are_asked_for() {
    let captured: Value = serde_json::from_str(CAPTURES[1].1).unwrap();
    let (driver, _host, mut spark) = configured(json!({ "rest": { "stages": { "quantiles": true } } }));
    driver.with(|model| {
        model.begin_job(1);
        model.begin_stage((0, 0));
    });
    // As many numbers as were asked for.
    let mut distribution = captured["distribution"].clone();
    distribution["duration"] = json!([34.0, 40.0, 90.0, 3_240.0]);
    distribution["shuffleReadMetrics"]["readBytes"] = json!([646.0, 646.0, 646.0, 1_000.0]);
    let mut stage = captured["stages"][0].clone();
    stage["taskMetricsDistributions"] = distribution;
    driver.with(|model| model.faults.push(("/stages".to_owned(), driver::Fault::Reply(Reply::json(&json!([stage]))))));
    let metrics = collect(&mut spark).metrics;
    assert_eq!(metrics.value("spark.stage.task.duration", &[("quantile", "1")]), 3.24);
    assert_eq!(metrics.value("spark.stage.task.duration", &[("quantile", "0.95")]), 0.09);
    assert_eq!(metrics.value("spark.stage.task.shuffle.read.size", &[("quantile", "0.5")]), 646.0);
    assert!(
        metrics.points("spark.stage.task.scheduler_delay").is_empty(),
        "fewer numbers than were asked for are none"
    );
    let asked = driver.take_served().0;
    assert!(asked.iter().any(|path| path.contains("withSummaries=true&quantiles=0.0,0.5,0.95,1.0")), "{asked:?}");
}
