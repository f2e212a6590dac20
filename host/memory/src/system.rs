//! How much memory there is, and how much of it is taken, as the kernel counts.
//!
//! The bound that counts is the lowest: of the control groups the process is in, of either version, and of the machine.
//! What is cached of files does not count as taken, for the kernel gives that up before it kills. Only Linux says any of
//! this; elsewhere nothing is known, and nothing guards.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No file of the kernel's that is read here is as long.
const MAX_FILE: u64 = 64 << 10;
/// What version 1 of control groups says where there is no limit is a little below the largest number there is.
const UNLIMITED: u64 = 1 << 60;

/// Where numbers are read.
#[derive(Clone, Debug)]
pub(crate) struct System {
    root: PathBuf,
    group: Option<Group>,
    machine: Option<u64>,
}

/// The control group whose bound is the lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    version: Version,
    directory: PathBuf,
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl System {
    /// Looks at the system under `root`, which is `/` but in tests.
    pub(crate) fn look(root: &Path) -> Self {
        let meminfo = read(&root.join("proc/meminfo"));
        let machine =
            meminfo.as_deref().and_then(|text| labelled(text, "MemTotal:")).and_then(|kib| kib.checked_mul(1024));
        let group = group(root).filter(|group| machine.is_none_or(|machine| group.limit < machine));
        Self { root: root.to_owned(), group, machine }
    }

    /// Bytes there are for the process and what shares its bounds.
    pub(crate) fn available(&self) -> Option<u64> {
        self.group.as_ref().map(|group| group.limit).or(self.machine)
    }

    /// Bytes that are taken of what there is: by all of the control group, or by the process where no group is bounded.
    pub(crate) fn taken(&self) -> Option<u64> {
        self.group.as_ref().and_then(Group::taken).or_else(|| self.process())
    }

    /// Bytes the process has in memory.
    pub(crate) fn process(&self) -> Option<u64> {
        labelled(&read(&self.root.join("proc/self/status"))?, "VmRSS:")?.checked_mul(1024)
    }
}

impl Group {
    fn taken(&self) -> Option<u64> {
        let (usage, cached, shared) = match self.version {
            Version::One => ("memory.usage_in_bytes", "total_cache", "total_shmem"),
            Version::Two => ("memory.current", "file", "shmem"),
        };
        let usage: u64 = read(&self.directory.join(usage))?.trim().parse().ok()?;
        let stat = read(&self.directory.join("memory.stat"))?;
        // Memory that is shared counts as a file's and cannot be given up.
        let cached = labelled(&stat, cached)?.saturating_sub(labelled(&stat, shared).unwrap_or(0));
        Some(usage.saturating_sub(cached))
    }
}

fn group(root: &Path) -> Option<Group> {
    let groups = read(&root.join("proc/self/cgroup"))?;
    let groups = groups.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let (version, base) = if controllers.is_empty() {
            (Version::Two, root.join("sys/fs/cgroup"))
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (Version::One, root.join("sys/fs/cgroup/memory"))
        } else {
            return None;
        };
        Some(bounded(version, &base, path))
    });
    groups.flatten().min_by_key(|group| group.limit)
}

/// The group with the lowest limit, of the one at `path` and those around it. In a container the path may be that of the
/// machine, and then only the last of them is there to be seen.
fn bounded(version: Version, base: &Path, path: &str) -> Option<Group> {
    let file = match version {
        Version::One => "memory.limit_in_bytes",
        Version::Two => "memory.max",
    };
    let path = Path::new(path.trim_start_matches('/'));
    let groups = path.ancestors().filter_map(|path| {
        let directory = base.join(path);
        let limit: u64 = read(&directory.join(file))?.trim().parse().ok()?;
        (limit < UNLIMITED).then_some(Group { version, directory, limit })
    });
    groups.min_by_key(|group| group.limit)
}

/// The number after a label at the beginning of a line.
fn labelled(text: &str, label: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_ascii_whitespace);
    words.find_map(|mut words| (words.next()? == label).then(|| words.next()?.parse().ok())?)
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:        8000 kB\nMemFree:  1 kB\n";
    const STATUS: &str = "Name:\tkiln\nVmRSS:\t  100 kB\n";

    fn system(files: &[(&str, &str)]) -> System {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [("proc/meminfo", MACHINE), ("proc/self/status", STATUS)].iter().chain(files) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let system = System::look(root.path());
        // What is read later is read from where it was.
        std::mem::forget(root);
        system
    }

    #[test]
    fn without_a_bounded_group_the_machine_bounds_the_process() {
        for files in [
            &[][..],
            &[("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "max\n")],
            &[
                ("proc/self/cgroup", "3:cpu,memory:/a\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            &[("proc/self/cgroup", "nonsense\n:\n::\n"), ("sys/fs/cgroup/memory.max", "-5\n")],
            // More than there is bounds nothing.
            &[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "9000000000\n")],
        ] {
            let system = system(files);
            assert_eq!((system.available(), system.taken()), (Some(8_192_000), Some(102_400)), "{files:?}");
        }
    }

    #[test]
    fn the_lowest_bound_on_the_way_up_counts_and_cached_files_do_not() {
        let system = system(&[
            ("proc/self/cgroup", "0::/slice/kiln\n"),
            ("sys/fs/cgroup/slice/memory.max", "2000000\n"),
            ("sys/fs/cgroup/slice/memory.current", "1500000\n"),
            ("sys/fs/cgroup/slice/memory.stat", "anon 700000\nfile 800000\nshmem 300000\nfile_mapped 5\n"),
            ("sys/fs/cgroup/slice/kiln/memory.max", "3000000\n"),
            ("sys/fs/cgroup/slice/kiln/memory.current", "5\n"),
        ]);
        assert_eq!((system.available(), system.taken()), (Some(2_000_000), Some(1_000_000)));
        assert_eq!(system.process(), Some(102_400));
    }

    #[test]
    fn the_first_version_is_read_too_and_in_a_container_the_root_of_what_is_seen() {
        let system = system(&[
            ("proc/self/cgroup", "9:name=systemd:/x\n5:memory,cpu:/docker/0123\n0::/docker/0123\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "900000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "cache 1\ntotal_cache 500000\ntotal_shmem 0\n"),
        ]);
        assert_eq!((system.available(), system.taken()), (Some(1_000_000), Some(400_000)));
    }

    #[test]
    fn a_group_that_says_nothing_of_its_use_leaves_the_process() {
        let system = system(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "1000000\n")]);
        assert_eq!((system.available(), system.taken()), (Some(1_000_000), Some(102_400)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_can_be_read() {
        let system = System::look(Path::new("/"));
        assert!(system.available().unwrap() > system.process().unwrap());
        assert!(system.taken().unwrap() > 0);
    }
}
