//! The bill of materials of a bundle: CycloneDX 1.5, in JSON.
//!
//! It says the same for the same packages: it has no serial number and no date.

use std::collections::BTreeSet;

use serde_json::json;

use crate::packages::Package;

/// Something a bundle holds, and the packages it was made of, as far as it says so.
#[derive(Clone, Debug)]
pub struct Part {
    /// `kiln`, or the name of a plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// What it was made of; `None` if nobody said.
    pub packages: Option<BTreeSet<Package>>,
}

/// The bill of materials for these parts.
///
/// # Errors
/// Memory has run out.
pub fn bill_of_materials(parts: &[Part]) -> serde_json::Result<String> {
    let all: BTreeSet<&Package> = parts.iter().filter_map(|part| part.packages.as_ref()).flatten().collect();
    let applications = parts.iter().map(|part| {
        json!({
            "type": "application",
            "bom-ref": part.name,
            "name": part.name,
            "version": part.version,
            "hashes": [{ "alg": "SHA-256", "content": part.sha256 }],
        })
    });
    let libraries = all.iter().map(|package| {
        let mut library = json!({
            "type": "library",
            "bom-ref": reference(package),
            "name": package.name,
            "version": package.version,
        });
        if let (Some(fields), "crates.io") = (library.as_object_mut(), package.source.as_str()) {
            fields.insert("purl".to_owned(), format!("pkg:cargo/{}@{}", package.name, package.version).into());
        }
        library
    });
    let dependencies = parts.iter().filter_map(|part| {
        let packages: Vec<String> = part.packages.as_ref()?.iter().map(reference).collect();
        Some(json!({ "ref": part.name, "dependsOn": packages }))
    });
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": applications.chain(libraries).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&bill).map(|text| text + "\n")
}

/// Unlike the names of parts, it has a version in it.
fn reference(package: &Package) -> String {
    format!("{}@{}+{}", package.name, package.version, package.source)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::packages::read_packages;

    #[test]
    fn every_part_is_listed_with_what_it_was_made_of_and_every_package_once() {
        let part = |name: &str, packages: Option<&str>| Part {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            sha256: "00".to_owned(),
            packages: packages.map(|text| read_packages(text).unwrap()),
        };
        let parts = [
            part("kiln", Some("serde v1.0.0\nours v0.1.0 (/home/me/ours)")),
            part("spark", Some("serde v1.0.0")),
            part("other", None),
        ];
        let bill = bill_of_materials(&parts).unwrap();
        assert!(!bill.contains("/home"));
        let bill: serde_json::Value = serde_json::from_str(&bill).unwrap();
        let names: Vec<_> =
            bill["components"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["kiln", "spark", "other", "ours", "serde"]);
        assert_eq!(bill["components"][4]["purl"], "pkg:cargo/serde@1.0.0");
        assert_eq!(bill["components"][3].get("purl"), None);
        assert_eq!(bill["dependencies"].as_array().unwrap().len(), 2);
        assert_eq!(
            bill["dependencies"][1],
            serde_json::json!({ "ref": "spark", "dependsOn": ["serde@1.0.0+crates.io"] })
        );
    }
}
