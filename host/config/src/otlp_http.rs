//! The `otlp_http` exporter: where each signal goes, and how stubbornly.
//!
//! The rules for URLs, headers and variables are those of the OTLP exporter specification; the keys, their meaning
//! and most defaults are those of the Collector's exporter of the same name.

use std::path::Path;
use std::time::Duration;

use kiln_otlp::Signal;
use url::Url;

use crate::error::{Location, Problem};
use crate::otel_environment::{OtelEnvironment, Protocol, Variables};
use crate::reader::{Section, Value};
use crate::secret::Secret;
use crate::sending_queue::Queue;
use crate::tls::{Tls, WrittenTls};
use crate::units::MAX_DURATION;

/// Where OTLP goes when nobody says where.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// How long one request may take, as in the Collector's exporter.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Anything shorter is a typing error.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// The spellings of the specification, and the Collector's for what that adds.
pub(crate) const COMPRESSIONS: [(&str, Compression); 3] =
    [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("none", Compression::None)];

const ENCODINGS: [(&str, Encoding); 2] = [("proto", Encoding::Protobuf), ("json", Encoding::Json)];

/// OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpHttp {
    /// Where metrics go.
    pub metrics: Destination,
    /// Where traces go.
    pub traces: Destination,
    /// Where logs go.
    pub logs: Destination,
    /// What happens to a batch that could not be sent.
    pub retry: Retry,
    /// What waits to be sent.
    pub queue: Queue,
    /// The proxy to send through, with its credential; `None` leaves that to `HTTPS_PROXY` and its like.
    pub proxy: Option<Secret>,
}

/// Where one signal goes.
///
/// The specification lets every option differ between signals; in the file only the URL can, the rest when it comes
/// from `OTEL_EXPORTER_OTLP_*` variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The final URL, nothing is appended to it.
    pub url: Url,
    /// Headers of every request, with distinct names in lower case; the values may be credentials.
    pub headers: Vec<(String, Secret)>,
    /// How bodies are written.
    pub encoding: Encoding,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whom to trust there, and who to be.
    pub tls: Tls,
}

/// How OTLP is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// The default, and the smaller one.
    #[default]
    Protobuf,
    /// For backends that take nothing else.
    Json,
}

/// Compression of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// The default, which every backend takes.
    Gzip,
    /// Smaller and faster, where the backend takes it.
    Zstd,
    /// As they are.
    None,
}

/// `retry_on_failure`: exponential back-off.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Whether anything is tried twice.
    pub enabled: bool,
    /// The first wait.
    pub initial_interval: Duration,
    /// The longest wait; at least `initial_interval`.
    pub max_interval: Duration,
    /// How long a batch is tried for; `None`, spelled `0`, is for ever, which is the default for a queue on disk.
    pub max_elapsed_time: Option<Duration>,
    /// What each wait is multiplied with to make the next; at least 1.
    pub multiplier: f64,
    /// How far a wait strays from its length, from 0 to 1.
    pub randomization_factor: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Some(Duration::from_secs(300)),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

impl OtlpHttp {
    /// Where a signal goes.
    #[must_use]
    pub fn destination(&self, signal: Signal) -> &Destination {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = secrets_of([&self.metrics, &self.traces, &self.logs]);
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
            metrics: url("metrics_endpoint"),
            traces: url("traces_endpoint"),
            logs: url("logs_endpoint"),
            headers: section.get("headers").map(|headers| read_headers(&headers)),
            compression: section.get("compression").and_then(|compression| compression.choice(&COMPRESSIONS)),
            timeout: section.get("timeout").and_then(|timeout| timeout.duration(SHORTEST..=MAX_DURATION)),
            encoding: section.get("encoding").and_then(|encoding| encoding.choice(&ENCODINGS)),
            tls: WrittenTls::read(&mut section),
        };
        let proxy = section.get("proxy_url").and_then(|proxy| read_proxy(&proxy));
        let queue = Queue::read(section.section("sending_queue"), data_dir);
        let retry = Retry::read(section.section("retry_on_failure"), queue.storage.is_some());
        section.unsupported("auth", "there are no authenticator extensions; put the credential into `headers`");
        let problem = |problem: Problem| section.report.error(at, &section.path, problem);
        let destination = |signal| written.destination(signal, environment, &problem);
        let (metrics, traces, logs) =
            (destination(Signal::Metrics), destination(Signal::Traces), destination(Signal::Logs));
        section.finish();
        Some(Self { metrics: metrics?, traces: traces?, logs: logs?, retry, queue, proxy })
    }
}

/// What the file says; the environment and the defaults fill in the rest.
struct Written {
    base: Option<Url>,
    metrics: Option<Url>,
    traces: Option<Url>,
    logs: Option<Url>,
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
        let own = match signal {
            Signal::Metrics => &self.metrics,
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        };
        let url = own.clone().or_else(|| self.base.as_ref().map(|base| with_signal_path(base, signal)));
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

impl Retry {
    /// What waits on disk can wait for ever: it takes no memory, and it must not be given up while there is room.
    pub(crate) fn read(mut section: Section<'_>, is_stored: bool) -> Self {
        let mut defaults = Self::default();
        if is_stored {
            defaults.max_elapsed_time = None;
        }
        let interval = SHORTEST..=MAX_DURATION;
        let enabled = section.get("enabled").and_then(|value| value.boolean()).unwrap_or(defaults.enabled);
        let initial_interval = section
            .get("initial_interval")
            .and_then(|value| value.duration(interval.clone()))
            .unwrap_or(defaults.initial_interval);
        let longest = section.get("max_interval");
        let max_interval = longest
            .as_ref()
            .and_then(|value| value.duration(initial_interval..=MAX_DURATION))
            .unwrap_or(defaults.max_interval.max(initial_interval));
        let max_elapsed_time = match section.get("max_elapsed_time") {
            None => defaults.max_elapsed_time,
            Some(value) => value.duration(Duration::ZERO..=MAX_DURATION).filter(|limit| !limit.is_zero()),
        };
        let multiplier =
            section.get("multiplier").and_then(|value| value.number(1.0..=100.0)).unwrap_or(defaults.multiplier);
        let randomization_factor = section
            .get("randomization_factor")
            .and_then(|value| value.number(0.0..=1.0))
            .unwrap_or(defaults.randomization_factor);
        section.finish();
        Self { enabled, initial_interval, max_interval, max_elapsed_time, multiplier, randomization_factor }
    }
}

/// The values of headers, and the token of `Bearer token`.
pub(crate) fn secrets_of(destinations: [&Destination; 3]) -> Vec<String> {
    let mut secrets = Vec::new();
    for value in destinations.into_iter().flat_map(|it| &it.headers).map(|(_, value)| value.expose().trim()) {
        secrets.push(value.to_owned());
        secrets.extend(value.split_once(' ').map(|(_, token)| token.to_owned()));
    }
    secrets
}

pub(crate) fn read_headers(value: &Value<'_>) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (entry, value) in value.section().entries() {
        let name = entry.key.to_ascii_lowercase();
        let Some(text) = value.text() else { continue };
        if headers.iter().any(|(known, _)| *known == name) {
            value.report.error(entry.key_at, &value.path, Problem::ListedTwice);
        }
        match check_header(&name, text) {
            Ok(()) => headers.push((name, Secret::new(text))),
            Err(reason) => value.error(Problem::Unsupported(reason)),
        }
    }
    headers
}

/// Checks a header as an operator may set it, its name in lower case.
///
/// # Errors
/// What is wrong with it, without its value.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), &'static str> {
    const OURS: [&str; 6] =
        ["connection", "content-encoding", "content-length", "content-type", "host", "transfer-encoding"];
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err("not a valid name of an HTTP header");
    }
    if OURS.contains(&name) {
        return Err("this header follows from the request; remove it");
    }
    if !value.chars().all(|c| c == '\t' || matches!(c, ' '..='~')) {
        return Err("the value of a header must be printable ASCII on one line");
    }
    Ok(())
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

/// Reads the URL of an OTLP endpoint.
///
/// # Errors
/// What is wrong with it; the URL itself could hold a credential.
pub(crate) fn parse_url(text: &str) -> Result<Url, &'static str> {
    const SCHEME: &str = "an endpoint must start with `http://` or `https://`, as in `http://localhost:4318`";
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(SCHEME);
    }
    let url = Url::parse(text).map_err(|_| "not a valid URL; write it as in `https://otlp.example.com`")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL must not hold a user name or password; put the credential into `headers`");
    }
    if url.fragment().is_some() {
        return Err("a URL of an endpoint has no `#` part; remove it");
    }
    Ok(url)
}

/// Appends `v1/<signal>` with exactly one slash.
pub(crate) fn with_signal_path(base: &Url, signal: Signal) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/v1/{}", base.path().trim_end_matches('/'), signal.name()));
    url
}
