//! The Prometheus exporter: a page with the latest point of every series, for whoever scrapes it.
//!
//! Batches are delivered once they are on the page. Names and labels follow OpenTelemetry's compatibility rules (`names`),
//! what is on the page and for how long is up to `store`, how it is written to `page`, and who may read it how to `server`.
//! Metrics only; a batch of anything else cannot get here, because such a pipeline is refused.

mod names;
mod page;
mod points;
mod server;
mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_otlp::IN_PLACE;
use kiln_telemetry::metrics::{DropReason, Format};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::time::Instant;

use self::names::{Labels, Naming};
use self::store::{Origin, Rules, Store, hash};
use crate::attempt::{Outcome, Request};

pub(crate) use self::server::{ListenError, Listening};
pub(crate) use self::store::Lost;

/// What identifies a target, and is not told about it again.
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE: &str = "service.instance.id";

/// A page. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Exposition(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: kiln_config::Prometheus,
    naming: Naming,
    store: Mutex<Store>,
}

impl Exposition {
    pub(crate) fn new(settings: &kiln_config::Prometheus) -> Self {
        let naming = Naming { namespace: settings.namespace.clone(), has_suffixes: settings.add_metric_suffixes };
        Self(Arc::new(Inner { settings: settings.clone(), naming, store: Mutex::default() }))
    }

    /// Puts a batch onto the page.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        if request.body.len() <= IN_PLACE {
            return self.take(request);
        }
        let (page, request) = (self.clone(), request.clone());
        let taken = tokio::task::spawn_blocking(move || page.take(&request)).await;
        taken.unwrap_or_else(|error| Outcome::failed(DropReason::Unwritable, error.to_string()))
    }

    fn take(&self, request: &Request) -> Outcome {
        let decoded = match ExportMetricsServiceRequest::decode(request.body.clone()) {
            Ok(decoded) => decoded,
            Err(error) => return Outcome::failed(DropReason::Unwritable, format!("the batch is not OTLP: {error}")),
        };
        let Inner { settings, naming, .. } = &*self.0;
        let rules = Rules { naming, max_series: settings.max_series };
        let now = Instant::now();
        let mut lost: Vec<Lost> = Vec::new();
        let mut store = self.store();
        store.expire(settings.metric_expiration, now);
        for block in decoded.resource_metrics {
            let resource = block.resource.unwrap_or_default();
            let of_resource = self.labels_of(&resource);
            if let Some(labels) = target_labels(&resource) {
                store.target(labels, rules, now);
            }
            for scoped in block.scope_metrics {
                let scope = scoped.scope.unwrap_or_default();
                let mut labels = of_resource.clone();
                if !settings.without_scope_info {
                    add_scope(&mut labels, &scope, &scoped.schema_url);
                }
                let identity = hash(&format!("{:?}{:?}", resource.attributes, scope));
                let origin = Origin { labels: &labels, identity };
                for metric in scoped.metrics {
                    for some in store.add(metric, &origin, rules, now) {
                        match lost.iter_mut().find(|lost| lost.reason == some.reason) {
                            Some(lost) => lost.items += some.items,
                            None => lost.push(some),
                        }
                    }
                }
            }
        }
        Outcome::Taken { lost }
    }

    /// The page as it is now, in the format that is asked for if that is offered, and the series on it.
    pub(crate) fn render(&self, asked: Format) -> (Format, String, usize) {
        let format = if self.0.settings.enable_open_metrics { asked } else { Format::Prometheus };
        let mut store = self.store();
        store.expire(self.0.settings.metric_expiration, Instant::now());
        (format, page::write(&store, format, self.0.settings.send_timestamps), store.lines)
    }

    pub(crate) fn max_series(&self) -> usize {
        self.0.settings.max_series
    }

    /// Labels that every series of a resource has.
    fn labels_of(&self, resource: &Resource) -> Labels {
        let settings = &self.0.settings;
        let mut labels = Labels::default();
        for (name, value) in &settings.const_labels {
            labels.set(&names::label(name), value);
        }
        for (name, value) in identifying(resource) {
            labels.set(name, &value);
        }
        if settings.resource_to_telemetry {
            labels.add(pairs(&resource.attributes));
        }
        labels
    }

    // A poisoned lock guards a store whose numbers may be off; it is what there is.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pairs(attributes: &[KeyValue]) -> impl Iterator<Item = (&str, String)> {
    attributes.iter().map(|pair| (pair.key.as_str(), text(pair.value.as_ref())))
}

fn add_scope(labels: &mut Labels, scope: &InstrumentationScope, schema_url: &str) {
    let attributes = scope.attributes.iter().map(|pair| (format!("otel_scope_{}", pair.key), pair));
    let attributes: Vec<_> = attributes.map(|(name, pair)| (name, text(pair.value.as_ref()))).collect();
    labels.set("otel_scope_name", &scope.name);
    labels.set("otel_scope_version", &scope.version);
    labels.set("otel_scope_schema_url", schema_url);
    labels.add(attributes.iter().map(|(name, value)| (name.as_str(), value.clone())));
}

/// `job` and `instance`, as far as the resource has them.
fn identifying(resource: &Resource) -> Vec<(&'static str, String)> {
    let of = |key: &str| {
        let pair = resource.attributes.iter().find(|pair| pair.key == key);
        pair.map(|pair| text(pair.value.as_ref())).filter(|value| !value.is_empty())
    };
    let job = match (of(SERVICE_NAMESPACE), of(SERVICE_NAME)) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        (_, name) => name,
    };
    let job = job.map(|job| ("job", job));
    job.into_iter().chain(of(SERVICE_INSTANCE).map(|instance| ("instance", instance))).collect()
}

/// The labels of `target_info`; `None` of a resource that says nothing beyond who it is, or not even that.
fn target_labels(resource: &Resource) -> Option<String> {
    let identifying = identifying(resource);
    let rest = |key: &str| ![SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE].contains(&key);
    let mut labels = Labels::default();
    for (name, value) in &identifying {
        labels.set(name, value);
    }
    let says_more = resource.attributes.iter().any(|pair| rest(&pair.key));
    labels.add(pairs(&resource.attributes).filter(|(key, _)| rest(key)));
    (says_more && !identifying.is_empty()).then(|| labels.render())
}

/// A value as the text of a label: what is no text is JSON.
fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        value => match json(value) {
            serde_json::Value::Null => String::new(),
            json => json.to_string(),
        },
    }
}

fn json(value: Option<&any_value::Value>) -> serde_json::Value {
    use any_value::Value;
    match value {
        None | Some(Value::StringValueStrindex(_)) => serde_json::Value::Null,
        Some(Value::StringValue(text)) => text.clone().into(),
        Some(Value::BoolValue(value)) => (*value).into(),
        Some(Value::IntValue(value)) => (*value).into(),
        Some(Value::DoubleValue(value)) => (*value).into(),
        Some(Value::BytesValue(bytes)) => STANDARD.encode(bytes).into(),
        Some(Value::ArrayValue(list)) => list.values.iter().map(|value| json(value.value.as_ref())).collect(),
        Some(Value::KvlistValue(list)) => {
            let pairs = list.values.iter();
            let pair = |pair: &KeyValue| (pair.key.clone(), json(pair.value.as_ref().and_then(|it| it.value.as_ref())));
            serde_json::Value::Object(pairs.map(pair).collect())
        }
    }
}
