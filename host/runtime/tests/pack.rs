//! What `pack` makes of core modules that say less, or want more, than those of our own toolchain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use kiln_runtime::{PackError, pack};

const MANIFEST: &str =
    "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'x'\nlicense = 'MIT'\nwit = '0.1'\n";

/// A receiver by the names of its exports, with nothing that says so.
fn module(imports: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
            (func (export "collect") (result i32) (i32.const 0)))"#
    );
    wat::parse_str(text).unwrap()
}

/// Scenario: a module without the custom section that bindings add, as Go's linker leaves it.
/// Guarantees: the manifest says which world it is, and what the module does not call is not imported.
#[test]
fn a_module_that_does_not_say_its_world_is_of_the_manifests_kind() {
    let clock = r#"(import "kiln:plugin/clock@0.1.0" "now" (func (result i64)))"#;
    let file = pack(&module(clock), MANIFEST, &[]).unwrap();
    let callable: Vec<_> = file.imports.iter().filter(|import| import.contains("clock")).collect();
    assert_eq!(callable, ["kiln:plugin/clock@0.1.0"]);
    assert!(
        !file.imports.iter().any(|import| import.contains("emit") || import.contains("/log")),
        "{:?}",
        file.imports
    );
    let processor =
        MANIFEST.replace("receiver", "processor") + "[processor]\nlevel = 'resource'\nreads = []\nwrites = []\n";
    let error = pack(&module(""), &processor, &[]).unwrap_err();
    assert!(matches!(error, PackError::Encode(_)) && error.to_string().contains("process"), "{error}");
}

/// Scenario: such a module calls an interface that its manifest does not request.
/// Guarantees: it is refused, and the interface is named.
#[test]
fn a_module_gets_no_more_than_its_manifest_requests() {
    let state = r#"(import "kiln:plugin/state@0.1.0" "delete" (func (param i32 i32 i32)))"#;
    let error = pack(&module(state), MANIFEST, &[]).unwrap_err();
    assert!(error.to_string().contains("kiln:plugin/state"), "{error}");
    pack(&module(state), &format!("{MANIFEST}[requests.state]\nreason = 'x'\n"), &[]).unwrap();
}

/// Scenario: a module for WASI preview 1.
/// Guarantees: it imports what its calls are in WASI 0.2, which has no authority here, and nothing of preview 1.
#[test]
fn preview_1_is_adapted() {
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#;
    let file = pack(&module(random), MANIFEST, &[]).unwrap();
    assert!(file.imports.iter().any(|import| import.starts_with("wasi:random/random@0.2.")), "{:?}", file.imports);
    assert!(!file.imports.iter().any(|import| import.contains("preview1")), "{:?}", file.imports);
}

/// Scenario: a module for WASI preview 1 that sets memory aside for the adapter, and one that does not.
/// Guarantees: the adapter is given that memory, and does not grow the memory of the first; it does that of the second.
#[test]
fn the_adapter_is_given_the_memory_set_aside_for_it() {
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#;
    let aside = format!(r#"{random} (data (i32.const 4096) "..kiln/memory-of-the-wasi-adapter/")"#);
    let has = |file: &kiln_runtime::ComponentFile, name: &[u8]| file.bytes.windows(name.len()).any(|it| it == name);
    let file = pack(&module(&aside), MANIFEST, &[]).unwrap();
    assert!(has(&file, b"cabi_realloc_adapter") && !has(&file, b"realloc_via_memory_grow"));
    let file = pack(&module(random), MANIFEST, &[]).unwrap();
    assert!(!has(&file, b"cabi_realloc_adapter") && has(&file, b"realloc_via_memory_grow"));
}
