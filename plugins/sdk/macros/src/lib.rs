//! Typed telemetry from `plugin.toml`.
//!
//! The manifest is read by the very function the host reads it with, so a plugin that compiles has a manifest that
//! loads, and what it emits is what it declares.

mod generate;
mod names;

use std::path::PathBuf;

use kiln_policy::Manifest;
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

/// Reads the plugin's manifest, a path relative to the crate, and makes a module `telemetry` of what it declares.
#[proc_macro]
pub fn manifest(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input.into()).unwrap_or_else(|message| quote!(::core::compile_error!(#message);)).into()
}

fn expand(input: TokenStream) -> Result<TokenStream, String> {
    let file = file_name(input).ok_or("write the path of the manifest: manifest!(\"plugin.toml\")")?;
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set: build with cargo")?;
    let path = PathBuf::from(folder).join(&file);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let manifest = Manifest::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let path = path.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", path.display()))?;
    generate::module(&manifest, path).map_err(|problem| format!("{path}: {problem}"))
}

/// The contents of the one string literal in the input.
fn file_name(input: TokenStream) -> Option<String> {
    let mut tokens = input.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Literal(literal)), None) => {
            let text = literal.to_string();
            text.strip_prefix('"')?.strip_suffix('"').filter(|path| !path.contains('\\')).map(str::to_owned)
        }
        _ => None,
    }
}
