//! In which unit a metric nobody knows counts, and whether it only grows.
//!
//! The pages say neither. Times of timers are times whatever they are of, and counts are counts; of anything else the
//! unit stays empty.

use kiln_plugin::telemetry::Number;
use kiln_prometheus_text::Value;

use super::reading::{Kind, Part, Reading};

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// UCUM; empty when it is not known.
    pub(crate) unit: &'static str,
    /// Whether it never falls while the application runs.
    pub(crate) counter: bool,
}

impl Quantity {
    /// What this reading means.
    pub(crate) const fn of(reading: &Reading<'_>) -> Self {
        let unit = match (reading.kind, reading.part) {
            (Kind::Histogram | Kind::Timer, Part::Count) => "{event}",
            (Kind::Timer, _) => "s",
            (Kind::Gauge | Kind::Counter | Kind::Histogram, _) => "",
        };
        Self { unit, counter: matches!(reading.part, Part::Count) }
    }

    /// The number in that unit. All but values and counts may have a fraction: one metric, one type.
    pub(crate) fn number(self, reading: &Reading<'_>) -> Number {
        match (reading.part, reading.value) {
            _ if self.unit == "s" => Number::Float(reading.value.as_f64() / 1e9),
            (Part::Value | Part::Count, Value::Integer(value)) => Number::Integer(value),
            (_, value) => Number::Float(value.as_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, part: Part) -> (&'static str, bool, Number) {
        let reading = Reading { name: "x", written: None, kind, part, value: Value::Integer(2_500_000_000) };
        let quantity = Quantity::of(&reading);
        (quantity.unit, quantity.counter, quantity.number(&reading))
    }

    #[test]
    fn a_timer_is_in_nanoseconds_and_its_count_is_not() {
        assert_eq!(of(Kind::Timer, Part::Mean), ("s", false, Number::Float(2.5)));
        assert_eq!(of(Kind::Timer, Part::Quantile("1")), ("s", false, Number::Float(2.5)));
        assert_eq!(of(Kind::Timer, Part::Count), ("{event}", true, Number::Integer(2_500_000_000)));
        assert_eq!(of(Kind::Histogram, Part::Count), ("{event}", true, Number::Integer(2_500_000_000)));
    }

    #[test]
    fn what_nobody_knows_has_no_unit() {
        assert_eq!(of(Kind::Counter, Part::Count), ("", true, Number::Integer(2_500_000_000)));
        assert_eq!(of(Kind::Gauge, Part::Value), ("", false, Number::Integer(2_500_000_000)));
        assert_eq!(of(Kind::Histogram, Part::Mean), ("", false, Number::Float(2_500_000_000.0)));
    }
}
