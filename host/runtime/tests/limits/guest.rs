//! From WebAssembly text to a plugin.

use kiln_runtime::{ComponentFile, pack};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::memory_image::MemoryImage;

pub(crate) const MANIFEST: &str = r#"
name = "hostile"
version = "0.1.0"
kind = "receiver"
description = "Does its worst"
license = "Apache-2.0"
wit = "0.1"

[config]
type = "object"
additionalProperties = false

[config.properties.endpoint]
type = "string"
format = "uri"
description = "Where to ask"

[[requests.http]]
origin = "${config.endpoint}"
methods = ["GET"]
paths = ["/*"]
reason = "to wait for"

[requests.state]
reason = "to fill"

[telemetry.metrics."kiln.test.value"]
kind = "gauge"
unit = "1"
description = "a value"
"#;

/// A receiver whose functions are given as WebAssembly text.
pub(crate) struct Guest<'t> {
    /// More functions, globals, tables, or a start function.
    pub(crate) fields: &'t str,
    /// What `configure` does.
    pub(crate) configure: &'t str,
    /// What `collect` does before it returns `ok` with nothing to say.
    pub(crate) collect: &'t str,
    /// What it has in memory.
    pub(crate) memory: MemoryImage,
    /// Pages of 64 KiB.
    pub(crate) pages: u32,
    /// Where the result of `collect` is.
    pub(crate) outcome: u32,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { fields: "", configure: "", collect: "", memory: MemoryImage::default(), pages: 64, outcome: 16 }
    }
}

/// Every function a receiver may import that the guests here call, with its name in the text.
const IMPORTS: [(&str, &str, &str, &str); 7] = [
    ("$metrics", "emit", "metrics", "i32 i32 i32"),
    ("$log", "log", "log", "i32 i32 i32 i32 i32"),
    ("$set", "state", "set", "i32 i32 i32 i32 i32"),
    ("$get", "state", "get", "i32 i32 i32"),
    ("$delete", "state", "delete", "i32 i32 i32"),
    ("$send", "http", "send", "i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("$send_all", "http", "send-all", "i32 i32 i32"),
];

impl Guest<'_> {
    /// Encodes and packs it, as `kiln plugin pack` would.
    pub(crate) fn plugin(&self) -> ComponentFile {
        let Self { fields, configure, collect, memory, pages, outcome } = self;
        let mut imports = String::new();
        for (name, interface, function, parameters) in IMPORTS {
            if [fields, configure, collect]
                .iter()
                .any(|text| text.contains(&format!("call {name})")) || text.contains(&format!("call {name} ")))
            {
                imports += &format!(
                    "(import \"kiln:plugin/{interface}@0.1.0\" \"{function}\" (func {name} (param {parameters})))\n"
                );
            }
        }
        let heap = memory.end().next_multiple_of(16);
        let text = format!(
            r#"(module
                {imports}
                (memory (export "memory") {pages})
                {segment}
                (global $heap (mut i32) (i32.const {heap}))
                {fields}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                    (global.set $heap (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                (func (export "configure") (param i32 i32) (result i32) {configure} (i32.const 16))
                (func (export "collect") (result i32)
                    (local $i i32)
                    (global.set $heap (i32.const {heap}))
                    {collect}
                    (i32.const {outcome})))"#,
            segment = memory.segment(),
        );
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1")).unwrap();
        let world = resolve.select_world(&[package], Some("receiver")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        pack(&module, MANIFEST, &[]).unwrap()
    }
}

/// Does `body` so many times.
pub(crate) fn repeat(times: u32, body: &str) -> String {
    format!(
        "(local.set $i (i32.const 0))
         (loop $again
             {body}
             (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))"
    )
}
