//! `kiln plugin pack` and `list`.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use kiln_audit::{PACKAGES_SECTION, pack_packages, read_packages};
use kiln_policy::{Manifest, SigningKey, Visible};
use kiln_runtime::Directory;

use crate::cli::{List, Pack};
use crate::exit::{Failure, print, warn};

/// As much of a file as any plugin can be, and a byte to tell that it is too much.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024 + 1;

pub(super) fn pack(arguments: &Pack) -> Result<(), Failure> {
    let wasm = read(&arguments.wasm)?;
    let manifest = String::from_utf8(read(&arguments.manifest)?)
        .map_err(|_| Failure::Usage(format!("{} is not UTF-8 text", arguments.manifest.display())))?;
    let packages = arguments.packages.as_deref().map(packages).transpose()?;
    let sections: Vec<_> = packages.iter().map(|packages| (PACKAGES_SECTION, packages.as_slice())).collect();
    let file = kiln_runtime::pack(&wasm, &manifest, &sections).map_err(|error| {
        let place = match error {
            kiln_runtime::PackError::Manifest(_) => &arguments.manifest,
            kiln_runtime::PackError::Encode(_) | kiln_runtime::PackError::File(_) => &arguments.wasm,
        };
        Failure::Usage(format!("{}: {error}", place.display()))
    })?;
    fs::write(&arguments.output, &file.bytes)
        .map_err(|error| Failure::runtime(format!("{} cannot be written: {error}", arguments.output.display())))
}

fn packages(path: &Path) -> Result<Vec<u8>, Failure> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let packages = read_packages(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    pack_packages(&packages).map_err(|error| Failure::runtime(format!("{}: {error}", path.display())))
}

pub(super) fn list(arguments: &List) -> Result<(), Failure> {
    let directory = Directory::read(&arguments.directory).map_err(Failure::usage)?;
    let rows: Vec<[String; 5]> = directory
        .plugins()
        .map(|(path, file)| {
            let Manifest { name, version, kind, description, .. } = &file.manifest;
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            let shown = |text: &str| Visible(text).to_string();
            [name.to_string(), shown(version), kind.name().to_owned(), shown(&file_name), shown(description)]
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

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 == MAX_FILE_BYTES {
        return Err(Failure::Usage(format!("{} is larger than any plugin may be", path.display())));
    }
    Ok(bytes)
}

/// Reads keys as they are given on the command line: each the key itself, or a file that holds it.
pub(super) fn signing_keys(keys: &[String]) -> Result<Vec<SigningKey>, Failure> {
    let one = |key: &String| {
        if let Ok(key) = key.parse() {
            return Ok(key);
        }
        let text = String::from_utf8(read(Path::new(key))?).unwrap_or_default();
        text.parse().map_err(|error| Failure::Usage(format!("{key} is no minisign public key: {error}")))
    };
    keys.iter().map(one).collect()
}
