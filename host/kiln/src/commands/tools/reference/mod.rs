//! `kiln plugin reference`: a plugin's manifest as a page for people.
//!
//! What the page says is what the host enforces, so a page made from the plugin that runs cannot be out of date.

mod configuration;
mod table;

use std::collections::BTreeMap;

use kiln_policy::{
    AttributeDeclaration, AttributeType, EventDeclaration, Manifest, MetricDeclaration, MetricKind, NumberType,
};
use kiln_runtime::ComponentFile;

use super::plugin::read;
use crate::cli::Reference;
use crate::exit::{Failure, print};
use table::{Table, code, codes, text};

pub(super) fn run(arguments: &Reference) -> Result<(), Failure> {
    if arguments.contract {
        let contract = kiln_runtime::whole_contract().map_err(Failure::Usage)?;
        return print(&kiln_authoring::contract::page(&contract));
    }
    let mut pages = Vec::new();
    for path in &arguments.files {
        let file = ComponentFile::parse(read(path)?)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        pages.push(page(&file.manifest));
    }
    print(&pages.join("\n"))
}

/// The whole page. A section that would be empty is left out.
fn page(manifest: &Manifest) -> String {
    let telemetry = &manifest.telemetry;
    let undeclared = telemetry.undeclared_metrics.iter();
    let families = undeclared.map(|family| [code(&format!("{}*", family.prefix)), text(&family.description)]);
    let sections = [
        ("Configuration", "", configuration::table(&manifest.config)),
        ("Resource attributes", "", attributes("attribute", &telemetry.resource_attributes)),
        ("Metrics", METRICS, metrics(&telemetry.metrics)),
        (
            "Metrics under the names of the source",
            "What the source names in a way that cannot be known here is passed on.",
            Table::new(["names", ""]).rows(families),
        ),
        ("Attributes of points, spans and log records", "", attributes("attribute", &telemetry.attributes)),
        ("Spans", "", events("span", &telemetry.spans)),
        ("Log records", "", events("event name", &telemetry.logs)),
    ];
    let mut page = format!("# {}\n\n{}.\n", manifest.name, text(&manifest.description).trim_end_matches('.'));
    for (title, introduction, table) in sections {
        if table.is_empty() {
            continue;
        }
        page.push_str(&format!("\n## {title}\n\n"));
        if !introduction.is_empty() {
            page.push_str(&format!("{introduction}\n\n"));
        }
        page.push_str(&table.to_string());
    }
    page
}

const METRICS: &str = "A counter is a monotonic cumulative sum; a sum can fall.";

fn metrics(declared: &BTreeMap<String, MetricDeclaration>) -> Table {
    let header = ["metric", "kind", "unit", "attributes", "", "read from", "since", "switched on by"];
    let rows = declared.iter().map(|(name, metric)| {
        let note = |note: &Option<String>| text(note.as_deref().unwrap_or_default());
        [
            code(name),
            kind(metric),
            code(&metric.unit),
            codes(&metric.attributes),
            description(metric),
            note(&metric.source),
            note(&metric.since),
            note(&metric.enable),
        ]
    });
    Table::new(header).rows(rows)
}

fn kind(metric: &MetricDeclaration) -> String {
    let kind = match metric.kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Sum if metric.monotonic => "counter",
        MetricKind::Sum => "sum",
        MetricKind::Histogram => "histogram",
    };
    match (metric.kind, metric.number) {
        (MetricKind::Histogram, _) => kind.to_owned(),
        (_, NumberType::Int) => format!("{kind}, int"),
        (_, NumberType::Double) => format!("{kind}, double"),
    }
}

fn description(metric: &MetricDeclaration) -> String {
    let description = text(&metric.description);
    if metric.bounds.is_empty() {
        return description;
    }
    let bounds: Vec<String> = metric.bounds.iter().map(ToString::to_string).collect();
    format!("{description}. Buckets up to {}", bounds.join(", "))
}

fn attributes(title: &'static str, declared: &BTreeMap<String, AttributeDeclaration>) -> Table {
    let rows = declared.iter().map(|(key, attribute)| {
        let kind = match attribute.kind {
            AttributeType::String => "string",
            AttributeType::Int => "int",
            AttributeType::Double => "double",
            AttributeType::Boolean => "boolean",
        };
        let optional = if attribute.optional { ", optional" } else { "" };
        [code(key), format!("{kind}{optional}"), text(&attribute.description)]
    });
    Table::new([title, "type", ""]).rows(rows)
}

fn events(title: &'static str, declared: &BTreeMap<String, EventDeclaration>) -> Table {
    let rows = declared.iter().map(|(name, event)| [code(name), codes(&event.attributes), text(&event.description)]);
    Table::new([title, "attributes", ""]).rows(rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
name = "example"
version = "1.0.0"
kind = "receiver"
description = "Reads an example"
license = "Apache-2.0"
wit = "0.1"

[config]
type = "object"
required = ["host"]
[config.properties.host]
type = "string"
description = "Where it is"

[telemetry.attributes]
"who" = { description = "Who: `a|b` <i>", optional = true }

[telemetry.metrics."a.count"]
kind = "sum"
monotonic = true
unit = "{thing}"
description = "Things"
attributes = ["who"]
source = "GET /things"
since = "4.0"
enable = "things.enabled=true"

[telemetry.metrics."a.size"]
kind = "histogram"
type = "double"
unit = "By"
description = "Sizes"
bounds = [0.5, 1, 2.5]
"#;

    fn page_of(extra: &str) -> String {
        page(&Manifest::parse(&format!("{MANIFEST}\n{extra}")).unwrap())
    }

    #[test]
    fn every_metric_is_on_the_page_with_where_it_is_read_and_how_it_is_switched_on() {
        let page = page_of("");
        let counter =
            "| `a.count` | counter, int | `{thing}` | `who` | Things | GET /things | 4.0 | things.enabled=true |";
        assert!(page.contains(counter), "{page}");
        assert!(
            page.contains("| `a.size` | histogram | `By` |  | Sizes. Buckets up to 0.5, 1, 2.5 |  |  |  |"),
            "{page}"
        );
    }

    #[test]
    fn a_section_with_nothing_in_it_is_left_out() {
        assert!(!page_of("").contains("## Spans"));
        assert!(page_of("[telemetry.spans.run]\ndescription = \"A run\"").contains("## Spans"));
    }

    #[test]
    fn what_a_manifest_says_stays_in_its_cell() {
        assert!(page_of("").contains("| `who` | string, optional | Who: `a\\|b` &lt;i> |"), "{}", page_of(""));
    }
}
