//! A new project: a directory that builds, and whose tests pass, before anything in it is touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_policy::{PluginKind, PluginName};

use crate::language::Language;
use crate::templates::{Template, templates};

/// What a new project is to be.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Name of the plugin.
    pub name: PluginName,
    /// Which world it implements.
    pub kind: PluginKind,
    /// What it is written in.
    pub language: Language,
    /// Where the Rust SDK is, for a project in Rust.
    pub sdk: Option<PathBuf>,
}

impl NewProject {
    /// Writes the project into `directory`, which is made, and returns what was written, relative to it.
    ///
    /// # Errors
    /// The directory is there and not empty, a file cannot be written, or a project in Rust is to be made without an SDK.
    pub fn write(&self, directory: &Path) -> Result<Vec<&'static str>, ProjectError> {
        let sdk = self.sdk_path()?;
        let failed = |path: &Path, error| ProjectError::Write { path: path.to_owned(), error };
        fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
        let mut entries = fs::read_dir(directory).map_err(|error| failed(directory, error))?;
        if entries.next().is_some() {
            return Err(ProjectError::NotEmpty(directory.to_owned()));
        }
        let mut written = Vec::new();
        for template in templates(self.language, self.kind) {
            let path = directory.join(template.path);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| fs::write(&path, self.fill_in(template, &sdk)))
                .and_then(|()| make_executable(template, &path))
                .map_err(|error| failed(&path, error))?;
            written.push(template.path);
        }
        Ok(written)
    }

    fn fill_in(&self, template: &Template, sdk: &str) -> String {
        let name = self.name.as_str();
        let (language, needs) = described(self.language);
        let values = [
            ("{{name}}", name),
            ("{{ident}}", &name.replace('-', "_")),
            ("{{type}}", &camel(name)),
            ("{{sdk}}", sdk),
            ("{{package}}", if self.kind == PluginKind::Receiver { "queues" } else { "mask" }),
            ("{{language}}", language),
            ("{{needs}}", needs),
        ];
        values.into_iter().fold(template.text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }

    fn sdk_path(&self) -> Result<String, ProjectError> {
        if self.language != Language::Rust {
            return Ok(String::new());
        }
        let sdk = self.sdk.as_deref().ok_or(ProjectError::NoSdk)?;
        let path = sdk.canonicalize().map_err(|_| ProjectError::NotTheSdk(sdk.to_owned()))?;
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
        // The text ends up inside a quoted string of TOML.
        let text = path.to_str().filter(|text| !text.contains(['"', '\\', '\n'])).map(str::to_owned);
        text.filter(|_| is_sdk(&manifest)).ok_or_else(|| ProjectError::NotTheSdk(sdk.to_owned()))
    }
}

/// Where the SDK is if `directory` is within a clone of Kiln.
#[must_use]
pub fn find_sdk(directory: &Path) -> Option<PathBuf> {
    let candidates = directory.ancestors().map(|ancestor| ancestor.join("plugins/sdk"));
    let mut found = candidates.filter(|sdk| fs::read_to_string(sdk.join("Cargo.toml")).is_ok_and(|text| is_sdk(&text)));
    found.next()
}

fn is_sdk(manifest: &str) -> bool {
    manifest.lines().any(|line| line.trim() == r#"name = "kiln-plugin""#)
}

/// The name of the language, and what it takes to build.
const fn described(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::Rust => ("Rust", "Building needs Rust's standard library for `wasm32-unknown-unknown`."),
        Language::Python => (
            "Python",
            "Building needs Python 3 with venv: componentize-py comes from PyPI (17 MB to download, once). The tests use the \
             bindings that a build leaves behind.",
        ),
        Language::JavaScript => {
            ("JavaScript", "Building needs Node.js 20 and npm: jco comes from there (130 MB to download, once).")
        }
        Language::C => (
            "C",
            "Building needs Python 3 with venv: the compiler is Zig's clang from PyPI (101 MB to download, once). Testing needs a \
             C compiler for this machine.",
        ),
        Language::Go => ("Go", "Building needs Go 1.24 or later, and nothing else: the bindings are generated whole."),
    }
}

/// `my-plugin` as the SDK's macro would spell it in the name of a type: `MyPlugin`.
fn camel(name: &str) -> String {
    let words = name.split('-').filter_map(|word| Some((word.chars().next()?, word.get(1..)?)));
    words.flat_map(|(first, rest)| [first.to_ascii_uppercase().to_string(), rest.to_owned()]).collect()
}

fn make_executable(template: &Template, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if !template.is_executable() {
        return Ok(());
    }
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_mode(permissions.mode() | 0o111);
    fs::set_permissions(path, permissions)
}

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Something is there already.
    #[error("{} is not empty: choose another directory, or empty it", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nobody knows where the SDK is.
    #[error(
        "a project in Rust needs Kiln's SDK, which is not on crates.io yet: run this within a clone of Kiln, or say where its plugins/sdk is with --sdk DIR"
    )]
    NoSdk,
    /// The directory is something else.
    #[error("{} is not Kiln's SDK for Rust: it is plugins/sdk in a clone of Kiln", .0.display())]
    NotTheSdk(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(camel("queue"), "Queue");
        assert_eq!(camel("my-2nd--queue-"), "My2ndQueue");
    }
}
