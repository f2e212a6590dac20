//! The page of the `prometheus` exporter, as clients see it, and as a real Prometheus understands it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flate2::read::GzDecoder;
use kiln_config::{ExporterKind, Prometheus};
use kiln_export::{Exporter, ExporterHandle};
use kiln_memory::Memory;
use kiln_otlp::{Batch, Signal};
use kiln_prometheus_text::{Entry, Format as TextFormat, Options, Parser};
use kiln_telemetry::metrics::Format;
use kiln_telemetry::{Health, Metrics};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

fn settings() -> Prometheus {
    Prometheus {
        endpoint: SocketAddr::from(([127, 0, 0, 1], 0)),
        namespace: String::new(),
        const_labels: Vec::new(),
        send_timestamps: false,
        metric_expiration: Duration::from_secs(300),
        resource_to_telemetry: false,
        enable_open_metrics: true,
        add_metric_suffixes: true,
        without_scope_info: false,
        max_series: 1000,
    }
}

fn exporter(settings: Prometheus) -> Exporter {
    Exporter::new(&"prometheus".parse().unwrap(), &ExporterKind::Prometheus(Box::new(settings))).unwrap()
}

struct Page {
    exporter: ExporterHandle,
    metrics: Metrics,
    address: SocketAddr,
}

impl Page {
    fn start(settings: Prometheus) -> Self {
        let mut exporter = exporter(settings);
        exporter.listen().unwrap();
        let (metrics, address) = (Metrics::new(""), exporter.address().unwrap());
        Self { exporter: exporter.start(None, &Memory::default(), &metrics, &Health::default()), metrics, address }
    }

    async fn exchange(&self, head: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{head}host: kiln\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
    }

    async fn text(&self, accept: &str) -> String {
        let (head, body) = self.exchange(&format!("GET /metrics HTTP/1.1\r\naccept: {accept}\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        String::from_utf8(body).unwrap()
    }

    /// Returns once the page shows this.
    async fn shows(&self, text: &str) {
        let shown = async {
            while !self.text("text/plain").await.contains(text) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("never shown: {text}"));
    }

    async fn take(&self) {
        let payload = request().encode_to_vec().into();
        self.exporter.enqueue(Batch { signal: Signal::Metrics, items: 4, payload }).await.unwrap();
    }

    fn sample(&self, series: &str) -> u64 {
        let text = self.metrics.expose(Format::OpenMetrics);
        let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}"));
        line.trim().parse().unwrap()
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

/// A gauge with a label that has to be escaped, a counter, and a histogram.
fn request() -> ExportMetricsServiceRequest {
    let point = |value, labels: &[(&str, &str)]| NumberDataPoint {
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: attributes(labels),
        ..NumberDataPoint::default()
    };
    let metric = |name: &str, unit: &str, data| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: "a \"quoted\"\ntext".to_owned(),
        data: Some(data),
        metadata: Vec::new(),
    };
    let gauge = Gauge { data_points: vec![point(21.5, &[("where", "a\\b\n\"c\" é")]), point(-1e300, &[])] };
    let sum = Sum { data_points: vec![point(42.0, &[])], aggregation_temporality: 2, is_monotonic: true };
    let histogram = HistogramDataPoint {
        count: 6,
        sum: Some(7.25),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 10.0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![histogram], aggregation_temporality: 2 };
    let metrics = vec![
        metric("room.temperature", "Cel", metric::Data::Gauge(gauge)),
        metric("io", "By", metric::Data::Sum(sum)),
        metric("latency", "s", metric::Data::Histogram(histogram)),
    ];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = attributes(&[("service.name", "cart"), ("service.instance.id", "i-1"), ("host.name", "h")]);
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { scope_metrics, resource, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

#[tokio::test]
async fn the_page_comes_in_the_format_and_the_coding_that_is_asked_for_and_is_there_alone() {
    let page = Page::start(settings());
    page.take().await;
    page.shows("io_bytes_total{instance=\"i-1\",job=\"cart\"} 42\n").await;
    let (head, body) = page.exchange("GET /metrics HTTP/1.1\r\naccept-encoding: br, gzip;q=0.5\r\n").await;
    assert!(
        head.contains("content-type: text/plain; version=0.0.4") && head.contains("content-encoding: gzip\r\n"),
        "{head}"
    );
    let mut text = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    assert!(text.contains("# TYPE io_bytes_total counter\n"));
    let open = page.text("application/openmetrics-text; version=1.0.0").await;
    assert!(open.contains("# TYPE io_bytes counter\n") && open.ends_with("# EOF\n"));
    let (head, _) = page.exchange("GET /metrics HTTP/1.1\r\naccept-encoding: gzip;q=0\r\n").await;
    assert!(!head.contains("content-encoding"), "{head}");
    assert!(page.exchange("GET / HTTP/1.1\r\n").await.0.starts_with("HTTP/1.1 404 "));
    assert!(page.exchange("POST /metrics HTTP/1.1\r\ncontent-length: 0\r\n").await.0.starts_with("HTTP/1.1 405 "));
    assert!(page.sample("kiln_exporter_page_reads_total{exporter=\"prometheus\"}") >= 4);
    assert_eq!(page.sample("kiln_exporter_page_series{exporter=\"prometheus\"}"), 9);
    assert_eq!(page.sample("kiln_exporter_page_capacity_series{exporter=\"prometheus\"}"), 1000);
    assert_eq!(page.sample("otelcol_exporter_sent_metric_points_total{exporter=\"prometheus\"}"), 4);
}

#[tokio::test]
async fn what_cannot_be_shown_is_counted_by_reason() {
    let page = Page::start(Prometheus { max_series: 2, ..settings() });
    page.take().await;
    page.exporter.drain(Instant::now() + PATIENCE).await;
    let lost = "otelcol_exporter_send_failed_metric_points_total{exporter=\"prometheus\",reason=\"series_limit\"}";
    // The target is a line as well.
    assert_eq!(page.sample(lost), 3);
    assert_eq!(page.sample("otelcol_exporter_sent_metric_points_total{exporter=\"prometheus\"}"), 1);
}

/// Scenario: settings change while Kiln runs; then the exporter goes.
/// Guarantees: the page stays at its address and shows what comes by the new settings; then nobody answers there.
#[tokio::test]
async fn a_page_keeps_its_address_through_a_reload_and_gives_it_up_at_the_end() {
    let page = Page::start(settings());
    page.take().await;
    page.shows("\nio_bytes_total").await;
    page.exporter.replace(exporter(Prometheus { namespace: "shop".to_owned(), ..settings() }));
    page.take().await;
    page.shows("\nshop_io_bytes_total").await;
    assert!(!page.text("text/plain").await.contains("\nio_bytes_total"));
    page.exporter.drain(Instant::now() + PATIENCE).await;
    let gone = async {
        while TcpStream::connect(page.address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("somebody answers still");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_the_setting() {
    let page = Page::start(settings());
    let error = exporter(Prometheus { endpoint: page.address, ..settings() }).listen().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("exporter `prometheus`: cannot listen on {}: Address already in use", page.address))
    );
    assert!(error.ends_with("it is configured at `exporters.prometheus.endpoint`"), "{error}");
}

/// A real Prometheus that scrapes one target; ended when dropped.
struct RealPrometheus {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl RealPrometheus {
    fn start(program: &str, target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs: [ {{ job_name: scrape, honor_labels: true, static_configs: [ {{ \
             targets: [ \"{target}\" ] }} ] }} ]\n"
        );
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address, _folder: folder }
    }

    /// The samples it has, by name and labels.
    async fn samples(&self) -> BTreeMap<String, String> {
        let mut stream = match TcpStream::connect(self.address).await {
            Ok(stream) => stream,
            Err(_) => return BTreeMap::new(),
        };
        let query = "%7B__name__%21~%22up%7Cscrape_.%2A%22%2C__name__%3D~%22.%2B%22%7D";
        let head = format!("GET /api/v1/query?query={query} HTTP/1.0\r\nhost: p\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let Some((_, body)) = answer.split_once("\r\n\r\n") else { return BTreeMap::new() };
        let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else { return BTreeMap::new() };
        let Some(result) = body["data"]["result"].as_array() else { return BTreeMap::new() };
        let sample = |sample: &serde_json::Value| {
            let labels = sample["metric"].as_object().unwrap().iter();
            let labels: BTreeMap<_, _> = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap())).collect();
            (format!("{labels:?}"), sample["value"][1].as_str().unwrap().to_owned())
        };
        result.iter().map(sample).collect()
    }
}

impl Drop for RealPrometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Scenario: a real Prometheus scrapes the page, in OpenMetrics and in the text format.
/// Guarantees: it has every sample of the page with its labels and its value, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_has_what_the_page_shows() {
    let Some(program) = std::env::var("KILN_PROMETHEUS").ok().filter(|program| !program.is_empty()) else {
        assert!(std::env::var_os("CI").is_none(), "KILN_PROMETHEUS is not set: run `scripts/test unit`");
        return;
    };
    for enable_open_metrics in [true, false] {
        let page = Page::start(Prometheus { enable_open_metrics, ..settings() });
        page.take().await;
        page.shows("latency_seconds_count").await;
        let accept = if enable_open_metrics { "application/openmetrics-text" } else { "text/plain" };
        let text = page.text(accept).await;
        let format = if enable_open_metrics { TextFormat::OpenMetrics } else { TextFormat::Text };
        let mut expected = BTreeMap::new();
        for entry in Parser::new(&text, Options::new(format)) {
            let Entry::Sample(sample) = entry.unwrap() else { continue };
            let labels = sample.labels.iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
            let mut labels: BTreeMap<_, _> = labels.collect();
            labels.insert("__name__".to_owned(), sample.name.to_owned());
            // What the target does not say of itself, Prometheus does.
            labels.entry("job".to_owned()).or_insert_with(|| "scrape".to_owned());
            labels.entry("instance".to_owned()).or_insert_with(|| page.address.to_string());
            expected.insert(format!("{labels:?}"), sample.value.as_f64());
        }
        assert_eq!(expected.len(), 9, "{text}");
        let prometheus = RealPrometheus::start(&program, page.address);
        let scraped = async {
            loop {
                let samples = prometheus.samples().await;
                if !samples.is_empty() {
                    return samples;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let samples = timeout(PATIENCE, scraped).await.expect("Prometheus has nothing");
        let samples: BTreeMap<_, f64> =
            samples.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        // Newer releases write the bounds of both formats as OpenMetrics does.
        let canonical = |samples: BTreeMap<String, f64>| -> BTreeMap<String, f64> {
            samples.into_iter().map(|(name, value)| (name.replace("\"10\"", "\"10.0\""), value)).collect()
        };
        assert_eq!(canonical(samples), canonical(expected));
    }
}
