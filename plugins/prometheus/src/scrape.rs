//! One target, from its answer to what is emitted.

use kiln_plugin::Host;
use kiln_plugin::http::{FetchError, Page};
use kiln_plugin::telemetry::{Attribute, EmitError};
use kiln_plugin::{Level, UnixNanos};

use kiln_prometheus_text::Format;

use crate::config::{Job, StartTime};
use crate::emit::{Batch, Point};
use crate::memory::{Group, Memory, Room, Seen};
use crate::page::{Measured, Number};
use crate::plan::{Followed, Plan, Read};
use crate::report::{self, Scrape};
use crate::series::{Relabelling, Series};
use crate::start::Rule;
use crate::target::Target;
use crate::translate::draft::{Kind, seconds};
use crate::translate::identity::Identity;
use crate::translate::samples::Samples;
use crate::translate::{self, Lost, Translation, exemplar};
use crate::{answer, page};

/// What is remembered of a target.
#[derive(Debug, Default)]
pub(crate) struct History {
    memory: Memory,
    /// Where its own series are, as it last described itself.
    group: Option<Group>,
    complaints: Complaints,
    plan: Option<Plan>,
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
        let mut batch = Batch::new(host);
        let read = self.read(&mut scrape, start_time, history, room, &mut batch);
        scrape.is_up = read.is_ok();
        if read.is_err() {
            history.plan = None;
            batch.close();
            history.memory.end_all(time, room, |group, head, point| batch.add(group, head, point));
        }
        batch.close();
        let group = history.group.get_or_insert_with(|| report::group(self.target));
        report::add(&scrape, self.job, self.target, group, time, &mut batch);
        let taken = batch.finish();
        read?;
        taken.map_err(|error| match error {
            EmitError::Invalid(reason) => format!("the host refuses the telemetry: {reason}"),
            EmitError::Limit(reason) => reason,
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
        if format == Format::Text
            && let Some(plan) = &history.plan
            && let Some(followed) = plan.follow(text)
        {
            (scrape.samples, scrape.kept) = (plan.samples, plan.kept);
            let rule = Rule { strategy: start_time, process_start: followed.process_start };
            self.follow(plan, followed, &rule, &mut history.memory, batch);
            return Ok(());
        }
        history.plan = None;
        self.translate((text, format), scrape, start_time, history, room, batch)
    }

    /// Sends what a page says that is like the one before.
    fn follow(&self, plan: &Plan, mut page: Followed, rule: &Rule, memory: &mut Memory, batch: &mut Batch<'_>) {
        let time = self.time.as_nanos();
        for ((group, head, identity, trace), samples) in memory.series().zip(plan.points()) {
            let Some((mut reading, created)) = page.next(head.kind, samples) else { continue };
            let start = match head.kind.is_cumulative() {
                true => rule.apply(created, time, &mut trace.run, &mut reading),
                false => Some(0),
            };
            if let Some(start) = start {
                batch.add(group, head, Point::new(identity.clone(), start, time, reading));
            }
        }
    }

    /// Reads a page and sends what it says, and what it no longer says.
    fn translate(
        &self,
        (text, format): (&str, Format),
        scrape: &mut Scrape,
        start_time: StartTime,
        history: &mut History,
        room: &mut Room,
        batch: &mut Batch<'_>,
    ) -> Result<(), String> {
        let page = page::survey(text, format).map_err(|error| error.to_string())?;
        scrape.samples = page.samples;
        let mut relabelling = Relabelling::new(self.job, self.target);
        let mut translation = Translation::new(&page.families, self.target);
        let mut rule = Rule { strategy: start_time, process_start: None };
        let mut process_start_place = None;
        let mut values = Vec::with_capacity(page.samples);
        let mut are_plain = format == Format::Text && page.damaged == 0;
        for sample in page::samples(text, format) {
            let place = u32::try_from(values.len()).unwrap_or(u32::MAX);
            values.push(match &sample.value {
                Measured::Number(value) => *value,
                Measured::Histogram(_) => Number::Float(f64::NAN),
            });
            are_plain &= sample.is_plain;
            let series = relabelling.apply(place, sample).map_err(|error| error.to_string())?;
            let Some(series) = series else { continue };
            scrape.kept = relabelling.kept;
            if rule.process_start.is_none() {
                rule.process_start = process_start(&series);
                process_start_place = rule.process_start.map(|_| place);
            }
            translation.add(series);
        }
        let (damaged, first_damage) = (page.damaged, page.first_damage);
        let translated = translation.finish();
        history.group = Some((translated.resource.clone(), translate::ScopeId::default()));
        let complaints = Complaints { damaged, lost: translated.lost, forgotten: 0 };
        history.memory.begin();
        let mut delivery =
            Delivery { scrape: self, values: &values, rule: &rule, batch, complaints, added: 0, points: Vec::new() };
        for (group, metrics) in translated.groups {
            let is_own = history.group.as_ref() == Some(&group);
            for (name, metric) in metrics {
                let own = (is_own && report::is_name(&name)).then(|| report::identity(self.target));
                delivery.metric(&group, metric, own.as_ref(), &mut history.memory, room);
            }
        }
        let Delivery { complaints, added, points, .. } = delivery;
        scrape.added = added;
        let time = self.time.as_nanos();
        batch.close();
        history.memory.end_vanished(time, room, |group, head, point| batch.add(group, head, point));
        if complaints != history.complaints {
            complaints.tell(self.target, first_damage.map(|error| error.to_string()), batch.host());
            history.complaints = complaints;
        }
        // What is malformed today may be whole tomorrow, on a page of the same shape.
        if are_plain && complaints.lost.malformed == 0 && points.len() == history.memory.len() {
            let read = Read { values, kept: scrape.kept, process_start: process_start_place, points };
            history.plan = Plan::of(text, read);
        }
        Ok(())
    }
}

/// What a page says, being sent.
struct Delivery<'d, 'h> {
    scrape: &'d Answered<'d>,
    values: &'d [Number],
    rule: &'d Rule,
    batch: &'d mut Batch<'h>,
    complaints: Complaints,
    added: u64,
    /// Of what samples the points were made that are remembered.
    points: Vec<(Kind, Samples)>,
}

impl Delivery<'_, '_> {
    /// Sends the points of a metric but for `own`, a series that is said of the target anyway.
    fn metric(
        &mut self,
        group: &Group,
        metric: translate::Metric<'_>,
        own: Option<&Identity>,
        memory: &mut Memory,
        room: &mut Room,
    ) {
        let head = &metric.head;
        let (remembered, number) = memory.metric(group, head);
        for (identity, draft) in metric.points {
            if own == Some(&identity) {
                self.complaints.lost.repeated += 1;
                continue;
            }
            let Some(mut reading) = draft.reading(head.kind, self.values) else {
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
            let (start, exemplars) = if head.kind.is_cumulative() {
                let created = draft.samples.created(self.values);
                (self.rule.apply(created, time, run, &mut reading), exemplar::translate(draft.exemplars()))
            } else {
                (Some(0), Vec::new())
            };
            self.points.push((head.kind, draft.samples));
            if let Some(start) = start {
                self.batch.add(group, head, Point::new(identity, start, time, reading).with_exemplars(exemplars));
            }
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
