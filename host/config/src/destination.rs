//! Where an exporter of OTLP sends a signal, and how.

use std::time::Duration;

use kiln_otlp::PerSignal;
use url::Url;

use crate::error::Problem;
use crate::reader::Value;
use crate::secret::Secret;
use crate::tls::Tls;

/// Anything shorter is a typing error.
pub(crate) const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// The spellings of the specification, and the Collector's for what that adds.
pub(crate) const COMPRESSIONS: [(&str, Compression); 3] =
    [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("none", Compression::None)];

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

/// The values of headers, and the token of `Bearer token`.
pub(crate) fn secrets_of(destinations: &PerSignal<Destination>) -> Vec<String> {
    let mut secrets = Vec::new();
    for value in destinations.iter().flat_map(|it| &it.headers).map(|(_, value)| value.expose().trim()) {
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
