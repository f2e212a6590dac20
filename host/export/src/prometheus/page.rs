//! The page: text format 0.0.4, or OpenMetrics 1.0.

use std::fmt::Write as _;

use kiln_telemetry::metrics::Format;

use super::names::escape;
use super::store::{Exemplar, Family, Number, Series, Store, Type, Value};

/// Writes everything there is.
pub(super) fn write(store: &Store, format: Format, has_timestamps: bool) -> String {
    let mut page = Page { text: String::new(), format, has_timestamps };
    for (name, family) in store.families.iter().filter(|(_, family)| !family.series.is_empty()) {
        page.family(name, family);
    }
    page.targets(store);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

struct Page {
    text: String,
    format: Format,
    has_timestamps: bool,
}

impl Page {
    fn is_open(&self) -> bool {
        self.format == Format::OpenMetrics
    }

    fn metadata(&mut self, keyword: &str, name: &str, value: &str, is_quoted: bool) {
        if !value.is_empty() {
            let _infallible = write!(self.text, "# {keyword} {name} ");
            escape(&mut self.text, value, is_quoted);
            self.text.push('\n');
        }
    }

    fn family(&mut self, name: &str, family: &Family) {
        let is_counter = family.r#type == Type::Counter;
        // In OpenMetrics a counter's samples end with `_total` and its family does not.
        let is_open_counter = is_counter && family.sample.ends_with("_total");
        let (name, r#type) = match family.r#type {
            Type::Counter if !self.is_open() => (family.sample.as_str(), "counter"),
            Type::Counter if is_open_counter => (name, "counter"),
            Type::Counter => (name, "unknown"),
            Type::Gauge => (name, "gauge"),
            Type::Histogram => (name, "histogram"),
            Type::Summary => (name, "summary"),
        };
        self.metadata("HELP", name, &family.help, self.is_open());
        self.metadata("TYPE", name, r#type, false);
        if let Some(unit) = family.unit.as_deref().filter(|_| self.is_open()) {
            self.metadata("UNIT", name, unit, false);
        }
        for (labels, series) in &family.series {
            self.series(&family.sample, labels, series, is_open_counter);
        }
    }

    fn series(&mut self, sample: &str, labels: &str, series: &Series, is_counter: bool) {
        let time = series.time;
        match &series.value {
            Value::Number(value, exemplar) => {
                let value = self.number(*value);
                let exemplar = exemplar.as_ref().filter(|_| is_counter);
                self.sample(sample, "", labels, None, &value, time, exemplar);
            }
            Value::Histogram { count, sum, bounds, counts, exemplars } => {
                let mut below = 0_u64;
                let mut lowest = f64::NEG_INFINITY;
                let uppermost = std::iter::once(f64::INFINITY);
                for (bound, in_bucket) in bounds.iter().copied().chain(uppermost).zip(counts) {
                    below = below.saturating_add(*in_bucket);
                    let exemplar = exemplars.iter().find(|it| it.value > lowest && it.value <= bound);
                    let le = self.bound(bound);
                    let value = if bound == f64::INFINITY { *count } else { below };
                    self.sample(sample, "_bucket", labels, Some(("le", &le)), &value.to_string(), time, exemplar);
                    lowest = bound;
                }
                // Without a sum there are negative observations, of which Prometheus would make a wrong rate.
                if let Some(sum) = sum {
                    let sum = self.number(Number::Real(*sum));
                    self.sample(sample, "_sum", labels, None, &sum, time, None);
                }
                self.sample(sample, "_count", labels, None, &count.to_string(), time, None);
            }
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in quantiles {
                    let (quantile, value) = (self.bound(*quantile), self.number(Number::Real(*value)));
                    self.sample(sample, "", labels, Some(("quantile", &quantile)), &value, time, None);
                }
                let sum = self.number(Number::Real(*sum));
                self.sample(sample, "_sum", labels, None, &sum, time, None);
                self.sample(sample, "_count", labels, None, &count.to_string(), time, None);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a line")]
    fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &str,
        extra: Option<(&str, &str)>,
        value: &str,
        time: u64,
        exemplar: Option<&Exemplar>,
    ) {
        let _infallible = write!(self.text, "{name}{suffix}");
        if !labels.is_empty() || extra.is_some() {
            let comma = if labels.is_empty() || extra.is_none() { "" } else { "," };
            let _infallible = write!(self.text, "{{{labels}{comma}");
            if let Some((name, value)) = extra {
                let _infallible = write!(self.text, "{name}=\"{value}\"");
            }
            self.text.push('}');
        }
        let _infallible = write!(self.text, " {value}");
        if self.has_timestamps && time > 0 {
            if self.is_open() {
                let _infallible = write!(self.text, " {}", seconds(time));
            } else {
                let _infallible = write!(self.text, " {}", time / 1_000_000);
            }
        }
        if let Some(exemplar) = exemplar.filter(|_| self.is_open()) {
            self.exemplar(exemplar);
        }
        self.text.push('\n');
    }

    /// With both ids, 64 characters of the 128 that OpenMetrics allows are taken; further attributes are left out.
    fn exemplar(&mut self, exemplar: &Exemplar) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut ids = Vec::new();
        if exemplar.trace_id.len() == 16 {
            ids.push(format!("trace_id=\"{}\"", hex(&exemplar.trace_id)));
        }
        if exemplar.span_id.len() == 8 {
            ids.push(format!("span_id=\"{}\"", hex(&exemplar.span_id)));
        }
        let value = self.number(Number::Real(exemplar.value));
        let _infallible = write!(self.text, " # {{{}}} {value}", ids.join(","));
        if exemplar.time > 0 {
            let _infallible = write!(self.text, " {}", seconds(exemplar.time));
        }
    }

    /// Resources, as the compatibility rules have them.
    fn targets(&mut self, store: &Store) {
        if store.targets.is_empty() {
            return;
        }
        let (name, r#type) = if self.is_open() { ("target", "info") } else { ("target_info", "gauge") };
        self.metadata("HELP", name, "Target metadata", false);
        self.metadata("TYPE", name, r#type, false);
        for labels in store.targets.keys() {
            self.sample("target_info", "", labels, None, "1", 0, None);
        }
    }

    fn number(&self, number: Number) -> String {
        match number {
            Number::Whole(value) => value.to_string(),
            Number::Real(value) => real(value, false),
        }
    }

    /// `le` and `quantile`: OpenMetrics wants the canonical form of a float, the older format had `1`.
    fn bound(&self, bound: f64) -> String {
        real(bound, self.is_open())
    }
}

fn real(value: f64, is_canonical: bool) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value if is_canonical => format!("{value:?}"),
        value if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        value => format!("{value:?}"),
    }
}

/// Nanoseconds as seconds, to the millisecond that Prometheus keeps.
fn seconds(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000_000)
}
