//! Scrapes Prometheus targets, and translates what they expose to OpenTelemetry.
//!
//! A target that cannot be read costs itself: its series end, `up` says 0, and the others are scraped as before. The
//! translation follows the OpenTelemetry specification (compatibility with Prometheus and OpenMetrics); names are those
//! of the targets, unaltered.

mod answer;
mod config;
mod emit;
mod labels;
mod memory;
mod page;
mod plan;
mod relabel;
mod report;
mod schedule;
mod scrape;
mod series;
mod start;
mod target;
mod translate;

use kiln_plugin::http::Request;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, PartialFailure, Receiver};

pub use crate::config::Config;
use crate::config::{Job, Settings, StartTime};
use crate::memory::Room;
use crate::schedule::{Due, Schedule};
use crate::scrape::{Answered, History};
use crate::target::Target;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Prometheus);

/// Targets that are asked at a time. Their pages are in memory together, and the host has four requests under way at
/// once unless told otherwise.
const MAX_CONCURRENT_SCRAPES: usize = 4;

/// Bytes that pages asked for at a time may have together, by what they had the last time. A page that is larger is asked
/// for alone.
const MAX_CONCURRENT_BYTES: usize = 32 << 20;

/// What a page is taken to have that has not been seen.
const UNKNOWN_PAGE_BYTES: usize = MAX_CONCURRENT_BYTES / MAX_CONCURRENT_SCRAPES;

/// The receiver.
#[derive(Debug)]
pub struct Prometheus {
    jobs: Vec<Scheduled>,
    start_time: StartTime,
    room: Room,
}

#[derive(Debug)]
struct Scheduled {
    job: Job,
    schedule: Schedule,
    /// Of its targets, in their order.
    histories: Vec<History>,
}

/// How many of the first targets are asked at a time.
fn together(due: &[(&Job, &Target, &mut History)]) -> usize {
    let mut bytes: usize = 0;
    let fits = |(_, _, history): &&(&Job, &Target, &mut History)| {
        bytes = bytes.saturating_add(history.page_bytes.unwrap_or(UNKNOWN_PAGE_BYTES));
        bytes <= MAX_CONCURRENT_BYTES
    };
    due.iter().take(MAX_CONCURRENT_SCRAPES).take_while(fits).count().max(1).min(due.len())
}

impl Receiver for Prometheus {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let settings = Settings::try_from(config)?;
        let schedule = |job: Job| Scheduled {
            schedule: Schedule::default(),
            histories: job.targets.iter().map(|_| History::default()).collect(),
            job,
        };
        let jobs = settings.jobs.into_iter().map(schedule).collect();
        Ok(Self { jobs, start_time: settings.start_time, room: Room::default() })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let started = host.monotonic();
        let mut due = Vec::new();
        for Scheduled { job, schedule, histories } in &mut self.jobs {
            match schedule.is_due(started, job.interval) {
                Due::No => continue,
                Due::Yes => {}
                Due::Late(passed) => {
                    let seconds =
                        |duration: core::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
                    let attributes = [
                        Attribute::new("job", job.name.as_str()),
                        Attribute::new("scrape_interval_seconds", seconds(job.interval.unwrap_or_default())),
                        Attribute::new("collection_interval_seconds", seconds(passed)),
                    ];
                    let message =
                        "a job is scraped less often than it wants: shorten the receiver's `collection_interval`";
                    host.log(Level::Warn, message, &attributes);
                }
            }
            due.extend(job.targets.iter().zip(histories).map(|(target, history)| (&*job, target, history)));
        }
        let mut failures = Vec::new();
        let mut rest = due.as_mut_slice();
        while let Some((batch, others)) = rest.split_at_mut_checked(together(rest)) {
            rest = others;
            if batch.is_empty() {
                break;
            }
            let requests: Vec<Request> = batch.iter().map(|(job, target, _)| answer::request(job, target)).collect();
            let (time, asked) = (host.now(), host.monotonic());
            let answers = host.http().fetch_all(&requests);
            let duration_seconds = host.monotonic().saturating_sub(asked) as f64 / 1e9;
            for ((job, target, history), answer) in batch.iter_mut().zip(answers) {
                let answered = Answered { job, target, answer, time, duration_seconds };
                if let Err(message) = answered.emit(self.start_time, history, &mut self.room, host) {
                    failures.push(PartialFailure::new(format!("{} {}", job.name, target.url), message));
                }
            }
        }
        Ok(Outcome::with_failures(failures))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// How many targets are asked first, whose last pages had so many MiB.
    fn first(sizes: &[Option<usize>]) -> usize {
        let config = r#"{ "scrape_configs": [{ "job_name": "a", "static_configs": [{ "targets": ["h"] }] }] }"#;
        let settings = Settings::try_from(serde_json::from_str::<Config>(config).unwrap()).unwrap();
        let (job, target) = (&settings.jobs[0], &settings.jobs[0].targets[0]);
        let history = |size: &Option<usize>| {
            let mut history = History::default();
            history.page_bytes = size.map(|size| size << 20);
            history
        };
        let mut histories: Vec<History> = sizes.iter().map(history).collect();
        let due: Vec<_> = histories.iter_mut().map(|history| (job, target, history)).collect();
        together(&due)
    }

    #[test]
    fn large_pages_are_not_in_memory_together() {
        assert_eq!(first(&[]), 0);
        assert_eq!(first(&[None; 9]), 4);
        assert_eq!(first(&[Some(1); 9]), 4);
        assert_eq!(first(&[Some(16), Some(16), Some(1)]), 2);
        assert_eq!(first(&[Some(30), None]), 1);
        assert_eq!(first(&[Some(100), None]), 1);
    }
}
