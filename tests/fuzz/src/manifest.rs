//! Any manifest.

use kiln_policy::{Grants, Manifest, Policy};

/// A manifest is read or refused with a sentence. What is read is granted nothing that nobody granted: without
/// configuration and grants no origin can be reached.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    match Policy::resolve(&manifest, &Grants::default(), true, |_| None) {
        Ok(policy) => assert!(policy.http_rules().is_empty(), "{:?}", policy.http_rules()),
        Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| !error.to_string().is_empty())),
    }
    // Every one of its words can be shown.
    assert!(!format!("{manifest:?}").is_empty());
}
