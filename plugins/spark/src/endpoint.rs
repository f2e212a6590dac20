//! Where the UI is: where the operator says, or on the first port of those Spark takes that has an application.
//!
//! Spark takes 4040, and the next one if that is taken; on Databricks it is 40001.

use kiln_plugin::http::{Request, Response};
use kiln_plugin::{ConfigError, Host};

use crate::application::{APPLICATIONS, Listed};
use crate::config::Config;

/// What the operator writes to have the ports tried.
const AUTO: &str = "auto";

const PORTS: [u16; 11] = [4040, 4041, 4042, 4043, 4044, 4045, 4046, 4047, 4048, 4049, 40001];

/// Where one UI is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What paths of the UI are appended to.
    pub(crate) url: String,
    /// Whether it is behind a workspace's proxy, which answers by itself where Spark does not.
    pub(crate) is_proxied: bool,
    /// What messages call it.
    pub(crate) name: String,
}

impl Address {
    /// Of a UI that is reached directly.
    pub(crate) fn direct(url: String) -> Self {
        Self { name: url.clone(), url, is_proxied: false }
    }

    /// Of the UI of a cluster, behind the proxy of the workspace at this origin.
    pub(crate) fn proxied(origin: &str, cluster: &str, port: u16) -> Self {
        // The proxy knows the workspace by its host: the number after `o` is not looked at, and 0 is what clients send.
        let url = format!("{origin}/driver-proxy-api/o/0/{cluster}/{port}");
        Self { url, is_proxied: true, name: format!("cluster {cluster}") }
    }

    /// What is said if the proxy answers that there is no UI.
    pub(crate) fn nothing_there(&self) -> String {
        format!(
            "{}: the workspace knows no UI there: the cluster has just ended, or its Spark has the UI on another port, \
             see `databricks.port`",
            self.url
        )
    }
}

/// Scheme, host and port of the UI.
#[derive(Debug)]
pub(crate) struct Endpoint {
    candidates: Vec<String>,
    found: Option<String>,
}

impl Endpoint {
    /// Reads what the operator wrote.
    ///
    /// # Errors
    /// It is more or less than scheme, host and port.
    pub(crate) fn new(endpoint: &str) -> Result<Self, ConfigError> {
        let candidates = if endpoint == AUTO {
            PORTS.iter().map(|port| format!("http://localhost:{port}")).collect()
        } else {
            let endpoint = endpoint.trim_end_matches('/');
            let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
            if !host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#'])) {
                return Err(ConfigError::new(
                    "/endpoint",
                    "must be scheme, host and port of Spark's UI and nothing else, for example http://localhost:4040, \
                     or `auto`",
                ));
            }
            vec![endpoint.to_owned()]
        };
        Ok(Self { candidates, found: None })
    }

    /// The one to read from now. With several, one that has an application stays for as long as it is `attached`;
    /// otherwise it is the first that has one, the first that answers at all, or the first.
    pub(crate) fn locate(&mut self, host: &Host, config: &Config, attached: bool) -> Address {
        Address::direct(self.find(host, config, attached))
    }

    fn find(&mut self, host: &Host, config: &Config, attached: bool) -> String {
        if let ([only], _) | (_, Some(only)) = (self.candidates.as_slice(), self.found.as_ref().filter(|_| attached)) {
            return only.clone();
        }
        let requests: Vec<_> =
            self.candidates.iter().map(|endpoint| Request::get(format!("{endpoint}{APPLICATIONS}"))).collect();
        let answers: Vec<_> = self.candidates.iter().zip(host.http().send_all(&requests)).collect();
        let has = |answer: &Response| {
            Listed::read(&answer.body).is_some_and(|listed| listed.iter().any(|entry| config.observes(entry.name())))
        };
        let with = |fits: &dyn Fn(&Response) -> bool| {
            answers.iter().find(|(_, answer)| answer.as_ref().is_ok_and(fits)).map(|(endpoint, _)| (*endpoint).clone())
        };
        self.found = with(&has).or_else(|| with(&|_| true)).or_else(|| self.candidates.first().cloned());
        self.found.clone().unwrap_or_default()
    }
}
