//! The file a bundle is carried in: `.tar.gz`, the same bytes for the same content.
//!
//! Invariant: an archive holds regular files under plain relative names, in the order of their names, owned by nobody in
//! particular, of no date; so its digest is that of its content, whoever makes it, where and when.
//!
//! It is packed once and fetched by every cluster that starts, so it is packed by libdeflate, which takes its time and leaves
//! a twentieth less than zlib.

use std::io::{self, Read as _};

use flate2::read::GzDecoder;
#[cfg(feature = "packing")]
use libdeflater::{CompressionLvl, Compressor};

const BLOCK: usize = 512;

/// Bytes a name has room for. Longer ones have no place in a bundle.
const MAX_NAME: usize = 100;

/// Files of an archive that are read at most: plugins and their code, and a few more.
const MAX_FILES: usize = 1024;

/// Bytes of a file at most: as much as its header can say.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// A file to be put into an archive.
#[cfg(feature = "packing")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its path, relative and with `/`.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// Puts `files` into an archive.
///
/// # Errors
/// A name or a file is longer than an archive can hold.
#[cfg(feature = "packing")]
pub fn archive(files: &[ArchiveFile]) -> io::Result<Vec<u8>> {
    let mut sorted: Vec<&ArchiveFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut unpacked = Vec::new();
    for file in sorted {
        unpacked.extend(header(file)?);
        unpacked.extend(&file.bytes);
        unpacked.resize(unpacked.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks are the end.
    unpacked.resize(unpacked.len() + 2 * BLOCK, 0);
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut packed = vec![0; compressor.gzip_compress_bound(unpacked.len())];
    let length = compressor.gzip_compress(&unpacked, &mut packed);
    packed.truncate(length.map_err(|error| io::Error::other(format!("the archive does not fit: {error}")))?);
    Ok(packed)
}

/// The names in an archive that [`archive`] has made, or any other without extensions; `None` if it is none.
///
/// However much it unpacks to, no more than a block of it is kept at a time.
pub(crate) fn names(packed: &[u8]) -> Option<Vec<String>> {
    let mut unpacked = GzDecoder::new(packed);
    let mut names = Vec::new();
    loop {
        let mut header = [0; BLOCK];
        unpacked.read_exact(&mut header).ok()?;
        let (name, rest) = header.split_at_checked(MAX_NAME)?;
        if name.first() == Some(&0) {
            return Some(names);
        }
        let name = name.split(|byte| *byte == 0).next()?;
        names.push(String::from_utf8(name.to_vec()).ok()?);
        let size = std::str::from_utf8(rest.get(24..35)?).ok()?;
        let size = u64::from_str_radix(size.trim(), 8).ok().filter(|size| *size <= MAX_SIZE)?;
        if names.len() > MAX_FILES {
            return None;
        }
        let length = size.next_multiple_of(BLOCK as u64);
        if io::copy(&mut unpacked.by_ref().take(length), &mut io::sink()).ok()? != length {
            return None;
        }
    }
}

/// As POSIX.1-1988 has it, `ustar`.
#[cfg(feature = "packing")]
fn header(file: &ArchiveFile) -> io::Result<[u8; BLOCK]> {
    let too_long = |what: &str| io::Error::other(format!("{what} of {} is more than an archive can hold", file.name));
    let size = file.bytes.len() as u64;
    if file.name.len() > MAX_NAME {
        return Err(too_long("the name"));
    }
    if size > MAX_SIZE {
        return Err(too_long("the size"));
    }
    let mode = if file.executable { "0000755\0" } else { "0000644\0" };
    let size = format!("{size:011o}\0");
    let fields: [(usize, &[u8]); 11] = [
        (0, file.name.as_bytes()),
        (100, mode.as_bytes()),
        (108, b"0000000\0"), // owner
        (116, b"0000000\0"), // group
        (124, size.as_bytes()),
        (136, b"00000000000\0"), // seconds since 1970
        (148, b"        "),      // the checksum, as it is while it is computed
        (156, b"0"),             // a regular file
        (257, b"ustar\x0000"),
        (265, b"root\0"),
        (297, b"root\0"),
    ];
    let mut header = [0; BLOCK];
    for (at, value) in fields {
        header.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = *value);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let checksum = format!("{sum:06o}\0 ");
    header.iter_mut().skip(148).zip(checksum.as_bytes()).for_each(|(byte, value)| *byte = *value);
    Ok(header)
}

#[cfg(all(test, feature = "packing"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn file(name: &str, bytes: &[u8], executable: bool) -> ArchiveFile {
        ArchiveFile { name: name.to_owned(), bytes: bytes.to_vec(), executable }
    }

    fn unpacked(files: &[ArchiveFile]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let packed = folder.path().join("packed.tar.gz");
        std::fs::write(&packed, archive(files).unwrap()).unwrap();
        let into = folder.path().join("into");
        std::fs::create_dir(&into).unwrap();
        let tar = Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(&into).output().unwrap();
        assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
        assert_eq!(String::from_utf8_lossy(&tar.stderr), "");
        folder
    }

    /// Scenario: a program and its files, as the system's `tar` unpacks them.
    /// Guarantees: each is what it was, and the program can be started.
    #[test]
    fn the_systems_tar_unpacks_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let long = format!("plugins/{}.wasm", "p".repeat(64));
        let files = [
            file("kiln", b"#!", true),
            file(&long, &[7; 5000], false),
            file("empty", b"", false),
            file("b", &[1; 512], false),
        ];
        let folder = unpacked(&files);
        for file in &files {
            let path = folder.path().join("into").join(&file.name);
            assert_eq!(std::fs::read(&path).unwrap(), file.bytes, "{}", file.name);
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o100 != 0, file.executable, "{}", file.name);
        }
    }

    #[test]
    fn the_order_of_files_does_not_matter() {
        let (a, b) = (file("a", b"1", false), file("b", b"2", true));
        let once = archive(&[a.clone(), b.clone()]).unwrap();
        assert_eq!(once, archive(&[b, a]).unwrap());
        assert_eq!(once[4..8], [0; 4], "a date");
        assert_eq!(names(&once).unwrap(), ["a", "b"]);
        for damaged in [&once[..once.len() / 2], b"", b"no archive"] {
            assert_eq!(names(damaged), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = archive(&[file(&"n".repeat(101), b"", false)]).unwrap_err();
        assert!(error.to_string().starts_with("the name of nnn"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// Guarantees: whatever is put in comes out, at any length.
        #[test]
        fn any_content_comes_out_again(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 1..5)) {
            let files: Vec<_> = contents.iter().enumerate().map(|(n, bytes)| file(&format!("d/{n}"), bytes, n % 2 == 0)).collect();
            let folder = unpacked(&files);
            for file in &files {
                prop_assert_eq!(&std::fs::read(folder.path().join("into").join(&file.name)).unwrap(), &file.bytes);
            }
        }
    }
}
