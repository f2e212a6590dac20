//! The rules of OTLP over gRPC, kept against a real server of HTTP/2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use kiln_config::{Compression, Destination, Encoding, ExporterKind, OtlpGrpc, Queue, Retry, Secret, Tls};
use kiln_export::{Exporter, ExporterHandle};
use kiln_memory::Memory;
use kiln_otlp::{Batch, PerSignal, Signal};
use kiln_telemetry::metrics::Format;
use kiln_telemetry::{Health, Metrics};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// What arrived: the head, and the message behind its prefix.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    headers: HeaderMap,
    is_compressed: bool,
    message: Bytes,
}

/// What a call is answered with.
#[derive(Clone, Debug)]
enum Answer {
    /// A message and trailers.
    Message(Vec<u8>),
    /// Trailers and no more, with a code, a message and details.
    Code(u32, &'static str, Option<Vec<u8>>),
    /// Something that is not gRPC.
    Http(u16),
    /// A message and no trailers.
    NoTrailers,
}

fn ok() -> Answer {
    Answer::Message(Vec::new())
}

#[derive(Clone)]
struct Backend {
    script: Arc<Mutex<VecDeque<Answer>>>,
    received: watch::Sender<Vec<Received>>,
    address: SocketAddr,
}

impl Backend {
    async fn start(script: impl IntoIterator<Item = Answer>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            received: watch::Sender::new(Vec::new()),
            address: listener.local_addr().unwrap(),
        };
        let serving = backend.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (backend, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => backend.connection(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                backend.connection(stream).await;
                            }
                        }
                    }
                });
            }
        });
        backend
    }

    async fn connection(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, respond))) = connection.accept().await {
            let backend = self.clone();
            tokio::spawn(async move { backend.call(request, respond).await });
        }
    }

    async fn call(&self, request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
        let (head, mut stream) = request.into_parts();
        let mut body = BytesMut::new();
        while let Some(Ok(data)) = stream.data().await {
            let _ = stream.flow_control().release_capacity(data.len());
            body.extend_from_slice(&data);
        }
        let message = body.split_off(5).freeze();
        assert_eq!(u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize, message.len());
        let (path, headers) = (head.uri.path().to_owned(), head.headers);
        let received = Received { path, headers, is_compressed: body[0] == 1, message };
        let answer = self.script.lock().unwrap().pop_front().unwrap_or_else(ok);
        self.received.send_modify(|all| all.push(received));
        let head = |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap());
        let grpc = || head(200).header("content-type", "application/grpc");
        match answer {
            Answer::Message(_) | Answer::NoTrailers => {
                let message = if let Answer::Message(message) = &answer { message.clone() } else { Vec::new() };
                let mut data = BytesMut::new();
                data.put_u8(0);
                data.put_u32(message.len() as u32);
                data.extend_from_slice(&message);
                let mut stream = respond.send_response(grpc().body(()).unwrap(), false).unwrap();
                let is_end = matches!(answer, Answer::NoTrailers);
                stream.reserve_capacity(data.len());
                let _ = stream.send_data(data.freeze(), is_end);
                if !is_end {
                    let trailers = [("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))];
                    let _ = stream.send_trailers(trailers.into_iter().collect());
                }
            }
            Answer::Code(code, message, details) => {
                let mut response = grpc().header("grpc-status", code).header("grpc-message", message);
                if let Some(details) = details {
                    use base64::Engine as _;
                    let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
                    response = response.header("grpc-status-details-bin", details);
                }
                let _ = respond.send_response(response.body(()).unwrap(), true);
            }
            Answer::Http(status) => {
                let _ = respond.send_response(head(status).body(()).unwrap(), true);
            }
        }
    }

    fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }
}

fn destination(base: &str, path: &str) -> Destination {
    Destination {
        url: format!("{base}{path}").parse().unwrap(),
        headers: vec![("authorization".to_owned(), Secret::new("Bearer sesame99"))],
        encoding: Encoding::Protobuf,
        compression: Compression::Gzip,
        timeout: Duration::from_secs(30),
        tls: Tls::default(),
    }
}

fn settings(base: &str) -> OtlpGrpc {
    let retry = Retry {
        initial_interval: Duration::from_millis(1),
        max_interval: Duration::from_millis(2),
        max_elapsed_time: None,
        ..Retry::default()
    };
    OtlpGrpc {
        destinations: PerSignal {
            metrics: destination(base, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
            traces: destination(base, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
            logs: destination(base, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
        },
        retry,
        queue: Queue { num_consumers: 1, ..Queue::default() },
    }
}

struct Running {
    exporter: ExporterHandle,
    metrics: Metrics,
}

impl Running {
    fn start(settings: OtlpGrpc) -> Self {
        let metrics = Metrics::new("");
        let exporter = Exporter::new(&"otlp".parse().unwrap(), &ExporterKind::OtlpGrpc(Box::new(settings))).unwrap();
        Self { exporter: exporter.start(None, &Memory::default(), &metrics, &Health::default()), metrics }
    }

    fn to(backend: &Backend) -> Self {
        Self::start(settings(&format!("http://{}", backend.address)))
    }

    async fn export(&self, signal: Signal, items: usize, payload: &'static [u8]) {
        self.exporter.enqueue(Batch { signal, items, payload: Bytes::from_static(payload) }).await.unwrap();
    }

    async fn finish(&self) {
        let report = self.exporter.drain(Instant::now() + Duration::from_secs(60)).await;
        assert_eq!(report.undelivered.total(), 0, "the deadline has passed");
    }

    fn sample(&self, series: &str) -> u64 {
        let text = self.metrics.expose(Format::OpenMetrics);
        let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}"));
        line.trim().parse().unwrap()
    }

    fn sent(&self, items: &str) -> u64 {
        self.sample(&format!("otelcol_exporter_sent_{items}_total{{exporter=\"otlp\"}}"))
    }

    fn lost(&self, items: &str, reason: &str) -> u64 {
        self.sample(&format!("otelcol_exporter_send_failed_{items}_total{{exporter=\"otlp\",reason=\"{reason}\"}}"))
    }
}

#[tokio::test]
async fn must_call_the_service_of_each_signal_with_a_compressed_message() {
    let backend = Backend::start([], None).await;
    let kiln = Running::to(&backend);
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.export(Signal::Traces, 2, b"t").await;
    kiln.export(Signal::Logs, 3, b"l").await;
    kiln.finish().await;
    let received = backend.received();
    let paths: Vec<_> = received.iter().map(|it| it.path.as_str()).collect();
    let expected = [
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    ];
    assert_eq!(paths, expected);
    for (received, body) in received.iter().zip([b"m", b"t", b"l"]) {
        assert!(received.is_compressed);
        assert_eq!(received.headers["grpc-encoding"], "gzip");
        assert_eq!(received.headers["content-type"], "application/grpc");
        assert_eq!(received.headers["te"], "trailers");
        assert_eq!(received.headers["authorization"], "Bearer sesame99");
        assert!(received.headers["user-agent"].to_str().unwrap().contains("OTel-OTLP-Exporter-Rust/"));
        let mut plain = Vec::new();
        GzDecoder::new(&received.message[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, body);
    }
    assert_eq!((kiln.sent("metric_points"), kiln.sent("spans"), kiln.sent("log_records")), (1, 2, 3));
}

#[tokio::test]
async fn must_send_messages_as_they_are_when_compression_is_none() {
    let backend = Backend::start([], None).await;
    let mut settings = settings(&format!("http://{}", backend.address));
    settings.destinations.metrics.compression = Compression::None;
    let kiln = Running::start(settings);
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    let received = &backend.received()[0];
    assert!(!received.is_compressed && !received.headers.contains_key("grpc-encoding"));
    assert_eq!(received.message, b"m"[..]);
}

#[tokio::test]
async fn should_retry_what_is_retryable_and_nothing_else() {
    let code = |code| Answer::Code(code, "", None);
    let retried = [code(1), code(4), code(10), code(11), code(14), code(15), Answer::Http(503), Answer::NoTrailers];
    let backend = Backend::start(retried.clone(), None).await;
    let kiln = Running::to(&backend);
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), retried.len() + 1);
    assert_eq!(kiln.sent("metric_points"), 1);

    let finals = [code(2), code(3), code(5), code(7), code(8), code(12), code(13), code(16), Answer::Http(404)];
    let backend = Backend::start(finals.clone(), None).await;
    let kiln = Running::to(&backend);
    for _ in &finals {
        kiln.export(Signal::Logs, 2, b"l").await;
    }
    kiln.finish().await;
    assert_eq!(backend.received().len(), finals.len());
    assert_eq!(kiln.lost("log_records", "rejected"), 2 * finals.len() as u64);
}

/// Scenario: a backend is exhausted and says with `RetryInfo` for how long.
/// Guarantees: the call is repeated, and not before that.
#[tokio::test]
async fn should_wait_as_long_as_retry_info_says() {
    // google.rpc.Status { details: [Any { type_url, value: RetryInfo { retry_delay: 1.2 s } }] }
    let mut info = vec![0x0a, 0x07, 0x08, 0x01, 0x10];
    prost::encoding::encode_varint(200_000_000, &mut info);
    info[1] = (info.len() - 2) as u8;
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let mut any = vec![0x0a, url.len() as u8];
    any.extend(url);
    any.extend([0x12, info.len() as u8]);
    any.extend(info);
    let mut details = vec![0x1a, any.len() as u8];
    details.extend(any);
    let backend = Backend::start([Answer::Code(8, "slow%20down", Some(details))], None).await;
    let kiln = Running::to(&backend);
    let began = Instant::now();
    kiln.export(Signal::Metrics, 4, b"m").await;
    kiln.finish().await;
    assert!(began.elapsed() >= Duration::from_millis(1200), "{:?}", began.elapsed());
    assert_eq!(backend.received().len(), 2);
    assert_eq!(kiln.sent("metric_points"), 4);
}

#[tokio::test]
async fn must_not_retry_a_partial_success() {
    let partial_success = Some(ExportLogsPartialSuccess { rejected_log_records: 3, error_message: "old".to_owned() });
    let answer = ExportLogsServiceResponse { partial_success }.encode_to_vec();
    let backend = Backend::start([Answer::Message(answer)], None).await;
    let kiln = Running::to(&backend);
    kiln.export(Signal::Logs, 10, b"l").await;
    kiln.finish().await;
    assert_eq!(backend.received().len(), 1);
    assert_eq!((kiln.sent("log_records"), kiln.lost("log_records", "partially_rejected")), (7, 3));
}

#[tokio::test]
async fn must_not_read_more_than_4_mib_of_an_answer() {
    let backend = Backend::start([Answer::Message(vec![0; (4 << 20) + 1])], None).await;
    let kiln = Running::to(&backend);
    kiln.export(Signal::Logs, 10, b"l").await;
    kiln.finish().await;
    assert_eq!(kiln.lost("log_records", "answer_too_large"), 10);
}

#[tokio::test]
async fn should_retry_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let mut settings = settings(&format!("http://{nobody}"));
    settings.retry.max_elapsed_time = Some(Duration::from_millis(50));
    let kiln = Running::start(settings);
    kiln.export(Signal::Metrics, 4, b"m").await;
    kiln.finish().await;
    assert_eq!(kiln.lost("metric_points", "retries_exhausted"), 4);
}

/// Scenario: a backend with TLS and a certificate of its own.
/// Guarantees: HTTP/2 is agreed upon, and the certificate is trusted where it is named, and nowhere else.
#[tokio::test]
async fn speaks_tls_and_trusts_the_authority_that_is_named() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.pem()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let backend = Backend::start([], Some(TlsAcceptor::from(Arc::new(config)))).await;
    let base = format!("https://localhost:{}", backend.address.port());
    for (ca_file, arrives) in [(Some(ca_file), 1), (None, 0)] {
        let mut settings = settings(&base);
        let tls = Tls { ca_file, ..Tls::default() };
        let PerSignal { metrics, traces, logs } = &mut settings.destinations;
        for destination in [metrics, traces, logs] {
            destination.tls = tls.clone();
        }
        settings.retry.enabled = false;
        let kiln = Running::start(settings);
        kiln.export(Signal::Metrics, 1, b"m").await;
        kiln.finish().await;
        assert_eq!(kiln.sent("metric_points"), arrives);
    }
}

/// gRPC's own library as a backend; ended when dropped.
struct RealServer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl RealServer {
    fn start(python: &OsStr, script: &[&str]) -> Self {
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/grpc/server.py"))
            .args(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the server has ended").unwrap().parse().unwrap();
        Self { child, lines, port }
    }

    fn calls(&mut self, count: usize) -> Vec<serde_json::Value> {
        self.lines.by_ref().take(count).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Scenario: a server made of gRPC's own library and the official messages answers with failures, a partial success and success.
/// Guarantees: it understands every call, with its deadline and its credential; each answer has the consequence it should have.
#[tokio::test]
async fn a_server_of_grpcs_own_library_understands_every_call() {
    let Some(python) = std::env::var_os("KILN_GRPC_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "KILN_GRPC_PYTHON is not set: run `scripts/test unit`");
        return;
    };
    let script = ["UNAVAILABLE", "partial", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"];
    let mut server = RealServer::start(&python, &script);
    let kiln = Running::start(settings(&format!("http://127.0.0.1:{}", server.port)));
    // A resource with nothing in it: field 1, a message of no bytes.
    kiln.export(Signal::Metrics, 5, b"\x0a\x00").await;
    kiln.export(Signal::Traces, 3, b"\x0a\x00").await;
    kiln.export(Signal::Logs, 2, b"\x0a\x00").await;
    kiln.finish().await;
    let calls = server.calls(5);
    let signals: Vec<_> = calls.iter().map(|call| call["signal"].as_str().unwrap()).collect();
    assert_eq!(signals, ["metrics", "metrics", "traces", "logs", "logs"]);
    for call in &calls {
        assert_eq!((&call["bytes"], &call["authorization"]), (&2.into(), &"Bearer sesame99".into()), "{call}");
        assert_eq!(call["seconds"], 30, "{call}");
        assert!(call["user_agent"].as_str().unwrap().starts_with("kiln/"), "{call}");
    }
    assert_eq!((kiln.sent("metric_points"), kiln.lost("metric_points", "partially_rejected")), (4, 1));
    assert_eq!((kiln.sent("spans"), kiln.lost("spans", "rejected")), (0, 3));
    assert_eq!(kiln.sent("log_records"), 2);
}
