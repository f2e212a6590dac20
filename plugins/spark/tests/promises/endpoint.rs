//! Where the UI is, if nobody says.

use kiln_plugin::http::Request;

use super::*;

/// A machine with Spark on these ports; nothing listens on the others. An application is called after its port.
fn machine(ports: &'static [u16]) -> TestHost {
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_any(move |request: &Request| {
        let (port, path) = request.url.strip_prefix("http://localhost:").unwrap().split_once('/').unwrap();
        let of = |page: &str| {
            page.replace("ground truth-app", port).replace("app-20261122131319-0000", &format!("app-{port}"))
        };
        match path {
            _ if !ports.iter().any(|open| open.to_string() == port) => {
                Reply::error(HttpError::Connect("connection refused".to_owned()))
            }
            "metrics/prometheus/" => Reply::text(&DRIVER_4.replace("app_20261122131319_0000", &format!("app_{port}"))),
            "metrics/executors/prometheus" => Reply::new("text/plain", of(EXECUTORS_4)),
            "api/v1/applications" => Reply::new("application/json", of(APPLICATIONS_4)),
            other => panic!("{other}"),
        }
    });
    host
}

fn found(host: &TestHost, config: Value) -> Option<String> {
    let collected = host.configure::<Spark>(pages_only(config)).unwrap().collect().unwrap();
    collected.metrics.resource().get("spark.application.name").cloned()
}

#[test]
fn the_first_port_with_an_application_is_taken() {
    let auto = || json!({ "endpoint": "auto" });
    assert_eq!(found(&machine(&[4040, 4041]), auto()).as_deref(), Some("4040"));
    assert_eq!(found(&machine(&[4043, 40001]), auto()).as_deref(), Some("4043"));
    assert_eq!(found(&machine(&[40001]), auto()).as_deref(), Some("40001"));
    assert_eq!(found(&machine(&[4050]), auto()), None);
}

#[test]
fn with_names_it_is_the_first_application_of_them() {
    let named = |name: &str| json!({ "endpoint": "auto", "application_names": [name] });
    assert_eq!(found(&machine(&[4040, 4041, 40001]), named("4041")).as_deref(), Some("4041"));
    assert_eq!(found(&machine(&[4040, 4041]), named("4042")), None);
}

#[test]
fn an_application_that_was_found_is_not_looked_for_again() {
    let host = machine(&[4041]);
    let mut spark = host.configure::<Spark>(pages_only(json!({ "endpoint": "auto" }))).unwrap();
    spark.collect().unwrap();
    assert_eq!(host.take_requests().len(), 14, "every port, two pages, and the application");
    spark.collect().unwrap();
    assert_eq!(host.take_requests().len(), 2);
    host.on_any(|_| Reply::error(HttpError::Connect("connection refused".to_owned())));
    assert_eq!(only_state(&spark.collect().unwrap()), "ended");
    host.on_any(|request| match request.url.as_str() {
        "http://localhost:4040/api/v1/applications" => Reply::new("application/json", APPLICATIONS_4),
        "http://localhost:4040/metrics/prometheus/" => Reply::text(DRIVER_4),
        "http://localhost:4040/metrics/executors/prometheus" => Reply::new("text/plain", EXECUTORS_4),
        _ => Reply::error(HttpError::Connect("connection refused".to_owned())),
    });
    assert_eq!(state(&spark.collect().unwrap()), "ready", "the next application is found within one collection");
}
