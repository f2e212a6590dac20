//! An engine without a compiler: native code that was made elsewhere is all it runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use kiln_policy::Digest;
use kiln_runtime::{
    CHECKSUMS, Compiler, ComponentFile, Engine, EngineSpec, Precompiled, pack, precompiled_name, runs_our_code,
};

const MANIFEST: &str = "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\n\
                        license = 'Apache-2.0'\nwit = '0.1'\n[requests.state]\nreason = 'a test'\n";

fn plugin(function: &str) -> ComponentFile {
    let text = format!(
        r#"(component
             (core module $m (func (export "{function}")))
             (core instance $i (instantiate $m))
             (func $f (canon lift (core func $i "{function}")))
             (export "configure" (func $f))
             (export "collect" (func $f)))"#
    );
    pack(&wat::parse_str(text).unwrap(), MANIFEST, &[]).unwrap()
}

/// Scenario: an engine without a compiler, with room for a cache, and a bundle that has the native code of one plugin; it is asked
/// for that plugin and for another.
/// Guarantees: it runs the first, whose code another engine has made; of the second it says what is missing and what to do;
/// it keeps nothing.
#[tokio::test]
async fn what_is_not_in_the_bundle_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (bundled, other) = (plugin("f"), plugin("g"));
    let code = Compiler::Unbounded.precompile(&bundled.bytes).await.unwrap();
    let name = precompiled_name(&bundled.digest);
    let list = format!("{}  {name}\n", Digest::of(&code).hex());
    std::fs::create_dir(folder.path().join("precompiled")).unwrap();
    std::fs::write(folder.path().join(name), code).unwrap();
    std::fs::write(folder.path().join(CHECKSUMS), &list).unwrap();
    let cache = folder.path().join("cache");
    let engine = Engine::new(EngineSpec {
        cache: Some(cache.clone()),
        cache_bytes: 1 << 30,
        compiler: Compiler::Absent,
        precompiled: Some(Precompiled::open(folder.path(), &Digest::of(list.as_bytes())).unwrap()),
        ..EngineSpec::unbounded()
    });
    let engine = engine.unwrap();
    engine.compile(&bundled).await.unwrap();
    let error = engine.compile(&other).await.unwrap_err();
    assert_eq!(error.error_type(), "no_compiler");
    let sentence = error.to_string();
    assert!(sentence.contains("this kiln has no compiler") && sentence.contains("`kiln bundle`"), "{sentence}");
    assert!(!cache.exists());
}

/// Guarantees: a program made of these sources is known by its file, and known no more once a byte of its mark is another.
#[test]
fn a_program_shows_what_it_runs() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(runs_our_code(&program));
    let begin = b"kiln runs code: ";
    let mut other = program;
    let marks: Vec<usize> = (0..other.len() - begin.len()).filter(|at| other[*at..].starts_with(begin)).collect();
    marks.iter().for_each(|at| other[at + begin.len()] ^= 1);
    assert!(!marks.is_empty() && !runs_our_code(&other));
}
