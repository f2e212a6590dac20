//! Plugins written by hand that cost a compiler more than they should, and a look at the compilers of a process.

use std::fmt::Write as _;
use std::fs;

/// A plugin of this name whose core module has these fields, among them a function `f`; it does not fit the contract, which
/// nobody knows before it is compiled.
pub(crate) fn plugin(name: &str, fields: &str) -> Vec<u8> {
    let component = format!(
        r#"(component
            (core module $m {fields})
            (core instance $i (instantiate $m))
            (func (export "configure") (canon lift (core func $i "f")))
            (func (export "collect") (canon lift (core func $i "f"))))"#
    );
    let manifest = format!(
        "name = \"{name}\"\nversion = \"0.1.0\"\nkind = \"receiver\"\ndescription = \"made for a test\"\nlicense = \
         \"Apache-2.0\"\nwit = \"0.1\"\n"
    );
    let mut bytes = wat::parse_str(component).unwrap();
    append_section(&mut bytes, "kiln:manifest", manifest.as_bytes());
    bytes
}

/// A plugin of some kilobytes that needs gigabytes to compile: every local is read in the innermost of many loops, and in
/// each of the loops around it may have another value.
pub(crate) fn hungry(name: &str) -> Vec<u8> {
    loops(name, 5_000, 20_000)
}

/// A plugin that takes longer to compile than anybody waits.
pub(crate) fn slow(name: &str) -> Vec<u8> {
    loops(name, 1_500, 3_000)
}

fn loops(name: &str, depth: usize, locals: usize) -> Vec<u8> {
    let mut body = String::new();
    let _ = write!(body, "(func (export \"f\") (local {})", "i32 ".repeat(locals));
    (0..depth).for_each(|_| body.push_str(" loop"));
    for local in 0..locals {
        let _ = write!(body, " local.get {local} i32.const 1 i32.add local.set {local}");
    }
    for depth in 0..depth {
        let _ = write!(body, " local.get {} br_if 0 end", depth % locals);
    }
    body.push(')');
    plugin(name, &body)
}

fn append_section(component: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut body = Vec::new();
    push_length(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(content);
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

/// How many compilers a Kiln has at work; each of them is checked for what it was given.
pub(crate) fn compilers_of(kiln: u32) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| is_compiler(*id, kiln)).count()
}

fn is_compiler(id: u32, kiln: u32) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
    let stat = read("stat");
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1));
    parent == Some(kiln.to_string().as_str()) && read("cmdline").contains("internal\0compile")
}

/// What the one compiler of a Kiln was given besides its bounds: its open files, but for those that this process hands to
/// whatever it starts, and its environment.
pub(crate) fn surroundings(kiln: u32) -> Option<(Vec<String>, String)> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let id = ids.find(|id| is_compiler(*id, kiln))?;
    let targets = |id: &str| -> Option<Vec<String>> {
        let entries = fs::read_dir(format!("/proc/{id}/fd")).ok()?.flatten();
        Some(entries.map(|entry| fs::read_link(entry.path()).unwrap_or_default().display().to_string()).collect())
    };
    let (mut files, ours) = (targets(&id.to_string())?, targets("self")?);
    files.retain(|file| !ours.contains(file));
    files.iter_mut().for_each(|file| file.truncate(file.find(':').unwrap_or(file.len())));
    let environment = fs::read_to_string(format!("/proc/{id}/environ")).ok()?;
    Some((files, environment.trim_end_matches('\0').to_owned()))
}
