//! `kiln plugin pack`, `inspect` and `list`.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use kiln_policy::{Capability, CredentialAlternative, Import, Manifest, Origin, OriginRange};
use kiln_runtime::{ComponentFile, Directory};
use serde_json::json;

use crate::cli::{Inspect, List, Pack};
use crate::exit::{Failure, print, warn};

/// As much of a file as any plugin can be, and a byte to tell that it is too much.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024 + 1;

pub(super) fn pack(arguments: &Pack) -> Result<(), Failure> {
    let wasm = read(&arguments.wasm)?;
    let manifest = String::from_utf8(read(&arguments.manifest)?)
        .map_err(|_| Failure::Usage(format!("{} is not UTF-8 text", arguments.manifest.display())))?;
    let file = kiln_runtime::pack(&wasm, &manifest).map_err(|error| {
        let place = match error {
            kiln_runtime::PackError::Manifest(_) => &arguments.manifest,
            kiln_runtime::PackError::Encode(_) | kiln_runtime::PackError::File(_) => &arguments.wasm,
        };
        Failure::Usage(format!("{}: {error}", place.display()))
    })?;
    fs::write(&arguments.output, &file.bytes)
        .map_err(|error| Failure::runtime(format!("{} cannot be written: {error}", arguments.output.display())))
}

pub(super) fn list(arguments: &List) -> Result<(), Failure> {
    let directory = Directory::read(&arguments.directory).map_err(Failure::usage)?;
    let rows: Vec<[String; 5]> = directory
        .plugins()
        .map(|(path, file)| {
            let Manifest { name, version, kind, description, .. } = &file.manifest;
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            [name.to_string(), version.clone(), kind.name().to_owned(), file_name, description.clone()]
        })
        .collect();
    let header = ["NAME", "VERSION", "KIND", "FILE", "DESCRIPTION"].map(str::to_owned);
    print(&table(&header, &rows))?;
    for refused in directory.refused() {
        warn(&format!("{}: {}", refused.path.display(), refused.error));
    }
    if directory.refused().is_empty() { Ok(()) } else { Err(Failure::Usage(String::new())) }
}

/// Columns as wide as their widest cell; the last one ends the line.
fn table<const N: usize>(header: &[String; N], rows: &[[String; N]]) -> String {
    let mut widths = header.each_ref().map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(header).chain(rows) {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn inspect(arguments: &Inspect) -> Result<(), Failure> {
    let file = ComponentFile::parse(read(&arguments.file)?)
        .map_err(|error| Failure::Usage(format!("{}: {error}", arguments.file.display())))?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&as_json(&file)).map_err(Failure::runtime)?;
        return print(&format!("{text}\n"));
    }
    print(&as_text(&file).map_err(Failure::runtime)?)
}

fn as_json(file: &ComponentFile) -> serde_json::Value {
    let capabilities: Vec<_> = file.capabilities.iter().map(ToString::to_string).collect();
    json!({
        "digest": file.digest.to_string(),
        "size": file.bytes.len(),
        "imports": file.imports,
        "exports": file.exports,
        "capabilities": capabilities,
        "manifest": file.manifest,
    })
}

fn as_text(file: &ComponentFile) -> Result<String, std::fmt::Error> {
    let manifest = &file.manifest;
    let mut text = String::new();
    writeln!(text, "{} {} ({})", manifest.name, manifest.version, manifest.kind.name())?;
    writeln!(text, "  {}", manifest.description)?;
    writeln!(text, "  license {}, contract kiln:plugin {}", manifest.license, manifest.wit)?;
    writeln!(text, "  {}, {} bytes", file.digest, file.bytes.len())?;

    writeln!(text, "\nIMPORTS (all it can call)")?;
    for import in &file.imports {
        let note = if matches!(Import::parse(import), Ok(Import::Types)) { "  (types only)" } else { "" };
        writeln!(text, "  {import}{note}")?;
    }
    writeln!(text, "\nREQUESTS (nothing is granted by this list)")?;
    for capability in Capability::ALL {
        let imported = file.capabilities.contains(&capability);
        match capability {
            Capability::Emit | Capability::Log | Capability::Clock if imported => {
                writeln!(text, "  {capability:<6} carries no authority")?;
            }
            Capability::State if imported => {
                let reason = manifest.requests.state.as_ref().map_or("", |request| request.reason.as_str());
                writeln!(text, "  {capability:<6} {reason}")?;
            }
            Capability::Http if imported => {
                let mut requests = manifest.requests.http.iter().peekable();
                while let Some(request) = requests.next() {
                    let methods: Vec<_> = request.methods.iter().map(ToString::to_string).collect();
                    writeln!(text, "  {capability:<6} {} {}: {}", methods.join(","), request.origin, request.reason)?;
                    for path in &request.paths {
                        writeln!(text, "           {path}")?;
                    }
                    for (name, origins) in &request.names {
                        writeln!(text, "           `{name}` stands for {}", ranges(origins))?;
                    }
                    let ways = manifest.credential_alternatives(request);
                    // Rules of one origin sign in alike: said once, below the last of them.
                    let is_last = requests.peek().is_none_or(|next| {
                        next.origin != request.origin || manifest.credential_alternatives(next) != ways
                    });
                    if is_last {
                        text.push_str(&signing_in(ways));
                    }
                }
            }
            _ => writeln!(text, "  {capability:<6} not used")?,
        }
    }
    if let Some(processor) = &manifest.processor {
        let level = format!("{:?}", processor.level).to_lowercase();
        writeln!(text, "\nPROCESSES at {level} level")?;
        writeln!(text, "  reads  {}", processor.reads.join(", "))?;
        writeln!(text, "  writes {}", processor.writes.join(", "))?;
    }
    let telemetry = &manifest.telemetry;
    if !telemetry.metrics.is_empty() || !telemetry.undeclared_metrics.is_empty() {
        writeln!(text, "\nEMITS (anything else is refused)")?;
        let width = telemetry.metrics.keys().map(String::len).max().unwrap_or_default();
        for (name, metric) in &telemetry.metrics {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            writeln!(text, "  {name:width$}  {kind:<9}  {:<12}  {}", metric.unit, metric.description)?;
        }
        for undeclared in &telemetry.undeclared_metrics {
            writeln!(text, "  {}*  {}", undeclared.prefix, undeclared.description)?;
        }
    }
    Ok(text)
}

/// Origins, neighbours written as one.
fn ranges(origins: &[Origin]) -> String {
    OriginRange::covering(origins).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a request is sent with, for the person who judges it.
fn signing_in(alternatives: &[CredentialAlternative]) -> String {
    let unseen = "which the plugin never sees";
    match alternatives {
        [] => String::new(),
        [only] => format!("           with {only}, {unseen}\n"),
        several => {
            let lines: Vec<_> = several.iter().map(|way| format!("             {way}\n")).collect();
            format!("           with whichever of these is configured, {unseen}:\n{}", lines.concat())
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 == MAX_FILE_BYTES {
        return Err(Failure::Usage(format!("{} is larger than any plugin may be", path.display())));
    }
    Ok(bytes)
}
