//! Kiln's own metrics: one registry, typed handles, a catalogue.
//!
//! A component asks [`Metrics`] for its handles once, when it is made. After that a count is one atomic operation and
//! an observation one uncontended lock; nothing is looked up by name. Asking makes the series appear with the value 0,
//! so that a rate over the first failure is not blind to it.
//!
//! Where the meaning is the same as in the OpenTelemetry Collector, so is the name, and existing dashboards work:
//! `otelcol_*` as its Prometheus exposition writes them with unit and type suffixes. What the Collector does not have is
//! called `kiln_*`.

mod declare;
mod denials;
mod egress;
mod exporter;
mod exposition;
mod instance;
mod loading;
mod memory;
mod page;
mod process;
mod processor;
mod receiver;
mod reload;
mod shown;
mod storage;

use std::sync::Arc;

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::declare::Declarations;
pub use self::declare::{Descriptor, Kind};
pub(crate) use self::denials::DenialMetrics;
pub use self::egress::{EgressMetrics, EgressOutcome, TokenOutcome};
pub use self::exporter::{DropReason, ExporterMetrics, InFlight, RequestOutcome};
pub use self::exposition::Format;
pub use self::instance::{CallOutcome, Function, InstanceMetrics};
pub use self::loading::{CompileOutcome, LoadingMetrics};
pub use self::memory::{MemoryBound, MemoryMetrics};
pub use self::page::PageMetrics;
pub use self::processor::ProcessorMetrics;
pub use self::receiver::{CollectionOutcome, HeldUp, HeldUpBy, ReceiverMetrics};
pub use self::reload::{ReloadMetrics, ReloadOutcome};
pub use self::storage::StorageMetrics;
use crate::activity::Activity;
use crate::denials::Denials;

/// The process's registry. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    catalogue: Vec<Descriptor>,
    receiver: receiver::Families,
    processor: processor::Families,
    exporter: exporter::Families,
    storage: storage::Families,
    page: page::Families,
    instance: instance::Families,
    egress: egress::Families,
    loading: loading::Families,
    memory: memory::Families,
    reload: reload::Families,
    denials: Denials,
    activity: Option<Activity>,
}

impl Metrics {
    /// An empty registry of a Kiln of this version; the process's uptime counts from here.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self::with(version, None)
    }

    /// The same, and what its instances do one call after the other: for whoever tries a plugin.
    #[must_use]
    pub fn watched(version: &str) -> (Self, Activity) {
        let activity = Activity::default();
        (Self::with(version, Some(activity.clone())), activity)
    }

    fn with(version: &str, activity: Option<Activity>) -> Self {
        let mut declare = Declarations::default();
        target(&mut declare, version);
        process::declare(&mut declare);
        let receiver = receiver::Families::declare(&mut declare);
        let processor = processor::Families::declare(&mut declare);
        let exporter = exporter::Families::declare(&mut declare);
        let storage = storage::Families::declare(&mut declare);
        let page = page::Families::declare(&mut declare);
        let instance = instance::Families::declare(&mut declare, receiver.failed());
        let egress = egress::Families::declare(&mut declare);
        let loading = loading::Families::declare(&mut declare);
        let memory = memory::Families::declare(&mut declare);
        let reload = reload::Families::declare(&mut declare);
        let denials = Denials::new(DenialMetrics::declare(&mut declare));
        let Declarations { registry, catalogue } = declare;
        let inner = Inner {
            registry,
            catalogue,
            receiver,
            processor,
            exporter,
            storage,
            page,
            instance,
            egress,
            loading,
            memory,
            reload,
            denials,
            activity,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Handles of the receiver with this component id.
    pub fn receiver(&self, id: &str) -> ReceiverMetrics {
        self.inner.receiver.handles(id)
    }

    /// Handles of the processor with this component id.
    pub fn processor(&self, id: &str) -> ProcessorMetrics {
        self.inner.processor.handles(id)
    }

    /// Handles of the exporter with this component id.
    pub fn exporter(&self, id: &str) -> ExporterMetrics {
        self.inner.exporter.handles(id)
    }

    /// Handles for the queue on disk of the exporter with this component id.
    pub fn storage(&self, id: &str) -> StorageMetrics {
        self.inner.storage.handles(id)
    }

    /// Handles for the page of the exporter with this component id.
    pub fn page(&self, id: &str) -> PageMetrics {
        self.inner.page.handles(id)
    }

    /// Handles of the plugin instance with this component id.
    pub fn instance(&self, id: &str) -> InstanceMetrics {
        self.inner.instance.handles(id, self.inner.activity.clone())
    }

    /// Handles for the outbound HTTP of the plugin instance with this component id.
    pub fn egress(&self, id: &str) -> EgressMetrics {
        self.inner.egress.handles(id, self.instance(id))
    }

    /// Handles of what loads plugins.
    #[must_use]
    pub fn loading(&self) -> LoadingMetrics {
        self.inner.loading.handles()
    }

    /// Handles of what is in memory.
    #[must_use]
    pub fn memory(&self) -> MemoryMetrics {
        self.inner.memory.handles()
    }

    /// Handles of what became of reloads.
    #[must_use]
    pub fn reloads(&self) -> ReloadMetrics {
        self.inner.reload.handles()
    }

    /// What plugins were denied.
    #[must_use]
    pub fn denials(&self) -> &Denials {
        &self.inner.denials
    }

    /// Everything, as of now, in the given format.
    #[must_use]
    pub fn expose(&self, format: Format) -> String {
        exposition::write(&self.inner.registry, format)
    }
}

/// Every metric Kiln can expose, in the order it is written. The reference documentation is made from this.
#[must_use]
pub fn catalogue() -> Vec<Descriptor> {
    Metrics::new("").inner.catalogue.clone()
}

fn target(declare: &mut Declarations, version: &str) {
    const HELP: &str = "The Kiln process that is answering";
    let labels = vec![("service_name", "kiln".to_owned()), ("service_version", version.to_owned())];
    declare.registry.register("target", HELP, Info::new(labels));
    declare.catalogue.push(Descriptor {
        name: "target_info".to_owned(),
        kind: Kind::Info,
        unit: None,
        help: HELP,
        labels: vec!["service_name", "service_version"],
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use kiln_otlp::Signal;

    use super::*;
    use crate::denials::{Denied, DeniedCapability, Subject};

    /// Makes every series there is.
    fn everything() -> Metrics {
        let metrics = Metrics::new("1.2.3");
        metrics.receiver("databricks/prod");
        metrics.processor("resource");
        let storage = metrics.storage("otlp_http");
        storage.takes(1, 2, 3);
        storage.recovered(1);
        storage.damaged(1);
        storage.discarded(1);
        metrics.exporter("otlp_http");
        metrics.page("prometheus").scraped(1, 2);
        let instance = metrics.instance("databricks/prod");
        instance.limit_hit("memory");
        instance.failed("trap");
        let egress = metrics.egress("databricks/prod");
        egress.token(TokenOutcome::Ok);
        metrics.loading().limit_hit("compile_memory");
        let _unmoved = (metrics.memory(), metrics.reloads());
        let subject = Subject { instance: "databricks/prod".to_owned(), ..Subject::default() };
        let denied = Denied { capability: DeniedCapability::Http, target: "", reason: "origin", rule: None, text: "" };
        metrics.denials().of(subject).record(&denied);
        metrics
    }

    /// Family name to type, from the `# TYPE` lines.
    fn types(text: &str) -> BTreeMap<&str, &str> {
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
    }

    #[test]
    fn every_metric_exposed_is_in_the_catalogue_with_its_kind_unit_help_and_labels() {
        let text = everything().expose(Format::OpenMetrics);
        let families = types(&text);
        let catalogue = catalogue();
        let on_this_system = |it: &&Descriptor| cfg!(target_os = "linux") || !it.name.starts_with("otelcol_process_");
        let described: Vec<_> = catalogue.iter().filter(on_this_system).collect();
        assert_eq!(families.len(), described.len(), "{families:?}\n{described:?}");
        for it in described {
            let (family, kind) = match it.kind {
                Kind::Counter => (it.name.strip_suffix("_total").expect("counters end in _total"), "counter"),
                Kind::Gauge => (it.name.as_str(), "gauge"),
                Kind::Histogram => (it.name.as_str(), "histogram"),
                Kind::Info => (it.name.strip_suffix("_info").expect("infos end in _info"), "info"),
            };
            assert_eq!(families.get(family), Some(&kind), "{family}");
            assert!(text.contains(&format!("# HELP {family} {}.\n", it.help)), "{family}");
            assert_eq!(text.contains(&format!("# UNIT {family} ")), it.unit.is_some(), "{family}");
            if let Some(unit) = it.unit {
                assert!(family.ends_with(unit), "{family}");
            }
            assert!(!it.help.ends_with('.'), "{family}");
            let sample = if it.kind == Kind::Histogram { format!("{family}_count") } else { it.name.clone() };
            let labels: BTreeSet<_> = text
                .lines()
                .filter(|line| line.starts_with(&sample) && !line.starts_with('#'))
                .map(label_names)
                .collect();
            assert_eq!(labels, BTreeSet::from([it.labels.iter().map(ToString::to_string).collect()]), "{family}");
        }
    }

    fn label_names(sample: &str) -> Vec<String> {
        let Some((_, rest)) = sample.split_once('{') else { return Vec::new() };
        let (labels, _) = rest.split_once('}').expect("closed");
        labels.split(',').filter_map(|it| Some(it.split_once('=')?.0.to_owned())).collect()
    }

    #[test]
    fn names_shared_with_the_collector_are_spelled_as_it_exposes_them() {
        let names: BTreeSet<_> = catalogue().into_iter().map(|it| it.name).collect();
        for expected in [
            "otelcol_receiver_accepted_metric_points_total",
            "otelcol_receiver_accepted_log_records_total",
            "otelcol_receiver_accepted_spans_total",
            "otelcol_receiver_refused_metric_points_total",
            "otelcol_receiver_refused_log_records_total",
            "otelcol_receiver_refused_spans_total",
            "otelcol_receiver_failed_metric_points_total",
            "otelcol_receiver_failed_log_records_total",
            "otelcol_receiver_failed_spans_total",
            "otelcol_receiver_requests_total",
            "otelcol_scraper_scraped_metric_points_total",
            "otelcol_scraper_scraped_log_records_total",
            "otelcol_scraper_errored_metric_points_total",
            "otelcol_processor_internal_duration_seconds",
            "otelcol_processor_incoming_items_total",
            "otelcol_processor_outgoing_items_total",
            "otelcol_exporter_sent_metric_points_total",
            "otelcol_exporter_sent_log_records_total",
            "otelcol_exporter_sent_spans_total",
            "otelcol_exporter_send_failed_metric_points_total",
            "otelcol_exporter_send_failed_log_records_total",
            "otelcol_exporter_send_failed_spans_total",
            "otelcol_exporter_enqueue_failed_metric_points_total",
            "otelcol_exporter_enqueue_failed_log_records_total",
            "otelcol_exporter_enqueue_failed_spans_total",
            "otelcol_exporter_queue_size",
            "otelcol_exporter_queue_capacity",
            "otelcol_exporter_in_flight_requests",
            "otelcol_exporter_queue_batch_send_size",
            "otelcol_exporter_queue_batch_send_size_bytes",
            "otelcol_process_uptime_seconds_total",
            "otelcol_process_cpu_seconds_total",
            "otelcol_process_memory_rss_bytes",
        ] {
            assert!(names.contains(expected), "{expected}");
        }
        let foreign: Vec<_> =
            names.iter().filter(|it| !it.starts_with("otelcol_") && !it.starts_with("kiln_")).collect();
        assert_eq!(foreign, ["target_info"]);
    }

    #[test]
    fn handles_of_one_component_share_its_series_and_leave_others_alone() {
        let metrics = Metrics::new("1.2.3");
        metrics.exporter("a").sent(Signal::Metrics, 2);
        metrics.exporter("a").sent(Signal::Metrics, 3);
        metrics.exporter("b");
        metrics.receiver("r").accepted(Signal::Logs, 7);
        let text = metrics.expose(Format::OpenMetrics);
        assert!(text.contains("\notelcol_exporter_sent_metric_points_total{exporter=\"a\"} 5\n"));
        assert!(text.contains("\notelcol_exporter_sent_metric_points_total{exporter=\"b\"} 0\n"));
        assert!(text.contains("\notelcol_exporter_sent_spans_total{exporter=\"a\"} 0\n"));
        assert!(text.contains("\notelcol_receiver_accepted_log_records_total{receiver=\"r\"} 7\n"));
        assert!(text.contains("\ntarget_info{service_name=\"kiln\",service_version=\"1.2.3\"} 1\n"));
    }

    #[test]
    fn an_instance_beside_another_shows_once_it_takes_its_place() {
        let metrics = Metrics::new("");
        let up = |value: u8| {
            let text = metrics.expose(Format::OpenMetrics);
            text.contains(&format!("\nkiln_instance_up{{instance=\"a\"}} {value}\n"))
        };
        let old = metrics.instance("a");
        old.up(true);
        let refused = old.beside();
        refused.up(true);
        refused.up(false);
        assert!(up(1));
        let new = old.beside();
        new.up(false);
        new.limit_hit("memory");
        assert!(up(1));
        old.hide();
        new.show();
        assert!(up(0));
        new.up(true);
        old.up(false);
        assert!(up(1));
        let text = metrics.expose(Format::OpenMetrics);
        assert!(text.contains("kiln_instance_limit_hits_total{instance=\"a\",limit=\"memory\"} 1\n"));
    }

    #[test]
    fn each_handle_moves_its_own_series() {
        let metrics = everything();
        let took = Duration::from_millis(20);
        let receiver = metrics.receiver("databricks/prod");
        receiver.refused(Signal::Traces, 4);
        receiver.collected(CollectionOutcome::Partial, took);
        receiver.scraped(Signal::Metrics, 6);
        receiver.unrouted(Signal::Logs, 5);
        receiver.failed();
        receiver.not_taken();
        receiver.partial_failures(3);
        drop(receiver.held_up(HeldUpBy::Queue));
        let processor = metrics.processor("resource");
        processor.processed(10, 8, took);
        let exporter = metrics.exporter("otlp_http");
        exporter.failed(Signal::Logs, DropReason::Rejected, 9);
        exporter.enqueue_failed(Signal::Logs, true, 2);
        exporter.queue(5, 100);
        exporter.retried();
        exporter.requested(RequestOutcome::Retryable, took);
        let held = exporter.in_flight();
        let instance = metrics.instance("databricks/prod");
        instance.called(Function::Collect, CallOutcome::Trap, took);
        instance.discarded(Signal::Traces, 8);
        instance.cpu(took);
        instance.memory(65_536);
        instance.memory_limit(131_072);
        instance.state(77);
        instance.restarted();
        instance.recycled();
        instance.quarantined(true);
        instance.log_record(tracing::Level::WARN);
        instance.up(true);
        let egress = metrics.egress("databricks/prod");
        egress.requested(EgressOutcome::Timeout, took);
        egress.retried();
        egress.received(1_000);
        egress.token(TokenOutcome::Refused);
        let loading = metrics.loading();
        loading.asked(CompileOutcome::Limit);
        loading.compiled_for(took);
        loading.cache(5, 7);
        loading.evicted();
        metrics.reloads().reloaded(ReloadOutcome::Refused);
        let text = metrics.expose(Format::OpenMetrics);
        for expected in [
            r#"otelcol_receiver_refused_spans_total{receiver="databricks/prod"} 4"#,
            r#"kiln_collection_duration_seconds_count{receiver="databricks/prod",outcome="partial"} 1"#,
            r#"kiln_collection_duration_seconds_count{receiver="databricks/prod",outcome="error"} 0"#,
            r#"kiln_collection_partial_failures_total{receiver="databricks/prod"} 3"#,
            r#"otelcol_scraper_scraped_metric_points_total{receiver="databricks/prod"} 6"#,
            r#"otelcol_scraper_errored_metric_points_total{receiver="databricks/prod"} 4"#,
            r#"otelcol_receiver_failed_spans_total{receiver="databricks/prod"} 8"#,
            r#"otelcol_receiver_failed_log_records_total{receiver="databricks/prod"} 0"#,
            r#"otelcol_receiver_requests_total{receiver="databricks/prod",outcome="success"} 1"#,
            r#"otelcol_receiver_requests_total{receiver="databricks/prod",outcome="failure"} 1"#,
            r#"otelcol_receiver_requests_total{receiver="databricks/prod",outcome="refused"} 1"#,
            r#"kiln_collection_dropped_items_total{receiver="databricks/prod",signal="logs",reason="no_pipeline"} 5"#,
            r#"kiln_collection_held_up_total{receiver="databricks/prod",reason="queue"} 1"#,
            r#"kiln_collection_held_up_total{receiver="databricks/prod",reason="memory_batches"} 0"#,
            r#"otelcol_processor_incoming_items_total{processor="resource"} 10"#,
            r#"otelcol_processor_outgoing_items_total{processor="resource"} 8"#,
            r#"otelcol_processor_internal_duration_seconds_sum{processor="resource"} 0.02"#,
            r#"otelcol_exporter_send_failed_log_records_total{exporter="otlp_http",reason="rejected"} 9"#,
            r#"otelcol_exporter_enqueue_failed_log_records_total{exporter="otlp_http",reason="stopping"} 2"#,
            r#"otelcol_exporter_enqueue_failed_log_records_total{exporter="otlp_http",reason="unwritable"} 0"#,
            r#"otelcol_exporter_queue_size{exporter="otlp_http"} 5"#,
            r#"otelcol_exporter_queue_capacity{exporter="otlp_http"} 100"#,
            r#"otelcol_exporter_in_flight_requests{exporter="otlp_http"} 1"#,
            r#"kiln_exporter_retries_total{exporter="otlp_http"} 1"#,
            r#"kiln_exporter_request_duration_seconds_count{exporter="otlp_http",outcome="retryable"} 1"#,
            r#"kiln_instance_calls_total{instance="databricks/prod",function="collect",outcome="trap"} 1"#,
            r#"kiln_instance_call_duration_seconds_count{instance="databricks/prod",function="collect"} 1"#,
            r#"kiln_instance_cpu_seconds_total{instance="databricks/prod"} 0.02"#,
            r#"kiln_instance_memory_bytes{instance="databricks/prod"} 65536"#,
            r#"kiln_instance_memory_limit_bytes{instance="databricks/prod"} 131072"#,
            r#"kiln_instance_state_bytes{instance="databricks/prod"} 77"#,
            r#"kiln_instance_errors_total{instance="databricks/prod",error_type="trap"} 1"#,
            r#"kiln_instance_restarts_total{instance="databricks/prod"} 1"#,
            r#"kiln_instance_recycles_total{instance="databricks/prod"} 1"#,
            r#"kiln_instance_quarantined{instance="databricks/prod"} 1"#,
            r#"kiln_instance_limit_hits_total{instance="databricks/prod",limit="memory"} 1"#,
            r#"kiln_instance_log_records_total{instance="databricks/prod",level="warn"} 1"#,
            r#"kiln_instance_up{instance="databricks/prod"} 1"#,
            r#"kiln_egress_requests_total{instance="databricks/prod",outcome="timeout"} 1"#,
            r#"kiln_egress_request_duration_seconds_count{instance="databricks/prod"} 1"#,
            r#"kiln_denials_total{instance="databricks/prod",capability="http",reason="origin"} 1"#,
            r#"kiln_egress_retries_total{instance="databricks/prod"} 1"#,
            r#"kiln_egress_received_bytes_total{instance="databricks/prod"} 1000"#,
            r#"kiln_egress_token_refreshes_total{instance="databricks/prod",outcome="refused"} 1"#,
            r#"kiln_egress_token_refreshes_total{instance="databricks/prod",outcome="ok"} 1"#,
            r#"kiln_compilations_total{outcome="limit"} 1"#,
            r"kiln_compilation_duration_seconds_count 1",
            r#"kiln_loading_limit_hits_total{limit="compile_memory"} 1"#,
            r"kiln_cache_bytes 5",
            r#"kiln_reloads_total{outcome="refused"} 1"#,
            r"kiln_last_successful_load_timestamp_seconds 0.0",
            r"kiln_cache_limit_bytes 7",
            r"kiln_cache_evictions_total 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "missing {expected} in\n{text}");
        }
        drop(held);
        let text = metrics.expose(Format::OpenMetrics);
        assert!(text.contains("otelcol_exporter_in_flight_requests{exporter=\"otlp_http\"} 0\n"));
    }
}
