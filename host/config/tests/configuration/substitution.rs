//! References to the environment and to files.

use super::*;

#[test]
fn substituted_values_take_the_type_that_is_wanted() {
    let text = "plugins_dir: ${env:DIR:-plugins}\n\
                policy: { explicit_grants: \"${env:EXPLICIT}\" }\n\
                receivers: { databricks: { collection_interval: \"${env:INTERVAL}\", limits: { concurrency: \"${env:COUNT}\", memory: \"${env:COUNT}MiB\" } } }\n\
                exporters: { debug: { verbosity: \"${env:VERBOSITY:-normal}\" } }\n";
    let text = format!("{text}{SERVICE}");
    let env = [("EXPLICIT", "true"), ("INTERVAL", "5s"), ("COUNT", "8")];
    let config = parse_with(&text, &env).unwrap();
    assert_eq!(config.plugins_dir, PathBuf::from("/etc/kiln/plugins"));
    assert!(config.policy.explicit_grants);
    assert_eq!(config.instances[0].collection_interval, Duration::from_secs(5));
    assert_eq!((config.instances[0].limits.concurrency, config.instances[0].limits.memory), (8, 8 << 20));

    let wrong = [("EXPLICIT", "hunter2"), ("INTERVAL", "47"), ("COUNT", "hunter2"), ("VERBOSITY", "hunter2")];
    let errors = parse_with(&text, &wrong).unwrap_err().to_string();
    assert_eq!(errors.lines().count(), 5, "{errors}");
    assert!(errors.contains("the substituted value is no duration: write it as in"), "{errors}");
    assert!(!errors.contains("hunter2") && !errors.contains("47"), "{errors}");

    let missing = parse_with(&text, &env[..2]).unwrap_err().to_string();
    let expected = "environment variable `COUNT` is not set; set it, or give a default as in `${env:COUNT:-default}`";
    assert_eq!(missing.lines().count(), 2, "{missing}");
    assert!(missing.lines().all(|line| line.ends_with(expected)), "{missing}");
    let quoted = errors_of_quoted_number();
    assert!(quoted.contains("expected a whole number, found text"), "{quoted}");
}

fn errors_of_quoted_number() -> String {
    errors(&receiver("    limits: { concurrency: '4' }"))
}

#[test]
fn keys_are_not_substituted() {
    let errors = errors(&receiver("    '${env:X}': 1"));
    assert!(errors.contains("keys are not substituted; write the key out"), "{errors}");
}

#[test]
fn files_are_read_relative_to_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("interval"), "7s\n").unwrap();
    let path = dir.path().join("kiln.yaml");
    std::fs::write(&path, receiver("    collection_interval: ${file:interval}")).unwrap();
    let config = Config::read(&path, &|_| None).unwrap();
    assert_eq!(config.instances[0].collection_interval, Duration::from_secs(7));
    assert_eq!(config.plugins_dir, dir.path().join("plugins"));

    std::fs::write(&path, [b'a', b':', 0xff]).unwrap();
    assert!(Config::read(&path, &|_| None).unwrap_err().to_string().ends_with("kiln.yaml: is not UTF-8 text"));
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(Config::read(&path, &|_| None).unwrap_err().to_string().contains("is larger than 1 MiB"));
    let missing = Config::read(&dir.path().join("none.yaml"), &|_| None).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: cannot be read: "), "{missing}");
    assert_eq!(missing.iter().next().unwrap().location(), None);
}
