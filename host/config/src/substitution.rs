//! `${env:X}`, `${env:X:-default}` and `${file:/path}` in the scalars of a document.
//!
//! Substitution happens in the parsed tree, never in the text of the file, and what came in is not looked at again: a
//! value can hold YAML, quotes or another `${…}` and stays the text it is. `$$` stands for `$`. Everything that comes
//! in is bounded, each file and the sum.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::document::{Content, Node, Scalar, ScalarKind};
use crate::error::{Report, YamlPath};

/// The largest file `${file:…}` reads: secrets and certificates are far smaller.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What all substitutions of a document may amount to.
const MAX_TOTAL_BYTES: usize = 4 * 1024 * 1024;

/// References inside the default or the path of another.
const MAX_NESTING: usize = 8;

/// Where substituted values come from.
pub(crate) struct Sources<'a> {
    /// The environment.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// Relative paths in `${file:…}` start here.
    pub(crate) base_dir: &'a Path,
}

/// Replaces every reference in the tree; what cannot be replaced is reported and becomes [`Content::Invalid`].
pub(crate) fn substitute(root: &mut Node, sources: &Sources<'_>, report: &Report) {
    let mut substitution = Substitution { sources, report, total: 0 };
    substitution.node(root, &YamlPath::default());
}

struct Substitution<'a> {
    sources: &'a Sources<'a>,
    report: &'a Report,
    total: usize,
}

impl Substitution<'_> {
    fn node(&mut self, node: &mut Node, path: &YamlPath) {
        match &mut node.content {
            Content::Scalar(Scalar { kind: ScalarKind::Text, text, substituted }) if text.contains('$') => {
                let mut expansion = Expansion::new(self.sources, text);
                let expanded = expansion.until(None, 0);
                self.total = self.total.saturating_add(expansion.substituted_bytes);
                if self.total > MAX_TOTAL_BYTES {
                    expansion.errors.push(SubstitutionError::TooMuch);
                }
                if expansion.errors.is_empty() {
                    *substituted = expansion.substituted;
                    *text = expanded;
                    return;
                }
                for error in expansion.errors {
                    self.report.error(node.at, path, error);
                }
                node.content = Content::Invalid;
            }
            Content::Sequence(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.index(index));
                }
            }
            Content::Mapping(entries) => {
                for entry in entries {
                    let path = path.key(&entry.key);
                    if entry.key.contains("${") {
                        self.report.error(entry.key_at, &path, SubstitutionError::InKey);
                    }
                    self.node(&mut entry.value, &path);
                }
            }
            Content::Null | Content::Scalar(_) | Content::Invalid => {}
        }
    }
}

/// One scalar on its way from the file's text to the reader's.
struct Expansion<'a> {
    sources: &'a Sources<'a>,
    rest: &'a str,
    /// Inside a default that is not needed: syntax counts, values do not.
    skipping: bool,
    substituted: bool,
    substituted_bytes: usize,
    gave_up: bool,
    errors: Vec<SubstitutionError>,
}

impl<'a> Expansion<'a> {
    fn new(sources: &'a Sources<'a>, text: &'a str) -> Self {
        Self {
            sources,
            rest: text,
            skipping: false,
            substituted: false,
            substituted_bytes: 0,
            gave_up: false,
            errors: Vec::new(),
        }
    }

    /// Expands up to `end`, which is consumed, or to the end of the text.
    fn until(&mut self, end: Option<char>, nesting: usize) -> String {
        let mut out = String::new();
        while let Some(next) = self.rest.chars().next() {
            if Some(next) == end {
                self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
                return out;
            }
            if let Some(rest) = self.rest.strip_prefix("$$") {
                self.rest = rest;
                out.push('$');
            } else if let Some(rest) = self.rest.strip_prefix("${") {
                self.rest = rest;
                out.push_str(&self.reference(nesting));
            } else {
                self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
                out.push(next);
            }
        }
        if end.is_some() && !self.gave_up {
            self.errors.push(SubstitutionError::Unclosed);
        }
        out
    }

    /// What stands between `${` and `}`.
    fn reference(&mut self, nesting: usize) -> String {
        if nesting >= MAX_NESTING {
            self.give_up(SubstitutionError::TooDeep);
            return String::new();
        }
        if let Some(rest) = self.rest.strip_prefix("env:") {
            self.rest = rest;
            return self.variable(nesting);
        }
        if let Some(rest) = self.rest.strip_prefix("file:") {
            self.rest = rest;
            return self.file(nesting);
        }
        // Not quoted: a password may hold `${` by chance.
        let error =
            if self.rest.contains('}') { SubstitutionError::UnknownSource } else { SubstitutionError::Unclosed };
        self.give_up(error);
        String::new()
    }

    fn variable(&mut self, nesting: usize) -> String {
        let length = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        let has_default = rest.starts_with(":-");
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !(has_default || rest.starts_with('}'))
        {
            let error =
                if rest.contains('}') { SubstitutionError::InvalidVariable } else { SubstitutionError::Unclosed };
            self.give_up(error);
            return String::new();
        }
        // As in a shell, an empty variable with a default is as good as none.
        let value = (self.sources.env)(name).filter(|value| !(has_default && value.is_empty()));
        if !has_default {
            self.rest = rest.get(1..).unwrap_or_default();
            return match value {
                Some(value) => self.came_in(value),
                None => {
                    if !self.skipping {
                        self.errors.push(SubstitutionError::UnsetVariable(name.to_owned()));
                    }
                    String::new()
                }
            };
        }
        self.rest = rest.get(2..).unwrap_or_default();
        let outer = self.skipping;
        self.skipping = outer || value.is_some();
        let default = self.until(Some('}'), nesting + 1);
        self.skipping = outer;
        // A default counts as substituted too, so that `${env:PORT:-8080}` means the same with the variable set.
        self.came_in(value.unwrap_or(default))
    }

    fn file(&mut self, nesting: usize) -> String {
        let path_onwards = self.rest;
        let path = self.until(Some('}'), nesting + 1);
        if self.skipping || !self.errors.is_empty() {
            return String::new();
        }
        match read_file(&self.sources.base_dir.join(&path)) {
            Ok(text) => self.came_in(text),
            Err(reason) => {
                // As written in the configuration: the expanded path may hold substituted text.
                let written = path_onwards.len().saturating_sub(self.rest.len() + 1);
                let path = path_onwards.get(..written).unwrap_or_default().to_owned();
                self.errors.push(SubstitutionError::File { path, reason });
                String::new()
            }
        }
    }

    fn came_in(&mut self, value: String) -> String {
        if self.skipping {
            return String::new();
        }
        self.substituted = true;
        self.substituted_bytes = self.substituted_bytes.saturating_add(value.len());
        value
    }

    /// Reports an error after which nothing further in this scalar can be made sense of.
    fn give_up(&mut self, error: SubstitutionError) {
        self.errors.push(error);
        self.gave_up = true;
        self.rest = "";
    }
}

/// Reads a text file of at most [`MAX_FILE_BYTES`], without the newline editors put at its end.
fn read_file(path: &Path) -> Result<String, FileProblem> {
    // A pipe or a device could block for ever.
    if !std::fs::metadata(path).map_err(FileProblem::from)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(FileProblem::from)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileProblem::TooLarge);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| FileProblem::NotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Why a reference has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubstitutionError {
    #[error("environment variable `{0}` is not set; set it, or give a default as in `${{env:{0}:-default}}`")]
    UnsetVariable(String),
    #[error("`${{env:…}}` needs the name of a variable, of letters, digits and `_`, as in `${{env:HOST}}`")]
    InvalidVariable,
    #[error(
        "unknown source after `${{`; use `${{env:NAME}}`, `${{env:NAME:-default}}` or `${{file:/path}}`, or write `$${{` for `${{` itself"
    )]
    UnknownSource,
    #[error("`${{` is never closed; add the `}}`, or write `$${{` for `${{` itself")]
    Unclosed,
    #[error("references are nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    #[error("keys are not substituted; write the key out")]
    InKey,
    #[error("substitutions amount to more than {} MiB", MAX_TOTAL_BYTES / 1024 / 1024)]
    TooMuch,
    #[error("`${{file:{path}}}` {reason}")]
    File { path: String, reason: FileProblem },
}

/// Why a file gives no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileProblem {
    #[error("cannot be read: {0}")]
    Io(String),
    #[error("is not a regular file")]
    NotAFile,
    #[error("is larger than {} KiB", MAX_FILE_BYTES / 1024)]
    TooLarge,
    #[error("is not UTF-8 text")]
    NotText,
}

impl From<io::Error> for FileProblem {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${env:HOST} $$ } : - # [x]\ny: 1".to_owned()),
            _ => None,
        }
    }

    fn expand(text: &str) -> Result<String, Vec<SubstitutionError>> {
        expand_in(text, Path::new("/nowhere"))
    }

    fn expand_in(text: &str, base_dir: &Path) -> Result<String, Vec<SubstitutionError>> {
        let sources = Sources { env: &environment, base_dir };
        let mut expansion = Expansion::new(&sources, text);
        let out = expansion.until(None, 0);
        if expansion.errors.is_empty() { Ok(out) } else { Err(expansion.errors) }
    }

    #[test]
    fn references_become_values() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${env:HOST}", "example.com"),
            ("https://${env:HOST}:443/x", "https://example.com:443/x"),
            ("${env:HOST}${env:HOST}", "example.comexample.com"),
            ("${env:HOST:-other}", "example.com"),
            ("${env:NONE:-other}", "other"),
            ("${env:NONE:-}", ""),
            ("${env:NONE:-a:-b}", "a:-b"),
            ("${env:EMPTY}", ""),
            ("${env:EMPTY:-other}", "other"),
            ("${env:NONE:-${env:HOST}}", "example.com"),
            ("${env:NONE:-${env:ALSO_NONE:-x}}y", "xy"),
            ("${env:HOST:-${env:NONE}}", "example.com"),
            ("$$", "$"),
            ("$${env:HOST}", "${env:HOST}"),
            ("$$${env:HOST}", "$example.com"),
            ("5$ $x }", "5$ $x }"),
            ("${env:TRICKY}", "${env:HOST} $$ } : - # [x]\ny: 1"),
        ] {
            assert_eq!(expand(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_an_error() {
        use SubstitutionError as E;
        for (text, expected) in [
            ("${env:NONE}", vec![E::UnsetVariable("NONE".to_owned())]),
            ("${env:NONE}${env:NEITHER}", vec![E::UnsetVariable("NONE".into()), E::UnsetVariable("NEITHER".into())]),
            ("${env:NONE:-${env:NEITHER}}", vec![E::UnsetVariable("NEITHER".to_owned())]),
            ("${HOST}", vec![E::UnknownSource]),
            ("${config.host}", vec![E::UnknownSource]),
            ("${vault:x}", vec![E::UnknownSource]),
            ("${env:NONE:-${HOST}}", vec![E::UnknownSource]),
            ("${env:NONE}${HOST}", vec![E::UnsetVariable("NONE".to_owned()), E::UnknownSource]),
            ("${env:NONE}${env:HOST:-", vec![E::UnsetVariable("NONE".to_owned()), E::Unclosed]),
            ("${}", vec![E::UnknownSource]),
            ("${env:}", vec![E::InvalidVariable]),
            ("${env:1A}", vec![E::InvalidVariable]),
            ("${env:A-B}", vec![E::InvalidVariable]),
            ("${env:${env:HOST}}", vec![E::InvalidVariable]),
            ("${env:HOST", vec![E::Unclosed]),
            ("${env:HOST:-x", vec![E::Unclosed]),
            ("${file:/x", vec![E::Unclosed]),
            ("${", vec![E::Unclosed]),
        ] {
            assert_eq!(expand(text), Err(expected), "{text}");
        }
        let deep = format!("{}x{}", "${env:NONE:-".repeat(9), "}".repeat(9));
        assert_eq!(expand(&deep), Err(vec![E::TooDeep]));
        assert_eq!(expand(&format!("{}x{}", "${env:NONE:-".repeat(8), "}".repeat(8))), Ok("x".to_owned()));
    }

    #[test]
    fn files_are_read_without_their_last_newline() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("token", b"dapi\n");
        write("windows", b"dapi\r\n");
        write("lines", b"a\n\n");
        write("example.com", b"by name");
        write("full", &[b'x'; 64 * 1024]);
        let absolute = format!("${{file:{}/token}}", dir.path().display());
        for (text, expected) in [
            (absolute.as_str(), "dapi"),
            ("${file:token}", "dapi"),
            ("Bearer ${file:windows}", "Bearer dapi"),
            ("${file:lines}", "a\n"),
            ("${file:${env:HOST}}", "by name"),
            ("${env:NONE:-${file:token}}", "dapi"),
            ("${env:HOST:-${file:missing}}", "example.com"),
            ("${file:full}", &"x".repeat(64 * 1024)),
        ] {
            assert_eq!(expand_in(text, dir.path()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_readable_text_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("large"), [b'x'; 64 * 1024 + 1]).unwrap();
        std::fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
        for (text, reason) in [
            ("${file:large}", FileProblem::TooLarge),
            ("${file:binary}", FileProblem::NotText),
            ("${file:.}", FileProblem::NotAFile),
            ("${file:/dev/null}", FileProblem::NotAFile),
        ] {
            let errors = expand_in(text, dir.path()).unwrap_err();
            assert!(matches!(&errors[..], [SubstitutionError::File { reason: r, .. }] if *r == reason), "{errors:?}");
        }
        let errors = expand_in("${file:missing/${env:HOST}}", dir.path()).unwrap_err();
        let [SubstitutionError::File { path, reason: FileProblem::Io(_) }] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(path, "missing/${env:HOST}", "an error shows the path as it is written");
    }

    proptest! {
        #[test]
        fn text_without_dollar_is_unchanged(text in "[^$]*") {
            prop_assert_eq!(expand(&text), Ok(text));
        }

        #[test]
        fn doubling_every_dollar_escapes_any_text(text in any::<String>()) {
            prop_assert_eq!(expand(&text.replace('$', "$$")), Ok(text));
        }

        #[test]
        fn a_value_is_never_expanded_again(value in any::<String>(), before in "[a-z]*", after in "[a-z]*") {
            let env = |_: &str| Some(value.clone());
            let sources = Sources { env: &env, base_dir: Path::new("/nowhere") };
            let text = format!("{before}${{env:X}}{after}");
            let mut expansion = Expansion::new(&sources, &text);
            prop_assert_eq!(expansion.until(None, 0), format!("{before}{value}{after}"));
            prop_assert!(expansion.errors.is_empty());
        }

        #[test]
        fn anything_made_of_the_syntax_ends(text in r"(\$|\{|\}|env:|file:|:-|HOST|NONE|/|é){0,60}") {
            let _ = expand_in(&text, Path::new("/nowhere"));
        }
    }
}
