//! The `OTEL_EXPORTER_OTLP_*` variables of the OTLP exporter specification.
//!
//! An exporter without an endpoint in the file is described by them. A variable for one signal comes before the one
//! for all, and an empty one is as good as none. What this version cannot honour is an error, not ignored.

use std::path::PathBuf;
use std::time::Duration;

use kiln_otlp::Signal;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::destination::{COMPRESSIONS, Compression, Encoding, check_header, parse_url};
use crate::error::Problem;
use crate::otlp_grpc::read_endpoint;
use crate::otlp_http::with_signal_path;
use crate::secret::Secret;
use crate::tls::Tls;
use crate::units::MAX_DURATION;

/// The environment, as an exporter sees it.
pub(crate) struct OtelEnvironment<'a> {
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
}

/// The transport of the exporter that reads the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Grpc,
}

/// What the variables say about one signal.
#[derive(Default)]
pub(crate) struct Variables {
    pub(crate) url: Option<Url>,
    pub(crate) headers: Option<Vec<(String, Secret)>>,
    pub(crate) compression: Option<Compression>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) tls: Option<Tls>,
}

impl OtelEnvironment<'_> {
    /// Reads the variables that apply to `signal`; what is wrong with them goes to `problem`.
    pub(crate) fn read(&self, signal: Signal, protocol: Protocol, problem: &dyn Fn(Problem)) -> Variables {
        let reject = |variable: &Variable, reason: &str| {
            problem(Problem::Environment { variable: variable.name.clone(), reason: reason.to_owned() });
        };
        let encoding = self.option("PROTOCOL", signal).and_then(|wanted| match (protocol, wanted.value.as_str()) {
            (Protocol::Http, "http/protobuf") | (Protocol::Grpc, "grpc") => Some(Encoding::Protobuf),
            (Protocol::Http, "http/json") => Some(Encoding::Json),
            (Protocol::Http, _) => {
                reject(&wanted, "must be `http/protobuf` or `http/json` for this exporter; for `grpc` use `otlp`");
                None
            }
            (Protocol::Grpc, _) => {
                reject(&wanted, "must be `grpc` for this exporter; for `http/protobuf` use `otlp_http`");
                None
            }
        });
        let url = match protocol {
            Protocol::Http => self.http_endpoint(signal, &reject),
            Protocol::Grpc => self.grpc_endpoint(signal, &reject),
        };
        Variables {
            encoding,
            tls: self.tls(signal, &reject),
            url,
            headers: self.option("HEADERS", signal).and_then(|variable| match parse_headers(&variable.value) {
                Ok(headers) => Some(headers),
                Err(reason) => {
                    reject(&variable, &format!("is no list of headers such as `name=value,other=value`: {reason}"));
                    None
                }
            }),
            compression: self.option("COMPRESSION", signal).and_then(|variable| {
                let known = COMPRESSIONS.iter().find(|(name, _)| *name == variable.value);
                if known.is_none() {
                    reject(&variable, "must be `gzip`, `zstd` or `none`");
                }
                known.map(|(_, compression)| *compression)
            }),
            timeout: self.option("TIMEOUT", signal).and_then(|variable| {
                let milliseconds = variable.value.parse().ok().map(Duration::from_millis);
                let timeout = milliseconds.filter(|timeout| !timeout.is_zero() && *timeout <= MAX_DURATION);
                if timeout.is_none() {
                    reject(&variable, "must be a number of milliseconds, at least 1");
                }
                timeout
            }),
        }
    }

    fn http_endpoint(&self, signal: Signal, reject: &dyn Fn(&Variable, &str)) -> Option<Url> {
        let variable = self.option("ENDPOINT", signal)?;
        match parse_url(&variable.value) {
            Ok(url) if variable.for_one_signal => Some(url),
            Ok(url) => Some(with_signal_path(&url, signal)),
            Err(reason) => {
                reject(&variable, &format!("is no endpoint: {reason}"));
                None
            }
        }
    }

    /// `INSECURE` is for endpoints that do not say it themselves.
    fn grpc_endpoint(&self, signal: Signal, reject: &dyn Fn(&Variable, &str)) -> Option<Url> {
        let insecure = self.option("INSECURE", signal).and_then(|variable| {
            let value = variable.value.to_ascii_lowercase();
            let parsed = value.parse::<bool>().ok();
            if parsed.is_none() {
                reject(&variable, "must be `true` or `false`");
            }
            parsed
        });
        let variable = self.option("ENDPOINT", signal)?;
        let insecure = insecure.filter(|_| !variable.value.contains("://"));
        match read_endpoint(&variable.value, insecure) {
            Ok(url) => Some(url),
            Err(reason) => {
                reject(&variable, &format!("is no endpoint: {reason}"));
                None
            }
        }
    }

    /// The three variables that name files; a certificate and its key are for the same signal, or both for all.
    fn tls(&self, signal: Signal, reject: &dyn Fn(&Variable, &str)) -> Option<Tls> {
        let file = |option| {
            let variable = self.option(option, signal)?;
            let path = PathBuf::from(&variable.value);
            if !path.is_absolute() {
                reject(&variable, "is a relative path; write where the file is from the root on");
            }
            Some((path, variable))
        };
        let authority = file("CERTIFICATE").map(|(path, _)| path);
        let identity = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
            (Some((certificate, _)), Some((key, _))) => Some((certificate, key)),
            (Some((_, variable)), None) => {
                reject(&variable, "needs a private key; set `OTEL_EXPORTER_OTLP_CLIENT_KEY` too");
                None
            }
            (None, Some((_, variable))) => {
                reject(&variable, "needs a certificate; set `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` too");
                None
            }
            (None, None) => None,
        };
        let is_any = authority.is_some() || identity.is_some();
        is_any.then(|| Tls { ca_file: authority, identity, ..Tls::default() })
    }

    fn option(&self, option: &str, signal: Signal) -> Option<Variable> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{option}", signal.name().to_ascii_uppercase());
        let general = format!("OTEL_EXPORTER_OTLP_{option}");
        [(own, true), (general, false)].into_iter().find_map(|(name, for_one_signal)| {
            let value = (self.env)(&name)?.trim().to_owned();
            (!value.is_empty()).then_some(Variable { name, value, for_one_signal })
        })
    }
}

struct Variable {
    name: String,
    value: String,
    for_one_signal: bool,
}

/// Reads `name=value,other=value` (W3C Baggage), values percent-encoded, properties after `;` without meaning.
fn parse_headers(text: &str) -> Result<Vec<(String, Secret)>, &'static str> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let (name, value) = member.split_once('=').ok_or("an entry has no `=`")?;
        let value = value.split_once(';').map_or(value, |(value, _)| value).trim();
        let value = percent_decode_str(value).decode_utf8().map_err(|_| "a value is not UTF-8 once decoded")?;
        let name = name.trim().to_ascii_lowercase();
        check_header(&name, &value)?;
        // The last of a name counts, as where variables are appended to.
        headers.retain(|(known, _)| *known != name);
        headers.push((name, Secret::new(value)));
    }
    Ok(headers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exposed(text: &str) -> Result<Vec<(String, String)>, &'static str> {
        let headers = parse_headers(text)?;
        Ok(headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
    }

    #[test]
    fn headers_are_read_as_baggage() {
        for (text, expected) in [
            ("a=1", vec![("a", "1")]),
            ("Authorization=Bearer%20x,b=2", vec![("authorization", "Bearer x"), ("b", "2")]),
            (" a = 1 , b=2 ;property=x, ", vec![("a", "1"), ("b", "2")]),
            ("a=b=c==", vec![("a", "b=c==")]),
            ("a=Bearer x", vec![("a", "Bearer x")]),
            ("a=1,A=2", vec![("a", "2")]),
            ("a=", vec![("a", "")]),
        ] {
            let expected = expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            assert_eq!(exposed(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in ["a", "=1", "a b=1", "a=%0d%0aX-Injected:%201", "a=%ff", "host=example.com"] {
            assert!(exposed(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_header_can_be_split(text in any::<String>()) {
            for (_, value) in exposed(&text).unwrap_or_default() {
                prop_assert!(!value.contains(['\r', '\n']));
            }
        }
    }
}
