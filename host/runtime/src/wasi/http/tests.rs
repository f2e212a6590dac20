//! Both doors give the same verdict, because behind them is the same room.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use kiln_egress::{Credentials, Egress, EgressLimits, EgressSpec, Error as Reason, Request};
use kiln_policy::{Grants, Manifest, Method, Policy, ProxyRule};
use kiln_telemetry::Metrics;
use kiln_telemetry::metrics::Format;
use kiln_telemetry::{Redaction, Subject};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpHooks as _};

use super::EgressHooks;

/// What came of a request, as far as both doors can tell it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Answered(u16, usize),
    Denied,
    Refused,
    Unreachable,
    TooLarge,
    Other(String),
}

/// A server that answers every request with a page, and remembers what it was sent.
async fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 64 << 10];
                let read = connection.read(&mut head).await.unwrap();
                let body = if head[..read].starts_with(b"GET /large") { "x".repeat(3000) } else { "page".to_owned() };
                let answer =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                connection.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    port
}

fn egress(port: u16, metrics: &Metrics, instance: &str) -> Arc<Egress> {
    let local = &format!("http://127.0.0.1:{port}");
    let request = |origin: &str, methods: &str| {
        format!(
            "[[requests.http]]\norigin = '{origin}'\nmethods = {methods}\npaths = ['/page', '/large', '/api/*']\nreason = 'a test'\n"
        )
    };
    let manifest = format!(
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\nlicense = 'Apache-2.0'\n\
         wit = '0.1'\n{}{}{}",
        request(local, "['GET', 'POST']"),
        request("http://localhost:1", "['GET']"),
        request("https://granted.example", "['GET']"),
    );
    let grants: Grants = serde_json::from_value(json!({ "http": [
        { "origin": local, "addresses": ["loopback"] },
        { "origin": "http://localhost:1", "addresses": ["loopback"], "paths": ["/page"] },
        { "origin": "https://granted.example" },
    ] }))
    .unwrap();
    let policy = Policy::resolve(&Manifest::parse(&manifest).unwrap(), &grants, true, |_| None).unwrap();
    let limits =
        EgressLimits { response_bytes: 2000, stream_bytes: 2000, request_bytes: 100, ..EgressLimits::default() };
    let spec = EgressSpec {
        instance: instance.to_owned(),
        policy: Arc::new(policy),
        credentials: Credentials::default(),
        limits,
        metrics: metrics.egress(instance),
        denials: metrics.denials().of(Subject { instance: instance.to_owned(), ..Subject::default() }),
        redaction: Redaction::default(),
        proxy: ProxyRule::Direct,
        discovery: None,
        rehearsal: None,
    };
    Arc::new(Egress::new(spec).unwrap())
}

async fn through_kiln(egress: &Egress, method: Method, url: &str, header: Option<&str>, body: usize) -> Verdict {
    let headers = header.map(|name| (name.to_owned(), "x".to_owned())).into_iter().collect();
    let body = (body > 0).then(|| vec![b'x'; body]);
    match egress.send(Request { method, url: url.to_owned(), headers, body }).await {
        Ok(response) => Verdict::Answered(response.status, response.body.len()),
        Err(Reason::Denied(_)) => Verdict::Denied,
        Err(Reason::InvalidRequest(_)) => Verdict::Refused,
        Err(Reason::Connect(_)) => Verdict::Unreachable,
        Err(Reason::TooLarge(_)) => Verdict::TooLarge,
        Err(error) => Verdict::Other(format!("{error:?}")),
    }
}

fn body(bytes: usize) -> WasiBody {
    Full::new(Bytes::from(vec![b'x'; bytes])).map_err(|never| match never {}).boxed_unsync()
}

async fn send(hooks: &mut EgressHooks, request: http::Request<WasiBody>) -> Result<http::Response<WasiBody>, Error> {
    let sent = hooks.send_request(request, None, Box::new(async { Ok(()) }));
    Pin::from(sent).await.map(|(response, _)| response)
}

async fn through_wasi(
    hooks: &mut EgressHooks,
    method: Method,
    url: &str,
    header: Option<&str>,
    bytes: usize,
) -> Verdict {
    let mut request = http::Request::builder().method(method.name()).uri(url);
    if let Some(name) = header {
        request = request.header(name, "x");
    }
    let answer = match send(hooks, request.body(body(bytes)).unwrap()).await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.into_body().collect().await.map(|body| Verdict::Answered(status, body.to_bytes().len()))
        }
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| match error {
        Error::HttpRequestDenied => Verdict::Denied,
        Error::InternalError(Some(_)) | Error::HttpRequestBodySize(Some(_)) => Verdict::Refused,
        Error::DestinationUnavailable => Verdict::Unreachable,
        Error::HttpResponseBodySize(Some(_)) => Verdict::TooLarge,
        error => Verdict::Other(format!("{error:?}")),
    })
}

/// Scenario: origins, paths, methods, headers, sizes and addresses, granted and not, each through both doors.
/// Guarantees: the verdict is the same, and so is what is counted.
#[tokio::test]
async fn both_doors_give_the_same_verdict() {
    let port = server().await;
    let local = format!("http://127.0.0.1:{port}");
    let at = |path: &str| format!("{local}{path}");
    use Verdict::{Answered, Denied, Refused, TooLarge, Unreachable};
    let matrix: Vec<(Method, String, Option<&str>, usize, Verdict)> = vec![
        (Method::Get, at("/page"), None, 0, Answered(200, 4)),
        (Method::Get, at("/api/2.2/jobs?x=1"), Some("accept"), 0, Answered(200, 4)),
        (Method::Post, at("/api/run"), None, 100, Answered(200, 4)),
        (Method::Get, at("/other"), None, 0, Denied),
        (Method::Get, at("/api/../other"), None, 0, Denied),
        (Method::Get, at("/api/%2e%2e/other"), None, 0, Denied),
        (Method::Put, at("/page"), None, 0, Denied),
        (Method::Delete, at("/page"), None, 0, Denied),
        (Method::Get, "http://127.0.0.1/page".to_owned(), None, 0, Denied),
        (Method::Get, format!("https://127.0.0.1:{port}/page"), None, 0, Denied),
        (Method::Get, format!("http://localhost:{port}/page"), None, 0, Denied),
        (Method::Get, "https://forbidden.example/page".to_owned(), None, 0, Denied),
        (Method::Get, "http://granted.example/page".to_owned(), None, 0, Denied),
        (Method::Get, "https://granted.example.evil.example/page".to_owned(), None, 0, Denied),
        (Method::Get, "http://169.254.169.254/page".to_owned(), None, 0, Denied),
        (Method::Get, "http://[::ffff:169.254.169.254]/page".to_owned(), None, 0, Denied),
        (Method::Get, "http://10.9.9.9/page".to_owned(), None, 0, Denied),
        (Method::Get, "http://localhost:1/api/x".to_owned(), None, 0, Denied),
        (Method::Get, "http://localhost:1/page".to_owned(), None, 0, Unreachable),
        (Method::Get, at("/large"), None, 0, TooLarge),
        (Method::Post, at("/api/run"), None, 101, Refused),
        (Method::Get, at("/page"), Some("authorization"), 0, Refused),
        (Method::Get, at("/page"), Some("cookie"), 0, Refused),
        (Method::Get, at("/page"), Some("host"), 0, Refused),
        (Method::Get, at("/page"), Some("proxy-authorization"), 0, Refused),
        (Method::Get, at("/page"), Some("transfer-encoding"), 0, Refused),
        (Method::Get, at("/page"), Some("x-http-method-override"), 0, Refused),
    ];
    let metrics = Metrics::new("test");
    let ours = egress(port, &metrics, "ours");
    let mut hooks = EgressHooks::new(Some(egress(port, &metrics, "theirs")));
    for (method, url, header, bytes, expected) in matrix {
        let kiln = through_kiln(&ours, method, &url, header, bytes).await;
        assert_eq!(kiln, expected, "{method} {url} {header:?} through kiln:plugin/http");
        let wasi = through_wasi(&mut hooks, method, &url, header, bytes).await;
        assert_eq!(wasi, kiln, "{method} {url} {header:?} through wasi:http");
    }
    // The body that is too large to be sent never reaches the egress; nothing else is told apart.
    let exposed = metrics.expose(Format::OpenMetrics);
    let denied = |instance: &str| {
        let lines = exposed.lines().filter(|line| line.starts_with("kiln_denials_total{") && line.contains(instance));
        // Series come in any order.
        lines.map(|line| line.replace(instance, "")).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(denied("ours"), denied("theirs"));
    assert!(!denied("ours").is_empty());
}

#[tokio::test]
async fn methods_that_are_not_of_the_contract_are_refused() {
    let port = server().await;
    let mut hooks = EgressHooks::new(Some(egress(port, &Metrics::new("test"), "theirs")));
    for method in ["OPTIONS", "TRACE", "CONNECT", "PURGE"] {
        let request = http::Request::builder().method(method).uri(format!("http://127.0.0.1:{port}/page"));
        let error = send(&mut hooks, request.body(body(0)).unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestMethodInvalid), "{method}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_not_granted_is_denied_even_if_it_were_linked() {
    let request = http::Request::builder().uri("http://127.0.0.1:1/page").body(body(0)).unwrap();
    assert!(matches!(send(&mut EgressHooks::new(None), request).await, Err(Error::HttpRequestDenied)));
}

/// Scenario: a call ends while the guest holds a response whose body it has not read.
/// Guarantees: the body ends with an error and never looks complete.
#[tokio::test]
async fn a_body_ends_with_the_call_it_was_opened_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let _ = connection.read(&mut head).await.unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfirst").await.unwrap();
        // Until the host lets go of the connection.
        connection.read(&mut head).await.unwrap()
    });
    let mut hooks = EgressHooks::new(Some(egress(port, &Metrics::new("test"), "theirs")));
    let request = http::Request::builder().uri(format!("http://127.0.0.1:{port}/page")).body(body(0)).unwrap();
    let mut response = send(&mut hooks, request).await.unwrap().into_body();
    let first = response.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"first");
    hooks.end_call();
    assert!(matches!(response.frame().await, Some(Err(Error::ConnectionTerminated))));
    assert_eq!(serving.await.unwrap(), 0, "the connection is closed");
}
