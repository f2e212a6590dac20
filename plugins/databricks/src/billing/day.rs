//! Days, as `usage_date` counts them: in UTC, the first one is 1970-01-01.

use core::fmt;

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

const MILLIS: u64 = 86_400_000;

/// Later days are none: what follows from a wrong clock must still be a date SQL knows.
const LAST: u64 = 2_932_896;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Day(u64);

impl Day {
    /// The day that holds this time, in milliseconds since the epoch.
    pub(super) const fn of(millis: u64) -> Self {
        let day = millis / MILLIS;
        Self(if day < LAST { day } else { LAST })
    }

    pub(super) const fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// When it begins.
    pub(super) const fn midnight(self) -> UnixNanos {
        UnixNanos::from_millis(self.0.saturating_mul(MILLIS))
    }
}

/// `YYYY-MM-DD`, after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years begin in March here, so that the leap day is their last.
        let days = self.0.min(LAST).saturating_add(719_468);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let leaps = (day_of_era / 1_460).saturating_add(day_of_era / 146_096);
        let year_of_era = day_of_era.saturating_add(day_of_era / 36_524).saturating_sub(leaps) / 365;
        let before = year_of_era.saturating_mul(365).saturating_add(year_of_era / 4).saturating_sub(year_of_era / 100);
        let day_of_year = day_of_era.saturating_sub(before);
        let month = day_of_year.saturating_mul(5).saturating_add(2) / 153;
        let day = day_of_year.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
        let (month, next_year) = if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
        let year = era.saturating_mul(400).saturating_add(year_of_era).saturating_add(next_year);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_has_the_date_it_has() {
        for (day, date) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_454, "2026-01-01"),
            (20_453, "2025-12-31"),
            (47_541, "2100-03-01"),
            (LAST, "9999-12-31"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(Day(day).to_string(), date);
        }
        assert_eq!(Day::of(u64::MAX), Day(LAST));
        assert_eq!(Day::of(20_454 * MILLIS + 5), Day(20_454));
        assert_eq!(Day(1).before(2), Day(0));
        assert_eq!(Day(1).midnight().as_millis(), MILLIS);
    }

    proptest! {
        #[test]
        fn dates_are_the_ones_of_the_http_library(day in 0_u64..LAST) {
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(day * MILLIS);
            // `Thu, 01 Jan 1970 00:00:00 GMT`
            let http = httpdate::fmt_http_date(at);
            let date = Day(day).to_string();
            prop_assert_eq!(http.get(5..7), date.get(8..10));
            prop_assert_eq!(http.get(12..16), date.get(0..4));
        }
    }
}
