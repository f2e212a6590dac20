//! The list of packages a plugin is made of, in the form `cargo auditable` embeds.
//!
//! Its specification is the README of the crate `auditable-serde`: JSON, compressed with zlib, in the section `.dep-v0`.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

/// The list, unpacked; larger ones are not read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Name of the section it is in.
pub const PACKAGES_SECTION: &str = ".dep-v0";

/// One package of the bill of materials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it came from: `crates.io`, `git`, `local`, `registry` or something else.
    #[serde(default)]
    pub source: String,
    /// `build` if it only took part in building.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PackageList {
    packages: Vec<Package>,
}

/// Unpacks and reads what the section holds.
pub(crate) fn unpack(data: &[u8]) -> Result<Vec<Package>, String> {
    let mut json = Vec::new();
    let unpacked = ZlibDecoder::new(data).take(MAX_BYTES + 1).read_to_end(&mut json);
    unpacked.map_err(|_| "cannot be unpacked".to_owned())?;
    if json.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes when it is unpacked"));
    }
    let list: PackageList =
        serde_json::from_slice(&json).map_err(|error| format!("is no list of packages: {error}"))?;
    Ok(list.packages)
}

/// What the section has to hold for these packages.
///
/// # Errors
/// Memory has run out.
pub fn pack_packages(packages: &BTreeSet<Package>) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(&PackageList { packages: packages.iter().cloned().collect() })?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&json)?;
    encoder.finish()
}

/// Reads what `cargo tree --prefix none` prints: a name, a version with a `v` before it, and where it came from in brackets
/// unless that is crates.io. Paths of the machine it was built on are left out.
///
/// # Errors
/// A line is none of that; which.
pub fn read_packages(text: &str) -> Result<BTreeSet<Package>, InvalidPackage> {
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    lines.map(|(number, line)| read_package(line).ok_or(InvalidPackage { number })).collect()
}

fn read_package(line: &str) -> Option<Package> {
    let mut words = line.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let notes = words.next().unwrap_or_default();
    let source = match notes {
        notes if notes.contains("(http") || notes.contains("(git+") => "git",
        notes if notes.contains("(registry") => "registry",
        notes if notes.contains("(/") => "local",
        _ => "crates.io",
    };
    let is_version = version.starts_with(|c: char| c.is_ascii_digit());
    is_version.then(|| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: source.to_owned(),
        kind: None,
    })
}

/// A line that names no package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {number} names no package: write `NAME vVERSION`, as `cargo tree --prefix none` does")]
pub struct InvalidPackage {
    number: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_prints_comes_back_out_of_the_section() {
        let text = "kiln-plugin-spark v0.1.0 (/home/me/kiln/plugins/spark)\nserde v1.0.229\n\nserde v1.0.229 (*)\n\
                    forked v2.0.0 (https://example.com/forked#0123abcd)\n";
        let packages = read_packages(text).unwrap();
        let short: Vec<_> = packages.iter().map(|package| (package.name.as_str(), package.source.as_str())).collect();
        assert_eq!(short, [("forked", "git"), ("kiln-plugin-spark", "local"), ("serde", "crates.io")]);
        let section = pack_packages(&packages).unwrap();
        assert_eq!(unpack(&section).unwrap().into_iter().collect::<BTreeSet<_>>(), packages);
        assert!(packages.iter().all(|package| !format!("{package:?}").contains("home")));
    }

    #[test]
    fn a_line_that_names_no_package_is_named() {
        for line in ["serde", "serde 1.0.0", "├── serde v1.0.0", "serde vx"] {
            assert_eq!(read_packages(&format!("a v1.0.0\n{line}")), Err(InvalidPackage { number: 2 }), "{line}");
        }
    }
}
