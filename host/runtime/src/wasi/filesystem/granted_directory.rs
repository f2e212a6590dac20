//! One granted directory, and the only way to a file in it.
//!
//! A path is walked from the directory name by name, each opened relative to the one before and never through a link.
//! Links are read as text and walked like any other path; one that leads out of the directory, or is absolute, is
//! refused, and so is every name the rule does not reach, before the disk is asked for it. What is refused therefore
//! does not depend on what exists, and nothing that is renamed or replaced meanwhile can lead elsewhere: the kernel's
//! own links, such as `/proc/1/root`, which are not what they say, are never followed. What is opened in the end is a
//! regular file or a directory; a pipe would block and a device might do something.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_policy::{FilesRule, Reach};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

/// Links on the way to one file.
const MAX_LINKS: usize = 16;
/// Names on the way to one file, those of links included.
const MAX_NAMES: usize = 256;
/// Bytes of a path.
const MAX_PATH_BYTES: usize = 4096;

/// A directory that may be read as far as its rule reaches.
#[derive(Debug)]
pub(crate) struct GrantedDirectory {
    root: Dir,
    rule: FilesRule,
}

/// A granted directory that is not there.
#[derive(Debug, thiserror::Error)]
#[error("grants.files: {host} cannot be opened: {error}")]
pub(crate) struct DirectoryError {
    host: String,
    error: std::io::Error,
}

/// Why a guest does not get what it asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It is not the guest's to have.
    Denied(Denied),
    /// The system's answer.
    System(Errno),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// What was refused, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The path as the guest knows it.
    pub(crate) path: String,
    /// As one word.
    pub(crate) reason: Reason,
    /// What would have to be different.
    pub(crate) text: String,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No rule covers it.
    Path,
    /// It leads out of the directory.
    Outside,
    /// It is no regular file.
    Kind,
}

impl Reason {
    /// The word for it in metrics and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Outside => "outside",
            Self::Kind => "kind",
        }
    }
}

/// What a path leads to.
pub(crate) struct Found {
    /// The directories on the way to it, without the granted one.
    parents: Vec<(String, OwnedFd)>,
    /// Its own name, unless it is one of the directories.
    name: Option<String>,
    /// What the system says of it.
    pub(crate) stat: Stat,
}

impl Found {
    /// The names on the way to it, from the granted directory.
    pub(crate) fn names(&self) -> Vec<String> {
        self.parents.iter().map(|(name, _)| name.clone()).chain(self.name.clone()).collect()
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

impl GrantedDirectory {
    /// Opens the directory a rule names.
    pub(crate) fn open(rule: &FilesRule) -> Result<Self, DirectoryError> {
        match Dir::open_ambient_dir(rule.host.as_path(), ambient_authority()) {
            Ok(root) => Ok(Self { root, rule: rule.clone() }),
            Err(error) => Err(DirectoryError { host: rule.host.to_string(), error }),
        }
    }

    /// The directory as the guest knows it.
    pub(crate) fn guest(&self) -> &str {
        self.rule.guest.as_str()
    }

    /// Whether a list of the directory of these names shows the entry.
    pub(crate) fn shows(&self, directory: &[String], entry: &str, kind: FileType) -> bool {
        let mut names: Vec<_> = directory.iter().map(String::as_str).collect();
        names.push(entry);
        match self.rule.reach(&names) {
            Reach::Outside => false,
            Reach::Leads => matches!(kind, FileType::Directory | FileType::Symlink | FileType::Unknown),
            Reach::Covered => true,
        }
    }

    /// Finds what `path` leads to from the directory of the names `base`, which it cannot leave.
    pub(crate) fn find(&self, base: &[String], path: &str, last: Last) -> Result<Found, Failure> {
        if path.len() > MAX_PATH_BYTES {
            return Err(Errno::NAMETOOLONG.into());
        }
        if path.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if path.contains('\0') {
            return Err(Errno::INVAL.into());
        }
        let mut walk = Walk { directory: self, parents: Vec::new(), floor: base.len() };
        for name in base {
            walk.enter(name)?;
        }
        if path.starts_with('/') {
            return Err(walk.leaves(path));
        }
        walk.follow(path, last)
    }

    /// Opens a regular file for reading.
    pub(crate) fn open_file(&self, found: &Found) -> Result<OwnedFd, Failure> {
        let Some(name) = found.name.as_deref().filter(|_| found.kind() == FileType::RegularFile) else {
            return Err(self.not_a_file(found));
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(self.parent(&found.parents), name, flags, Mode::empty())?;
        // It may have been replaced since it was found.
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(self.not_a_file(found));
        }
        Ok(file)
    }

    /// Opens a directory for reading its list.
    pub(crate) fn open_list(&self, names: &[String]) -> Result<OwnedFd, Failure> {
        let mut walk = Walk { directory: self, parents: Vec::new(), floor: names.len() };
        for name in names {
            walk.enter(name)?;
        }
        Ok(openat(self.parent(&walk.parents), ".", DIRECTORY, Mode::empty())?)
    }

    fn parent<'a>(&'a self, parents: &'a [(String, OwnedFd)]) -> BorrowedFd<'a> {
        parents.last().map_or(self.root.as_fd(), |(_, directory)| directory.as_fd())
    }

    fn not_a_file(&self, found: &Found) -> Failure {
        let kind = match found.kind() {
            FileType::Directory => return Errno::ISDIR.into(),
            FileType::Symlink => return Errno::LOOP.into(),
            FileType::Fifo => "a named pipe",
            FileType::Socket => "a socket",
            FileType::BlockDevice | FileType::CharacterDevice => "a device",
            FileType::RegularFile | FileType::Unknown => "not what it was a moment ago",
        };
        let path = self.guest_path(&found.names());
        let text = format!("{path} is {kind}, and only regular files are opened");
        Failure::Denied(Denied { path, reason: Reason::Kind, text })
    }

    fn guest_path(&self, names: &[String]) -> String {
        format!("{}/{}", self.guest(), names.join("/"))
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A way through a granted directory.
struct Walk<'a> {
    directory: &'a GrantedDirectory,
    /// The directories passed, each open.
    parents: Vec<(String, OwnedFd)>,
    /// So many of them cannot be gone back from.
    floor: usize,
}

impl Walk<'_> {
    fn follow(mut self, path: &str, last: Last) -> Result<Found, Failure> {
        // What is left to walk, the next name at the end.
        let mut left: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let (mut links, mut names) = (0, 0);
        while let Some(name) = left.pop() {
            names += 1;
            if names > MAX_NAMES {
                return Err(Errno::NAMETOOLONG.into());
            }
            match name.as_str() {
                "" | "." => continue,
                ".." if self.parents.len() <= self.floor => return Err(self.leaves(path)),
                ".." => {
                    self.parents.pop();
                    continue;
                }
                _ => self.check(&name, &left, Reach::Leads)?,
            }
            let stat = statat(self.here(), name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.enter(&name)?,
                FileType::Symlink if !left.is_empty() || last == Last::Follow => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = self.read_link(&name)?;
                    left.extend(target.rsplit('/').map(str::to_owned));
                }
                // A `/` behind it asks for a directory.
                _ if !left.is_empty() => return Err(Errno::NOTDIR.into()),
                _ => {
                    // Only a directory leads to anything.
                    self.check(&name, &[], Reach::Covered)?;
                    return Ok(Found { parents: self.parents, name: Some(name), stat });
                }
            }
        }
        let stat = fstat(self.here())?;
        Ok(Found { parents: self.parents, name: None, stat })
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.directory.parent(&self.parents)
    }

    /// Goes into a directory, which must not be a link.
    fn enter(&mut self, name: &str) -> Result<(), Failure> {
        self.check(name, &[], Reach::Leads)?;
        let directory = openat(self.here(), name, DIRECTORY, Mode::empty())?;
        self.parents.push((name.to_owned(), directory));
        Ok(())
    }

    /// Whether the rule reaches the name so far; `left` is what would come behind it, the next name at the end.
    fn check(&self, name: &str, left: &[String], needed: Reach) -> Result<(), Failure> {
        let mut names: Vec<_> = self.parents.iter().map(|(name, _)| name.as_str()).collect();
        names.push(name);
        let rule = &self.directory.rule;
        if rule.reach(&names) >= needed {
            return Ok(());
        }
        // What would have to be added is the whole path.
        names.extend(left.iter().rev().map(String::as_str).filter(|name| !matches!(*name, "" | ".")));
        let path = names.join("/");
        let guest = self.directory.guest();
        let text = if rule.is_requested(&names, needed) {
            format!("{guest}/{path} is not granted: add `{path}` to the paths of {guest} in grants.files")
        } else {
            format!("{guest}/{path} is not among the files of {guest} the manifest requests, so it cannot be granted")
        };
        Err(Failure::Denied(Denied { path: format!("{guest}/{path}"), reason: Reason::Path, text }))
    }

    /// Where a link leads, unless that is an absolute path.
    fn read_link(&self, name: &str) -> Result<String, Failure> {
        let target = readlinkat(self.here(), name, Vec::new())?;
        let target = target.into_string().map_err(|_| Errno::ILSEQ)?;
        if target.starts_with('/') {
            return Err(self.leaves(name));
        }
        if target.len() > MAX_PATH_BYTES {
            return Err(Errno::NAMETOOLONG.into());
        }
        Ok(target)
    }

    fn leaves(&self, path: &str) -> Failure {
        let names: Vec<_> = self.parents.iter().map(|(name, _)| name.as_str()).chain([path]).collect();
        let path = format!("{}/{}", self.directory.guest(), names.join("/"));
        let text = format!("{path} leads out of {}", self.directory.guest());
        Failure::Denied(Denied { path, reason: Reason::Outside, text })
    }
}

impl GrantedDirectory {
    /// Where a link leads, as text.
    pub(crate) fn read_link(&self, base: &[String], path: &str) -> Result<String, Failure> {
        let found = self.find(base, path, Last::Keep)?;
        match (&found.name, found.kind()) {
            (Some(name), FileType::Symlink) => {
                let floor = found.parents.len();
                Walk { directory: self, parents: found.parents, floor }.read_link(name)
            }
            _ => Err(Errno::INVAL.into()),
        }
    }
}
