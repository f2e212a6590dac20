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

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Prometheus);

/// Targets that are asked at a time. Their pages are in memory together, and the host has four requests under way at
/// once unless told otherwise.
const MAX_CONCURRENT_SCRAPES: usize = 4;

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
        for batch in due.chunks_mut(MAX_CONCURRENT_SCRAPES) {
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
