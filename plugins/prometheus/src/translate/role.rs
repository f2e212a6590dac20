//! What a sample is to its family, by its name and the type the page gives the family.

use std::borrow::Cow;

use crate::page::{Described, Families, Type};

/// What the number of a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The value of the metric.
    Value,
    /// A bucket, by its label `le`.
    Bucket,
    /// A quantile, by its label `quantile`.
    Quantile,
    Sum,
    Count,
    /// When counting began.
    Created,
    /// Part of a type that has no place in OTLP.
    Dropped,
}

/// A sample's family.
#[derive(Debug)]
pub(crate) struct Place<'p, 'a> {
    /// Name of the OTLP metric.
    pub(crate) name: Cow<'p, str>,
    pub(crate) role: Role,
    pub(crate) kind: Type,
    pub(crate) described: Option<&'p Described<'a>>,
}

/// Finds the family of a sample that the page called `exposed` and relabelling calls `name`.
pub(crate) fn find<'p, 'a>(families: &'p Families<'a>, exposed: &str, name: &'p str) -> Place<'p, 'a> {
    let (role, suffix, found) = exposed_role(families, exposed);
    let kind = found.map_or(Type::Unknown, |described| described.kind);
    let whole = Place { name: Cow::Borrowed(name), role, kind, described: found };
    match role {
        // These are called what the sample is called, suffixes included.
        Role::Value | Role::Quantile | Role::Dropped => whole,
        Role::Created if kind == Type::Counter => match name.strip_suffix(suffix) {
            // The start belongs to the metric that holds the value, which ends in `_total`.
            Some(base) => Place { name: Cow::Owned(format!("{base}_total")), ..whole },
            None => Place { role: Role::Value, kind: Type::Gauge, ..whole },
        },
        Role::Bucket | Role::Sum | Role::Count | Role::Created => match name.strip_suffix(suffix) {
            Some(base) => Place { name: Cow::Borrowed(base), ..whole },
            // Renamed by relabelling to something that is no part of a family any more.
            None => Place { role: Role::Value, kind: Type::Unknown, ..whole },
        },
    }
}

fn exposed_role<'p, 'a>(families: &'p Families<'a>, name: &str) -> (Role, &'static str, Option<&'p Described<'a>>) {
    if let Some(described) = families.get(name) {
        let role = match described.kind {
            Type::Summary => Role::Quantile,
            Type::GaugeHistogram => Role::Dropped,
            Type::Counter | Type::Gauge | Type::Histogram | Type::Info | Type::StateSet | Type::Unknown => Role::Value,
        };
        return (role, "", Some(described));
    }
    let parts: [(&'static str, &[Type], Role); 10] = [
        ("_total", &[Type::Counter], Role::Value),
        ("_bucket", &[Type::Histogram], Role::Bucket),
        ("_sum", &[Type::Histogram, Type::Summary], Role::Sum),
        ("_count", &[Type::Histogram, Type::Summary], Role::Count),
        ("_created", &[Type::Counter, Type::Histogram, Type::Summary], Role::Created),
        ("_info", &[Type::Info], Role::Value),
        ("_bucket", &[Type::GaugeHistogram], Role::Dropped),
        ("_gsum", &[Type::GaugeHistogram], Role::Dropped),
        ("_gcount", &[Type::GaugeHistogram], Role::Dropped),
        ("_created", &[Type::GaugeHistogram], Role::Dropped),
    ];
    parts
        .into_iter()
        .find_map(|(suffix, kinds, role)| {
            let described = families.get(name.strip_suffix(suffix)?)?;
            kinds.contains(&described.kind).then_some((role, suffix, Some(described)))
        })
        .unwrap_or((Role::Value, "", None))
}
