//! When a part of the workspace is read, and what was read last.
//!
//! Metrics repeat the last reading in every collection until the next one: a backend would take a gap for an end. A
//! reading that fails is not repeated, so nothing is reported that nobody could read. A part the identity may not read is
//! left alone for an hour.

use core::time::Duration;

use kiln_plugin::PartialFailure;

use crate::api::{Api, ApiError};
use crate::errors::Errors;
use crate::part::Part;

/// How long a part is left alone that the identity may not read.
const FORBIDDEN_FOR: Duration = Duration::from_secs(60 * 60);

/// When a part is due.
#[derive(Debug)]
pub(crate) struct Due {
    part: Part,
    enabled: bool,
    interval: Duration,
    /// On the host's monotonic clock.
    at: u64,
    forbidden: bool,
}

impl Due {
    pub(crate) const fn new(part: Part, enabled: bool, interval: Duration) -> Self {
        Self { part, enabled, interval, at: 0, forbidden: false }
    }

    /// Whether the identity may not read it.
    pub(crate) const fn is_forbidden(&self) -> bool {
        self.forbidden
    }

    /// Whether it is to be read now. Collections are never quite as far apart as the operator says, so a little early is
    /// in time.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let early = nanos(self.interval) / 10;
        self.enabled && now.saturating_add(early.min(2_000_000_000)) >= self.at
    }

    /// Notes how the reading that began at `now` ended.
    pub(crate) fn note<T>(&mut self, now: u64, result: Result<T, ApiError>, errors: &mut Errors) -> Option<T> {
        match result {
            Ok(read) => {
                self.at = now.saturating_add(nanos(self.interval));
                self.forbidden = false;
                Some(read)
            }
            Err(error) => {
                self.note_error(now, error, errors);
                None
            }
        }
    }

    fn note_error(&mut self, now: u64, error: ApiError, errors: &mut Errors) {
        if !error.is_forbidden() {
            errors.note(self.part, error);
            return;
        }
        self.at = now.saturating_add(nanos(FORBIDDEN_FOR));
        let message = format!(
            "{error}; `{}` is off and tried again in an hour: the identity needs {}",
            self.part.name, self.part.permission
        );
        errors.count(self.part, &error);
        if !self.forbidden {
            errors.report(PartialFailure::new(self.part.name, message));
        }
        self.forbidden = true;
    }
}

/// A part of which the last reading is all there is to know.
#[derive(Debug)]
pub(crate) struct Watch<C> {
    due: Due,
    last: Option<C>,
}

impl<C> Watch<C> {
    pub(crate) const fn new(part: Part, enabled: bool, interval: Duration) -> Self {
        Self { due: Due::new(part, enabled, interval), last: None }
    }

    /// Reads the part if it is due. `read` is shown the last reading.
    pub(crate) fn read(
        &mut self,
        api: &mut Api<'_>,
        errors: &mut Errors,
        read: impl FnOnce(&mut Api<'_>, Option<C>) -> Result<C, ApiError>,
    ) {
        let now = api.monotonic();
        if !self.due.is_due(now) {
            return;
        }
        let result = read(api, self.last.take());
        self.last = self.due.note(now, result, errors);
        if let Some(odd) = api.take_odd() {
            errors.note(self.due.part, odd);
        }
    }

    /// The last reading, unless it failed.
    pub(crate) const fn last(&self) -> Option<&C> {
        self.last.as_ref()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
