//! What a version of the contract consists of, as lines that stand for themselves.
//!
//! A component's types have to match the host's exactly, so a type is one line with all of its parts: any change is
//! another line. Functions and interfaces may be added, for a component imports what it calls. A world may import more,
//! and never export more: components that exist do not have it.

use std::collections::BTreeSet;
use std::fmt;

use wit_bindgen_core::wit_parser::{InterfaceId, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

use super::names::{definition, function_name, is_use, signature};

/// The lines of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface(BTreeSet<String>);

/// What a contract no longer has, or has beyond what may be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible {
    /// Lines that were released and are gone or changed.
    pub gone: Vec<String>,
    /// Lines that components written before do not fit.
    pub demanded: Vec<String>,
}

impl Surface {
    /// Of everything in a parsed package.
    #[must_use]
    pub fn of(resolve: &Resolve) -> Self {
        let mut lines = BTreeSet::new();
        for (id, interface) in resolve.interfaces.iter() {
            if let Some(name) = &interface.name {
                interface_lines(resolve, id, name, &mut lines);
            }
        }
        for (_, world) in resolve.worlds.iter() {
            let sides = [("import", &world.imports), ("export", &world.exports)];
            for (side, items) in sides {
                for (key, item) in items {
                    let what = match (key, item) {
                        (WorldKey::Interface(id), _) => {
                            resolve.interfaces.get(*id).and_then(|interface| interface.name.clone()).unwrap_or_default()
                        }
                        (WorldKey::Name(name), WorldItem::Function(function)) => {
                            format!("{name}: {}", signature(resolve, None, function))
                        }
                        // A name for a type of an interface; what it stands for is that interface's.
                        (WorldKey::Name(_), WorldItem::Type { .. }) => continue,
                        (WorldKey::Name(name), WorldItem::Interface { .. }) => format!("{name}: interface"),
                    };
                    lines.insert(format!("world {}: {side} {what}", world.name));
                }
            }
        }
        Self(lines)
    }

    /// Reads what [`fmt::Display`] writes; lines that begin with `#` are for people.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(str::to_owned).collect())
    }

    /// Whether components that were built for `released` fit.
    ///
    /// # Errors
    /// What they would miss, and what they would lack.
    pub fn keeps(&self, released: &Self) -> Result<(), Incompatible> {
        let gone: Vec<String> = released.0.difference(&self.0).cloned().collect();
        let is_demand = |line: &&String| line.starts_with("world ") && line.contains(": export ");
        let demanded: Vec<String> = self.0.difference(&released.0).filter(is_demand).cloned().collect();
        if gone.is_empty() && demanded.is_empty() { Ok(()) } else { Err(Incompatible { gone, demanded }) }
    }
}

fn interface_lines(resolve: &Resolve, id: InterfaceId, name: &str, lines: &mut BTreeSet<String>) {
    for (type_name, type_id) in &interface_types(resolve, id) {
        let Some(found) = resolve.types.get(*type_id) else { continue };
        if let TypeDefKind::Type(Type::Id(original)) = found.kind
            && is_use(resolve, found, original)
        {
            continue;
        }
        lines.insert(format!("{name}: {type_name}: {}", definition(resolve, Some(id), found)));
    }
    for function in resolve.interfaces.get(id).iter().flat_map(|interface| interface.functions.values()) {
        let function_name = function_name(resolve, function);
        lines.insert(format!("{name}: {function_name}: {}", signature(resolve, Some(id), function)));
    }
}

fn interface_types(resolve: &Resolve, id: InterfaceId) -> Vec<(String, wit_bindgen_core::wit_parser::TypeId)> {
    let types = resolve.interfaces.get(id).map(|interface| &interface.types);
    types.into_iter().flatten().map(|(name, id)| (name.clone(), *id)).collect()
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gone = self.gone.iter().map(|line| format!("  gone or changed: {line}"));
        let demanded = self.demanded.iter().map(|line| format!("  demanded of every component: {line}"));
        f.write_str(&gone.chain(demanded).collect::<Vec<_>>().join("\n"))
    }
}
