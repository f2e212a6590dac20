//! Rust names for the dotted names of OpenTelemetry.
//!
//! Two dotted names can become one Rust name (`a.b` and `a_b`); that is an error in the manifest, found here.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span};

/// What a raw identifier cannot be.
const NEVER_RAW: [&str; 5] = ["self", "super", "crate", "Self", "_"];

const KEYWORDS: [&str; 45] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "use", "where", "while",
];

/// `databricks.job.id` as a field or method: `databricks_job_id`.
pub(crate) fn snake(name: &str) -> Ident {
    let mut snake = String::with_capacity(name.len());
    for c in name.chars() {
        snake.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    if snake.starts_with(|c: char| c.is_ascii_digit()) || NEVER_RAW.contains(&snake.as_str()) || snake.is_empty() {
        snake.insert(0, '_');
    }
    if KEYWORDS.contains(&snake.as_str()) || matches!(snake.as_str(), "virtual" | "yield") {
        Ident::new_raw(&snake, Span::call_site())
    } else {
        Ident::new(&snake, Span::call_site())
    }
}

/// `databricks.job.id` as a type: `DatabricksJobId`, followed by `suffix`.
pub(crate) fn camel(name: &str, suffix: &str) -> Ident {
    let mut camel = String::with_capacity(name.len());
    let mut starts_word = true;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            camel.push(if starts_word { c.to_ascii_uppercase() } else { c });
        }
        starts_word = !c.is_ascii_alphanumeric();
    }
    camel.push_str(suffix);
    if !camel.starts_with(|c: char| c.is_ascii_alphabetic()) || camel == "Self" {
        camel.insert(0, 'X');
    }
    Ident::new(&camel, Span::call_site())
}

/// Refuses names that Rust cannot tell apart.
pub(crate) fn check_distinct<'a>(names: impl IntoIterator<Item = &'a str>, taken: &[&str]) -> Result<(), String> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let rust = snake(name).to_string();
        if taken.contains(&rust.as_str()) {
            return Err(format!("`{name}` would become `{rust}`, which the generated code needs for itself"));
        }
        let folded = camel(name, "").to_string();
        for key in [rust, folded] {
            if let Some(other) = seen.insert(key, name).filter(|other| *other != name) {
                return Err(format!("`{other}` and `{name}` cannot be told apart as Rust names"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_become_underscores_and_words() {
        assert_eq!(snake("databricks.job.id").to_string(), "databricks_job_id");
        assert_eq!(camel("databricks.job_runs.count", "").to_string(), "DatabricksJobRunsCount");
        assert_eq!(snake("type").to_string(), "r#type");
        assert_eq!(snake("self").to_string(), "_self");
        assert_eq!(snake("9lives").to_string(), "_9lives");
        assert_eq!(camel("9lives", "").to_string(), "X9lives");
    }

    #[test]
    fn names_that_collide_are_refused() {
        assert_eq!(check_distinct(["a.b", "a.c"], &[]), Ok(()));
        assert!(check_distinct(["a.b", "a_b"], &[]).is_err());
        assert!(check_distinct(["new"], &["new"]).is_err());
    }
}
