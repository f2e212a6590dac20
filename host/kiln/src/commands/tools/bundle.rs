//! `kiln bundle`: everything a cluster needs, in one file that is the same whoever makes it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use kiln_audit::{Contents, Part, bill_of_materials, read_packages};
use kiln_cluster::Architecture;
use kiln_cluster::archive::{ArchiveFile, archive};
use kiln_config::LoadingLimits;
use kiln_policy::Digest;
use kiln_runtime::{CHECKSUMS, ComponentFile, MAX_FILE_BYTES, precompiled_name, runs_our_code};

use super::compile::compiler_for;
use crate::cli::Bundle;
use crate::exit::{Failure, print};

/// As much of a program as the init script installs.
const MAX_PROGRAM_BYTES: u64 = kiln_cluster::bundle::MAX_FILE_BYTES;

/// Larger ones are no configuration.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

pub(super) fn run(arguments: &Bundle) -> Result<(), Failure> {
    let place = arguments.program.as_deref().unwrap_or(Path::new("/proc/self/exe"));
    let program = read(place, MAX_PROGRAM_BYTES)?;
    let architecture = Architecture::of_program(&program).ok_or_else(|| {
        Failure::Usage(format!(
            "{} is no Linux program for x86_64 or aarch64: give the kiln that is to run on clusters",
            place.display()
        ))
    })?;
    if !runs_our_code(&program) {
        return Err(Failure::Usage(format!(
            "{} does not run the native code that this kiln makes, for it is none, or has another release of wasmtime or other \
             settings of it: build both from the same sources",
            place.display()
        )));
    }
    let packages = match &arguments.packages {
        None => None,
        Some(path) => {
            let text = String::from_utf8_lossy(&read(path, MAX_CONFIG_BYTES)?).into_owned();
            Some(read_packages(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?)
        }
    };
    let mut parts = vec![Part {
        name: "kiln".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha256: Digest::of(&program).hex(),
        packages,
    }];
    let mut files = vec![file("kiln.yaml", read(&arguments.config, MAX_CONFIG_BYTES)?)];
    if let Some(config) = &arguments.worker_config {
        files.push(file("kiln-worker.yaml", read(config, MAX_CONFIG_BYTES)?));
    }
    files.push(ArchiveFile { name: "kiln".to_owned(), bytes: program, executable: true });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::runtime(format!("cannot start: {error}")))?;
    let compiler = compiler_for(&LoadingLimits::default(), &target(architecture));
    for path in &arguments.plugins {
        let at_fault = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
        let plugin = ComponentFile::parse(read(path, MAX_FILE_BYTES)?).map_err(|error| at_fault(&error))?;
        let name = plugin.manifest.name.to_string();
        if files.iter().any(|file| file.name == plugin_name(&name)) {
            return Err(at_fault(&format_args!("plugin `{name}` is given twice")));
        }
        let code = runtime.block_on(compiler.precompile(&plugin.bytes));
        let code = code.map_err(|error| at_fault(&format_args!("for {}: it {error}", target(architecture))))?;
        files.push(file(&precompiled_name(&plugin.digest), code));
        parts.push(Part {
            name: name.clone(),
            version: plugin.manifest.version.clone(),
            sha256: plugin.digest.hex(),
            packages: Contents::of(&plugin.bytes).packages,
        });
        files.push(file(&plugin_name(&name), plugin.bytes));
    }
    // In whatever order they were named.
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    files.push(file("bom.cdx.json", bill_of_materials(&parts).map_err(Failure::runtime)?.into_bytes()));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let sums: String = files.iter().map(|file| format!("{}  {}\n", Digest::of(&file.bytes).hex(), file.name)).collect();
    files.push(file(CHECKSUMS, sums.into_bytes()));
    let packed = archive(&files).map_err(Failure::runtime)?;
    let output = arguments.output.clone().unwrap_or_else(|| format!("kiln-{architecture}.tar.gz").into());
    // Its directory is what `kiln init-script --bundle` is given, and mostly one of its own.
    output
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&output, &packed))
        .map_err(|error| Failure::runtime(format!("{} cannot be written: {error}", output.display())))?;
    print(&format!(
        "{}: {} files for {architecture} in {} bytes, {}\n",
        output.display(),
        files.len(),
        packed.len(),
        Digest::of(&packed)
    ))
}

/// The kind of machine, as the compiler calls it.
fn target(architecture: Architecture) -> String {
    format!("{architecture}-unknown-linux-gnu")
}

fn plugin_name(name: &str) -> String {
    format!("plugins/{name}.wasm")
}

fn file(name: &str, bytes: Vec<u8>) -> ArchiveFile {
    ArchiveFile { name: name.to_owned(), bytes, executable: false }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    if bytes.len() as u64 > most {
        return Err(Failure::Usage(format!("{} is longer than {most} bytes", path.display())));
    }
    Ok(bytes)
}
