//! `kiln internal metrics`: the reference of Kiln's own metrics, from the catalogue they are declared in.

use std::fmt::Write as _;
use std::io::Write as _;

use kiln_telemetry::metrics::Kind;
use kiln_telemetry::{Descriptor, catalogue};

use crate::exit::Failure;

const INTRODUCTION: &str = "\
What Kiln says about itself at `/metrics` of `service.telemetry.endpoint`, in Prometheus' text format or as OpenMetrics. Where the
meaning is that of a metric of the OpenTelemetry Collector, so is the name (`otelcol_…`). Values of labels are ids of the
configuration, or words of Kiln's own: a plugin or a server cannot make one up. A histogram `x` has the series `x_bucket`, `x_sum`
and `x_count`. Series of a component are there from its start on, with the value 0; where a label tells kinds of rare trouble apart
(`error_type`, `limit`, `capability`), from the first time on.
";

pub(super) fn run() -> Result<(), Failure> {
    let page = page(&catalogue());
    std::io::stdout().write_all(page.as_bytes()).map_err(|error| Failure::runtime(error.to_string()))
}

fn page(catalogue: &[Descriptor]) -> String {
    let mut page = format!("# Kiln's own metrics\n\n{INTRODUCTION}");
    for (prefix, heading) in
        [("otelcol_", "Shared with the Collector"), ("kiln_", "Kiln's"), ("target_", "What is answering")]
    {
        let _infallible = write!(
            page,
            "\n## {heading}\n\n| metric | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n"
        );
        let mut of_prefix: Vec<_> = catalogue.iter().filter(|metric| metric.name.starts_with(prefix)).collect();
        of_prefix.sort_by(|a, b| a.name.cmp(&b.name));
        for Descriptor { name, kind, unit, help, labels } in of_prefix {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = word(*kind);
            let (unit, labels) = (unit.unwrap_or_default(), labels.join(", "));
            let _infallible = writeln!(page, "| `{name}` | {kind} | {unit} | {labels} | {help} |");
        }
    }
    page
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_row_of_its_own() {
        let catalogue = catalogue();
        let page = page(&catalogue);
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.clone().count(), catalogue.len());
        assert!(rows.clone().all(|row| row.matches(" | ").count() == 4 && row.ends_with(" |")));
    }
}
