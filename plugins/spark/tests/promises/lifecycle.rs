//! From nothing that listens to an application and back, and what is said on the way.

use core::time::Duration;

use super::*;

fn connect() -> Reply {
    Reply::error(HttpError::Connect("connection refused".to_owned()))
}

/// Every path answers with this.
fn everywhere(reply: &Reply) -> [Reply; 3] {
    [reply.clone(), reply.clone(), reply.clone()]
}

fn ready() -> [Reply; 3] {
    [Reply::text(DRIVER_4), Reply::new("text/plain", EXECUTORS_4), Reply::new("application/json", APPLICATIONS_4)]
}

/// A host whose three paths answer with these, one after the other.
fn show(host: &TestHost, [driver, executors, applications]: [Reply; 3]) {
    host.on_get(DRIVER, driver);
    host.on_get(EXECUTORS, executors);
    host.on_get(APPLICATIONS, applications);
}

#[test]
fn an_application_comes_up_as_spark_does_and_no_point_is_false() {
    let host = TestHost::new(telemetry::MANIFEST);
    let mut spark = configured(&host);
    let stages = [
        (everywhere(&connect()), "waiting"),
        (everywhere(&html(STARTING_UP)), "starting"),
        (everywhere(&Reply::status(404, "<html>")), "starting"),
        (everywhere(&redirect()), "starting"),
        (everywhere(&Reply::status(301, "").with_header("location", "/jobs/")), "starting"),
        (everywhere(&Reply::status(406, "")), "starting"),
        (everywhere(&Reply::error(HttpError::Timeout)), "starting"),
        (everywhere(&Reply::status(200, "<!DOCTYPE html>")), "starting"),
    ];
    for (replies, expected) in stages {
        show(&host, replies);
        assert_eq!(only_state(&spark.collect().unwrap()), expected);
    }
    show(&host, ready());
    let collected = spark.collect().unwrap();
    assert_eq!(state(&collected), "ready");
    assert_eq!(collected.failed_sources(), [""; 0]);
    assert!(collected.metrics.metric("spark.driver.dag_scheduler.job.count").is_some());
}

#[test]
fn the_state_is_logged_when_it_changes_and_only_then() {
    let host = TestHost::new(telemetry::MANIFEST);
    let mut spark = configured(&host);
    let mut logged = |replies| {
        show(&host, replies);
        spark.collect().unwrap();
        host.take_log().len()
    };
    assert_eq!(logged(everywhere(&connect())), 0);
    assert_eq!(logged(everywhere(&connect())), 0);
    assert_eq!(logged(ready()), 1);
    assert_eq!(logged(ready()), 0);
    assert_eq!(logged(everywhere(&connect())), 1);
}

#[test]
fn an_application_that_hangs_or_ends_is_still_known_and_its_numbers_are_not_repeated() {
    let host = spark_4();
    let mut spark = configured(&host);
    spark.collect().unwrap();
    for (reply, expected) in [(Reply::error(HttpError::Timeout), "unresponsive"), (connect(), "ended")] {
        show(&host, everywhere(&reply));
        let collected = spark.collect().unwrap();
        assert_eq!(only_state(&collected), expected);
        assert_eq!(collected.metrics.resource()["spark.application.id"], "app-20261122131319-0000");
    }
    show(&host, everywhere(&html(STARTING_UP)));
    let collected = spark.collect().unwrap();
    assert_eq!(only_state(&collected), "starting");
    assert!(!collected.metrics.resource().contains_key("spark.application.id"), "the next one is not known yet");
}

#[test]
fn a_driver_that_dies_within_a_page_costs_that_page() {
    let broken = HttpError::Protocol("connection reset".to_owned());
    let host = spark_4();
    host.on_get(EXECUTORS, Reply::new("text/plain", EXECUTORS_4).in_pieces(100).breaking_after(5_000, broken.clone()));
    let collected = collect(&host);
    assert_eq!(collected.failed_sources(), [EXECUTORS]);
    assert!(collected.metrics.points("spark.executor.cores").is_empty(), "half of the executors are none");
    let host = spark_4();
    host.on_get(DRIVER, Reply::text(DRIVER_4).breaking_after(5_000, broken));
    let collected = collect(&host);
    assert_eq!(collected.failed_sources(), [DRIVER]);
    assert_eq!(collected.metrics.points("spark.executor.cores").len(), 2);
}

#[test]
fn half_of_a_number_is_no_number() {
    let cut = |page: &str, name: &str| {
        let at = page.find(name).expect(name);
        let end = at + page[at..].find('\n').unwrap();
        page[..end - 1].to_owned()
    };
    let driver = cut(DRIVER_4, "driver_JVMCPU_jvmCpuTime_Value");
    let executors = cut(EXECUTORS_4, "metrics_executor_maxMemory_bytes");
    let host = host(Reply::text(&driver), Reply::new("text/plain", executors), Reply::status(404, ""));
    let collected = collect(&host);
    assert!(collected.metrics.metric("spark.driver.jvm_cpu_time").is_none());
    assert!(collected.metrics.metric("spark.executor.memory.limit").is_none());
    assert_eq!(host.take_log().len(), 2, "one warning for each page");
}

#[test]
fn first_requests_that_hang_cost_their_own_page_only() {
    let host = host(Reply::text(DRIVER_4), Reply::error(HttpError::Timeout), Reply::error(HttpError::Timeout));
    let collected = collect(&host);
    assert_eq!(state(&collected), "ready");
    assert_eq!(collected.failed_sources(), [APPLICATIONS, EXECUTORS]);
    assert!(collected.metrics.metric("spark.driver.dag_scheduler.job.count").is_some());
}

#[test]
fn an_application_on_the_same_port_counts_from_its_own_start() {
    let host = spark_4();
    let mut spark = configured(&host);
    spark.collect().unwrap();
    let again = |page: &str| page.replace("app-20261122131319-0000", "app-20261122140000-0001");
    let named = DRIVER_4.replace("app_20261122131319_0000", "app_20261122140000_0001");
    let applications = again(APPLICATIONS_4).replace("1795353190860", "1795356000000");
    // The two pages may be on either side of the change.
    show(&host, [Reply::text(DRIVER_4), Reply::new("text/plain", again(EXECUTORS_4)), Reply::text(&applications)]);
    let collected = spark.collect().unwrap();
    assert_eq!(collected.failed_sources(), [DRIVER]);
    assert!(collected.metrics.metric("spark.driver.dag_scheduler.job.count").is_none());
    host.on_get(DRIVER, Reply::text(&named));
    let collected = spark.collect().unwrap();
    assert_eq!(collected.failed_sources(), [""; 0]);
    assert_eq!(collected.metrics.resource()["service.name"], "ground truth-app", "the same name");
    assert_eq!(collected.metrics.resource()["spark.application.id"], "app-20261122140000-0001");
    for metric in ["spark.driver.dag_scheduler.job.count", "spark.executor.time"] {
        for point in collected.metrics.points(metric) {
            assert_eq!(point.start, UnixNanos::from_millis(1_795_356_000_000), "{metric}");
        }
    }
}

#[test]
fn a_clock_that_jumps_moves_no_start() {
    let host = spark_4();
    let mut spark = configured(&host);
    for now in [host.now().after(Duration::from_secs(86_400)), UnixNanos::from_millis(1)] {
        host.set_clock(now);
        let collected = spark.collect().unwrap();
        assert_eq!(collected.metrics.point("spark.driver.dag_scheduler.job.count", &[]).start, START_4);
    }
}

#[test]
fn an_application_nobody_wants_is_not_read_and_one_somebody_wants_is() {
    let named = |names: &[&str]| {
        let host = spark_4();
        host.configure::<Spark>(pages_only(json!({ "application_names": names }))).unwrap().collect().unwrap()
    };
    let other = named(&["ground truth", "other"]);
    assert_eq!(only_state(&other), "waiting");
    assert_eq!(other.failed_sources(), ["application_names"]);
    assert!(!other.metrics.resource().contains_key("spark.application.id"));
    let wanted = named(&["other", "ground truth-app"]);
    assert_eq!(state(&wanted), "ready");
    assert_eq!(wanted.failed_sources(), [""; 0]);
}

#[test]
fn an_application_without_either_page_is_ready_all_the_same() {
    let off = || html("<!DOCTYPE html><html>jobs");
    let host = host(off(), off(), Reply::new("application/json", APPLICATIONS_4));
    let collected = collect(&host);
    assert_eq!(only_state(&collected), "ready");
    assert_eq!(collected.failed_sources(), [DRIVER, EXECUTORS]);
    assert_eq!(collected.metrics.resource()["spark.application.name"], "ground truth-app");
}

/// What any of the three paths may answer with while Spark comes, goes and breaks.
fn any_reply(page: &'static str, content_type: &'static str) -> impl Strategy<Value = Reply> {
    prop_oneof![
        4 => Just(Reply::new(content_type, page)),
        1 => (0..page.len()).prop_map(move |end| Reply::new(content_type, page.as_bytes()[..end].to_vec())),
        1 => (0..page.len()).prop_map(move |end| {
            Reply::new(content_type, page).breaking_after(end, HttpError::Protocol("reset".to_owned()))
        }),
        1 => Just(connect()),
        1 => Just(html(STARTING_UP)),
        1 => Just(html("<!DOCTYPE html>")),
        1 => Just(redirect()),
        1 => Just(Reply::status(404, "<html>")),
        1 => Just(Reply::status(503, "")),
        1 => Just(Reply::error(HttpError::Timeout)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_spark_answers_no_number_is_false(
        answers in proptest::collection::vec(
            (
                any_reply(DRIVER_4, "text/plain;charset=utf-8"),
                any_reply(EXECUTORS_4, "text/plain"),
                any_reply(APPLICATIONS_4, "application/json"),
            ),
            1..8,
        ),
    ) {
        let truth = collect(&spark_4());
        let host = TestHost::new(telemetry::MANIFEST);
        let mut spark = configured(&host);
        for (driver, executors, applications) in answers {
            show(&host, [driver, executors, applications]);
            // A page of nothing but its beginning holds no metric at all, which is an error.
            let Ok(collected) = spark.collect() else { continue };
            if state(&collected) != "ready" {
                prop_assert_eq!(collected.metrics.names(), ["spark.receiver.state"]);
            }
            for name in collected.metrics.names().into_iter().filter(|name| *name != "spark.receiver.state") {
                let known = truth.metrics.points(name);
                for point in collected.metrics.points(name) {
                    let is_true = known.iter().any(|known| known.attributes == point.attributes && known.value == point.value);
                    // How many executors there are is what the page says, which may be cut.
                    prop_assert!(is_true || name == "spark.executor.count", "{name} {point:?}");
                }
            }
        }
    }
}
