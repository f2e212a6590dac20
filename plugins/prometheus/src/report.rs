//! What is said of a scrape itself, under the names Prometheus gives it.

use std::rc::Rc;

use crate::config::Job;
use crate::emit::{Batch, Point};
use crate::memory::Group;
use crate::target::Target;
use crate::translate::draft::{Kind, Reading};
use crate::translate::identity::Identity;
use crate::translate::{self, Head, ScopeId};

/// Name, unit and meaning of the series every target has.
const ALWAYS: [(&str, &str, &str); 5] = [
    ("up", "", "1 if the target was scraped, 0 if not"),
    (
        "scrape_duration_seconds",
        "s",
        "How long the target, or the slowest of those asked at the same time, took to answer",
    ),
    ("scrape_samples_scraped", "", "Samples on the page"),
    ("scrape_samples_post_metric_relabeling", "", "Samples left after relabelling"),
    ("scrape_series_added", "", "Series that were not there in the scrape before"),
];

/// Those of `extra_scrape_metrics`.
const EXTRA: [(&str, &str, &str); 3] = [
    ("scrape_timeout_seconds", "s", "The `scrape_timeout` of the job"),
    ("scrape_sample_limit", "", "The `sample_limit` of the job, 0 if it has none"),
    ("scrape_body_size_bytes", "By", "Size of the page, decompressed; -1 if it was larger than `body_size_limit`"),
];

/// What a scrape came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scrape {
    pub(crate) is_up: bool,
    pub(crate) duration_seconds: f64,
    pub(crate) samples: usize,
    pub(crate) kept: u64,
    pub(crate) added: u64,
    /// -1 if it was larger than the limit.
    pub(crate) body_bytes: f64,
}

/// The resource and scope of the series, as long as the target has not described itself.
pub(crate) fn group(target: &Target) -> Group {
    let own = |label| target.labels.get(label).unwrap_or_default();
    (translate::resource(target, own("job"), own("instance"), &[]), ScopeId::default())
}

/// The attributes of the series: the labels of the target but those the resource has.
pub(crate) fn identity(target: &Target) -> Identity {
    Identity::new(target.labels.iter().filter(|(name, _)| !matches!(*name, "job" | "instance")))
}

/// Whether a target cannot have a series of this name beside the one said of it.
pub(crate) fn is_name(name: &str) -> bool {
    ALWAYS.iter().chain(&EXTRA).any(|(found, ..)| *found == name)
}

/// Adds the series.
pub(crate) fn add(scrape: &Scrape, job: &Job, target: &Target, group: &Group, time: u64, batch: &mut Batch<'_>) {
    let values = [
        f64::from(u8::from(scrape.is_up)),
        scrape.duration_seconds,
        scrape.samples as f64,
        scrape.kept as f64,
        scrape.added as f64,
    ];
    let extra = [job.timeout.as_secs_f64(), job.limits.samples as f64, scrape.body_bytes];
    let extra = EXTRA.iter().zip(extra).filter(|_| job.extra_metrics);
    let identity = identity(target);
    for ((name, unit, description), value) in ALWAYS.iter().zip(values).chain(extra) {
        let head = Head {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            unit: (*unit).to_owned(),
            kind: Kind::Gauge,
            type_name: "gauge",
        };
        batch.add(group, &Rc::new(head), Point::new(identity.clone(), 0, time, Reading::Number(value)));
    }
}
