//! Names, time and chance: what a call depends on besides its arguments.
//!
//! Gathered in one place so that tests can script an attacker's name server and let seconds pass at once.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kiln_policy::ProxyRule;
use kiln_telemetry::Redaction;

use crate::found::Discovery;
use crate::proxies::Proxies;

pub(crate) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

pub(crate) struct Ambient {
    /// The addresses of a name.
    pub(crate) lookup: Lookup,
    /// What is found rather than looked up.
    pub(crate) discovery: Option<Arc<Discovery>>,
    /// Through whom requests go.
    pub(crate) proxies: Proxies,
    /// Lets time pass.
    pub(crate) pause: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Time that never goes back.
    pub(crate) instant: Box<dyn Fn() -> Instant + Send + Sync>,
    /// The date, for servers that say when to come back as one.
    pub(crate) date: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// At least 0, less than 1.
    pub(crate) chance: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Ambient {
    pub(crate) fn system(proxy: ProxyRule, redaction: &Redaction, discovery: Option<Arc<Discovery>>) -> Self {
        Self {
            lookup: Arc::new(|name| {
                async move {
                    let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
                    Ok(addresses.map(|address| address.ip()).collect())
                }
                .boxed()
            }),
            discovery,
            proxies: Proxies::new(proxy, redaction),
            pause: Box::new(|time| tokio::time::sleep(time).boxed()),
            instant: Box::new(Instant::now),
            date: Box::new(SystemTime::now),
            // Without randomness the only loss is that instances repeat in step.
            chance: Box::new(|| getrandom::u32().map_or(0.5, |random| f64::from(random) / 4_294_967_296.0)),
        }
    }
}
