//! Any file in the plugins directory.

use kiln_runtime::ComponentFile;

/// A file is a plugin or is refused with a sentence, and never anything else. Reading one twice makes no difference, and
/// what is compiled is what was hashed.
pub fn loader(bytes: &[u8]) {
    match ComponentFile::parse(bytes.to_vec()) {
        Ok(file) => {
            assert_eq!(file.bytes, bytes);
            let again = ComponentFile::parse(file.bytes.clone()).expect("what was read once");
            assert_eq!(again.digest, file.digest);
            assert_eq!(again.imports, file.imports);
            // It can do no more than what it says.
            assert!(file.capabilities.len() <= file.imports.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
