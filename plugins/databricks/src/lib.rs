//! Reads a Databricks workspace through its REST API.
//!
//! Each part of the workspace is a collector of its own: read at its own interval, failing by itself. One collection
//! first reads whatever is due, within one budget of requests, and then reports: metrics, traces of finished runs, log
//! records. Every list is read to its end or not used: a count of half a list is worse than none.

mod api;
mod attributes;
mod billing;
mod cluster_events;
mod clusters;
mod compute;
mod config;
mod duration;
mod errors;
mod fleet;
mod identity;
mod ids;
mod inventory;
mod jobs;
mod memory;
mod node_types;
mod part;
mod pipelines;
mod pools;
mod queries;
mod runs;
mod serving;
mod tally;
mod warehouses;
mod watch;

use api::{Api, Workspace};
use billing::Billing;
use cluster_events::ClusterEvents;
use clusters::Clusters;
pub use config::Config;
use errors::Errors;
use fleet::Fleet;
use identity::Identity;
use inventory::Inventory;
use jobs::Jobs;
use kiln_plugin::telemetry::{LogRecord, ResourceLogs, ResourceSpans, Span};
use kiln_plugin::{CollectError, ConfigError, Host, Outcome, Receiver};
use pipelines::Pipelines;
use pools::Pools;
use queries::Queries;
use runs::{Context, Runs};
use serving::Serving;
use tally::Tally;
use warehouses::Warehouses;
use watch::Watch;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Databricks);

/// The receiver.
#[derive(Debug)]
pub struct Databricks {
    config: Config,
    /// Scheme, host and port.
    origin: String,
    workspace: Workspace,
    errors: Errors,
    fleet: Fleet,
    jobs: Watch<Jobs>,
    runs: Runs,
    clusters: Watch<Clusters>,
    cluster_events: ClusterEvents,
    warehouses: Watch<Warehouses>,
    pools: Watch<Pools>,
    serving: Serving,
    identity: Identity,
    inventory: Inventory,
    billing: Billing,
    queries: Queries,
    pipelines: Pipelines,
}

impl Receiver for Databricks {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let read = &config.collectors;
        Ok(Self {
            origin: config.origin()?,
            workspace: Workspace::default(),
            errors: Errors::default(),
            fleet: Fleet::default(),
            jobs: Watch::new(jobs::PART, read.jobs.enabled, read.jobs.interval),
            runs: Runs::new(&config),
            clusters: Watch::new(clusters::PART, read.clusters.enabled, read.clusters.interval),
            cluster_events: ClusterEvents::new(&read.clusters),
            warehouses: Watch::new(warehouses::PART, read.warehouses.enabled, read.warehouses.interval),
            pools: Watch::new(pools::PART, read.pools.enabled, read.pools.interval),
            serving: Serving::new(&read.serving),
            identity: Identity::new(&read.identity),
            inventory: Inventory::new(&read.inventory),
            billing: Billing::new(&config),
            queries: Queries::new(&read.queries),
            pipelines: Pipelines::new(&read.pipelines),
            config,
        })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let mut api = Api::new(host, &self.origin, &mut self.workspace, self.config.requests_per_cycle);
        let errors = &mut self.errors;

        // What runs are told with comes before the runs.
        self.jobs.read(&mut api, errors, |api, _| Jobs::read(api));
        let fleet = &mut self.fleet;
        self.clusters.read(&mut api, errors, |api, _| {
            let clusters = Clusters::read(api)?;
            fleet.watch(&clusters);
            Ok(clusters)
        });
        let context =
            Context { config: &self.config, origin: &self.origin, jobs: self.jobs.last(), fleet: &self.fleet };
        let runs = self.runs.read(host, &mut api, errors, context)?;
        self.warehouses.read(&mut api, errors, |api, _| Warehouses::read(api));
        let queries = self.queries.read(host, &mut api, errors)?;
        let pipelines = self.pipelines.read(host, &mut api, errors)?;
        self.pools.read(&mut api, errors, |api, _| Pools::read(api));
        self.serving.read(&mut api, errors);
        self.identity.read(&mut api, errors);
        let context = billing::Context { config: &self.config, jobs: self.jobs.last() };
        self.billing.read(host, &mut api, errors, context)?;
        // What can wait comes last.
        let events = self.cluster_events.read(host, &mut api, errors, self.clusters.last())?;
        self.serving.read_pages(host, &mut api, errors)?;
        self.inventory.read(host, &mut api, errors)?;

        let (sent, answered) = (api.sent, api.answered);
        if sent > 0
            && answered == 0
            && let Some(error) = errors.take_first()
        {
            return Err(error);
        }
        let now = kiln_plugin::UnixNanos::from_millis(api.now());
        let tally = Tally::settle(host, errors, now)?;

        let resource = telemetry::Resource {
            service_name: "databricks",
            databricks_host: &self.origin,
            databricks_workspace_id: self.workspace.id.as_deref(),
        };
        let mut metrics = telemetry::Metrics::new(&resource);
        if let Some(jobs) = self.jobs.last() {
            jobs.add_to(&mut metrics);
        }
        self.runs.add_active_to(&mut metrics, self.config.max_jobs);
        let (mut spans, mut logs) = (Vec::new(), Vec::new());
        if let Some(runs) = runs {
            runs.add_to(&mut metrics, &self.config);
            (spans, logs) = (runs.spans, runs.logs);
        }
        if let Some(clusters) = self.clusters.last() {
            clusters.add_to(&mut metrics);
        }
        logs.extend(events);
        if let Some(warehouses) = self.warehouses.last() {
            warehouses.add_to(&mut metrics);
        }
        if let Some(pools) = self.pools.last() {
            pools.add_to(&mut metrics);
        }
        self.serving.add_to(&mut metrics);
        self.identity.add_to(&mut metrics, now.as_millis());
        self.inventory.add_to(&mut metrics);
        self.billing.add_to(&mut metrics);
        if let Some(queries) = &queries {
            queries.add_to(&mut metrics);
        }
        self.pipelines.add_to(&mut metrics);
        if let Some(pipelines) = pipelines {
            pipelines.add_to(&mut metrics);
            logs.extend(pipelines.logs);
        }
        tally.add_to(&mut metrics);
        host.emit_metrics([metrics])?;
        emit(host, &resource, spans, logs)?;
        Ok(Outcome::with_failures(self.errors.take_failures()))
    }
}

/// Hands over what is not a metric, if there is any.
fn emit(
    host: &Host,
    resource: &telemetry::Resource<'_>,
    spans: Vec<Span>,
    records: Vec<LogRecord>,
) -> Result<(), CollectError> {
    if !spans.is_empty() {
        let (resource, scope) = (resource.into(), telemetry::scope());
        host.emit_spans(&[ResourceSpans { resource, scope, spans }])?;
    }
    if !records.is_empty() {
        let (resource, scope) = (resource.into(), telemetry::scope());
        host.emit_logs(&[ResourceLogs { resource, scope, records }])?;
    }
    Ok(())
}
