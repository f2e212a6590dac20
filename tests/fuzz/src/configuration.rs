//! Any configuration: YAML, substitution and all.

use std::path::Path;

use kiln_config::Config;

/// Long enough not to be in a text by chance.
const SECRET: &str = "5ecre7-0f-7he-env1r0nmen7";

/// A configuration is read or refused with a sentence, and what an environment variable holds is in no sentence.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files may be substituted, and a fuzzer shall not read those of the machine.
    if text.contains("file:") {
        return;
    }
    let environment = |name: &str| (name != "UNSET").then(|| SECRET.to_owned());
    match Config::parse("kiln.yaml", text, Path::new("/nonexistent"), &environment) {
        Ok(config) => {
            let twice = Config::parse("kiln.yaml", text, Path::new("/nonexistent"), &environment);
            assert_eq!(config.instances.len(), twice.expect("what was read once").instances.len());
        }
        Err(errors) => {
            let text = errors.to_string();
            assert!(!text.is_empty());
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}
