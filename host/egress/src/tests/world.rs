//! Policies, and an egress whose names, time and chance are scripted.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use kiln_policy::{Grants, Manifest, Policy, ProxyRule, Setting};
use kiln_telemetry::metrics::Format;
use kiln_telemetry::{Metrics, Redaction, Subject};

use crate::ambient::Ambient;
use crate::found::Discovery;
use crate::proxies::Proxies;
use crate::{Credentials, Egress, EgressLimits, EgressSpec};

pub const INSTANCE: &str = "example/test";

/// The date of every scripted world: Sun, 06 Nov 1994 08:49:37 GMT.
pub const TODAY: Duration = Duration::from_secs(784_111_777);

/// A policy with these entries of `[[requests.http]]` and `grants.http`.
pub fn policy(requests: &str, grants: serde_json::Value) -> Arc<Policy> {
    let manifest = format!(
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\nlicense = 'Apache-2.0'\n\
         wit = '0.1'\n{requests}"
    );
    let manifest = Manifest::parse(&manifest).unwrap();
    let grants: Grants = serde_json::from_value(serde_json::json!({ "http": grants })).unwrap();
    // What a request signs in with is configured, except for one field that never is.
    let setting = |path: &str| match path {
        "absent" => None,
        "id" => Some(Setting::text("me")),
        _ => Some(Setting::secret()),
    };
    Arc::new(Policy::resolve(&manifest, &grants, true, setting).unwrap())
}

/// One entry of `[[requests.http]]` for every method and path.
pub fn everything(origin: &str) -> String {
    format!(
        "[[requests.http]]\norigin = '{origin}'\nmethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']\n\
         paths = ['/*']\nreason = 'a test'\n"
    )
}

/// The same, with a credential.
pub fn everything_with(origin: &str, credential: &str) -> String {
    format!("{}credential = '${{config.{credential}}}'\n", everything(origin))
}

/// Every method and path of one origin with these addresses.
pub fn reaching(origin: &str, addresses: &[&str]) -> Arc<Policy> {
    policy(&everything(origin), serde_json::json!([{ "origin": origin, "addresses": addresses }]))
}

/// Every method and path of a server on this machine.
pub fn loopback(port: u16) -> Arc<Policy> {
    reaching(&format!("http://127.0.0.1:{port}"), &["loopback"])
}

/// What an egress meets, and what it did.
#[derive(Clone, Default)]
pub struct World {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    looked_up: Arc<Mutex<Vec<String>>>,
    waits: Arc<Mutex<Vec<Duration>>>,
    passed: Arc<Mutex<Duration>>,
    metrics: Option<Metrics>,
    pub redaction: Redaction,
    proxy: ProxyRule,
    discovery: Option<Arc<Discovery>>,
}

impl World {
    pub fn new() -> Self {
        Self { metrics: Some(Metrics::new("test")), ..Self::default() }
    }

    /// A world in which the operator has configured this proxy.
    pub fn behind(proxy: &str) -> Self {
        Self { proxy: proxy.parse().unwrap(), ..Self::new() }
    }

    /// A world in which this is found.
    pub fn finding(discovery: Arc<Discovery>) -> Self {
        Self { discovery: Some(discovery), ..Self::new() }
    }

    /// The next look-up, of whatever name, finds these addresses. After the last the name does not exist.
    pub fn resolving(self, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.lock().unwrap().push_back(addresses);
        self
    }

    pub fn egress(&self, policy: Arc<Policy>) -> Egress {
        self.limited(policy, EgressLimits::default())
    }

    pub fn limited(&self, policy: Arc<Policy>, limits: EgressLimits) -> Egress {
        self.build(policy, &Credentials::default(), limits)
    }

    pub fn build(&self, policy: Arc<Policy>, credentials: &Credentials, limits: EgressLimits) -> Egress {
        Egress::within(self.ambient(), self.spec(policy, credentials, limits)).unwrap()
    }

    pub fn spec(&self, policy: Arc<Policy>, credentials: &Credentials, limits: EgressLimits) -> EgressSpec {
        let metrics = self.metrics.as_ref().unwrap();
        let subject =
            Subject { plugin: "example".to_owned(), instance: INSTANCE.to_owned(), digest: "sha256:00".to_owned() };
        EgressSpec {
            instance: INSTANCE.to_owned(),
            policy,
            credentials: credentials.clone(),
            limits,
            metrics: metrics.egress(INSTANCE),
            denials: metrics.denials().of(subject),
            redaction: self.redaction.clone(),
            proxy: self.proxy.clone(),
            discovery: None,
            rehearsal: None,
        }
    }

    pub fn looked_up(&self) -> Vec<String> {
        self.looked_up.lock().unwrap().clone()
    }

    /// The waits so far, in milliseconds.
    pub fn waits(&self) -> Vec<u128> {
        self.waits.lock().unwrap().iter().map(Duration::as_millis).collect()
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: u64) {
        *self.passed.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// The value of a series of this instance: its name and further labels, as exposed.
    pub fn metric(&self, name: &str, label: &str) -> u64 {
        let exposed = self.metrics.as_ref().unwrap().expose(Format::OpenMetrics);
        let series = format!("{name}{{instance=\"{INSTANCE}\"{label}}} ");
        exposed.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |value| value.parse().unwrap())
    }

    /// How often a request was denied for this reason.
    pub fn denied(&self, reason: &str) -> u64 {
        self.metric("kiln_denials_total", &format!(",capability=\"http\",reason=\"{reason}\""))
    }

    pub fn ambient(&self) -> Ambient {
        let (answers, looked_up) = (Arc::clone(&self.answers), Arc::clone(&self.looked_up));
        let (waits, waited) = (Arc::clone(&self.waits), Arc::clone(&self.waits));
        let passed = Arc::clone(&self.passed);
        Ambient {
            lookup: Arc::new(move |name| {
                looked_up.lock().unwrap().push(name);
                let answer = answers.lock().unwrap().pop_front();
                async move { answer.ok_or_else(|| std::io::Error::other("no such name")) }.boxed()
            }),
            discovery: self.discovery.clone(),
            proxies: Proxies::new(self.proxy.clone(), &self.redaction),
            pause: Box::new(move |time| {
                waits.lock().unwrap().push(time);
                std::future::ready(()).boxed()
            }),
            instant: Box::new(move || {
                Instant::now() + *passed.lock().unwrap() + waited.lock().unwrap().iter().sum::<Duration>()
            }),
            date: Box::new(|| SystemTime::UNIX_EPOCH + TODAY),
            chance: Box::new(|| 0.0),
        }
    }
}
