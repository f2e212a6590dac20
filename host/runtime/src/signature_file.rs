//! The signature that stands beside a plugin file, read once and bounded; whether it is good is for the policy to say.

use std::io::{self, Read as _};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use kiln_policy::{MAX_SIGNATURE_BYTES, SIGNATURE_EXTENSION, SignatureFile};

use crate::regular_file::open_regular;

/// Reads the signature of a file that is in no plugins directory: `FILE.minisig`.
#[must_use]
pub fn signature_of(plugin: &Path) -> SignatureFile {
    let parent = plugin.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = plugin.file_name() else { return SignatureFile::Absent };
    match Dir::open_ambient_dir(parent, ambient_authority()) {
        Ok(dir) => read_signature(&dir, Path::new(name)),
        Err(error) => SignatureFile::Unreadable(error.to_string()),
    }
}

/// Reads what stands beside a plugin file as its signature, following symbolic links only inside of the directory.
pub(crate) fn read_signature(dir: &Dir, plugin: &Path) -> SignatureFile {
    let mut name = plugin.as_os_str().to_owned();
    name.push(".");
    name.push(SIGNATURE_EXTENSION);
    let name = Path::new(&name);
    let mut text = String::new();
    let read = open_regular(dir, name).and_then(|file| match file.metadata()?.len() {
        0..=MAX_SIGNATURE_BYTES => file.take(MAX_SIGNATURE_BYTES).read_to_string(&mut text),
        _ => Err(io::Error::other(format!("it is larger than the {MAX_SIGNATURE_BYTES} bytes a signature needs"))),
    });
    match read {
        Ok(_) => SignatureFile::Text(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => SignatureFile::Absent,
        Err(error) => SignatureFile::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_file_of_text_is_a_signature() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = dir.path().join("a.wasm");
        let signature = dir.path().join("a.wasm.minisig");
        assert_eq!(signature_of(&plugin), SignatureFile::Absent);

        std::fs::write(&signature, "signed").unwrap();
        assert_eq!(signature_of(&plugin), SignatureFile::Text("signed".to_owned()));

        std::fs::write(&signature, "x".repeat(MAX_SIGNATURE_BYTES as usize + 1)).unwrap();
        assert!(matches!(signature_of(&plugin), SignatureFile::Unreadable(_)));
        std::fs::write(&signature, [0xff, 0xfe]).unwrap();
        assert!(matches!(signature_of(&plugin), SignatureFile::Unreadable(_)));
        std::fs::remove_file(&signature).unwrap();
        std::fs::create_dir(&signature).unwrap();
        assert!(matches!(signature_of(&plugin), SignatureFile::Unreadable(_)));
    }

    #[test]
    fn a_link_out_of_the_directory_is_not_followed() {
        let (outside, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("s"), "signed").unwrap();
        std::os::unix::fs::symlink(outside.path().join("s"), dir.path().join("a.wasm.minisig")).unwrap();
        assert!(matches!(signature_of(&dir.path().join("a.wasm")), SignatureFile::Unreadable(_)));
    }
}
