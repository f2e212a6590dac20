//! An inspection for a terminal.

use std::fmt::{Result, Write};

use kiln_policy::{Capability, Condition, CredentialAlternative, Manifest, Origin, OriginRange, Visible};

use crate::inspection::{IMPOSSIBLE, Inspection, Verdict, contract};
use crate::instance_grants::InstanceGrants;

/// Everything, on as many lines as it takes. What the author has written is shown with its hidden characters.
///
/// # Errors
/// Never: writing to a text does not fail.
pub fn to_text(inspection: &Inspection) -> std::result::Result<String, std::fmt::Error> {
    let mut text = String::new();
    head(&mut text, inspection)?;
    capabilities(&mut text, inspection)?;
    if let Some(instances) = &inspection.instances {
        granted(&mut text, instances)?;
    }
    if let Some(manifest) = &inspection.manifest {
        requests(&mut text, manifest)?;
        telemetry(&mut text, manifest)?;
    }
    contents(&mut text, inspection)?;
    verdict(&mut text, inspection)?;
    Ok(text)
}

fn head(text: &mut String, inspection: &Inspection) -> Result {
    match &inspection.manifest {
        Some(manifest) => {
            let (name, kind) = (&manifest.name, manifest.kind.name());
            writeln!(text, "{name} {} ({kind})", Visible(&manifest.version))?;
            writeln!(text, "  {}", Visible(&manifest.description))?;
            writeln!(text, "  license {}, contract {}", Visible(&manifest.license), Visible(&contract(manifest)))?;
        }
        None => writeln!(text, "{}: no valid manifest", Visible(&inspection.file))?,
    }
    writeln!(text, "  {}, {} bytes", inspection.digest, inspection.size)?;
    writeln!(text, "  signature: {}", Visible(&inspection.signature.sentence()))
}

fn capabilities(text: &mut String, inspection: &Inspection) -> Result {
    writeln!(text, "\nIMPORTS (all it can call)")?;
    let width = inspection.imports.iter().map(|import| import.name.chars().count()).max().unwrap_or_default();
    for import in &inspection.imports {
        writeln!(text, "  {:width$}  {}", Visible(&import.name).to_string(), import.meaning)?;
    }
    if inspection.imports.is_empty() {
        writeln!(text, "  nothing")?;
    }
    writeln!(text, "\nCAPABILITIES")?;
    for used in inspection.capabilities.iter().filter(|used| used.verdict != Verdict::NotRequested) {
        writeln!(text, "  {:<6} {:<22} {}", used.capability, used.verdict.words(), used.meaning)?;
    }
    writeln!(text, "\nNOT REQUESTED (not linked: it cannot be called)")?;
    for used in inspection.capabilities.iter().filter(|used| used.verdict == Verdict::NotRequested) {
        writeln!(text, "  {:<6} {}", used.capability, used.meaning)?;
    }
    if inspection.capabilities.iter().all(|used| used.verdict != Verdict::NotRequested) {
        writeln!(text, "  nothing: it imports every capability there is")?;
    }
    writeln!(text, "  and what no plugin can do, because there is no function for it:")?;
    IMPOSSIBLE.iter().try_for_each(|what| writeln!(text, "         {what}"))
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotRequested => "not requested",
            Self::CarriesNoAuthority => "carries no authority",
            Self::Requested => "requested",
            Self::Granted => "granted",
            Self::PartlyGranted => "granted to some",
            Self::NotGranted => "NOT GRANTED",
            Self::NotGrantable => "NOT GRANTABLE",
        }
    }
}

fn granted(text: &mut String, instances: &[InstanceGrants]) -> Result {
    writeln!(text, "\nGRANTED")?;
    if instances.is_empty() {
        writeln!(text, "  nothing: no instance in the configuration uses this plugin")?;
    }
    for instance in instances {
        writeln!(text, "  {} ({})", Visible(&instance.instance), Visible(&instance.written))?;
        for grant in &instance.grants {
            writeln!(text, "    {:<6} {}", grant.capability, Visible(&grant.what))?;
            for condition in &grant.conditions {
                writeln!(text, "             {}", Visible(condition))?;
            }
            match &grant.written {
                Some(line) => {
                    writeln!(text, "             by {}, {}", Visible(&grant.by), Visible(&line.to_string()))?;
                }
                None => writeln!(text, "             by {}", Visible(&grant.by))?,
            }
        }
        if instance.grants.is_empty() && instance.refused.is_empty() {
            writeln!(text, "    nothing: it does its work on what it is handed")?;
        }
        for reason in &instance.refused {
            writeln!(text, "    REFUSED: {}", sentence(reason, "      "))?;
        }
    }
    Ok(())
}

fn requests(text: &mut String, manifest: &Manifest) -> Result {
    writeln!(text, "\nREQUESTS (nothing is granted by this list)")?;
    let mut requests = manifest.requests.http.iter().peekable();
    let kiln_policy::Requests { http, files, env, state } = &manifest.requests;
    let is_silent = http.is_empty() && files.is_empty() && env.is_empty() && state.is_none();
    if is_silent && manifest.processor.is_none() {
        writeln!(text, "  nothing")?;
    }
    while let Some(request) = requests.next() {
        let methods: Vec<_> = request.methods.iter().map(ToString::to_string).collect();
        let (http, reason) = (Capability::Http, Visible(&request.reason));
        let origin = request.origin.to_string();
        writeln!(text, "  {http:<6} {} {}: {reason}", methods.join(","), Visible(&origin))?;
        for path in &request.paths {
            writeln!(text, "           {}", Visible(&path.to_string()))?;
        }
        for (name, origins) in &request.names {
            writeln!(text, "           `{}` stands for {}", Visible(name), ranges(origins))?;
        }
        let ways = manifest.credential_alternatives(request);
        // Rules of one origin sign in alike: said once, below the last of them.
        let is_last = requests
            .peek()
            .is_none_or(|next| next.origin != request.origin || manifest.credential_alternatives(next) != ways);
        if is_last {
            text.push_str(&signing_in(ways));
        }
    }
    for request in files {
        let guest = request.guest.to_string();
        let (name, reason) = (Capability::Files, Visible(&request.reason));
        writeln!(text, "  {name:<6} {}, read-only{}: {reason}", Visible(&guest), when(request.when.as_ref()))?;
        for path in &request.paths {
            writeln!(text, "           {}", Visible(&path.to_string()))?;
        }
    }
    for request in env {
        let variable = request.name.to_string();
        let (name, reason) = (Capability::Env, Visible(&request.reason));
        writeln!(text, "  {name:<6} {}{}: {reason}", Visible(&variable), when(request.when.as_ref()))?;
    }
    if let Some(request) = &manifest.requests.state {
        writeln!(text, "  {:<6} {}", Capability::State, Visible(&request.reason))?;
    }
    if let Some(processor) = &manifest.processor {
        writeln!(text, "\nPROCESSES at {} level", processor.level)?;
        writeln!(text, "  reads  {}", Visible(&processor.reads.join(", ")))?;
        writeln!(text, "  writes {}", Visible(&processor.writes.join(", ")))?;
        if !processor.edits.is_empty() {
            let edits: Vec<_> = processor.edits.iter().map(ToString::to_string).collect();
            writeln!(text, "  edits  {}", edits.join(", "))?;
        }
    }
    Ok(())
}

fn when(condition: Option<&Condition>) -> String {
    condition.map_or_else(String::new, |condition| format!(", {}", Visible(&condition.to_string())))
}

fn telemetry(text: &mut String, manifest: &Manifest) -> Result {
    let telemetry = &manifest.telemetry;
    if !telemetry.metrics.is_empty() || !telemetry.undeclared_metrics.is_empty() {
        writeln!(text, "\nEMITS (anything else is refused)")?;
        let width = telemetry.metrics.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        for (name, metric) in &telemetry.metrics {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let (name, unit) = (Visible(name).to_string(), Visible(&metric.unit).to_string());
            writeln!(text, "  {name:width$}  {kind:<9}  {unit:<12}  {}", Visible(&metric.description))?;
        }
        for undeclared in &telemetry.undeclared_metrics {
            writeln!(text, "  {}*  {}", Visible(&undeclared.prefix), Visible(&undeclared.description))?;
        }
    }
    for (title, events) in [("SPANS", &telemetry.spans), ("LOG RECORDS", &telemetry.logs)] {
        if !events.is_empty() {
            writeln!(text, "\n{title}")?;
        }
        for (name, event) in events {
            writeln!(text, "  {}  {}", Visible(name), Visible(&event.description))?;
        }
    }
    Ok(())
}

fn contents(text: &mut String, inspection: &Inspection) -> Result {
    let contents = &inspection.contents;
    writeln!(text, "\nMADE OF (as its tools say; nobody has checked it)")?;
    writeln!(text, "  core modules    {}", contents.core_modules)?;
    writeln!(text, "  memory, at least {} KiB", contents.memory_minimum / 1024)?;
    for producer in &contents.producers {
        let (field, name) = (Visible(&producer.field).to_string(), Visible(&producer.name));
        let line = format!("  {field:<15} {name} {}", Visible(&producer.version));
        writeln!(text, "{}", line.trim_end())?;
    }
    for (key, value) in &contents.metadata {
        writeln!(text, "  {key:<15} {}", Visible(value))?;
    }
    match &contents.packages {
        None => {
            writeln!(text, "  packages        no list of packages is embedded (`cargo auditable build` embeds one)")?
        }
        Some(packages) => {
            writeln!(text, "  packages        {}", packages.len() + contents.packages_left_out)?;
            for package in packages {
                let (name, version) = (Visible(&package.name), Visible(&package.version));
                write!(text, "    {name} {version} ({})", Visible(&package.source))?;
                match &package.kind {
                    Some(kind) => writeln!(text, ", {}", Visible(kind))?,
                    None => writeln!(text)?,
                }
            }
        }
    }
    contents.damaged.iter().try_for_each(|damage| writeln!(text, "  cannot be read  {}", Visible(damage)))
}

fn verdict(text: &mut String, inspection: &Inspection) -> Result {
    if inspection.not_grantable.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nNOT GRANTABLE (this Kiln runs it under no configuration)")?;
    inspection.not_grantable.iter().try_for_each(|reason| writeln!(text, "  {}", sentence(reason, "    ")))
}

/// A sentence of Kiln's, which may go over several lines and quote the author.
fn sentence(text: &str, indent: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| Visible(line).to_string()).collect();
    lines.join(&format!("\n{indent}"))
}

/// Origins, neighbours written as one.
pub(crate) fn ranges(origins: &[Origin]) -> String {
    OriginRange::covering(origins).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a request is sent with, for the person who judges it.
fn signing_in(alternatives: &[CredentialAlternative]) -> String {
    let unseen = "which the plugin never sees";
    let visible = |way: &CredentialAlternative| Visible(&way.to_string()).to_string();
    match alternatives {
        [] => String::new(),
        [only] => format!("           with {}, {unseen}\n", visible(only)),
        several => {
            let lines: Vec<_> = several.iter().map(|way| format!("             {}\n", visible(way))).collect();
            format!("           with whichever of these is configured, {unseen}:\n{}", lines.concat())
        }
    }
}
