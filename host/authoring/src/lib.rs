//! From nothing to a plugin: what an author meets before there is a component.
//!
//! A project is a directory with a `plugin.toml` and a script `build.sh` that leaves a module or a component behind. What
//! the script runs is nobody's business here, so any language will do; what is the same for all of them — the contract as
//! the manifest needs it, bindings where Kiln can generate them, packing — is done around it.

mod bindings;
mod build;
pub mod contract;
mod go;
mod language;
mod project;
mod templates;

pub use bindings::{BindingsError, BindingsLanguage, write_bindings, write_contract};
pub use build::{BuildError, Built, build};
pub use go::Packages as GoPackages;
pub use language::{Language, UnknownLanguage};
pub use project::{NewProject, ProjectError, find_sdk};
