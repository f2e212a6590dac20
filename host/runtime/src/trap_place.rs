//! Where in a plugin a trap happened, as far as its file has names for its functions.
//!
//! Names are the author's, and mangled as the language has it. An operator can do little with them; whoever is sent the line
//! of the log can do a lot.

use rustc_demangle::try_demangle;
use wasmtime::WasmBacktrace;

/// So many calls are named, the innermost first.
const MAX_FRAMES: usize = 8;

/// A longer name is cut, in characters.
const MAX_NAME: usize = 120;

/// What to add to the sentence about a trap; empty if it did not happen within functions of the plugin.
pub(crate) fn place(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let frames = backtrace.frames();
    let names: Vec<_> = frames.iter().filter_map(|frame| frame.func_name()).map(readable).take(MAX_FRAMES).collect();
    if frames.is_empty() {
        String::new()
    } else if names.is_empty() {
        " (its file has no names of functions: one that is built without stripping them shows where)".to_owned()
    } else {
        format!(" in {}", names.join(" < "))
    }
}

/// A name as its author wrote it.
fn readable(name: &str) -> String {
    let readable = match try_demangle(name) {
        // Without the hash at the end.
        Ok(rust) => format!("{rust:#}"),
        Err(_) => cpp_demangle::Symbol::new(name)
            .ok()
            .and_then(|symbol| symbol.demangle().ok())
            .unwrap_or_else(|| name.to_owned()),
    };
    match readable.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", readable.get(..end).unwrap_or_default()),
        None => readable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_language_are_readable() {
        for (name, expected) in [
            ("_ZN6orders5parse17h0123456789abcdefE", "orders::parse"),
            ("_RNvCs15kBYyAo9fc_6orders5parse", "orders::parse"),
            ("_ZN4shop5parseEPKci", "shop::parse(char const*, int)"),
            ("parse_page", "parse_page"),
            ("main.(*Shop).Collect", "main.(*Shop).Collect"),
            ("_Z", "_Z"),
        ] {
            assert_eq!(readable(name), expected, "{name}");
        }
        assert_eq!(readable(&"x".repeat(1000)).chars().count(), MAX_NAME + 1);
    }
}
