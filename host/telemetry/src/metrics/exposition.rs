//! The registry as text, in the format the scraper asked for.
//!
//! prometheus-client writes OpenMetrics, where a counter `a` has the sample `a_total`. The older Prometheus format knows
//! no such suffix: its metadata names the sample itself, or the metric has no type. So that format is made by renaming
//! the metadata, and sample lines are the same in both.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A text format that scrapers understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format 0.0.4, which everything understands.
    Prometheus,
    /// OpenMetrics 1.0, which also carries units.
    OpenMetrics,
}

impl Format {
    /// Picks the format an `Accept` header prefers; Prometheus when it does not ask for OpenMetrics.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let open_metrics = quality(accept, "application/openmetrics-text");
        let prometheus = quality(accept, "text/plain");
        match open_metrics {
            Some(wanted) if wanted > 0 && wanted >= prometheus.unwrap_or(0) => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The value of the `Content-Type` header.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The highest `q` the header gives this media type, in thousandths as RFC 9110 allows three digits.
fn quality(accept: &str, media_type: &str) -> Option<u16> {
    accept
        .split(',')
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(media_type) {
                return None;
            }
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            Some(q.map_or(1000, thousandths))
        })
        .max()
}

/// A malformed weight counts as "not at all": asking again in a better way costs the client nothing.
fn thousandths(q: &str) -> u16 {
    match q.parse::<f32>() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=1000 by the guard")]
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
        _ => 0,
    }
}

pub(super) fn write(registry: &Registry, format: Format) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, and neither do Kiln's own collectors.
    let _infallible = encode(&mut text, registry);
    match format {
        Format::OpenMetrics => text,
        Format::Prometheus => prometheus(&text),
    }
}

fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Which name to write is known from the type, which comes next.
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some(help) = help.take() {
                push(&mut text, &["# HELP ", name, suffix, " ", help]);
            }
            push(&mut text, &["# TYPE ", name, suffix, " ", kind]);
        } else if !line.starts_with('#') {
            push(&mut text, &[line]);
        }
    }
    text
}

fn push(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn open_metrics_only_when_it_is_preferred() {
        let prometheus_server = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                                 application/openmetrics-text;version=0.0.1;q=0.5,\
                                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in [
            prometheus_server,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=1.0.0, text/plain",
            "text/plain;q=0.5,application/openmetrics-text;q=0.5",
        ] {
            assert_eq!(Format::negotiate(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain;version=0.0.4",
            "text/plain;q=0.9,application/openmetrics-text;q=0.2",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;q=NaN",
        ] {
            assert_eq!(Format::negotiate(accept), Format::Prometheus, "{accept}");
        }
    }

    #[test]
    fn the_prometheus_format_types_the_samples_it_holds() {
        let open_metrics = "# HELP a Counts.\n# TYPE a counter\na_total{x=\"# TYPE\"} 1\n\
                            # HELP b_seconds Takes.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
                            b_seconds_sum 0.5\nb_seconds_count 1\nb_seconds_bucket{le=\"+Inf\"} 1\n\
                            # HELP target Is.\n# TYPE target info\ntarget_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            prometheus(open_metrics),
            "# HELP a_total Counts.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 1\n\
             # HELP b_seconds Takes.\n# TYPE b_seconds histogram\n\
             b_seconds_sum 0.5\nb_seconds_count 1\nb_seconds_bucket{le=\"+Inf\"} 1\n\
             # HELP target_info Is.\n# TYPE target_info gauge\ntarget_info{v=\"1\"} 1\n"
        );
    }

    #[test]
    fn every_sample_follows_the_type_of_its_own_metric() {
        let metrics = crate::Metrics::new("1");
        metrics.exporter("e\n\"\\");
        metrics.receiver("r");
        let text = metrics.expose(Format::Prometheus);
        let mut metric = "";
        for line in text.lines() {
            if let Some((name, _)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                metric = name;
            } else if !line.starts_with('#') {
                assert!(line.starts_with(metric), "{line} after {metric}");
            }
        }
    }

    proptest! {
        #[test]
        fn only_an_accept_header_that_names_open_metrics_gets_it(accept in ".*") {
            let format = Format::negotiate(&accept);
            prop_assert!(format == Format::Prometheus || accept.to_ascii_lowercase().contains("openmetrics"));
        }
    }
}
