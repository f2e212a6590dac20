//! One target, from its answer to what is emitted.

use kiln_plugin::Host;
use kiln_plugin::http::{FetchError, Page};
use kiln_plugin::telemetry::{Attribute, EmitError, Metric, ResourceMetrics};
use kiln_plugin::{Level, UnixNanos};

use crate::config::{Job, StartTime};
use crate::memory::{Group, Memory, Room, Seen};
use crate::page::Measured;
use crate::report::{self, Scrape};
use crate::series::{Relabelling, Series};
use crate::start::Rule;
use crate::target::Target;
use crate::translate::draft::seconds;
use crate::translate::{self, Lost, Translation, exemplar};
use crate::{answer, emit, page};

/// Points that are handed to the host at once, so that no page is in memory as a whole twice.
const MAX_EMITTED_POINTS: usize = 5_000;

/// What is remembered of a target.
#[derive(Debug, Default)]
pub(crate) struct History {
    memory: Memory,
    /// Where its own series are, as it last described itself.
    group: Option<Group>,
    complaints: Complaints,
    /// Size of its last page in bytes, if there was one.
    pub(crate) page_bytes: Option<usize>,
}

/// What was wrong with the last page, so that one that stays wrong is not reported again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Complaints {
    damaged: usize,
    lost: Lost,
    forgotten: u64,
}

/// A scrape that has been answered.
pub(crate) struct Answered<'s> {
    pub(crate) job: &'s Job,
    pub(crate) target: &'s Target,
    pub(crate) answer: Result<Page, FetchError>,
    /// When it was asked.
    pub(crate) time: UnixNanos,
    pub(crate) duration_seconds: f64,
}

impl Answered<'_> {
    /// Emits what the target says, what it no longer says, and how the scrape went.
    ///
    /// # Errors
    /// Why the target is down, or why it could not be sent.
    pub(crate) fn emit(
        &self,
        start_time: StartTime,
        history: &mut History,
        room: &mut Room,
        host: &Host,
    ) -> Result<(), String> {
        let time = self.time.as_nanos();
        let mut scrape = Scrape { duration_seconds: self.duration_seconds, ..Scrape::default() };
        if let Ok(page) = &self.answer {
            let size = page.response().body.len();
            history.page_bytes = Some(size);
            let limit = self.job.limits.body_bytes;
            scrape.body_bytes = if limit > 0 && size as u64 > limit { -1.0 } else { size as f64 };
        }
        let mut batch = Batch { host, records: Vec::new(), points: 0, refused: None };
        let read = self.read(&mut scrape, start_time, history, room, &mut batch);
        if read.is_ok() {
            scrape.is_up = true;
            history.memory.end_vanished(time, room).into_iter().for_each(|record| batch.push(record, 0));
        } else {
            history.memory.end_all(time, room).into_iter().for_each(|record| batch.push(record, 0));
        }
        let group = history.group.get_or_insert_with(|| report::group(self.target));
        batch.push(report::record(&scrape, self.job, self.target, group, time), 1);
        batch.flush();
        read?;
        batch.refused.map_or(Ok(()), |error| match error {
            EmitError::Invalid(reason) => Err(format!("the host refuses the telemetry: {reason}")),
            EmitError::Limit(reason) => Err(reason),
        })
    }

    fn read(
        &self,
        scrape: &mut Scrape,
        start_time: StartTime,
        history: &mut History,
        room: &mut Room,
        batch: &mut Batch<'_>,
    ) -> Result<(), String> {
        let (text, format) = answer::text(&self.answer, self.job)?;
        let page = page::survey(text, format).map_err(|error| error.to_string())?;
        scrape.samples = page.samples;
        let mut relabelling = Relabelling::new(self.job, self.target);
        let mut translation = Translation::new(&page.families, self.target);
        let mut rule = Rule { strategy: start_time, process_start: None };
        for sample in page::samples(text, format) {
            let series = relabelling.apply(sample).map_err(|error| error.to_string())?;
            let Some(series) = series else { continue };
            scrape.kept = relabelling.kept;
            rule.process_start = rule.process_start.or_else(|| process_start(&series));
            translation.add(series);
        }
        let (damaged, first_damage) = (page.damaged, page.first_damage);
        let translated = translation.finish();
        history.group = Some((translated.resource.clone(), translate::ScopeId::default()));
        let mut complaints = Complaints { damaged, lost: translated.lost, forgotten: 0 };
        history.memory.begin();
        for (group, metrics) in translated.groups {
            let mut delivery = Delivery {
                is_own: history.group.as_ref() == Some(&group),
                group: &group,
                scrape: self,
                rule: &rule,
                batch: &mut *batch,
                complaints: &mut complaints,
                added: 0,
                metrics: Vec::new(),
                points: 0,
            };
            metrics.into_iter().for_each(|(name, metric)| delivery.metric(&name, metric, &mut history.memory, room));
            delivery.flush();
            scrape.added += delivery.added;
        }
        if complaints != history.complaints {
            complaints.tell(self.target, first_damage.map(|error| error.to_string()), batch.host);
            history.complaints = complaints;
        }
        Ok(())
    }
}

/// The metrics of one resource and scope, being sent.
struct Delivery<'d, 'b, 'h> {
    scrape: &'d Answered<'d>,
    rule: &'d Rule,
    group: &'d Group,
    is_own: bool,
    batch: &'b mut Batch<'h>,
    complaints: &'d mut Complaints,
    added: u64,
    metrics: Vec<Metric>,
    points: usize,
}

impl Delivery<'_, '_, '_> {
    fn metric(&mut self, name: &str, metric: translate::Metric<'_>, memory: &mut Memory, room: &mut Room) {
        let kind = metric.head.kind;
        let is_said_already = self.is_own && report::is_name(name);
        let own = is_said_already.then(|| report::identity(self.scrape.target));
        let (remembered, number) = memory.metric(self.group, &metric.head);
        let mut points = Vec::new();
        for (identity, draft) in metric.points {
            if own.as_ref() == Some(&identity) {
                self.complaints.lost.repeated += 1;
                continue;
            }
            let Some(mut reading) = draft.reading(kind) else {
                self.complaints.lost.malformed += u64::from(draft.says_something());
                continue;
            };
            // A series that brings its own time ends when its target says so.
            let ends = draft.timestamp.is_none() || self.scrape.job.track_timestamps;
            let time = draft.timestamp.unwrap_or(self.scrape.time.as_nanos());
            let mut nowhere = None;
            let run = match remembered.see(&identity, ends, number, room) {
                Seen::Again(trace) => &mut trace.run,
                Seen::New(trace) => {
                    self.added += u64::from(draft.series);
                    &mut trace.run
                }
                Seen::Forgotten => {
                    self.complaints.forgotten += 1;
                    &mut nowhere
                }
            };
            let (start, exemplars) = if kind.is_cumulative() {
                (self.rule.apply(draft.created, time, run, &mut reading), exemplar::translate(&draft.exemplars))
            } else {
                (Some(0), Vec::new())
            };
            let Some(start) = start else { continue };
            points.push(emit::Point::new(&identity, start, time, reading, exemplars));
            if self.points + points.len() >= MAX_EMITTED_POINTS {
                self.add(&metric.head, &mut points);
                self.flush();
            }
        }
        self.add(&metric.head, &mut points);
    }

    fn add(&mut self, head: &translate::Head, points: &mut Vec<emit::Point>) {
        if !points.is_empty() {
            self.points += points.len();
            self.metrics.push(emit::metric(head, std::mem::take(points)));
        }
    }

    fn flush(&mut self) {
        if !self.metrics.is_empty() {
            self.batch.push(emit::record(self.group, std::mem::take(&mut self.metrics)), self.points);
            self.points = 0;
        }
    }
}

/// Records on their way to the host.
struct Batch<'h> {
    host: &'h Host,
    records: Vec<ResourceMetrics>,
    points: usize,
    /// Why the host did not take some of them.
    refused: Option<EmitError>,
}

impl Batch<'_> {
    fn push(&mut self, record: ResourceMetrics, points: usize) {
        self.records.push(record);
        self.points += points;
        if self.points >= MAX_EMITTED_POINTS {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.points = 0;
        let records = std::mem::take(&mut self.records);
        if !records.is_empty()
            && let Err(error) = self.host.emit_metrics(records)
        {
            self.refused.get_or_insert(error);
        }
    }
}

impl Complaints {
    fn tell(&self, target: &Target, first: Option<String>, host: &Host) {
        if *self == Self::default() {
            return;
        }
        let mut attributes = vec![Attribute::new("target", target.url.as_str())];
        let mut count = |key: &str, count: u64| {
            if count > 0 {
                attributes.push(Attribute::new(key, i64::try_from(count).unwrap_or(i64::MAX)));
            }
        };
        count("damaged_lines", self.damaged as u64);
        count("repeated_series", self.lost.repeated);
        count("conflicting_series", self.lost.conflicting);
        count("malformed_series", self.lost.malformed);
        count("unsupported_series", self.lost.unsupported);
        count("series_not_remembered", self.forgotten);
        attributes.extend(first.map(|first| Attribute::new("first_damage", first)));
        host.log(Level::Warn, "parts of a page were left out", &attributes);
    }
}

/// When the process of the target started, if this is what the series says.
fn process_start(series: &Series<'_>) -> Option<u64> {
    match &series.value {
        Measured::Number(value) if series.exposed == "process_start_time_seconds" => seconds(value.as_f64()),
        _ => None,
    }
}
