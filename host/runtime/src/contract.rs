//! The contract as text, cut to what a manifest requests.
//!
//! Most toolchains import every interface of the world they are given, used or not, and what a component imports its
//! manifest has to request. So a plugin is built against a world without the interfaces it does not ask for; nothing else
//! in the text differs from `wit/`.

use std::borrow::Cow;

use kiln_policy::{Capability, Manifest, PluginKind};
use wit_parser::{PackageId, Resolve, SourceMap, WorldId};

const FILES: [(&str, &str); 4] = [
    ("host.wit", include_str!("../../../wit/v0.1/host.wit")),
    ("processor.wit", include_str!("../../../wit/v0.1/processor.wit")),
    ("receiver.wit", include_str!("../../../wit/v0.1/receiver.wit")),
    ("telemetry.wit", include_str!("../../../wit/v0.1/telemetry.wit")),
];

/// Name and text of every file of the contract; the world of the manifest's kind imports what it requests and no more.
#[must_use]
pub fn contract_for(manifest: &Manifest) -> [(&'static str, Cow<'static, str>); 4] {
    FILES.map(|(name, text)| {
        let is_world = name.strip_suffix(".wit") == Some(manifest.kind.name());
        (name, if is_world { Cow::Owned(cut(text, manifest)) } else { Cow::Borrowed(text) })
    })
}

/// The contract as a whole, understood.
///
/// # Errors
/// It is not WIT, which its own tests rule out.
pub fn whole_contract() -> Result<Resolve, String> {
    parse(FILES.map(|(name, text)| (name, Cow::Borrowed(text)))).map(|(resolve, _)| resolve)
}

/// A line `import http;` is all there is to an import of a world.
fn cut(text: &str, manifest: &Manifest) -> String {
    let is_superfluous = |line: &str| {
        let interface = line.trim().strip_prefix("import ").and_then(|rest| rest.strip_suffix(';'));
        Capability::ALL
            .iter()
            .any(|capability| interface == Some(capability.name()) && !capability.is_requested_by(manifest))
    };
    text.split_inclusive('\n').filter(|line| !is_superfluous(line)).collect()
}

/// The same, understood: the contract and its world of the manifest's kind.
///
/// # Errors
/// The contract is not WIT, which its own tests rule out.
pub fn resolve_contract(manifest: &Manifest) -> Result<(Resolve, WorldId), String> {
    let (resolve, package) = parse(contract_for(manifest))?;
    let world = resolve.select_world(&[package], Some(world_of(manifest.kind))).map_err(|error| error.to_string())?;
    Ok((resolve, world))
}

fn parse(texts: [(&'static str, Cow<'static, str>); 4]) -> Result<(Resolve, PackageId), String> {
    let mut files = SourceMap::new();
    for (name, text) in texts {
        files.push_str(name, text.as_ref());
    }
    let mut resolve = Resolve::default();
    let group = files.parse().map_err(|(_, error)| error.to_string())?;
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    Ok((resolve, package))
}

/// The name of a kind's world.
#[must_use]
pub const fn world_of(kind: PluginKind) -> &'static str {
    kind.name()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RECEIVER: &str =
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n";

    fn world(manifest: &str) -> String {
        let manifest = Manifest::parse(manifest).unwrap();
        let files = contract_for(&manifest);
        files.iter().find(|(name, _)| *name == "receiver.wit").unwrap().1.to_string()
    }

    #[test]
    fn a_world_has_what_is_requested() {
        let silent = world(RECEIVER);
        assert!(!silent.contains("import http;") && !silent.contains("import state;"), "{silent}");
        assert!(silent.contains("import emit;") && silent.contains("import log;") && silent.contains("import clock;"));
        let remembering = world(&format!("{RECEIVER}[requests.state]\nreason = 'x'\n"));
        assert!(!remembering.contains("import http;") && remembering.contains("import state;"), "{remembering}");
    }

    #[test]
    fn what_is_cut_is_still_wit() {
        for requests in ["", "[requests.state]\nreason = 'x'\n"] {
            let manifest = Manifest::parse(&format!("{RECEIVER}{requests}")).unwrap();
            let (resolve, world) = resolve_contract(&manifest).unwrap();
            assert_eq!(resolve.worlds.get(world).unwrap().name, "receiver");
        }
    }

    #[test]
    fn the_world_of_the_other_kind_is_whole() {
        let manifest = Manifest::parse(RECEIVER).unwrap();
        let files = contract_for(&manifest);
        assert_eq!(files.map(|(_, text)| text).get(1).map(Cow::as_ref), FILES.get(1).map(|(_, text)| *text));
    }
}
