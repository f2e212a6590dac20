//! Files that have an end: whatever else bears a name in a directory is not read.

use std::io;
use std::path::Path;

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;

/// Opens a regular file, following symbolic links only inside of the directory.
///
/// Opening a pipe waits until somebody writes to it, which may be never. So nothing is waited for here, and what was opened
/// is asked what it is: a name that is looked at first may be another thing by the time it is opened.
///
/// # Errors
/// The file cannot be opened, or is no regular one.
pub(crate) fn open_regular(dir: &Dir, name: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let no_waiting = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = dir.open_with(name, options.read(true).custom_flags(no_waiting))?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;
    use rustix::fs::{FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_file_is_opened_and_a_pipe_or_a_directory_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        dir.write("file", "content").unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        symlink("/etc/passwd", folder.path().join("away")).unwrap();
        dir.create_dir("directory").unwrap();
        mknodat(&dir, "pipe", FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink("pipe", folder.path().join("link-to-pipe")).unwrap();
        for name in ["file", "link"] {
            let mut text = String::new();
            open_regular(&dir, Path::new(name)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "content");
        }
        for name in ["pipe", "link-to-pipe", "directory"] {
            let error = open_regular(&dir, Path::new(name)).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file", "{name}");
        }
        assert!(open_regular(&dir, Path::new("away")).is_err());
        assert!(open_regular(&dir, Path::new("missing")).is_err());
    }
}
