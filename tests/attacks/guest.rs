//! Components written by hand: a core module in the text format, encoded for the world in `wit/v0.1`.
//!
//! What a toolchain would never emit is a line here: pointers that lead nowhere, a start function that loops, a hundred
//! memories. The shell around it is an honest receiver, so a test sees the host's answer to that one line.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

const MANIFEST_SECTION: &str = "kiln:manifest";

/// The manifest of an honest receiver that requests nothing.
pub(crate) const MANIFEST: &str = r#"
name = "attacker"
version = "0.1.0"
kind = "receiver"
description = "made for a test"
license = "Apache-2.0"
wit = "0.1"
"#;

/// Asks for what `Guest::with_state` imports.
pub(crate) const REQUESTS_STATE: &str = "[requests.state]\nreason = \"to remember\"\n";

/// A receiver in the making.
///
/// Memory: 0 and 16 hold what `configure` and `collect` return, 64 is where imports may put their results, and from
/// 1024 on there is room for what the host hands over. From 65536 on it is the attacker's.
pub(crate) struct Guest {
    imports: String,
    fields: String,
    configure: String,
    collect: String,
    memory: String,
    manifest: String,
    appended: Vec<(usize, &'static str)>,
}

impl Guest {
    /// A receiver whose `collect` does this, and succeeds if it comes to an end.
    pub(crate) fn collecting(body: &str) -> Self {
        Self {
            imports: String::new(),
            fields: String::new(),
            configure: String::new(),
            collect: body.to_owned(),
            memory: "4".to_owned(),
            manifest: MANIFEST.to_owned(),
            appended: Vec::new(),
        }
    }

    /// Does this when it is configured; the configuration is the local variables 0 (where) and 1 (how long).
    pub(crate) fn configuring(mut self, body: &str) -> Self {
        self.configure.push_str(body);
        self
    }

    /// More fields of the module.
    pub(crate) fn with(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// Pages of memory at the start, and at most.
    pub(crate) fn memory(mut self, limits: &str) -> Self {
        limits.clone_into(&mut self.memory);
        self
    }

    /// Imports `$log`: level, message, its length, attributes, their number.
    pub(crate) fn with_log(mut self) -> Self {
        self.imports.push_str(r#"(import "kiln:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#);
        self
    }

    /// Imports `$emit`: list of resource metrics, its length, where the result goes.
    pub(crate) fn with_emit(mut self) -> Self {
        self.imports.push_str(r#"(import "kiln:plugin/emit@0.1.0" "metrics" (func $emit (param i32 i32 i32)))"#);
        self
    }

    /// Imports `$set`: key, its length, value, its length, where the result goes. Requests state.
    pub(crate) fn with_state(mut self) -> Self {
        self.imports.push_str(r#"(import "kiln:plugin/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))"#);
        self.manifest.push_str(REQUESTS_STATE);
        self
    }

    /// Imports `$now`.
    pub(crate) fn with_clock(mut self) -> Self {
        self.imports.push_str(r#"(import "kiln:plugin/clock@0.1.0" "monotonic" (func $now (result i64)))"#);
        self
    }

    /// Adds so many instances of a module of their own to the component.
    pub(crate) fn with_instances(mut self, count: usize, module: &'static str) -> Self {
        self.appended.push((count, module));
        self
    }

    /// The manifest in place of the honest one.
    pub(crate) fn manifest(mut self, manifest: impl Into<String>) -> Self {
        self.manifest = manifest.into();
        self
    }

    fn core(&self) -> String {
        let Self { imports, fields, configure, collect, memory, .. } = self;
        format!(
            r#"(module
                {imports}
                (memory (export "memory") {memory})
                (global $free (mut i32) (i32.const 1024))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                    (global.set $free (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                (func (export "configure") (param i32 i32) (result i32) (local $n i32)
                    {configure}
                    (i32.const 0))
                (func (export "collect") (result i32) (local $n i32)
                    {collect}
                    (i32.const 16))
                {fields})"#
        )
    }

    /// The component without a manifest.
    pub(crate) fn component(&self) -> Vec<u8> {
        let (resolve, world) = contract();
        let mut core = wat::parse_str(self.core()).expect("a module in the text format");
        embed_component_metadata(&mut core, resolve, *world, StringEncoding::UTF8).expect("the world fits a module");
        let mut encoder = ComponentEncoder::default().validate(true).module(&core).expect("a module of the world");
        let mut component = encoder.encode().expect("a component");
        for (count, module) in &self.appended {
            append_instances(&mut component, *count, module);
        }
        component
    }

    /// The component with its manifest: a plugin.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let mut component = self.component();
        append_manifest(&mut component, &self.manifest);
        component
    }
}

fn contract() -> &'static (Resolve, WorldId) {
    static CONTRACT: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(crate::repository().join("wit/v0.1")).expect("wit/v0.1");
        let world = resolve.select_world(&[package], Some("receiver")).expect("the world of receivers");
        (resolve, world)
    })
}

/// Sections follow each other in any order, so more of them may simply be added; what they refer to is counted on.
fn append_instances(component: &mut Vec<u8>, count: usize, module: &str) {
    let mut depth = 0_usize;
    let mut modules = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component that was just encoded") {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ModuleSection { .. } if depth == 1 => modules += 1,
            _ => {}
        }
    }
    let mut text = format!("(component (core module {module})");
    for _ in 0..count {
        write!(text, "(core instance (instantiate {modules}))").expect("text can be written");
    }
    text.push(')');
    let more = wat::parse_str(&text).expect("modules and instances of them");
    component.extend_from_slice(&more[8..]);
}

/// Adds a manifest, whatever it holds and however many there are.
pub(crate) fn append_manifest(component: &mut Vec<u8>, manifest: &str) {
    let mut body = Vec::new();
    push_length(&mut body, MANIFEST_SECTION.len());
    body.extend_from_slice(MANIFEST_SECTION.as_bytes());
    body.extend_from_slice(manifest.as_bytes());
    component.push(0);
    push_length(component, body.len());
    component.extend_from_slice(&body);
}

fn push_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// A component in the text format, as it is.
pub(crate) fn component_from(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a component in the text format")
}

/// A packed plugin or test guest.
pub(crate) fn packed(name: &str) -> Result<Vec<u8>, String> {
    for variable in ["KILN_PLUGINS", "KILN_TEST_PLUGINS"] {
        let directory =
            std::env::var(variable).map_err(|_| format!("{variable} is not set: run `scripts/test attacks`"))?;
        let path = Path::new(&directory).join(format!("{name}.wasm"));
        if path.exists() {
            return std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
        }
    }
    Err(format!("there is no packed plugin {name}: run `scripts/build-plugins`"))
}
