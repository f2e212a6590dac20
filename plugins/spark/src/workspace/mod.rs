//! The UIs of a workspace's clusters, read from outside through the workspace's own proxy.
//!
//! A round begins with the list of clusters and reads one cluster in each collection after that, until all are read: so
//! each has time, room for what it emits and a commit to itself, and costs nobody but itself what it cannot. Whose turn was
//! longest ago comes first, so that whatever ends a round early ends it for somebody else next time. What bounds growth: no
//! more clusters than the operator allows, and what is remembered of one goes with it.

mod listed;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use kiln_plugin::{CollectError, ConfigError, Host, Outcome, PartialFailure};

use self::listed::{Listed, PATH};
use crate::application::Application;
use crate::config::{Config, Databricks};
use crate::endpoint::Address;
use crate::rest::{Cluster, Facts};
use crate::telemetry;
use crate::ui::{AT_ONCE, Ui};

/// Where the state of a cluster is: behind this and its id.
const PREFIX: &str = "clusters/";

/// Who lets a collection wait for so many nanoseconds and says nothing is left alone for a while, so that others have their
/// turn: first for this long, doubled each time up to the longest.
const SLOW: u64 = 5_000_000_000;
/// See [`SLOW`].
const FIRST_PAUSE: u64 = 30_000_000_000;
/// See [`SLOW`].
const LONGEST_PAUSE: u64 = 300_000_000_000;

/// The clusters of a workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    config: Rc<Config>,
    settings: Databricks,
    /// Scheme, host and port.
    origin: String,
    workspace_id: Option<String>,
    observed: BTreeMap<String, Observed>,
    /// The list was read at least once.
    is_known: bool,
    round: Option<Round>,
}

/// A cluster that is read.
#[derive(Debug)]
struct Observed {
    ui: Ui,
    address: Address,
    /// When its last turn was, by the monotonic clock.
    turn: u64,
    /// Until when it is left alone, and for how long.
    until: u64,
    pause: u64,
}

/// Clusters whose turn is yet to come.
#[derive(Debug)]
struct Round {
    waiting: VecDeque<String>,
    /// When the last collection of it ended.
    at: u64,
}

impl Workspace {
    /// A workspace as the operator describes it.
    ///
    /// # Errors
    /// Its host is no URL.
    pub(crate) fn new(config: &Rc<Config>, settings: Databricks) -> Result<Self, ConfigError> {
        Ok(Self {
            origin: settings.origin()?,
            config: Rc::clone(config),
            settings,
            workspace_id: None,
            observed: BTreeMap::new(),
            is_known: false,
            round: None,
        })
    }

    /// Begins a round, or goes on with it.
    pub(crate) fn collect(&mut self, host: &Host) -> Result<Outcome, CollectError> {
        let under_way = self.round.take().filter(|round| host.monotonic().saturating_sub(round.at) < AT_ONCE);
        let mut failures = Vec::new();
        let waiting = match under_way {
            Some(Round { mut waiting, .. }) => {
                self.read_next(host, &mut waiting, &mut failures)?;
                waiting
            }
            None => self.begin(host, &mut failures)?,
        };
        let more = !waiting.is_empty();
        self.round = more.then(|| Round { waiting, at: host.monotonic() });
        Ok(Outcome { failures, more })
    }

    /// Whose turn it is, one after the other.
    fn begin(&mut self, host: &Host, failures: &mut Vec<PartialFailure>) -> Result<VecDeque<String>, CollectError> {
        match Listed::read(host, &self.origin, &self.settings.clusters) {
            Ok(listed) => self.take(host, listed, failures)?,
            Err(error) if !self.is_known => return Err(error.into()),
            Err(error) => failures.push(PartialFailure::new(PATH, error.reason())),
        }
        let mut waiting: Vec<(&u64, &String)> = self.observed.iter().map(|(id, one)| (&one.turn, id)).collect();
        waiting.sort_unstable();
        Ok(waiting.into_iter().map(|(_, id)| id.clone()).collect())
    }

    /// Takes in who is there now: ends what is gone, begins what has come.
    fn take(&mut self, host: &Host, listed: Listed, failures: &mut Vec<PartialFailure>) -> Result<(), CollectError> {
        let limit = self.settings.clusters.limit;
        self.is_known = true;
        self.workspace_id = listed.workspace_id.or_else(|| self.workspace_id.take());
        let mut clusters = listed.clusters;
        // Who is read stays, so that the limit does not make series come and go.
        clusters.sort_by_key(|cluster| (!self.observed.contains_key(&cluster.id), cluster.start, cluster.id.clone()));
        let beyond = clusters.len().saturating_sub(limit);
        clusters.truncate(limit);
        let current: BTreeSet<&str> = clusters.iter().map(|cluster| cluster.id.as_str()).collect();
        self.end_others(host, &current)?;
        for cluster in &clusters {
            let id = &cluster.id;
            let known = Cluster::listed(&self.origin, self.workspace_id.as_deref(), id, cluster.name.as_deref());
            match self.observed.get_mut(id) {
                Some(observed) => observed.ui.set_cluster(known),
                None => {
                    let ui = Ui::of_cluster(Rc::clone(&self.config), scope(id), known);
                    let address = Address::proxied(&self.origin, id, self.settings.port);
                    self.observed.insert(id.clone(), Observed { ui, address, turn: 0, until: 0, pause: 0 });
                }
            }
        }
        if beyond > 0 {
            let message = format!(
                "{beyond} clusters are not read, because {limit} are: raise `databricks.clusters.limit`, or want fewer"
            );
            failures.push(PartialFailure::new("databricks.clusters.limit", message));
        }
        self.tell_of_clusters(host, clusters.len(), beyond)
    }

    fn tell_of_clusters(&self, host: &Host, observed: usize, beyond: usize) -> Result<(), CollectError> {
        let cluster =
            Cluster { host: Some(self.origin.clone()), workspace_id: self.workspace_id.clone(), ..Cluster::default() };
        let nobody = Application { facts: Facts { cluster, ..Facts::default() }, ..Application::default() };
        let mut metrics = telemetry::Metrics::new(&nobody.resource());
        for (spark_receiver_cluster, count) in [("observed", observed), ("over_limit", beyond)] {
            let attributes = telemetry::SparkReceiverClusters { spark_receiver_cluster };
            metrics.spark_receiver_clusters(&attributes, i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(host.emit_metrics([metrics])?)
    }

    /// Ends all clusters but these, also those that were read before Kiln was started again, and forgets them.
    fn end_others(&mut self, host: &Host, current: &BTreeSet<&str>) -> Result<(), CollectError> {
        let keys = host.state().keys(PREFIX)?;
        let remembered = keys.iter().filter_map(|key| key.strip_prefix(PREFIX)?.split('/').next());
        let gone: BTreeSet<String> = remembered
            .chain(self.observed.keys().map(String::as_str))
            .filter(|id| !current.contains(id))
            .map(str::to_owned)
            .collect();
        for id in gone {
            let scope = scope(&id);
            let (ui, address) = match self.observed.remove(&id) {
                Some(observed) => (observed.ui, observed.address),
                None => {
                    let cluster = Cluster::listed(&self.origin, self.workspace_id.as_deref(), &id, None);
                    let ui = Ui::of_cluster(Rc::clone(&self.config), scope.clone(), cluster);
                    (ui, Address::proxied(&self.origin, &id, self.settings.port))
                }
            };
            ui.end(host, &address)?;
            for key in keys.iter().filter(|key| key.starts_with(&scope)) {
                host.state().delete(key)?;
            }
        }
        Ok(())
    }

    /// Gives the next cluster its turn.
    fn read_next(
        &mut self,
        host: &Host,
        waiting: &mut VecDeque<String>,
        failures: &mut Vec<PartialFailure>,
    ) -> Result<(), CollectError> {
        let Some(id) = waiting.pop_front() else { return Ok(()) };
        let Some(observed) = self.observed.get_mut(&id) else { return Ok(()) };
        if observed.read(host, failures)? {
            waiting.push_front(id);
        }
        if observed.ui.asks_to_wait() && !waiting.is_empty() {
            let message = format!(
                "{} clusters are left for the next collection, because the workspace asks to slow down: a longer \
                 `collection_interval` or fewer clusters would keep it from that",
                waiting.len()
            );
            failures.push(PartialFailure::new(&self.origin, message));
            waiting.clear();
        }
        Ok(())
    }
}

impl Observed {
    /// Whether there is more to read at once.
    fn read(&mut self, host: &Host, failures: &mut Vec<PartialFailure>) -> Result<bool, CollectError> {
        let began = host.monotonic();
        if let Some(more) = self.ui.catch_up(host, failures)? {
            return Ok(more);
        }
        // At least one, so that who was never read comes before who was.
        self.turn = began.max(1);
        if began < self.until {
            self.ui.tell_state(host)?;
            return Ok(false);
        }
        let known = failures.len();
        let more = self.ui.collect(host, &self.address, failures)?;
        let is_slow = host.monotonic().saturating_sub(began) > SLOW && failures.len() > known;
        self.pause = if is_slow { self.pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE) } else { 0 };
        self.until = if is_slow { host.monotonic().saturating_add(self.pause) } else { 0 };
        Ok(more)
    }
}

fn scope(id: &str) -> String {
    format!("{PREFIX}{id}/")
}
