//! `kiln plugin new`, `build` and `bindings`.

use std::path::{Path, PathBuf};

use kiln_authoring::{BindingsLanguage, GoPackages, NewProject, find_sdk, write_bindings, write_contract};
use kiln_policy::{Manifest, PluginKind, PluginName};

use super::plugin::read;
use crate::cli::{Bindings, Build, New};
use crate::commands::environment;
use crate::exit::{Failure, print};
use crate::user_cache::user_cache;

pub(super) fn new(arguments: &New) -> Result<(), Failure> {
    let New { kind, lang, sdk, name } = arguments;
    let name = PluginName::try_from(name.clone()).map_err(Failure::usage)?;
    let kind = if kind == PluginKind::Processor.name() { PluginKind::Processor } else { PluginKind::Receiver };
    let here = std::env::current_dir().map_err(Failure::runtime)?;
    let sdk = sdk.clone().or_else(|| find_sdk(&here));
    let directory = Path::new(name.as_str());
    let project = NewProject { name: name.clone(), kind, language: *lang, sdk };
    let mut text = String::new();
    for file in project.write(directory).map_err(Failure::usage)? {
        text.push_str(&format!("{name}/{file}\n"));
    }
    text.push_str(&format!("Next: cd {name} && kiln plugin build && ./test.sh\n"));
    print(&text)
}

pub(super) fn build(arguments: &Build) -> Result<(), Failure> {
    let kiln = std::env::current_exe()
        .map_err(|error| Failure::Runtime(format!("where this program is cannot be told: {error}")))?;
    let Build { directory, output } = arguments;
    let built = kiln_authoring::build(directory, output.as_deref(), &kiln, &tools()?).map_err(Failure::usage)?;
    print(&format!("{}: {} bytes, {}\n", built.path.display(), built.file.bytes.len(), built.file.digest))
}

pub(super) fn bindings(arguments: &Bindings) -> Result<(), Failure> {
    let Bindings { lang, manifest: path, directory } = arguments;
    let fault = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", path.display()));
    let text = String::from_utf8(read(path)?).map_err(|_| fault(&"is not UTF-8 text"))?;
    let manifest = Manifest::parse(&text).map_err(|error| fault(&error))?;
    let written = match lang.as_str() {
        "c" => write_bindings(&manifest, &BindingsLanguage::C, directory),
        "go" => GoPackages::of(directory)
            .and_then(|packages| write_bindings(&manifest, &BindingsLanguage::Go(packages), directory)),
        _ => write_contract(&manifest, directory),
    };
    written.map_err(Failure::usage)
}

/// Toolchains are kept where caches are, one for all projects. `KILN_TOOLS` moves them.
fn tools() -> Result<PathBuf, Failure> {
    let moved = environment("KILN_TOOLS").filter(|value| !value.is_empty()).map(PathBuf::from);
    moved
        .or_else(|| Some(user_cache()?.join("tools")))
        .ok_or_else(|| Failure::Usage("there is no place for toolchains: set HOME or KILN_TOOLS".to_owned()))
}
