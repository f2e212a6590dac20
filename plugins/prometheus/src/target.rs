//! What is scraped: where, and under which labels.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::labels::Labels;
use crate::relabel::{self, Rule};

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    /// Where its page is.
    pub(crate) url: String,
    /// Every sample has them. `job` and `instance` are among them.
    pub(crate) labels: Labels<'static>,
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// The host of the URL.
    pub(crate) host: String,
    /// The port of the URL, or the scheme's own.
    pub(crate) port: u16,
}

impl Target {
    /// A target by its labels before relabelling; `None` if a rule drops it.
    ///
    /// # Errors
    /// What is left is nothing that could be scraped.
    pub(crate) fn new(
        mut labels: Labels<'static>,
        rules: &[Rule],
        params: &BTreeMap<String, Vec<String>>,
    ) -> Result<Option<Self>, String> {
        if !relabel::apply(rules, &mut labels) {
            return Ok(None);
        }
        let meta = |name| labels.get(name).unwrap_or_default().to_owned();
        let (address, scheme, path) = (meta("__address__"), meta("__scheme__"), meta("__metrics_path__"));
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(format!("`{scheme}` is no scheme: it is http or https")),
        };
        let (host, port) = split(&address, default_port).ok_or_else(|| {
            format!("`{address}` is no target: write host and port and nothing else, as in 10.0.0.5:4040")
        })?;
        let (host, address) = (host.to_owned(), format!("{host}:{port}"));
        let url = format!("{scheme}://{address}{}{}", if path.starts_with('/') { "" } else { "/" }, path);
        let url = url + &query(&labels, params);
        labels.retain(|name| !name.starts_with("__"));
        if labels.get("instance").is_none() {
            labels.set("instance", address);
        }
        Ok(Some(Self { url, labels, scheme, host, port }))
    }

    /// Whether it would give the same series.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.url == other.url && self.labels == other.labels
    }
}

/// Host and port of `host`, `host:port` or `[::1]:port`.
fn split(address: &str, default_port: u16) -> Option<(&str, u16)> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (address, default_port),
    };
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match name {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    (valid && port > 0).then_some((host, port))
}

/// Relabelling may change the first value of a parameter, and add parameters.
fn query(labels: &Labels<'_>, params: &BTreeMap<String, Vec<String>>) -> String {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in params {
        all.insert(name, values.iter().skip(1).map(String::as_str).collect());
    }
    for (label, value) in labels.iter() {
        if let Some(name) = label.strip_prefix("__param_") {
            all.entry(name).or_default().insert(0, value);
        }
    }
    let mut query = String::new();
    for (name, values) in all {
        for value in values {
            query.push(if query.is_empty() { '?' } else { '&' });
            encode(name, &mut query);
            query.push('=');
            encode(value, &mut query);
        }
    }
    query
}

fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            to.push(char::from(byte));
        } else {
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(address: &str, scheme: &str) -> Result<Target, String> {
        let labels = [("__address__", address), ("__scheme__", scheme), ("__metrics_path__", "/metrics")];
        let labels = labels.map(|(name, value)| (name, value.to_owned()));
        Target::new(labels.into_iter().collect(), &[], &BTreeMap::new()).map(Option::unwrap)
    }

    #[test]
    fn a_target_is_host_and_port() {
        for (address, url) in [
            ("10.0.0.5:4040", "http://10.0.0.5:4040/metrics"),
            ("driver", "http://driver:80/metrics"),
            ("[::1]:9090", "http://[::1]:9090/metrics"),
            ("[::1]", "http://[::1]:80/metrics"),
        ] {
            assert_eq!(target(address, "http").unwrap().url, url);
        }
        assert_eq!(target("driver", "https").unwrap().port, 443);
    }

    #[test]
    fn what_is_more_than_host_and_port_is_refused() {
        for wrong in
            ["", ":80", "http://driver:80", "driver:80/metrics", "u@driver", "driver:0", "driver:99999", "a b", "::1"]
        {
            assert!(target(wrong, "http").is_err(), "{wrong}");
        }
        assert!(target("driver:80", "ftp").is_err());
    }

    #[test]
    fn the_instance_is_host_and_port_unless_a_label_says_otherwise() {
        assert_eq!(target("driver", "http").unwrap().labels.get("instance"), Some("driver:80"));
        let labels = [("__address__", "driver"), ("__scheme__", "http"), ("instance", "mine")];
        let named = Target::new(labels.into_iter().collect(), &[], &BTreeMap::new()).unwrap().unwrap();
        assert_eq!(named.labels.get("instance"), Some("mine"));
    }

    #[test]
    fn parameters_are_encoded_and_the_first_value_can_be_relabelled() {
        let params = BTreeMap::from([("match[]".to_owned(), vec!["a b".to_owned(), "c&d".to_owned()])]);
        let labels = [("__address__", "h:1"), ("__scheme__", "http"), ("__param_match[]", "é"), ("__param_x", "1")];
        let target = Target::new(labels.into_iter().collect(), &[], &params).unwrap().unwrap();
        assert_eq!(target.url, "http://h:1/?match%5B%5D=%C3%A9&match%5B%5D=c%26d&x=1");
    }

    proptest! {
        #[test]
        fn no_address_panics_and_none_escapes_its_host(address in "[a-z0-9.:/@?#\\[\\]é ]{0,12}") {
            if let Ok(target) = target(&address, "http") {
                let (host, path) = target.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
                prop_assert_eq!(path, "metrics");
                prop_assert!(!host.contains(['@', '?', '#']));
            }
        }
    }
}
