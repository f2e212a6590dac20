//! Samples of a page on their way to series: labels of the target, relabelling, limits.

use std::borrow::Cow;
use std::fmt;

use crate::config::{Job, Limits};
use crate::labels::{Labels, NAME};
use crate::page::{Exposed, Measured};
use crate::relabel;
use crate::target::Target;
use crate::translate::exemplar;

/// A sample with the labels it is sent with.
#[derive(Debug)]
pub(crate) struct Series<'a> {
    /// Its name on the page.
    pub(crate) exposed: Cow<'a, str>,
    /// Its name after relabelling.
    pub(crate) name: Cow<'a, str>,
    /// Its place among the samples of the page.
    pub(crate) place: u32,
    /// All labels but the name.
    pub(crate) labels: Labels<'a>,
    pub(crate) value: Measured<'a>,
    /// Nanoseconds since the Unix epoch.
    pub(crate) timestamp: Option<u64>,
    pub(crate) exemplar: Option<Box<exemplar::Exposed<'a>>>,
}

/// What a limit of the job refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Samples(u64),
    Labels { name: String, count: usize, limit: u64 },
    LabelName { name: String, label: String, limit: u64 },
    LabelValue { name: String, label: String, limit: u64 },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(limit) => {
                write!(f, "the page has more than {limit} samples after relabelling: raise `sample_limit` or drop some")
            }
            Self::Labels { name, count, limit } => {
                write!(f, "`{name}` has {count} labels, more than `label_limit`, which is {limit}")
            }
            Self::LabelName { name, label, limit } => write!(
                f,
                "the name of label `{label}` of `{name}` is longer than `label_name_length_limit`, which is {limit}"
            ),
            Self::LabelValue { name, label, limit } => write!(
                f,
                "the value of label `{label}` of `{name}` is longer than `label_value_length_limit`, which is {limit}"
            ),
        }
    }
}

/// Gives samples their labels and drops those the rules drop.
#[derive(Debug)]
pub(crate) struct Relabelling<'a> {
    job: &'a Job,
    target: &'a Target,
    /// How many samples it has let through.
    pub(crate) kept: u64,
}

impl<'a> Relabelling<'a> {
    pub(crate) const fn new(job: &'a Job, target: &'a Target) -> Self {
        Self { job, target, kept: 0 }
    }

    /// The series of the sample at `place`; `None` if a rule drops it.
    ///
    /// # Errors
    /// One of the limits of the job is exceeded.
    pub(crate) fn apply(&mut self, place: u32, sample: Exposed<'a>) -> Result<Option<Series<'a>>, Exceeded> {
        let (job, mut labels) = (self.job, sample.labels);
        add_target_labels(&mut labels, self.target, job.honor_labels);
        labels.set(NAME, sample.name.clone());
        if !relabel::apply(&job.metric_rules, &mut labels) {
            return Ok(None);
        }
        check(&labels, &job.limits)?;
        // A rule may take the name away, and what has no name is nothing.
        let Some(name) = labels.remove(NAME) else { return Ok(None) };
        if job.limits.samples > 0 && self.kept >= job.limits.samples {
            return Err(Exceeded::Samples(job.limits.samples));
        }
        self.kept += 1;
        let timestamp = sample.timestamp.filter(|_| job.honor_timestamps);
        let (exposed, value, exemplar) = (sample.name, sample.value, sample.exemplar);
        Ok(Some(Series { exposed, name, place, labels, value, timestamp, exemplar }))
    }
}

/// A label of the target wins over the sample's, which is kept as `exported_…`; with `honor_labels` it is the other way
/// around and the target's is not kept.
fn add_target_labels<'a>(labels: &mut Labels<'a>, target: &'a Target, honor_labels: bool) {
    for (name, value) in target.labels.iter() {
        let exposed = labels.remove(name);
        match exposed {
            Some(exposed) if honor_labels => labels.set(name, exposed),
            Some(exposed) => {
                labels.set(name, value);
                let mut exported = format!("exported_{name}");
                while labels.get(&exported).is_some() || target.labels.get(&exported).is_some() {
                    exported.insert_str(0, "exported_");
                }
                labels.set(exported, exposed);
            }
            None => labels.set(name, value),
        }
    }
}

fn check(labels: &Labels<'_>, limits: &Limits) -> Result<(), Exceeded> {
    let exceeds = |length: usize, limit: u64| limit > 0 && length as u64 > limit;
    let name = || labels.get(NAME).unwrap_or_default().to_owned();
    if exceeds(labels.len(), limits.labels) {
        return Err(Exceeded::Labels { name: name(), count: labels.len(), limit: limits.labels });
    }
    if limits.label_name_bytes == 0 && limits.label_value_bytes == 0 {
        return Ok(());
    }
    for (label, value) in labels.iter() {
        if exceeds(label.len(), limits.label_name_bytes) {
            let (label, limit) = (excerpt(label), limits.label_name_bytes);
            return Err(Exceeded::LabelName { name: name(), label, limit });
        }
        if exceeds(value.len(), limits.label_value_bytes) {
            let (label, limit) = (excerpt(label), limits.label_value_bytes);
            return Err(Exceeded::LabelValue { name: name(), label, limit });
        }
    }
    Ok(())
}

/// So much of a name is repeated to the operator.
fn excerpt(text: &str) -> String {
    text.chars().take(50).collect()
}
