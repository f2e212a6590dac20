//! Who asked for what, and who granted it.

use kiln_policy::{Capability, Condition};

use super::escape::{author, code, lines, text};
use super::{badge, verdict};
use crate::inspection::{Inspection, Verdict};
use crate::instance_grants::{Grant, InstanceGrants};
use crate::text::ranges;

/// The lines of the configuration that give a capability, each once.
pub(super) fn lines_of(inspection: &Inspection, capability: &str) -> String {
    let grants = inspection.instances.iter().flatten().flat_map(|instance| &instance.grants);
    let mut places: Vec<String> = grants.filter(|grant| grant.capability == capability).map(place).collect();
    places.sort();
    places.dedup();
    places.join("<br>")
}

fn place(grant: &Grant) -> String {
    match &grant.written {
        Some(line) => code(&line.to_string()),
        None => text(&grant.by),
    }
}

pub(super) fn granted(inspection: &Inspection) -> String {
    let Some(instances) = &inspection.instances else { return String::new() };
    let shown: Vec<_> = instances.iter().map(instance).collect();
    let shown = if shown.is_empty() { "<p>No instance uses this plugin.</p>\n".to_owned() } else { shown.concat() };
    format!("<section>\n<h2>Granted <small>by the configuration</small></h2>\n{shown}</section>\n")
}

fn instance(instance: &InstanceGrants) -> String {
    let mut shown = format!(
        "<h3>{} {} {}</h3>\n",
        code(&instance.instance),
        if instance.refused.is_empty() { badge("good", "runs") } else { verdict(Verdict::NotGranted) },
        code(&instance.written),
    );
    for reason in &instance.refused {
        shown.push_str(&format!("<p class=\"refused\">{}</p>\n", lines(reason)));
    }
    let rows: Vec<_> = instance.grants.iter().map(row).collect();
    if !rows.is_empty() {
        shown.push_str(&format!(
            "<div class=\"wide\"><table>\n<tr><th>capability</th><th>may</th><th>only</th><th>because of</th></tr>\n{}\
             </table></div>\n",
            rows.concat()
        ));
    } else if instance.refused.is_empty() {
        shown.push_str("<p>Nothing: it works on what it is handed.</p>\n");
    }
    shown
}

fn row(grant: &Grant) -> String {
    let conditions: Vec<_> = grant.conditions.iter().map(|condition| text(condition)).collect();
    let written = grant.written.as_ref().map(|line| format!("<br>{}", code(&line.to_string()))).unwrap_or_default();
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}{written}</td></tr>\n",
        code(grant.capability),
        text(&grant.what),
        conditions.join("<br>"),
        text(&grant.by),
    )
}

pub(super) fn requested(inspection: &Inspection) -> String {
    let Some(manifest) = &inspection.manifest else { return String::new() };
    let mut rows = String::new();
    for request in &manifest.requests.http {
        let methods: Vec<_> = request.methods.iter().map(ToString::to_string).collect();
        let paths: Vec<_> = request.paths.iter().map(|path| code(&path.to_string())).collect();
        let names = request
            .names
            .iter()
            .map(|(name, origins)| format!("<br>{} stands for {}", code(name), code(&ranges(origins))));
        let names: Vec<_> = names.collect();
        let ways: Vec<_> = manifest.credential_alternatives(request).iter().map(|way| text(&way.to_string())).collect();
        let ways = if ways.is_empty() { "without credentials".to_owned() } else { ways.join("<br>or ") };
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{} {}{}<br>{}</td><td>{ways}</td><td>{}</td></tr>\n",
            code(Capability::Http.name()),
            methods.join(", "),
            code(&request.origin.to_string()),
            names.concat(),
            paths.join(" "),
            author(&request.reason),
        ));
    }
    for request in &manifest.requests.files {
        let paths: Vec<_> = request.paths.iter().map(|path| code(&path.to_string())).collect();
        rows.push_str(&format!(
            "<tr><td>{}</td><td>read files of {}{}<br>{}</td><td></td><td>{}</td></tr>\n",
            code(Capability::Files.name()),
            code(&request.guest.to_string()),
            when(request.when.as_ref()),
            paths.join(" "),
            author(&request.reason),
        ));
    }
    for request in &manifest.requests.env {
        rows.push_str(&format!(
            "<tr><td>{}</td><td>read {}{}</td><td></td><td>{}</td></tr>\n",
            code(Capability::Env.name()),
            code(&request.name.to_string()),
            when(request.when.as_ref()),
            author(&request.reason),
        ));
    }
    if let Some(state) = &manifest.requests.state {
        let (name, reason) = (code(Capability::State.name()), author(&state.reason));
        rows.push_str(&format!("<tr><td>{name}</td><td>remember</td><td></td><td>{reason}</td></tr>\n"));
    }
    if let Some(processor) = &manifest.processor {
        let keys = |keys: &[String]| keys.iter().map(|key| code(key)).collect::<Vec<_>>().join(" ");
        let level = format!("{} level", processor.level);
        let edits = processor.edits.iter().map(|edit| format!("<br>may {}", code(&edit.to_string())));
        rows.push_str(&format!(
            "<tr><td>{}</td><td>sees {}<br>changes {}{}</td><td></td><td></td></tr>\n",
            text(&level),
            keys(&processor.reads),
            keys(&processor.writes),
            edits.collect::<String>(),
        ));
    }
    if rows.is_empty() {
        rows.push_str("<tr><td colspan=\"4\">Nothing.</td></tr>\n");
    }
    format!(
        "<section>\n<h2>Requests <small>what its manifest asks for; this list grants nothing</small></h2>\n\
         <div class=\"wide\"><table>\n<tr><th></th><th>wants</th><th>signed in by the host with</th><th>reason</th></tr>\n\
         {rows}</table></div>\n</section>\n"
    )
}

/// When a request counts.
fn when(condition: Option<&Condition>) -> String {
    condition.map_or_else(String::new, |condition| format!("<br>{}", text(&condition.to_string())))
}
