//! Any text with any secrets in it, on its way into the log.

use kiln_telemetry::{MIN_BYTES, REDACTED, Redaction};

use crate::choices::Choices;

/// Whatever the secrets and wherever they stand in a line — one in another, one after another, quoted — none is left.
pub fn redaction(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let secrets = choices.several(5, |choices| {
        // Of few letters, so that they begin and end alike and are within each other.
        (0..choices.below(12))
            .map(|_| ['a', 'b', '"', '\\', ' ', 'é', '\n', '%'][usize::from(choices.below(8))])
            .collect()
    });
    let redaction = Redaction::default();
    let protected: Vec<_> = secrets.iter().map(|secret: &String| redaction.protect(secret)).collect();
    let line = choices.several(8, |choices| match choices.below(3) {
        0 => choices.text(),
        1 => secrets.get(usize::from(choices.below(5))).cloned().unwrap_or_default(),
        _ => format!("{:?}", secrets.get(usize::from(choices.below(5)))),
    });
    let line = line.concat();
    let redacted = redaction.text(&line).into_owned();
    assert_eq!(redaction.bytes(line.as_bytes()), redacted.as_bytes());
    let rest = redacted.replace(REDACTED, "\0");
    for secret in secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= MIN_BYTES) {
        assert!(!rest.contains(secret), "{secret:?} is left of {line:?}: {redacted:?}");
    }
    // What nobody protects any more is not touched.
    drop(protected);
    assert_eq!(redaction.text(&line), line);
}
