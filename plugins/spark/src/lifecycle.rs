//! What state the application is in, as far as its UI shows it.
//!
//! Spark's UI goes through stages on its way up: nothing listens, then every path answers with a sentence, then with 404,
//! then paths appear one by one and the first requests hang. When the application ends nothing listens at once. None of
//! it is a failure of the collection, and none of it is a metric of Spark.

use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{Host, Level};

use crate::telemetry as t;

/// What was seen in one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    /// Nothing listens.
    Nothing,
    /// Something listens and does not answer, or breaks off.
    Silence,
    /// It answers, but not with metrics.
    Answers,
    /// There is an application.
    Application,
}

/// The states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Starting,
    Ready,
    Unresponsive,
    Ended,
}

impl State {
    const ALL: [Self; 5] = [Self::Waiting, Self::Starting, Self::Ready, Self::Unresponsive, Self::Ended];

    /// The value of `spark.receiver.state`.
    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unresponsive => "unresponsive",
            Self::Ended => "ended",
        }
    }

    /// What follows this state; before the first collection there is none.
    const fn next(last: Option<Self>, sight: Sight) -> Self {
        match (sight, last) {
            (Sight::Application, _) => Self::Ready,
            (Sight::Answers, _) => Self::Starting,
            (Sight::Silence, Some(Self::Ready | Self::Unresponsive)) => Self::Unresponsive,
            (Sight::Silence, _) => Self::Starting,
            (Sight::Nothing, Some(Self::Ready | Self::Unresponsive | Self::Ended)) => Self::Ended,
            (Sight::Nothing, _) => Self::Waiting,
        }
    }
}

/// The state, and how it changes.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    state: Option<State>,
}

impl Lifecycle {
    /// Takes in what was seen. A change is logged. Whether the application has just ended.
    pub(crate) fn note(&mut self, sight: Sight, endpoint: &str, host: &Host) -> bool {
        let state = State::next(self.state, sight);
        if let Some(last) = self.state.filter(|last| *last != state) {
            let attributes = [
                Attribute::new("from", last.name()),
                Attribute::new("to", state.name()),
                Attribute::new("endpoint", endpoint),
            ];
            host.log(Level::Info, "the state of the Spark application has changed", &attributes);
        }
        let last = self.state.replace(state);
        state == State::Ended && last != Some(State::Ended)
    }

    /// Whether there is an application, though it may not answer just now.
    pub(crate) const fn is_attached(&self) -> bool {
        matches!(self.state, Some(State::Ready | State::Unresponsive))
    }

    /// Whether what is known of the application still says whose state this is.
    pub(crate) const fn is_of_the_last(&self) -> bool {
        matches!(self.state, Some(State::Ready | State::Unresponsive | State::Ended))
    }

    /// Whether there was nothing when it was last looked for.
    pub(crate) const fn has_seen_nothing(&self) -> bool {
        matches!(self.state, Some(State::Waiting | State::Ended))
    }

    /// Adds `spark.receiver.state`, a point for each state.
    pub(crate) fn add_to(&self, metrics: &mut t::Metrics) {
        for state in State::ALL {
            let attributes = t::SparkReceiverState { spark_receiver_state: state.name() };
            metrics.spark_receiver_state(&attributes, i64::from(self.state == Some(state)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_comes_up_and_ends_and_the_next_one_comes_up() {
        let seen = [
            (Sight::Nothing, State::Waiting),
            (Sight::Answers, State::Starting),
            (Sight::Silence, State::Starting),
            (Sight::Application, State::Ready),
            (Sight::Silence, State::Unresponsive),
            (Sight::Silence, State::Unresponsive),
            (Sight::Application, State::Ready),
            (Sight::Nothing, State::Ended),
            (Sight::Nothing, State::Ended),
            (Sight::Answers, State::Starting),
            (Sight::Nothing, State::Waiting),
            (Sight::Application, State::Ready),
        ];
        let mut last = None;
        for (sight, expected) in seen {
            let state = State::next(last, sight);
            assert_eq!(state, expected, "{sight:?} after {last:?}");
            last = Some(state);
        }
    }
}
