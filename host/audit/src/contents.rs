//! What a component's file says besides code: who made it with what, of which packages, and the memory it starts with.
//!
//! None of it is checked by anybody, so none of it grants anything. Sections are read here and not by `wasm-metadata`,
//! which gives up at the first damaged section, unpacks without a bound, and panics on some files.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wasmparser::{KnownCustom, Parser, Payload};

use crate::packages::{PACKAGES_SECTION, Package, unpack};

/// So many packages are shown, and the rest counted.
const MAX_PACKAGES: usize = 5_000;
/// So many producers are shown.
const MAX_PRODUCERS: usize = 200;
/// So much of a text of the metadata is shown.
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// Name of the section in which tools name themselves.
const PRODUCERS_SECTION: &str = "producers";
/// Sections that hold one text each (the annotations of OCI images, as `wasm-metadata` writes them).
const TEXT_SECTIONS: [&str; 6] = ["authors", "homepage", "licenses", "revision", "source", "version"];

/// What the author's tools have left in the file. Nobody has checked it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Core modules in it.
    pub core_modules: usize,
    /// What the linear memories of its modules take at the least, in bytes, each instantiated once.
    pub memory_minimum: u64,
    /// Languages and tools that made it.
    pub producers: BTreeSet<Producer>,
    /// Authors, source, revision and so on.
    pub metadata: BTreeMap<String, String>,
    /// The software bill of materials, if there is one.
    pub packages: Option<BTreeSet<Package>>,
    /// How many packages there are beside those.
    #[serde(skip_serializing_if = "is_zero")]
    pub packages_left_out: usize,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One tool or language.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Contents {
    /// Reads what is in `bytes`, as far as it can be read.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload {
                Ok(Payload::ModuleSection { .. }) => contents.core_modules += 1,
                Ok(Payload::MemorySection(memories)) => {
                    for memory in memories.into_iter().flatten() {
                        let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(u64::MAX);
                        let bytes = memory.initial.saturating_mul(page);
                        contents.memory_minimum = contents.memory_minimum.saturating_add(bytes);
                    }
                }
                Ok(Payload::CustomSection(section)) => {
                    contents.read(section.name(), section.data(), section.as_known())
                }
                Ok(_) => {}
                Err(error) => {
                    contents.damaged.push(format!("the component, from byte {}: {error}", error.offset()));
                    break;
                }
            }
        }
        contents
    }

    fn read(&mut self, name: &str, data: &[u8], known: KnownCustom<'_>) {
        if let KnownCustom::Producers(fields) = known {
            for field in fields {
                let Ok(field) = field else {
                    self.damaged.push(format!("section {PRODUCERS_SECTION}"));
                    return;
                };
                for value in field.values.into_iter().flatten() {
                    if self.producers.len() < MAX_PRODUCERS {
                        let (name, version) = (clip(value.name), clip(value.version));
                        self.producers.insert(Producer { field: field.name.to_owned(), name, version });
                    }
                }
            }
        } else if name == PRODUCERS_SECTION {
            self.damaged.push(format!("section {PRODUCERS_SECTION}"));
        } else if name == PACKAGES_SECTION {
            match unpack(data) {
                Ok(list) => {
                    let known = self.packages.get_or_insert_default();
                    for package in list {
                        if known.len() < MAX_PACKAGES {
                            known.insert(package);
                        } else if !known.contains(&package) {
                            self.packages_left_out += 1;
                        }
                    }
                }
                Err(reason) => self.damaged.push(format!("section {PACKAGES_SECTION}: {reason}")),
            }
        } else if TEXT_SECTIONS.contains(&name) {
            let text = String::from_utf8_lossy(data.get(..MAX_TEXT_BYTES).unwrap_or(data)).into_owned();
            self.metadata.insert(name.to_owned(), text);
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_TEXT_BYTES / 4).collect()
}
