//! Which files of a directory a rule covers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longer patterns are a mistake.
const MAX_BYTES: usize = 256;

/// Names of files that hold what belongs to other processes: their environment, arguments, memory and registers. No
/// wildcard stands for one of them; whoever wants it has to write its name.
const SPELLED_OUT: [&str; 13] =
    ["auxv", "cmdline", "cwd", "environ", "exe", "fd", "kcore", "maps", "mem", "pagemap", "root", "smaps", "syscall"];

/// A path below a directory, as `stat`, `net/dev`, `*/stat` or `app/**`.
///
/// A `*` stands for any text within one name, and a last `**` for everything below. Neither stands for a name that
/// holds other processes' secrets, such as `environ`: that has to be spelled out. Paths are compared name by name after
/// symbolic links and `..` are resolved, so a pattern can neither be left nor be widened by what is on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePattern(Vec<String>);

/// How a path stands to what is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Neither it nor anything below it is covered.
    Outside,
    /// It is a directory on the way to something that is covered: it may be passed and listed, and its list shows no
    /// more than what is not outside.
    Leads,
    /// It is covered.
    Covered,
}

impl FilePattern {
    /// How the path of these names stands to the pattern. The empty path is the directory itself.
    #[must_use]
    pub fn reach(&self, path: &[&str]) -> Reach {
        let mut patterns = self.0.iter().map(String::as_str);
        let mut names = path.iter().copied();
        loop {
            match (patterns.next(), names.next()) {
                (Some("**"), Some(first)) => {
                    let any_secret = is_spelled_out(first) || names.any(is_spelled_out);
                    return if any_secret { Reach::Outside } else { Reach::Covered };
                }
                (Some(pattern), Some(name)) if matches(pattern, name) => {}
                (Some(_) | None, Some(_)) => return Reach::Outside,
                (Some(_), None) => return Reach::Leads,
                (None, None) => return Reach::Covered,
            }
        }
    }
}

/// How a path stands to several patterns together.
pub(crate) fn reach(patterns: &[FilePattern], path: &[&str]) -> Reach {
    patterns.iter().map(|pattern| pattern.reach(path)).max().unwrap_or(Reach::Outside)
}

fn is_spelled_out(name: &str) -> bool {
    SPELLED_OUT.contains(&name)
}

/// Whether a name fits the pattern of a name.
fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == name;
    }
    if is_spelled_out(name) {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

impl TryFrom<String> for FilePattern {
    type Error = InvalidFilePattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let names: Vec<String> = text.split('/').map(str::to_owned).collect();
        let last = names.len().saturating_sub(1);
        let is_name = |(index, name): (usize, &String)| {
            let any_below = name.contains("**") && (name != "**" || index != last);
            !matches!(name.as_str(), "" | "." | "..") && !name.contains('\0') && !any_below
        };
        if text.len() <= MAX_BYTES && names.iter().enumerate().all(is_name) {
            Ok(Self(names))
        } else {
            Err(InvalidFilePattern(text))
        }
    }
}

impl From<FilePattern> for String {
    fn from(pattern: FilePattern) -> Self {
        pattern.0.join("/")
    }
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Not a pattern of files.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no path below a directory: it has no leading `/`, no empty name, no `.` and no `..`; `*` stands for any \
     text within a name, and `**` as the last name for everything below"
)]
pub struct InvalidFilePattern(String);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn reached(pattern: &str, path: &str) -> Reach {
        let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
        FilePattern::try_from(pattern.to_owned()).unwrap().reach(&names)
    }

    #[test]
    fn a_name_covers_itself_and_nothing_below() {
        assert_eq!(reached("stat", "stat"), Reach::Covered);
        assert_eq!(reached("stat", "statm"), Reach::Outside);
        assert_eq!(reached("stat", "stat/x"), Reach::Outside);
        assert_eq!(reached("net/dev", "net"), Reach::Leads);
        assert_eq!(reached("net/dev", ""), Reach::Leads);
        assert_eq!(reached("net/dev", "net/dev"), Reach::Covered);
        assert_eq!(reached("net/dev", "net/arp"), Reach::Outside);
    }

    #[test]
    fn a_star_stays_within_a_name() {
        assert_eq!(reached("*/stat", "42/stat"), Reach::Covered);
        assert_eq!(reached("*/stat", "42/task/stat"), Reach::Outside);
        assert_eq!(reached("cpu*/online", "cpu12/online"), Reach::Covered);
        assert_eq!(reached("cpu*/online", "memory0/online"), Reach::Outside);
        assert_eq!(reached("a*b*c", "a-b-c"), Reach::Covered);
        assert_eq!(reached("a*aa", "aa"), Reach::Outside);
    }

    #[test]
    fn two_stars_at_the_end_are_everything_below() {
        assert_eq!(reached("app/**", "app/a/b/c"), Reach::Covered);
        assert_eq!(reached("app/**", "app"), Reach::Leads);
        assert_eq!(reached("app/**", "apps/a"), Reach::Outside);
        assert_eq!(reached("**", "a/b"), Reach::Covered);
    }

    #[test]
    fn secrets_of_other_processes_have_to_be_spelled_out() {
        for name in SPELLED_OUT {
            assert_eq!(reached("*/*", &format!("1/{name}")), Reach::Outside, "{name}");
            assert_eq!(reached("**", &format!("1/{name}")), Reach::Outside, "{name}");
            assert_eq!(reached("**", &format!("1/{name}/etc/passwd")), Reach::Outside, "{name}");
            assert_eq!(reached("*", name), Reach::Outside, "{name}");
            assert_eq!(reached(&format!("*/{name}"), &format!("1/{name}")), Reach::Covered, "{name}");
        }
    }

    #[test]
    fn what_is_no_path_below_a_directory_is_refused() {
        for text in ["", "/stat", "a//b", "./a", "a/..", "../a", "a/", "**/a", "a**", "a\0"] {
            assert!(FilePattern::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(FilePattern::try_from("a".repeat(MAX_BYTES)).is_ok());
        assert!(FilePattern::try_from("a".repeat(MAX_BYTES + 1)).is_err());
    }
}
