//! What every new project promises before anybody builds it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kiln_authoring::{Language, NewProject, ProjectError, find_sdk};
use kiln_policy::{Manifest, PluginKind, PluginName};

fn project(language: Language, kind: PluginKind) -> NewProject {
    let name = PluginName::try_from("my-plugin".to_owned()).unwrap();
    NewProject { name, kind, language, sdk: find_sdk(Path::new(env!("CARGO_MANIFEST_DIR"))) }
}

#[test]
fn nothing_is_left_to_fill_in() {
    for language in Language::ALL {
        for kind in [PluginKind::Receiver, PluginKind::Processor] {
            let folder = tempfile::tempdir().unwrap();
            for file in project(language, kind).write(folder.path()).unwrap() {
                let text = fs::read_to_string(folder.path().join(file)).unwrap();
                assert!(
                    !text.contains("{{name") && !text.contains("{{ident") && !text.contains("{{type"),
                    "{file}:\n{text}"
                );
                assert!(
                    !text.contains("{{sdk") && !text.contains("{{needs") && !text.contains("{{language"),
                    "{file}:\n{text}"
                );
            }
            let manifest = Manifest::parse(&fs::read_to_string(folder.path().join("plugin.toml")).unwrap()).unwrap();
            assert_eq!((manifest.name.as_str(), manifest.kind), ("my-plugin", kind));
            for script in ["build.sh", "test.sh"] {
                assert_ne!(
                    fs::metadata(folder.path().join(script)).unwrap().permissions().mode() & 0o100,
                    0,
                    "{script}"
                );
            }
        }
    }
}

#[test]
fn what_is_there_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plugin.toml"), "mine").unwrap();
    let error = project(Language::C, PluginKind::Receiver).write(folder.path()).unwrap_err();
    assert!(matches!(error, ProjectError::NotEmpty(_)), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("plugin.toml")).unwrap(), "mine");
}

#[test]
fn rust_needs_the_sdk_and_says_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = project(Language::Rust, PluginKind::Receiver);
    project.sdk = Some(folder.path().to_owned());
    let error = project.write(&folder.path().join("a")).unwrap_err();
    assert!(error.to_string().contains("plugins/sdk"), "{error}");
    project.sdk = None;
    let error = project.write(&folder.path().join("a")).unwrap_err();
    assert!(error.to_string().contains("--sdk DIR"), "{error}");
    assert!(!folder.path().join("a").exists());
}
