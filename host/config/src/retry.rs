//! `retry_on_failure`, the same for every exporter.

use std::time::Duration;

use crate::destination::SHORTEST_TIMEOUT;
use crate::reader::Section;
use crate::units::MAX_DURATION;

/// `retry_on_failure`: exponential back-off.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Whether anything is tried twice.
    pub enabled: bool,
    /// The first wait.
    pub initial_interval: Duration,
    /// The longest wait; at least `initial_interval`.
    pub max_interval: Duration,
    /// How long a batch is tried for; `None`, spelled `0`, is for ever, which is the default for a queue on disk.
    pub max_elapsed_time: Option<Duration>,
    /// What each wait is multiplied with to make the next; at least 1.
    pub multiplier: f64,
    /// How far a wait strays from its length, from 0 to 1.
    pub randomization_factor: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Some(Duration::from_secs(300)),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

impl Retry {
    /// What waits on disk can wait for ever: it takes no memory, and it must not be given up while there is room.
    pub(crate) fn read(mut section: Section<'_>, is_stored: bool) -> Self {
        let mut defaults = Self::default();
        if is_stored {
            defaults.max_elapsed_time = None;
        }
        let interval = SHORTEST_TIMEOUT..=MAX_DURATION;
        let enabled = section.get("enabled").and_then(|value| value.boolean()).unwrap_or(defaults.enabled);
        let initial_interval = section
            .get("initial_interval")
            .and_then(|value| value.duration(interval.clone()))
            .unwrap_or(defaults.initial_interval);
        let longest = section.get("max_interval");
        let max_interval = longest
            .as_ref()
            .and_then(|value| value.duration(initial_interval..=MAX_DURATION))
            .unwrap_or(defaults.max_interval.max(initial_interval));
        let max_elapsed_time = match section.get("max_elapsed_time") {
            None => defaults.max_elapsed_time,
            Some(value) => value.duration(Duration::ZERO..=MAX_DURATION).filter(|limit| !limit.is_zero()),
        };
        let multiplier =
            section.get("multiplier").and_then(|value| value.number(1.0..=100.0)).unwrap_or(defaults.multiplier);
        let randomization_factor = section
            .get("randomization_factor")
            .and_then(|value| value.number(0.0..=1.0))
            .unwrap_or(defaults.randomization_factor);
        section.finish();
        Self { enabled, initial_interval, max_interval, max_elapsed_time, multiplier, randomization_factor }
    }
}
