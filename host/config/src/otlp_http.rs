//! The `otlp_http` exporter: where each signal goes, and how stubbornly.
//!
//! The rules for URLs, headers and variables are those of the OTLP exporter specification; the keys, their meaning
//! and most defaults are those of the Collector's exporter of the same name.

use std::path::Path;
use std::time::Duration;

use kiln_otlp::{PerSignal, Signal};
use url::Url;

use crate::destination::{
    COMPRESSIONS, Compression, Destination, Encoding, SHORTEST_TIMEOUT, parse_url, read_headers, secrets_of,
};
use crate::error::{Location, Problem};
use crate::otel_environment::{OtelEnvironment, Protocol, Variables};
use crate::reader::{Section, Value};
use crate::retry::Retry;
use crate::secret::Secret;
use crate::sending_queue::Queue;
use crate::tls::WrittenTls;
use crate::units::MAX_DURATION;

/// Where OTLP goes when nobody says where.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// How long one request may take, as in the Collector's exporter.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const ENCODINGS: [(&str, Encoding); 2] = [("proto", Encoding::Protobuf), ("json", Encoding::Json)];

/// OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpHttp {
    /// Where each signal goes.
    pub destinations: PerSignal<Destination>,
    /// What happens to a batch that could not be sent.
    pub retry: Retry,
    /// What waits to be sent.
    pub queue: Queue,
    /// The proxy to send through, with its credential; `None` leaves that to `HTTPS_PROXY` and its like.
    pub proxy: Option<Secret>,
}

impl OtlpHttp {
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = secrets_of(&self.destinations);
        let proxy = self.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok());
        secrets.extend(proxy.and_then(|proxy| proxy.password().map(str::to_owned)));
        secrets
    }

    pub(crate) fn read(
        mut section: Section<'_>,
        at: Location,
        environment: &OtelEnvironment<'_>,
        data_dir: Option<&Path>,
    ) -> Option<Self> {
        let mut url = |key| section.get(key).and_then(|endpoint| read_url(&endpoint));
        let written = Written {
            base: url("endpoint"),
            own: PerSignal {
                metrics: url("metrics_endpoint"),
                traces: url("traces_endpoint"),
                logs: url("logs_endpoint"),
            },
            headers: section.get("headers").map(|headers| read_headers(&headers)),
            compression: section.get("compression").and_then(|compression| compression.choice(&COMPRESSIONS)),
            timeout: section.get("timeout").and_then(|timeout| timeout.duration(SHORTEST_TIMEOUT..=MAX_DURATION)),
            encoding: section.get("encoding").and_then(|encoding| encoding.choice(&ENCODINGS)),
            tls: WrittenTls::read(&mut section),
        };
        let proxy = section.get("proxy_url").and_then(|proxy| read_proxy(&proxy));
        let queue = Queue::read(section.section("sending_queue"), data_dir);
        let retry = Retry::read(section.section("retry_on_failure"), queue.storage.is_some());
        section.unsupported("auth", "there are no authenticator extensions; put the credential into `headers`");
        let problem = |problem: Problem| section.report.error(at, &section.path, problem);
        let destinations = PerSignal::new(|signal| written.destination(signal, environment, &problem));
        section.finish();
        Some(Self { destinations: destinations.transpose()?, retry, queue, proxy })
    }
}

/// What the file says; the environment and the defaults fill in the rest.
struct Written {
    base: Option<Url>,
    own: PerSignal<Option<Url>>,
    headers: Option<Vec<(String, Secret)>>,
    compression: Option<Compression>,
    timeout: Option<Duration>,
    encoding: Option<Encoding>,
    tls: WrittenTls,
}

impl Written {
    fn destination(
        &self,
        signal: Signal,
        environment: &OtelEnvironment<'_>,
        problem: &dyn Fn(Problem),
    ) -> Option<Destination> {
        let url = self.own.of(signal).clone().or_else(|| self.base.as_ref().map(|base| with_signal_path(base, signal)));
        // Variables describe the destination in variables: their headers must not reach one that is in the file.
        let variables =
            if url.is_none() { environment.read(signal, Protocol::Http, problem) } else { Variables::default() };
        let url = match url.or(variables.url) {
            Some(url) => url,
            None => with_signal_path(&parse_url(DEFAULT_ENDPOINT).ok()?, signal),
        };
        if self.tls.insecure == Some(true) && url.scheme() == "https" {
            problem(Problem::Unsupported(
                "`tls.insecure` contradicts an endpoint with `https`; write `http://` or remove the key",
            ));
        }
        Some(Destination {
            url,
            headers: self.headers.clone().or(variables.headers).unwrap_or_default(),
            compression: self.compression.or(variables.compression).unwrap_or(Compression::Gzip),
            timeout: self.timeout.or(variables.timeout).unwrap_or(DEFAULT_TIMEOUT),
            encoding: self.encoding.or(variables.encoding).unwrap_or_default(),
            tls: self.tls.tls.clone().or(variables.tls).unwrap_or_default(),
        })
    }
}

fn read_url(value: &Value<'_>) -> Option<Url> {
    match parse_url(value.text()?.trim()) {
        Ok(url) => Some(url),
        Err(reason) => {
            value.error(Problem::Unsupported(reason));
            None
        }
    }
}

/// The URL of a proxy, which may hold a name and a password.
fn read_proxy(value: &Value<'_>) -> Option<Secret> {
    const PROXY: &str = "not the URL of a proxy; write it as in `http://proxy.example.com:3128`";
    let text = value.text()?.trim();
    let is_url = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_url {
        value.error(Problem::Unsupported(PROXY));
    }
    is_url.then(|| Secret::new(text))
}

/// Appends `v1/<signal>` with exactly one slash.
pub(crate) fn with_signal_path(base: &Url, signal: Signal) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/v1/{}", base.path().trim_end_matches('/'), signal.name()));
    url
}
