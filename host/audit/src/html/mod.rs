//! An inspection as a page: one file, no script, nothing fetched.
//!
//! The content security policy lets nothing in but the style, by its hash: should a stranger's text ever become markup,
//! it could neither run nor load nor send anything.

mod escape;
mod grants;
mod parts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::inspection::{IMPOSSIBLE, Inspection, Verdict, contract};
use crate::signature_state::SignatureState;
use escape::{author, code, lines, text};

const STYLE: &str = include_str!("style.css");

/// The whole page.
#[must_use]
pub fn to_html(inspection: &Inspection) -> String {
    let title = match &inspection.manifest {
        Some(manifest) => manifest.name.to_string(),
        None => inspection.file.clone(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(Sha256::digest(STYLE.as_bytes()))
    );
    let body = [
        header(inspection),
        calls(inspection),
        absent(inspection),
        grants::granted(inspection),
        grants::requested(inspection),
        parts::telemetry(inspection),
        parts::configuration(inspection),
        parts::made_of(inspection),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{} — what this plugin can do</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n{}\
         <footer>Read from the file by Kiln {}, without running or compiling it. What the author says is marked \
         {}; everything else is Kiln's.</footer>\n</main>\n</body>\n</html>\n",
        text(&title),
        body.concat(),
        env!("CARGO_PKG_VERSION"),
        author("like this"),
    )
}

fn header(inspection: &Inspection) -> String {
    let heading = match &inspection.manifest {
        Some(manifest) => format!(
            "<h1>{} <small>{} · {}</small></h1>\n<p>{}</p>\n",
            text(manifest.name.as_str()),
            text(&manifest.version),
            manifest.kind.name(),
            author(&manifest.description),
        ),
        None => format!("<h1>{} <small>no valid manifest</small></h1>\n", text(&inspection.file)),
    };
    let (class, signature) = match &inspection.signature {
        SignatureState::Valid(_) => ("good", "valid"),
        SignatureState::Unchecked(_) => ("ask", "not checked"),
        SignatureState::Absent => ("idle", "none"),
        SignatureState::Invalid { .. } => ("bad", "invalid"),
    };
    let mut facts = vec![
        ("File", code(&inspection.file)),
        ("Digest", code(&inspection.digest.to_string())),
        ("Size", format!("{} bytes", inspection.size)),
        ("Signature", format!("{} {}", badge(class, signature), lines(&inspection.signature.sentence()))),
    ];
    if let Some(manifest) = &inspection.manifest {
        facts.push(("Contract", code(&contract(manifest))));
        facts.push(("Licence", author(&manifest.license)));
    }
    let memory = inspection.contents.memory_minimum / 1024;
    facts.push((
        "Memory",
        format!("at least {memory} KiB in {}", count(inspection.contents.core_modules, "core module", "core modules")),
    ));
    let facts: Vec<_> = facts.iter().map(|(term, fact)| format!("<dt>{term}</dt><dd>{fact}</dd>\n")).collect();
    format!("<header>\n{heading}{}<dl>\n{}</dl>\n</header>\n", banner(inspection), facts.concat())
}

/// The answer, before everything that leads to it.
fn banner(inspection: &Inspection) -> String {
    let list = |reasons: &[String]| {
        let items: Vec<_> =
            reasons.iter().map(|reason| format!("<li class=\"refused\">{}</li>", lines(reason))).collect();
        format!("<ul>{}</ul>", items.concat())
    };
    if !inspection.not_grantable.is_empty() {
        let reasons = list(&inspection.not_grantable);
        return format!(
            "<div class=\"banner bad\">Not grantable: this Kiln runs it under no configuration.{reasons}</div>\n"
        );
    }
    if let SignatureState::Invalid { reason } = &inspection.signature {
        return format!(
            "<div class=\"banner bad\">Its signature is not good.{}</div>\n",
            list(std::slice::from_ref(reason))
        );
    }
    match inspection.instances.as_deref() {
        None => {
            "<div class=\"banner ask\">Everything it can call can be granted. Nothing is, by this page: it was made \
                 without a configuration.</div>\n"
                .to_owned()
        }
        Some([]) => "<div class=\"banner idle\">No instance in the configuration uses it, so it does not run.</div>\n"
            .to_owned(),
        Some(instances) => match instances.iter().filter(|instance| !instance.refused.is_empty()).count() {
            0 => format!(
                "<div class=\"banner good\">Granted: {} in the configuration, each line by line below.</div>\n",
                count(instances.len(), "instance", "instances")
            ),
            refused => format!(
                "<div class=\"banner bad\">{refused} of {} refused; the reasons are below.</div>\n",
                count(instances.len(), "instance", "instances")
            ),
        },
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn badge(class: &str, words: &str) -> String {
    format!("<span class=\"badge {class}\">{}</span>", text(words))
}

fn verdict(verdict: Verdict) -> String {
    let class = match verdict {
        Verdict::NotRequested | Verdict::CarriesNoAuthority => "idle",
        Verdict::Requested | Verdict::PartlyGranted => "ask",
        Verdict::Granted => "good",
        Verdict::NotGranted | Verdict::NotGrantable => "bad",
    };
    badge(class, verdict.words())
}

/// Imports, capability, verdict, line.
fn calls(inspection: &Inspection) -> String {
    let mut rows = String::new();
    for import in &inspection.imports {
        let used = inspection.capabilities.iter().find(|used| Some(used.capability) == import.capability);
        let offered = import.capability.is_some() || import.meaning.starts_with("types");
        let state = match used {
            Some(used) => verdict(used.verdict),
            None if offered => badge("idle", "nothing to call"),
            None => verdict(Verdict::NotGrantable),
        };
        let by = import.capability.map(|capability| grants::lines_of(inspection, capability)).unwrap_or_default();
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{state}</td><td>{by}</td></tr>\n",
            code(&import.name),
            text(import.meaning),
        ));
    }
    if rows.is_empty() {
        rows.push_str("<tr><td colspan=\"4\">It imports nothing: it can call nothing.</td></tr>\n");
    }
    format!(
        "<section>\n<h2>What it can call <small>all of its imports, read from the file</small></h2>\n\
         <div class=\"wide\"><table class=\"calls\">\n<tr><th>import</th><th>what it does</th><th></th><th>granted by</th></tr>\n\
         {rows}</table></div>\n</section>\n"
    )
}

fn absent(inspection: &Inspection) -> String {
    let not = inspection.capabilities.iter().filter(|used| used.verdict == Verdict::NotRequested);
    let not: Vec<_> = not.map(|used| format!("<li>{} {}</li>\n", code(used.capability), text(used.meaning))).collect();
    let not = if not.is_empty() {
        "<li>nothing: it imports every capability there is</li>\n".to_owned()
    } else {
        not.concat()
    };
    let never: Vec<_> = IMPOSSIBLE.iter().map(|what| format!("<li>{}</li>\n", text(what))).collect();
    format!(
        "<section>\n<h2>What it cannot do</h2>\n<h3>Not requested, so not linked: the function is not there</h3>\n\
         <ul>\n{not}</ul>\n<h3>What no plugin can do</h3>\n<ul>\n{}</ul>\n</section>\n",
        never.concat()
    )
}
