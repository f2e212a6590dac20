//! From Prometheus to OTLP, by the rules of the OpenTelemetry specification (compatibility with Prometheus and
//! OpenMetrics).

pub(crate) mod draft;
pub(crate) mod exemplar;
pub(crate) mod histogram;
pub(crate) mod identity;
pub(crate) mod native;
pub(crate) mod role;
pub(crate) mod samples;
mod scope;
pub(crate) mod unit;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use foldhash::quality::FixedState;
use kiln_prometheus_text::CUSTOM_BUCKETS_SCHEMA;

use crate::page::{Families, Measured, Type};
use crate::series::Series;
use crate::target::Target;
use draft::{Draft, Kind, Misfit};
use identity::Identity;
use role::Role;
pub(crate) use scope::ScopeId;

/// The metric whose labels describe the target.
const TARGET_INFO: &str = "target_info";

/// The metric whose labels describe a scope.
const SCOPE_INFO: &str = "otel_scope_info";

/// What a metric is, apart from its points.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) description: String,
    /// UCUM.
    pub(crate) unit: String,
    pub(crate) kind: Kind,
    /// As the page calls it, for `prometheus.type`.
    pub(crate) type_name: &'static str,
}

/// A metric and its points, by their attributes.
#[derive(Debug)]
pub(crate) struct Metric<'a> {
    pub(crate) head: Rc<Head>,
    pub(crate) points: BTreeMap<Identity, Draft<'a>>,
}

/// What a scrape comes to: metrics by resource and scope, in an order that depends on nothing but the page's content.
#[derive(Debug, Default)]
pub(crate) struct Translated<'a> {
    pub(crate) groups: BTreeMap<(Identity, ScopeId), BTreeMap<String, Metric<'a>>>,
    /// The resource of the target itself.
    pub(crate) resource: Identity,
    pub(crate) lost: Lost,
}

/// Samples that are part of the page and of nothing that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Series that came twice; the first stands.
    pub(crate) repeated: u64,
    /// Series whose metric was something else before, on the same page.
    pub(crate) conflicting: u64,
    /// Parts without the label that says which, and histograms and summaries that are not whole.
    pub(crate) malformed: u64,
    /// Of types OTLP has no place for.
    pub(crate) unsupported: u64,
}

/// Job and instance of a series, and the scope it names.
type Origin = (String, String, ScopeId);

type Facts = BTreeMap<(String, String), Vec<(String, String)>>;

/// Brings the samples of a scrape together.
pub(crate) struct Translation<'a, 'f> {
    families: &'f Families<'f>,
    target: &'f Target,
    groups: BTreeMap<Origin, BTreeMap<String, Metric<'a>>>,
    /// Attributes of points, each once: an executor has the same on all of its metrics.
    identities: HashSet<Identity, FixedState>,
    /// What `target_info` says, by job and instance.
    facts: Facts,
    /// What `otel_scope_info` says, by name and version.
    scope_facts: Facts,
    lost: Lost,
}

impl<'a, 'f> Translation<'a, 'f> {
    pub(crate) fn new(families: &'f Families<'f>, target: &'f Target) -> Self {
        let (groups, facts, scope_facts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let identities = HashSet::with_hasher(FixedState::default());
        Self { families, target, groups, identities, facts, scope_facts, lost: Lost::default() }
    }

    pub(crate) fn add(&mut self, mut one: Series<'a>) {
        let mut identity = |label| match one.labels.remove(label) {
            Some(value) => value.into_owned(),
            None => self.target.labels.get(label).unwrap_or_default().to_owned(),
        };
        let (job, instance) = (identity("job"), identity("instance"));
        if one.name == TARGET_INFO {
            self.facts.entry((job, instance)).or_default().extend(owned(&one));
            return;
        }
        let scope = ScopeId::take(&mut one.labels);
        if one.name == SCOPE_INFO {
            if let Some((name, version)) = scope.named() {
                self.scope_facts.entry((name.to_owned(), version.to_owned())).or_default().extend(owned(&one));
            }
            return;
        }
        let name = one.name.clone();
        let place = role::find(self.families, &one.exposed, &name);
        let Some(kind) = kind_of(place.kind, &one.value) else {
            self.lost.unsupported += 1;
            return;
        };
        let metrics = self.groups.entry((job, instance, scope)).or_default();
        let metric = match metrics.get_mut(place.name.as_ref()) {
            Some(metric) => metric,
            None => metrics
                .entry(place.name.clone().into_owned())
                .or_insert(Metric { head: Rc::new(head(&place, kind)), points: BTreeMap::new() }),
        };
        if metric.head.kind != kind {
            self.lost.conflicting += 1;
            return;
        }
        let label = match place.role {
            Role::Bucket => Some("le"),
            Role::Quantile => Some("quantile"),
            Role::Value | Role::Sum | Role::Count | Role::Created | Role::Dropped => None,
        };
        let part = label.and_then(|label| one.labels.remove(label)).and_then(|text| bound(&text));
        let identity = Identity::new(one.labels.iter());
        let identity = match self.identities.get(&identity) {
            Some(known) => known.clone(),
            None => {
                self.identities.insert(identity.clone());
                identity
            }
        };
        let point = metric.points.entry(identity).or_default();
        match point.add(place.role, part, &mut one) {
            Ok(()) => {}
            Err(Misfit::Repeated) => self.lost.repeated += 1,
            Err(Misfit::Unplaced) => self.lost.malformed += 1,
        }
    }

    pub(crate) fn finish(self) -> Translated<'a> {
        let Self { target, facts, scope_facts, .. } = self;
        let facts = |job: &str, instance: &str| {
            facts.get(&(job.to_owned(), instance.to_owned())).map_or(&[][..], Vec::as_slice)
        };
        let own = |label| target.labels.get(label).unwrap_or_default();
        let (job, instance) = (own("job"), own("instance"));
        let own_resource = resource(target, job, instance, facts(job, instance));
        let mut translated = Translated { groups: BTreeMap::new(), resource: own_resource, lost: self.lost };
        for ((job, instance, scope), metrics) in self.groups {
            let resource = resource(target, &job, &instance, facts(&job, &instance));
            let told = scope.named().and_then(|named| scope_facts.get(&(named.0.to_owned(), named.1.to_owned())));
            let scope = told.map_or_else(|| scope.clone(), |facts| scope.with(facts));
            let group = translated.groups.entry((resource, scope)).or_default();
            for (name, metric) in metrics {
                match group.entry(name) {
                    Entry::Vacant(free) => drop(free.insert(metric)),
                    Entry::Occupied(_) => translated.lost.conflicting += metric.points.len() as u64,
                }
            }
        }
        translated
    }
}

fn owned(series: &Series<'_>) -> Vec<(String, String)> {
    series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// `None` for what has no place in OTLP.
const fn kind_of(kind: Type, value: &Measured<'_>) -> Option<Kind> {
    if let (Measured::Histogram(histogram), Type::Histogram | Type::Unknown) = (value, kind) {
        let custom = histogram.schema == CUSTOM_BUCKETS_SCHEMA;
        return Some(if custom { Kind::Histogram } else { Kind::ExponentialHistogram });
    }
    match kind {
        Type::Counter => Some(Kind::Counter),
        Type::Gauge | Type::Unknown => Some(Kind::Gauge),
        Type::Info | Type::StateSet => Some(Kind::UpDownCounter),
        Type::Histogram => Some(Kind::Histogram),
        Type::Summary => Some(Kind::Summary),
        Type::GaugeHistogram => None,
    }
}

fn head(place: &role::Place<'_, '_>, kind: Kind) -> Head {
    let (help, unit) = place.described.map_or(("", ""), |family| (&family.help, &family.unit));
    Head {
        name: place.name.clone().into_owned(),
        description: help.to_owned(),
        unit: unit::ucum(unit).into_owned(),
        kind,
        type_name: place.kind.as_str(),
    }
}

/// The number in a label `le` or `quantile`.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok().filter(|bound: &f64| !bound.is_nan())
}

/// The attributes of the resource. What tells targets apart cannot be overwritten by what a target says of itself.
pub(crate) fn resource(target: &Target, job: &str, instance: &str, facts: &[(String, String)]) -> Identity {
    let own = |label| target.labels.get(label).unwrap_or_default();
    let mut all: BTreeMap<&str, &str> = facts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let port = target.port.to_string();
    if (job, instance) == (own("job"), own("instance")) {
        all.insert("server.address", target.host.trim_matches(['[', ']']));
        all.insert("server.port", &port);
        all.insert("url.scheme", &target.scheme);
    }
    all.insert("service.name", job);
    all.insert("service.instance.id", instance);
    Identity::new(all)
}
