//! What goes wrong, and in which order.
//!
//! Time is scaled by a hundred, as the back-off is: ten minutes away are six seconds, and five minutes of patience are three.

use std::time::Duration;

use kiln_testbed::sink::{Fault, RetryAfter};

use crate::dice::Dice;

/// A backend that is away for ten minutes.
const TEN_MINUTES: Duration = Duration::from_secs(6);

/// One thing that goes wrong, and is over before the next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The next requests meet a fault.
    Fault(u32, Fault),
    /// Nobody listens where the backend was.
    Away(Duration),
    /// There is room for so many bytes on the disk, for so long.
    DiskFull(u64, Duration),
    /// The clock is ahead by so much, or behind, from now on.
    Clock { ahead: bool, by: Duration },
    /// Killed so long from now, wherever that finds it, and started again.
    Kill(Duration),
    /// Killed half-way through a write or a sync of a file, after so many of them, and started again.
    KillWithin(u64),
}

/// What can go wrong; a schedule of its own each, and all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unavailable,
    TooManyForSeconds,
    TooManyUntilDate,
    Broken,
    TooLarge,
    Reset,
    Slow,
    Partial,
    Outage,
    DiskFull,
    ClockJumps,
    Killed,
    KilledWithinCommit,
    DropsOldest,
    Everything,
}

impl Kind {
    pub(crate) const ALL: [Self; 15] = [
        Self::Unavailable,
        Self::TooManyForSeconds,
        Self::TooManyUntilDate,
        Self::Broken,
        Self::TooLarge,
        Self::Reset,
        Self::Slow,
        Self::Partial,
        Self::Outage,
        Self::DiskFull,
        Self::ClockJumps,
        Self::Killed,
        Self::KilledWithinCommit,
        Self::DropsOldest,
        Self::Everything,
    ];

    /// As the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "503",
            Self::TooManyForSeconds => "429, with seconds",
            Self::TooManyUntilDate => "429, with a date",
            Self::Broken => "500",
            Self::TooLarge => "413 for more than half a page",
            Self::Reset => "reset, before and within the body",
            Self::Slow => "answers too late, or without an end",
            Self::Partial => "partial success",
            Self::Outage => "away for ten minutes",
            Self::DiskFull => "disk full",
            Self::ClockJumps => "clock jumps by hours and days",
            Self::Killed => "kill -9 at any moment",
            Self::KilledWithinCommit => "kill -9 within writes and syncs",
            Self::DropsOldest => "away, and the queue drops the oldest",
            Self::Everything => "everything",
        }
    }

    /// What only a queue on disk promises to survive.
    pub(crate) fn needs_disk(self) -> bool {
        matches!(self, Self::DiskFull | Self::Killed | Self::KilledWithinCommit | Self::DropsOldest)
    }

    /// Kiln is killed, so that what it has counted is lost with it.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Killed | Self::KilledWithinCommit)
    }

    /// What happens so: one kind of thing again and again, or anything a disk allows.
    pub(crate) fn steps(self, dice: &mut Dice, on_disk: bool) -> Vec<Step> {
        let count = if self == Self::Outage || self == Self::DropsOldest { 1 } else { 6 };
        let any = |dice: &mut Dice| loop {
            let kind = Self::ALL[usize::try_from(dice.below(13)).unwrap_or(0)];
            // A clock that is behind makes a date an hour away, and Kiln wait for five minutes.
            let is_out = kind == Self::TooManyUntilDate || kind == Self::Outage || kind == Self::TooLarge;
            if !is_out && (on_disk || !kind.needs_disk()) {
                break kind;
            }
        };
        let step = |dice: &mut Dice| if self == Self::Everything { any(dice).step(dice) } else { self.step(dice) };
        let count = if self == Self::Everything { 10 } else { count };
        (0..count).map(|_| step(dice)).collect()
    }

    fn step(self, dice: &mut Dice) -> Step {
        let millis = Duration::from_millis;
        match self {
            Self::Unavailable => Step::Fault(dice.times(8), Fault::status([502, 503, 504][dice.below(3) as usize])),
            Self::TooManyForSeconds => {
                Step::Fault(dice.times(2), Fault::Status { status: 429, retry_after: Some(RetryAfter::Seconds(1)) })
            }
            Self::TooManyUntilDate => {
                Step::Fault(dice.times(2), Fault::Status { status: 429, retry_after: Some(RetryAfter::DateIn(1)) })
            }
            Self::Broken => Step::Fault(dice.times(3), Fault::status(500)),
            // A limit of the backend's; what goes wrong beside it is little.
            Self::TooLarge => Step::Fault(1, Fault::status(503)),
            Self::Reset if dice.below(2) == 0 => Step::Fault(dice.times(4), Fault::Reset),
            Self::Reset => Step::Fault(dice.times(4), Fault::ResetMidBody),
            Self::Slow if dice.below(2) == 0 => Step::Fault(dice.times(3), Fault::Slow { ms: 2_000 }),
            Self::Slow => Step::Fault(dice.times(3), Fault::Endless),
            Self::Partial => {
                let rejected = i64::from(dice.times(6)) - 1;
                Step::Fault(dice.times(3), Fault::PartialSuccess { rejected, message: "as scripted".to_owned() })
            }
            Self::Outage | Self::DropsOldest => Step::Away(TEN_MINUTES),
            Self::DiskFull => Step::DiskFull(dice.below(6_000), millis(300)),
            Self::ClockJumps => {
                let by = Duration::from_secs(3600 * (1 + dice.below(72)));
                Step::Clock { ahead: dice.below(2) == 0, by }
            }
            Self::Killed => Step::Kill(dice.micros_below(millis(400))),
            Self::KilledWithinCommit => Step::KillWithin(dice.below(40)),
            Self::Everything => Step::Away(millis(200)),
        }
    }
}
