//! Bindings for Go, complete: the generator's packages refer to a module of its project for a handful of types and
//! functions. That module is not to be had everywhere, so those are written here, as packages beside the generated ones.

use std::fs;
use std::path::{Component, Path, PathBuf};

use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_go::{Format, Opts};

use crate::bindings::BindingsError;

/// Where the generator thinks its module is.
const MODULE: &str = "go.bytecodealliance.org/pkg/wit/";

const EXPORTS: &str = "wit_exports.go";
const NO_ARGUMENTS: &str = "() uintptr {\n";
const LETTING_GO: &str = "() uintptr {\n\twitRuntime.Unpin()\n";

const SUPPORT: [(&str, &str); 2] = [
    ("wit/runtime/runtime.go", include_str!("../templates/go/wit/runtime.go")),
    ("wit/types/types.go", include_str!("../templates/go/wit/types.go")),
];

/// Names of the packages that bindings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    /// Import path of the module the bindings are part of. What the component exports is its package `export_wit_world`.
    module: String,
    /// Import path of the directory that the bindings are written to.
    bindings: String,
}

impl Packages {
    /// The names for bindings in `directory`, which is relative to the current one, where `go.mod` is.
    ///
    /// # Errors
    /// There is no module, or the directory is no part of it.
    pub fn of(directory: &Path) -> Result<Self, BindingsError> {
        let fault = |problem| BindingsError::NoModule { path: PathBuf::from("go.mod"), problem };
        let text = fs::read_to_string("go.mod")
            .map_err(|_| fault("cannot be read; bindings for Go are written in the directory of a module"))?;
        let module = text.lines().find_map(|line| line.trim().strip_prefix("module "));
        let module = module.ok_or_else(|| fault("names no module"))?.trim().to_owned();
        let mut bindings = module.clone();
        for component in directory.components() {
            let Component::Normal(name) = component else {
                return Err(fault("bindings are written to a directory below the module's, such as build/bindings"));
            };
            bindings.push('/');
            bindings.push_str(&name.to_string_lossy());
        }
        Ok(Self { module, bindings })
    }

    pub(crate) fn generator(&self) -> Box<dyn WorldGenerator> {
        let options = Opts {
            format: Format::False,
            pkg_name: Some(self.bindings.clone()),
            export_pkg_name: Some(self.module.clone()),
            ..Opts::default()
        };
        options.build()
    }

    /// The generated files, and those they need.
    pub(crate) fn finish<'f>(&self, files: &'f Files) -> impl Iterator<Item = (&'f str, Vec<u8>)> {
        let ours = format!("{}/wit/", self.bindings);
        let generated = files.iter().map(move |(name, content)| {
            let text = String::from_utf8_lossy(content).replace(MODULE, &ours);
            // The generator lets go of what the host has passed where an export has arguments, and nowhere else: what
            // `collect` asks for would be kept for ever.
            let text = if name.ends_with(EXPORTS) { text.replace(NO_ARGUMENTS, LETTING_GO) } else { text };
            (name, text.into_bytes())
        });
        generated.chain(SUPPORT.map(|(name, text)| (name, text.as_bytes().to_vec())))
    }
}
