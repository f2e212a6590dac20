//! The replayed Spark UI, over the wire: what each phase and each path answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use flate2::read::GzDecoder;
use kiln_testbed::spark::{Fault, Pages, Phase, Prometheus, Spark};
use reqwest::Method;
use std::io::Read;
use std::time::Duration;
use support::client;

const LONG: Duration = Duration::from_secs(10);
const EVERY_PATH: [&str; 6] = [
    "/metrics/prometheus",
    "/metrics/prometheus/",
    "/metrics/executors/prometheus",
    "/metrics/json/",
    "/api/v1/applications",
    "/",
];

struct Answer {
    status: u16,
    content_type: String,
    location: String,
    body: Vec<u8>,
}

async fn get(spark: &Spark, path: &str) -> Answer {
    request(spark, Method::GET, path, &[]).await
}

async fn request(spark: &Spark, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client().request(method, format!("{}{path}", spark.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let header =
        |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    Answer {
        status: response.status().as_u16(),
        content_type: header("content-type"),
        location: header("location"),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

fn ready(version: &str) -> (Spark, Pages) {
    let pages = Pages::captured(version).unwrap();
    (Spark::start(pages.clone()).unwrap(), pages)
}

#[tokio::test]
async fn a_ready_driver_serves_the_captured_bytes_with_the_content_types_of_spark() {
    for version in ["3.5.9", "4.1.4"] {
        let (spark, pages) = ready(version);
        let expected = [
            ("/metrics/prometheus/", "metrics_prometheus", "text/plain;charset=utf-8"),
            ("/metrics/executors/prometheus", "metrics_executors_prometheus", "text/plain"),
            ("/metrics/json/", "metrics_json", "text/json;charset=utf-8"),
            ("/api/v1/applications", "applications", "application/json"),
            ("/api/v1/version", "version", "application/json"),
        ];
        for (path, page, content_type) in expected {
            let answer = get(&spark, path).await;
            assert_eq!((answer.status, answer.content_type.as_str()), (200, content_type), "{path}");
            assert_eq!(Some(answer.body.as_slice()), pages.get(page), "{path}");
        }
    }
}

#[tokio::test]
async fn a_path_without_its_slash_redirects_as_the_version_does() {
    let (spark, _) = ready("3.5.9");
    let answer = get(&spark, "/metrics/prometheus").await;
    assert_eq!((answer.status, answer.location), (302, format!("{}/metrics/prometheus/", spark.url())));
    spark.change_pages(|pages| pages.set("version", r#"{"spark": "4.3.0"}"#));
    let answer = get(&spark, "/metrics/prometheus").await;
    assert_eq!((answer.status, answer.location.as_str()), (301, "/metrics/prometheus/"));
}

#[tokio::test]
async fn a_driver_that_starts_answers_every_path_with_html_and_status_200_then_404() {
    let (spark, _) = ready("4.1.4");
    for path in EVERY_PATH {
        spark.set_phase(Phase::StartingUp);
        let answer = get(&spark, path).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/html;charset=utf-8"));
        assert_eq!(answer.body.len(), 59);
        spark.set_phase(Phase::NotFound);
        let answer = get(&spark, path).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (404, "text/html;charset=iso-8859-1"));
    }
}

#[tokio::test]
async fn while_pages_attach_some_hang_until_the_driver_is_ready_and_others_redirect() {
    let (spark, pages) = ready("4.1.4");
    spark.set_phase(Phase::Attaching);
    assert!(get(&spark, "/").await.location.ends_with("/jobs/"));
    let asked = |requests: &[kiln_testbed::Request]| {
        requests.iter().any(|request| request.path == "/metrics/executors/prometheus")
    };
    let (hanging, requests) = tokio::join!(get(&spark, "/metrics/executors/prometheus"), async {
        let requests = spark.wait_for_requests_async(LONG, asked).await;
        spark.set_phase(Phase::Ready);
        requests
    });
    assert_eq!(requests.unwrap().len(), 2);
    assert_eq!(Some(hanging.body.as_slice()), pages.get("metrics_executors_prometheus"));
}

#[tokio::test]
async fn a_driver_that_has_stopped_refuses_connections() {
    let (spark, _) = ready("4.1.4");
    let url = spark.url();
    drop(spark);
    assert!(client().get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn without_prometheus_its_paths_lead_to_html() {
    let (spark, _) = ready("3.5.9");
    spark.set_prometheus(Prometheus { driver: false, executors: false });
    for path in ["/metrics/prometheus", "/metrics/prometheus/", "/metrics/executors/prometheus"] {
        let answer = get(&spark, path).await;
        assert_eq!((answer.status, answer.location), (302, format!("{}/jobs/", spark.url())), "{path}");
    }
    let jobs = get(&spark, "/jobs/").await;
    assert_eq!((jobs.status, jobs.content_type.as_str()), (200, "text/html;charset=utf-8"));
    assert_eq!(get(&spark, "/metrics/json/").await.status, 200);
}

#[tokio::test]
async fn with_only_the_executors_page_the_drivers_page_is_not_found() {
    let (spark, _) = ready("4.1.4");
    spark.set_prometheus(Prometheus { driver: false, executors: true });
    assert_eq!(get(&spark, "/metrics/prometheus").await.status, 404);
    assert_eq!(get(&spark, "/metrics/prometheus/").await.status, 404);
    assert_eq!(get(&spark, "/metrics/executors/prometheus").await.status, 200);
}

#[tokio::test]
async fn the_executors_page_is_negotiated_and_the_drivers_page_is_not() {
    let (spark, _) = ready("4.1.4");
    for (accept, executors) in [
        ("application/openmetrics-text", 406),
        ("application/json", 406),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", 200),
        ("*/*", 200),
    ] {
        let headers = [("accept", accept)];
        let answer = request(&spark, Method::GET, "/metrics/executors/prometheus", &headers).await;
        assert_eq!(answer.status, executors, "{accept}");
        assert_eq!(request(&spark, Method::GET, "/metrics/prometheus/", &headers).await.status, 200);
    }
}

#[tokio::test]
async fn gzip_is_honoured_and_only_when_asked_for() {
    let (spark, pages) = ready("4.1.4");
    let expected = pages.get("metrics_prometheus").unwrap();
    let url = format!("{}/metrics/prometheus/", spark.url());
    let response = client().get(&url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let compressed = response.bytes().await.unwrap();
    assert!(compressed.len() < expected.len() / 5);
    let mut plain = Vec::new();
    GzDecoder::new(compressed.as_ref()).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, expected);
    let response = client().get(&url).header("accept-encoding", "identity").send().await.unwrap();
    assert!(!response.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn what_the_api_does_not_have_is_not_found_in_its_own_words() {
    let (spark, pages) = ready("4.1.4");
    let (id, name) = pages.application().unwrap();
    let unknown = get(&spark, "/api/v1/applications/nope/executors").await;
    assert_eq!((unknown.status, unknown.body.as_slice()), (404, b"no such app: nope".as_slice()));
    let streams = get(&spark, &format!("/api/v1/applications/{id}/streaming/statistics")).await;
    assert_eq!(streams.status, 404);
    assert_eq!(streams.body, format!("no streaming listener attached to {name}").as_bytes());
    assert_eq!(get(&spark, "/api/v1/nonsense").await.status, 404);

    spark.change_pages(|pages| pages.set("jobs", "[]"));
    assert_eq!(get(&spark, &format!("/api/v1/applications/{id}/jobs")).await.body, b"[]");
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let (spark, _) = ready("4.1.4");
    assert_eq!(request(&spark, Method::POST, "/metrics/prometheus/", &[]).await.status, 405);
    let head = request(&spark, Method::HEAD, "/metrics/prometheus/", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn one_job_one_stage_and_those_of_a_status_are_picked_from_the_captured_lists() {
    let (spark, pages) = ready("4.1.4");
    let (id, _) = pages.application().unwrap();
    let ask = async |path: &str| {
        let answer = get(&spark, &format!("/api/v1/applications/{id}/{path}")).await;
        (answer.status, serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default())
    };
    let (_, stages) = ask("stages").await;
    let stage = &stages[0];
    let (number, attempt) = (&stage["stageId"], &stage["attemptId"]);
    assert_eq!(ask(&format!("stages/{number}/{attempt}")).await, (200, stage.clone()));
    assert_eq!(ask(&format!("stages/{number}")).await.1[0], *stage);
    assert_eq!(ask("stages/99999").await.0, 404);
    let (_, failed) = ask("jobs?status=failed").await;
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!(failed[0]["status"], "FAILED");
    assert_eq!(ask(&format!("jobs/{}", failed[0]["jobId"])).await.1, failed[0]);
    assert_eq!(ask("sql?offset=1&length=1").await.1.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_driver_that_dies_within_a_page_breaks_the_connection_and_answers_the_next_request() {
    let (spark, pages) = ready("4.1.4");
    spark.faults().next(1, Fault::CutBody);
    let url = format!("{}/metrics/executors/prometheus", spark.url());
    let response = client().get(&url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    let answer = get(&spark, "/metrics/executors/prometheus").await;
    assert_eq!(Some(answer.body.as_slice()), pages.get("metrics_executors_prometheus"));
}

#[tokio::test]
async fn another_application_takes_the_port_after_as_many_collections_as_it_shall() {
    let (spark, pages) = ready("4.1.4");
    let next = Pages::captured("3.5.9").unwrap();
    spark.restart_after(1, next.clone());
    for expected in [&pages, &next, &next] {
        let answer = get(&spark, "/metrics/executors/prometheus").await;
        assert_eq!(Some(answer.body.as_slice()), expected.get("metrics_executors_prometheus"));
    }
    assert_eq!(get(&spark, "/api/v1/applications").await.body, next.get("applications").unwrap());
}
