//! The rules of OTLP over HTTP, kept against a real socket. Names say which: MUST and SHOULD are the specification's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod bodies;
mod transport;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kiln_config::{Compression, Destination, Encoding, ExporterKind, OtlpHttp, Queue, Retry, Secret, Tls};
use kiln_export::{Exporter, ExporterHandle};
use kiln_memory::Memory;
use kiln_otlp::{Batch, PerSignal, Signal};
use kiln_telemetry::metrics::Format;
use kiln_telemetry::{Health, Metrics};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, watch};
use tokio::time::Instant;

/// What arrived.
#[derive(Clone, Debug)]
struct Received {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What the backend answers: its next line, or an empty success when it has none left.
enum Line {
    Answer(Response),
    Never,
    /// Answers once as many requests as this are waiting.
    Together(Arc<Barrier>),
}

#[derive(Clone)]
struct Backend {
    script: Arc<Mutex<VecDeque<Line>>>,
    received: watch::Sender<Vec<Received>>,
    address: SocketAddr,
}

impl Backend {
    async fn start(script: impl IntoIterator<Item = Line>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            received: watch::Sender::new(Vec::new()),
            address: listener.local_addr().unwrap(),
        };
        let router = Router::new().fallback(receive).with_state(backend.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        backend
    }

    fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Returns once that many requests have arrived.
    async fn requests(&self, count: usize) {
        self.received.subscribe().wait_for(|received| received.len() >= count).await.unwrap();
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn receive(State(backend): State<Backend>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let received =
        Received { method: head.method.to_string(), path: head.uri.to_string(), headers: head.headers, body };
    let line = backend.script.lock().unwrap().pop_front();
    backend.received.send_modify(|all| all.push(received));
    match line {
        Some(Line::Answer(response)) => response,
        Some(Line::Never) => std::future::pending().await,
        Some(Line::Together(barrier)) => {
            barrier.wait().await;
            ok()
        }
        None => ok(),
    }
}

fn ok() -> Response {
    protobuf(StatusCode::OK, Vec::new())
}

fn protobuf(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [("content-type", "application/x-protobuf")], body).into_response()
}

fn status(code: u16) -> Line {
    Line::Answer(StatusCode::from_u16(code).unwrap().into_response())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Tries again at once, for ever.
fn eager() -> Retry {
    Retry {
        enabled: true,
        initial_interval: Duration::from_millis(1),
        max_interval: Duration::from_millis(2),
        max_elapsed_time: None,
        multiplier: 1.0,
        randomization_factor: 0.0,
    }
}

fn destination(url: &str) -> Destination {
    Destination {
        url: url.parse().unwrap(),
        headers: vec![("authorization".to_owned(), Secret::new("Bearer sesame99"))],
        encoding: Encoding::Protobuf,
        compression: Compression::Gzip,
        timeout: Duration::from_secs(30),
        tls: Tls::default(),
    }
}

fn settings(backend: &Backend) -> OtlpHttp {
    OtlpHttp {
        destinations: PerSignal::new(|signal| destination(&backend.url(&format!("/v1/{signal}")))),
        retry: eager(),
        queue: Queue { queue_size: 10, num_consumers: 1, ..Queue::default() },
        proxy: None,
    }
}

struct Running {
    exporter: ExporterHandle,
    metrics: Metrics,
}

impl Running {
    fn start(settings: OtlpHttp) -> Self {
        let metrics = Metrics::new("");
        let kind = ExporterKind::OtlpHttp(Box::new(settings));
        let exporter = Exporter::new(&"otlp_http".parse().unwrap(), &kind).unwrap();
        Self { exporter: exporter.start(None, &Memory::default(), &metrics, &Health::default()), metrics }
    }

    async fn export(&self, signal: Signal, items: usize, payload: &'static [u8]) {
        self.exporter.enqueue(Batch { signal, items, payload: Bytes::from_static(payload) }).await.unwrap();
    }

    /// Returns when everything is delivered or lost.
    async fn finish(&self) {
        let report = self.exporter.drain(Instant::now() + Duration::from_secs(60)).await;
        assert_eq!(report.undelivered.total(), 0, "the deadline has passed");
    }

    fn sent(&self, items: &str) -> u64 {
        self.sample(&format!("otelcol_exporter_sent_{items}_total{{exporter=\"otlp_http\"}}"))
    }

    fn lost(&self, items: &str, reason: &str) -> u64 {
        let labels = format!("exporter=\"otlp_http\",reason=\"{reason}\"");
        self.sample(&format!("otelcol_exporter_send_failed_{items}_total{{{labels}}}"))
    }

    fn sample(&self, series: &str) -> u64 {
        let text = self.metrics.expose(Format::OpenMetrics);
        let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}"));
        line.trim().parse().unwrap()
    }
}

#[tokio::test]
async fn must_post_each_signal_to_its_own_url_as_it_is() {
    let backend = Backend::start([]).await;
    let mut settings = settings(&backend);
    settings.destinations.logs = destination(&backend.url("/in/logs/?tenant=a%20b"));
    let kiln = Running::start(settings);
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.export(Signal::Traces, 2, b"t").await;
    kiln.export(Signal::Logs, 3, b"l").await;
    kiln.finish().await;
    let received: Vec<_> = backend.received().into_iter().map(|it| (it.method, it.path, gunzip(&it.body))).collect();
    let post = |path: &str, body: &[u8]| ("POST".to_owned(), path.to_owned(), body.to_vec());
    assert_eq!(received, [post("/v1/metrics", b"m"), post("/v1/traces", b"t"), post("/in/logs/?tenant=a%20b", b"l")]);
    assert_eq!((kiln.sent("metric_points"), kiln.sent("spans"), kiln.sent("log_records")), (1, 2, 3));
}

#[tokio::test]
async fn must_declare_protobuf_and_gzip_and_should_say_who_it_is() {
    let backend = Backend::start([]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    let headers = &backend.received()[0].headers;
    assert_eq!(headers.get_all("content-type").iter().collect::<Vec<_>>(), ["application/x-protobuf"]);
    assert_eq!(headers.get_all("content-encoding").iter().collect::<Vec<_>>(), ["gzip"]);
    assert_eq!(headers["authorization"], "Bearer sesame99");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(headers["user-agent"], format!("kiln/{version} OTel-OTLP-Exporter-Rust/{version}"));
}

#[tokio::test]
async fn must_send_bodies_as_they_are_when_compression_is_none() {
    let backend = Backend::start([]).await;
    let mut settings = settings(&backend);
    settings.destinations.metrics.compression = Compression::None;
    let kiln = Running::start(settings);
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    let received = &backend.received()[0];
    assert_eq!(received.body, b"m"[..]);
    assert!(!received.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn must_retry_429_502_503_504_with_the_same_body() {
    let backend = Backend::start([status(429), status(502), status(503), status(504)]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Traces, 7, b"spans").await;
    kiln.finish().await;
    let received = backend.received();
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|it| gunzip(&it.body) == b"spans"));
    assert_eq!(kiln.sent("spans"), 7);
    assert_eq!(kiln.sample("kiln_exporter_retries_total{exporter=\"otlp_http\"}"), 4);
}

#[tokio::test]
async fn must_not_retry_any_other_failure_and_counts_it() {
    let finals = [400, 401, 403, 404, 408, 413, 415, 422, 500, 501, 505, 507];
    let backend = Backend::start(finals.map(status)).await;
    let kiln = Running::start(settings(&backend));
    for _ in finals {
        kiln.export(Signal::Logs, 2, b"l").await;
    }
    kiln.export(Signal::Logs, 5, b"last").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), finals.len() + 1);
    // 413 has a reason of its own.
    assert_eq!(kiln.lost("log_records", "rejected"), 2 * (finals.len() as u64 - 1));
    assert_eq!(kiln.lost("log_records", "too_large"), 2);
    assert_eq!(kiln.sent("log_records"), 5);
}

#[tokio::test]
async fn does_not_follow_redirects_with_its_credential() {
    let elsewhere = Backend::start([]).await;
    let away = (StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere.url("/v1/metrics"))]).into_response();
    let backend = Backend::start([Line::Answer(away)]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), 1);
    assert_eq!(elsewhere.received().len(), 0);
    assert_eq!(kiln.lost("metric_points", "rejected"), 1);
}

#[tokio::test]
async fn must_not_retry_a_partial_success() {
    let partial_success =
        Some(ExportLogsPartialSuccess { rejected_log_records: 3, error_message: "too old".to_owned() });
    let body = ExportLogsServiceResponse { partial_success }.encode_to_vec();
    let backend = Backend::start([Line::Answer(protobuf(StatusCode::OK, body))]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Logs, 10, b"l").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), 1);
    assert_eq!(kiln.sent("log_records"), 7);
    assert_eq!(kiln.lost("log_records", "partially_rejected"), 3);
}

#[tokio::test]
async fn should_honour_retry_after_in_seconds_and_as_a_date() {
    // Whole seconds are all that HTTP can say, so this takes two.
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    let wait =
        |value: String| Line::Answer((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", value)]).into_response());
    let backend = Backend::start([wait("1".to_owned()), wait(date)]).await;
    let kiln = Running::start(settings(&backend));
    let began = Instant::now();
    kiln.export(Signal::Metrics, 1, b"m").await;
    backend.requests(2).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    kiln.finish().await;
    // The date was three seconds away, less the fraction that HTTP dates cut off.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(kiln.sent("metric_points"), 1);
}

#[tokio::test]
async fn should_retry_when_the_connection_ends_without_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        // Slams the door at once, then after the request has begun, then answers.
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 20]).await.unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"end") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    });
    let mut destination = destination(&format!("http://{address}/v1/metrics"));
    destination.compression = Compression::None;
    let kiln = Running::start(OtlpHttp {
        destinations: PerSignal::new(|_| destination.clone()),
        retry: eager(),
        queue: Queue { queue_size: 1, num_consumers: 1, ..Queue::default() },
        proxy: None,
    });
    kiln.export(Signal::Metrics, 4, b"the end").await;
    kiln.finish().await;
    server.await.unwrap();
    assert_eq!(kiln.sent("metric_points"), 4);
}

#[tokio::test]
async fn should_retry_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    drop(listener);
    let backend = Backend::start([]).await;
    let pause = Duration::from_millis(100);
    let retry = Retry {
        initial_interval: pause,
        max_interval: pause,
        max_elapsed_time: Some(Duration::from_secs(1)),
        ..eager()
    };
    let kiln = Running::start(OtlpHttp {
        destinations: PerSignal::new(|_| destination(&nobody)),
        retry,
        ..settings(&backend)
    });
    kiln.export(Signal::Metrics, 4, b"m").await;
    kiln.finish().await;
    assert!(kiln.sample("kiln_exporter_retries_total{exporter=\"otlp_http\"}") > 0);
    assert_eq!(kiln.lost("metric_points", "retries_exhausted"), 4);
}

#[tokio::test]
async fn should_retry_when_the_answer_takes_too_long() {
    let backend = Backend::start([Line::Never]).await;
    let mut settings = settings(&backend);
    settings.destinations.metrics.timeout = Duration::from_millis(200);
    let kiln = Running::start(settings);
    kiln.export(Signal::Metrics, 4, b"m").await;
    kiln.finish().await;
    assert!(backend.received().len() > 1);
    assert_eq!(kiln.sent("metric_points"), 4);
}

#[tokio::test]
async fn must_not_send_more_than_64_mib_and_counts_what_it_drops() {
    let backend = Backend::start([]).await;
    let kiln = Running::start(settings(&backend));
    let payload = Bytes::from(vec![0; 64 * 1024 * 1024 + 1]);
    kiln.exporter.enqueue(Batch { signal: Signal::Metrics, items: 9, payload }).await.unwrap();
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), 1);
    assert_eq!(kiln.lost("metric_points", "too_large"), 9);
    assert_eq!(kiln.sent("metric_points"), 1);
}

#[tokio::test]
async fn must_not_read_more_than_4_mib_of_an_answer_counted_after_decompression() {
    let answer = |size: usize| {
        let headers = [("content-type", "text/plain"), ("content-encoding", "gzip")];
        Line::Answer((StatusCode::OK, headers, gzip(&vec![b' '; size])).into_response())
    };
    let backend = Backend::start([answer(4 * 1024 * 1024), answer(4 * 1024 * 1024 + 1)]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.export(Signal::Metrics, 2, b"m").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), 2);
    assert_eq!(kiln.sent("metric_points"), 1);
    assert_eq!(kiln.lost("metric_points", "answer_too_large"), 2);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_not_read_to_its_end() {
    let endless = || {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 64 * 1024])));
        Body::from_stream(futures_util::stream::iter(chunks))
    };
    let failure = (StatusCode::INTERNAL_SERVER_ERROR, endless()).into_response();
    let success = (StatusCode::OK, endless()).into_response();
    let backend = Backend::start([Line::Answer(failure), Line::Answer(success)]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.export(Signal::Metrics, 2, b"m").await;
    kiln.finish().await;
    assert_eq!(kiln.lost("metric_points", "rejected"), 1);
    assert_eq!(kiln.lost("metric_points", "answer_too_large"), 2);
}

#[tokio::test]
async fn should_send_as_many_requests_at_once_as_it_is_told() {
    let barrier = Arc::new(Barrier::new(3));
    let backend = Backend::start((0..3).map(|_| Line::Together(Arc::clone(&barrier)))).await;
    let queue = Queue { queue_size: 10, num_consumers: 3, ..Queue::default() };
    let kiln = Running::start(OtlpHttp { queue, ..settings(&backend) });
    for _ in 0..3 {
        kiln.export(Signal::Metrics, 1, b"m").await;
    }
    // Ends only if all three are under way together.
    kiln.finish().await;
    assert_eq!(kiln.sent("metric_points"), 3);
}

#[tokio::test]
async fn should_not_send_an_empty_request() {
    let backend = Backend::start([]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Metrics, 0, b"").await;
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), 1);
}

#[tokio::test]
async fn a_backend_that_never_answers_does_not_hold_up_the_shutdown() {
    let backend = Backend::start([Line::Never]).await;
    let kiln = Running::start(settings(&backend));
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.export(Signal::Traces, 2, b"t").await;
    kiln.export(Signal::Logs, 4, b"l").await;
    backend.requests(1).await;
    let report = kiln.exporter.drain(Instant::now() + Duration::from_millis(50)).await;
    assert_eq!((report.undelivered.metrics, report.undelivered.traces, report.undelivered.logs), (1, 2, 4));
    assert_eq!(backend.received().len(), 1);
    assert_eq!(kiln.lost("log_records", "shutdown"), 4);
}
