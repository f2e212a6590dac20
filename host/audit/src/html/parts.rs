//! Telemetry, configuration, and what the file is made of.

use kiln_policy::EventDeclaration;

use super::count;
use super::escape::{author, code, text};
use crate::configuration::keys;
use crate::inspection::Inspection;

/// A table that is opened by whoever wants to see it.
fn folded(summary: &str, header: &[&str], rows: &[String]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header: Vec<_> = header.iter().map(|cell| format!("<th>{cell}</th>")).collect();
    format!(
        "<details>\n<summary>{summary}</summary>\n<div class=\"wide\"><table>\n<tr>{}</tr>\n{}</table></div>\n</details>\n",
        header.concat(),
        rows.concat()
    )
}

fn row(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    format!("<tr>{}</tr>\n", cells.concat())
}

pub(super) fn telemetry(inspection: &Inspection) -> String {
    let Some(manifest) = &inspection.manifest else { return String::new() };
    let declared = &manifest.telemetry;
    let metrics: Vec<_> = declared
        .metrics
        .iter()
        .map(|(name, metric)| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            row(&[
                code(name),
                kind,
                code(&metric.unit),
                metric.attributes.iter().map(|key| code(key)).collect::<Vec<_>>().join(" "),
                author(&metric.description),
            ])
        })
        .collect();
    let families: Vec<_> = declared
        .undeclared_metrics
        .iter()
        .map(|family| row(&[code(&format!("{}*", family.prefix)), author(&family.description)]))
        .collect();
    let events = |events: &std::collections::BTreeMap<String, EventDeclaration>| -> Vec<String> {
        events.iter().map(|(name, event)| row(&[code(name), author(&event.description)])).collect()
    };
    let attributes: Vec<_> = declared
        .resource_attributes
        .iter()
        .map(|(key, attribute)| row(&[code(key), author(&attribute.description)]))
        .chain(
            declared
                .undeclared_resource_attributes
                .iter()
                .map(|family| row(&[code(&format!("{}*", family.prefix)), author(&family.description)])),
        )
        .collect();
    let (spans, logs) = (events(&declared.spans), events(&declared.logs));
    let nothing = if metrics.len() + families.len() + spans.len() + logs.len() == 0 { "<p>Nothing.</p>\n" } else { "" };
    format!(
        "<section>\n<h2>Telemetry it may emit <small>the host refuses any other metric</small></h2>\n{nothing}{}{}{}{}{}\
         </section>\n",
        folded(&count(metrics.len(), "metric", "metrics"), &["name", "kind", "unit", "attributes", ""], &metrics),
        folded(
            &format!("{} under names of the source", count(families.len(), "family", "families")),
            &["names", ""],
            &families
        ),
        folded(&count(spans.len(), "kind of span", "kinds of span"), &["span", ""], &spans),
        folded(&count(logs.len(), "kind of log record", "kinds of log record"), &["event", ""], &logs),
        folded(
            &count(attributes.len(), "attribute of the resource", "attributes of the resource"),
            &["attribute", ""],
            &attributes
        ),
    )
}

pub(super) fn configuration(inspection: &Inspection) -> String {
    let Some(manifest) = &inspection.manifest else { return String::new() };
    let keys = keys(&manifest.config);
    let secrets: Vec<_> = keys.iter().filter(|(_, key)| key.is_secret).map(|(path, _)| code(path)).collect();
    let rows: Vec<_> = keys
        .iter()
        .map(|(path, key)| {
            let sees = if key.is_secret { "<span class=\"badge good\">secret</span>" } else { "" };
            row(&[code(path), text(&key.kind), sees.to_owned(), author(&key.description)])
        })
        .collect();
    let unseen = if secrets.is_empty() {
        "<p>It marks no setting as a secret: it sees the value of each.</p>\n".to_owned()
    } else {
        format!(
            "<p>Secrets, which stay in the host: {}. It sees the value of every other setting.</p>\n",
            secrets.join(" ")
        )
    };
    format!(
        "<section>\n<h2>Configuration</h2>\n{unseen}{}</section>\n",
        folded(&count(keys.len(), "key", "keys"), &["key", "type", "", ""], &rows)
    )
}

pub(super) fn made_of(inspection: &Inspection) -> String {
    let contents = &inspection.contents;
    let mut shown = String::new();
    let producers = contents.producers.iter().map(|producer| {
        format!("<li>{}: {} {}</li>\n", text(&producer.field), author(&producer.name), text(&producer.version))
    });
    let metadata = contents.metadata.iter().map(|(key, value)| format!("<li>{}: {}</li>\n", text(key), author(value)));
    let listed: Vec<_> = producers.chain(metadata).collect();
    if !listed.is_empty() {
        shown.push_str(&format!("<ul>\n{}</ul>\n", listed.concat()));
    }
    match &contents.packages {
        None => shown.push_str(
            "<p>No list of packages is embedded. <code>cargo auditable build</code> embeds one, which is shown here.</p>\n",
        ),
        Some(packages) => {
            let rows: Vec<_> = packages
                .iter()
                .map(|package| {
                    let kind = package.kind.as_deref().unwrap_or("runtime");
                    row(&[code(&package.name), text(&package.version), text(&package.source), text(kind)])
                })
                .collect();
            let all = packages.len() + contents.packages_left_out;
            shown.push_str(&folded(&count(all, "package", "packages"), &["package", "version", "source", "kind"], &rows));
        }
    }
    for damage in &contents.damaged {
        shown.push_str(&format!("<p class=\"soft\">Cannot be read: {}</p>\n", text(damage)));
    }
    format!("<section>\n<h2>Made of <small>as its tools say; nobody has checked it</small></h2>\n{shown}</section>\n")
}
