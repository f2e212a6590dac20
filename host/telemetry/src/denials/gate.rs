//! How many denials of one instance are logged.

use std::time::{Duration, Instant};

/// Denials logged of one instance in one window.
const LOGGED: u32 = 20;
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Lets the first denials of a window through.
#[derive(Debug, Default)]
pub(super) struct Gate {
    began: Option<Instant>,
    passed: u32,
}

/// Whether a denial is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Open,
    /// It is, and is the last of this window.
    Last,
    Shut,
}

impl Gate {
    pub(super) fn pass(&mut self, now: Instant) -> Passage {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            *self = Self { began: Some(now), passed: 0 };
        }
        self.passed = self.passed.saturating_add(1);
        match self.passed {
            ..LOGGED => Passage::Open,
            LOGGED => Passage::Last,
            _ => Passage::Shut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_so_many_through_and_the_next_one_begins_anew() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let passages: Vec<_> = (0..LOGGED + 2).map(|_| gate.pass(now)).collect();
        let count = |wanted| passages.iter().filter(|passage| **passage == wanted).count();
        assert_eq!((count(Passage::Open), count(Passage::Last), count(Passage::Shut)), (19, 1, 2));
        assert_eq!(gate.pass(now + WINDOW), Passage::Open);
    }
}
