//! The `otlp` exporter: OTLP over gRPC.
//!
//! The keys, their meaning and their defaults are those of the Collector's exporter of the same name: the endpoint is
//! `host:port`, and TLS is spoken unless `tls.insecure` says otherwise or the endpoint begins with `http://`.

use std::path::Path;
use std::time::Duration;

use kiln_otlp::{PerSignal, Signal};
use url::Url;

use crate::destination::{
    COMPRESSIONS, Compression, Destination, Encoding, SHORTEST_TIMEOUT, parse_url, read_headers, secrets_of,
};
use crate::error::{Location, Problem};
use crate::otel_environment::{OtelEnvironment, Protocol, Variables};
use crate::reader::Section;
use crate::retry::Retry;
use crate::secret::Secret;
use crate::sending_queue::Queue;
use crate::tls::WrittenTls;
use crate::units::MAX_DURATION;

/// Where OTLP over gRPC goes when nobody says where.
const DEFAULT_ENDPOINT: &str = "http://localhost:4317";
/// How long one request may take, as in the Collector's exporter.
pub const DEFAULT_GRPC_TIMEOUT: Duration = Duration::from_secs(5);

/// OTLP over gRPC.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpGrpc {
    /// Where each signal goes; the URL names the method.
    pub destinations: PerSignal<Destination>,
    /// What happens to a batch that could not be sent.
    pub retry: Retry,
    /// What waits to be sent.
    pub queue: Queue,
}

impl OtlpGrpc {
    pub(crate) fn secrets(&self) -> Vec<String> {
        secrets_of(&self.destinations)
    }

    pub(crate) fn read(
        mut section: Section<'_>,
        at: Location,
        environment: &OtelEnvironment<'_>,
        data_dir: Option<&Path>,
    ) -> Option<Self> {
        let tls = WrittenTls::read(&mut section);
        let endpoint = section.get("endpoint").and_then(|value| {
            let url = read_endpoint(value.text()?.trim(), tls.insecure);
            url.map_err(|reason| value.error(Problem::Unsupported(reason))).ok()
        });
        let written = Written {
            endpoint,
            headers: section.get("headers").map(|headers| read_headers(&headers)),
            compression: section.get("compression").and_then(|compression| compression.choice(&COMPRESSIONS)),
            timeout: section.get("timeout").and_then(|timeout| timeout.duration(SHORTEST_TIMEOUT..=MAX_DURATION)),
            tls,
        };
        let queue = Queue::read(section.section("sending_queue"), data_dir);
        let retry = Retry::read(section.section("retry_on_failure"), queue.storage.is_some());
        for (key, remedy) in [
            ("auth", "there are no authenticator extensions; put the credential into `headers`"),
            ("keepalive", "connections are looked after by themselves; remove the key"),
            ("balancer_name", "one connection is used; put a balancer before the backends and remove the key"),
            ("wait_for_ready", "what cannot be sent waits in the queue; remove the key"),
            ("read_buffer_size", "buffers grow as needed; remove the key"),
            ("write_buffer_size", "buffers grow as needed; remove the key"),
            ("authority", "the host of the endpoint is the authority; remove the key"),
            ("proxy_url", "set HTTPS_PROXY in the environment, or use `otlp_http`"),
        ] {
            section.unsupported(key, remedy);
        }
        let problem = |problem: Problem| section.report.error(at, &section.path, problem);
        let destinations = PerSignal::new(|signal| written.destination(signal, environment, &problem));
        section.finish();
        Some(Self { destinations: destinations.transpose()?, retry, queue })
    }
}

/// What the file says; the environment and the defaults fill in the rest.
struct Written {
    endpoint: Option<Url>,
    headers: Option<Vec<(String, Secret)>>,
    compression: Option<Compression>,
    timeout: Option<Duration>,
    tls: WrittenTls,
}

impl Written {
    fn destination(
        &self,
        signal: Signal,
        environment: &OtelEnvironment<'_>,
        problem: &dyn Fn(Problem),
    ) -> Option<Destination> {
        let url = self.endpoint.clone();
        let variables =
            if url.is_none() { environment.read(signal, Protocol::Grpc, problem) } else { Variables::default() };
        let base = match url.or(variables.url) {
            Some(url) => url,
            None => parse_url(DEFAULT_ENDPOINT).ok()?,
        };
        Some(Destination {
            url: method_of(&base, signal),
            headers: self.headers.clone().or(variables.headers).unwrap_or_default(),
            encoding: Encoding::Protobuf,
            compression: self.compression.or(variables.compression).unwrap_or(Compression::Gzip),
            timeout: self.timeout.or(variables.timeout).unwrap_or(DEFAULT_GRPC_TIMEOUT),
            tls: self.tls.tls.clone().or(variables.tls).unwrap_or_default(),
        })
    }
}

/// Reads `host:port`, with or without `http://` or `https://` before it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_endpoint(text: &str, insecure: Option<bool>) -> Result<Url, &'static str> {
    const FORM: &str = "an endpoint for gRPC is a host and a port, as in `otlp.example.com:4317`";
    let url = if text.contains("://") {
        parse_url(text).map_err(|_| FORM)?
    } else {
        let scheme = if insecure == Some(true) { "http" } else { "https" };
        parse_url(&format!("{scheme}://{text}")).map_err(|_| FORM)?
    };
    if insecure == Some(true) && url.scheme() == "https" {
        return Err("contradicts `tls.insecure`; write `http://` or remove the key");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err("an endpoint for gRPC has no path; remove it, or use `otlp_http`");
    }
    Ok(url)
}

fn method_of(base: &Url, signal: Signal) -> Url {
    let (package, service) = match signal {
        Signal::Metrics => ("metrics", "MetricsService"),
        Signal::Traces => ("trace", "TraceService"),
        Signal::Logs => ("logs", "LogsService"),
    };
    let mut url = base.clone();
    url.set_path(&format!("/opentelemetry.proto.collector.{package}.v1.{service}/Export"));
    url
}
