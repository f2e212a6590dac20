//! Files in the plugins directory that are no plugins, or not the ones they seem to be.

use std::os::unix::fs::symlink;

use crate::arena::{Arena, Stopped};
use crate::attack::attacks;
use crate::guest::{Guest, MANIFEST, append_manifest, component_from, packed};

attacks!(
    "files",
    "files.rs",
    running: [
        native_code,
        native_code_by_another_name,
        text_file,
        empty_file,
        truncated_component,
        core_module,
        component_without_manifest,
        two_manifests,
        world_of_another_version,
        interfaces_of_the_system,
        world_without_collect,
        link_out_of_the_directory,
        link_to_a_device,
        directory,
        pipe,
        huge_file,
        import_nobody_requested,
        file_replaced_while_it_runs,
        file_removed_while_it_runs,
    ],
    refused: [two_plugins_of_one_name],
);

/// The file is set aside with these words, and the instance that wants it is broken.
fn set_aside(arena: &mut Arena, words: &[&str]) -> Result<Stopped, String> {
    arena.receiver("attacker", "");
    arena.start()?;
    arena.is_broken(words)?;
    arena.refused("attacker")
}

/// Scenario: compiled native code as `attacker.cwasm`, which wasmtime would run as it is.
/// Guarantees: it is not even looked into.
fn native_code(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.cwasm", [b"\x7fELF\x02\x01\x01\x00".as_slice(), &[0; 4096]].concat())?;
    set_aside(arena, &["native code"])
}

/// Scenario: compiled native code by the name of a plugin.
/// Guarantees: it is known by its first bytes.
fn native_code_by_another_name(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.wasm", [b"\x7fELF\x02\x01\x01\x00".as_slice(), &[0; 4096]].concat())?;
    set_aside(arena, &["native code"])
}

/// Scenario: a text file by the name of a plugin.
/// Guarantees: refused with a sentence.
fn text_file(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.wasm", "(component)")?;
    set_aside(arena, &["not WebAssembly"])
}

/// Scenario: an empty file by the name of a plugin.
/// Guarantees: refused with a sentence.
fn empty_file(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.wasm", "")?;
    set_aside(arena, &["not WebAssembly"])
}

/// Scenario: a plugin of which the end is missing, as after a copy that broke off.
/// Guarantees: refused with a sentence.
fn truncated_component(arena: &mut Arena) -> Result<Stopped, String> {
    let whole = Guest::collecting("").pack();
    arena.write("plugins/attacker.wasm", &whole[..whole.len() / 2])?;
    set_aside(arena, &["not a valid component"])
}

/// Scenario: a core module, which would bring no types to hold it to.
/// Guarantees: refused with a sentence.
fn core_module(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.wasm", component_from("(module)"))?;
    set_aside(arena, &["core module"])
}

/// Scenario: a component without manifest, of which nobody knows what it wants.
/// Guarantees: refused with a sentence.
fn component_without_manifest(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/attacker.wasm", Guest::collecting("").component())?;
    set_aside(arena, &["no manifest"])
}

/// Scenario: a component with two manifests, one for whoever inspects it and one for the host.
/// Guarantees: refused: there is one or it is no plugin.
fn two_manifests(arena: &mut Arena) -> Result<Stopped, String> {
    let mut plugin = Guest::collecting("").pack();
    append_manifest(&mut plugin, MANIFEST);
    arena.write("plugins/attacker.wasm", plugin)?;
    set_aside(arena, &["two manifests"])
}

/// Scenario: a component of a version of the contract this Kiln does not know.
/// Guarantees: refused; the message names both versions.
fn world_of_another_version(arena: &mut Arena) -> Result<Stopped, String> {
    let mut plugin = component_from(r#"(component (import "kiln:plugin/http@0.9.0" (instance)))"#);
    append_manifest(&mut plugin, MANIFEST);
    arena.write("plugins/attacker.wasm", plugin)?;
    set_aside(arena, &["kiln:plugin/http@0.9.0"])
}

/// Scenario: a component that imports sockets of the system it runs on, in a version Kiln has never heard of.
/// Guarantees: refused by name.
fn interfaces_of_the_system(arena: &mut Arena) -> Result<Stopped, String> {
    let mut plugin = component_from(r#"(component (import "wasi:sockets/types@0.3.0" (instance)))"#);
    append_manifest(&mut plugin, MANIFEST);
    arena.write("plugins/attacker.wasm", plugin)?;
    set_aside(arena, &["wasi:sockets/types"])
}

/// Scenario: a component that has a manifest and none of the functions of its world.
/// Guarantees: refused with a sentence.
fn world_without_collect(arena: &mut Arena) -> Result<Stopped, String> {
    let mut plugin = component_from("(component)");
    append_manifest(&mut plugin, MANIFEST);
    arena.write("plugins/attacker.wasm", plugin)?;
    set_aside(arena, &["does not export"])
}

/// Scenario: a symbolic link in the plugins directory to a plugin outside of it.
/// Guarantees: not followed: what is in the directory is what runs.
fn link_out_of_the_directory(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("elsewhere.wasm", Guest::collecting("").pack())?;
    symlink(arena.path("elsewhere.wasm"), arena.path("plugins/attacker.wasm")).map_err(|error| error.to_string())?;
    set_aside(arena, &["attacker.wasm"])
}

/// Scenario: a symbolic link to a device that never ends.
/// Guarantees: not followed.
fn link_to_a_device(arena: &mut Arena) -> Result<Stopped, String> {
    symlink("/dev/zero", arena.path("plugins/attacker.wasm")).map_err(|error| error.to_string())?;
    set_aside(arena, &["attacker.wasm"])
}

/// Scenario: a directory by the name of a plugin.
/// Guarantees: refused with a sentence.
fn directory(arena: &mut Arena) -> Result<Stopped, String> {
    std::fs::create_dir(arena.path("plugins/attacker.wasm")).map_err(|error| error.to_string())?;
    set_aside(arena, &["attacker.wasm"])
}

/// Scenario: a pipe by the name of a plugin, into which nobody ever writes.
/// Guarantees: it is not waited for, and refused with a sentence.
fn pipe(arena: &mut Arena) -> Result<Stopped, String> {
    let made = std::process::Command::new("mkfifo").arg(arena.path("plugins/attacker.wasm")).status();
    if !made.map_err(|error| error.to_string())?.success() {
        return Err("mkfifo failed: the case tests nothing".to_owned());
    }
    set_aside(arena, &["not a regular file"])
}

/// Scenario: a file of 4 GiB, of which the disk holds nothing.
/// Guarantees: refused by its size; it is not read.
fn huge_file(arena: &mut Arena) -> Result<Stopped, String> {
    let file = std::fs::File::create(arena.path("plugins/attacker.wasm")).map_err(|error| error.to_string())?;
    file.set_len(4 << 30).map_err(|error| error.to_string())?;
    set_aside(arena, &["larger than"])
}

/// Scenario: a component that imports state, and a manifest that does not request it.
/// Guarantees: refused: imports ⊆ requests.
fn import_nobody_requested(arena: &mut Arena) -> Result<Stopped, String> {
    let set = "(call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))";
    arena.write("plugins/attacker.wasm", Guest::collecting(set).with_state().manifest(MANIFEST).pack())?;
    set_aside(arena, &["imports `state`"])
}

/// Scenario: while a plugin runs, its file is replaced by one that loops.
/// Guarantees: what was read is what runs.
fn file_replaced_while_it_runs(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").pack(), "")?;
    arena.start()?;
    arena.write("attacker.new", Guest::collecting("(loop $l (br $l))").pack())?;
    let (new, old) = (arena.path("attacker.new"), arena.path("plugins/attacker.wasm"));
    std::fs::rename(new, old).map_err(|error| error.to_string())?;
    let stopped = arena.stopped_times(
        "harmless",
        "kiln_instance_calls_total",
        &["attacker", "collect", "outcome=\"ok\""],
        10.0,
    )?;
    arena.never_says("used more than")?;
    Ok(stopped)
}

/// Scenario: the files of all plugins disappear while they run.
/// Guarantees: what was read is what runs.
fn file_removed_while_it_runs(arena: &mut Arena) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").pack(), "")?;
    arena.start()?;
    std::fs::remove_dir_all(arena.path("plugins")).map_err(|error| error.to_string())?;
    arena.stopped_times("harmless", "kiln_instance_calls_total", &["attacker", "collect", "outcome=\"ok\""], 10.0)
}

/// Scenario: a second file with a plugin that calls itself as one that is there already.
/// Guarantees: nobody guesses which one is meant: Kiln says so and does not start.
fn two_plugins_of_one_name(arena: &mut Arena) -> Result<Stopped, String> {
    arena.write("plugins/zzz.wasm", packed("steady")?)?;
    match arena.must_not_start()? {
        64 if arena.log().contains("both hold the plugin `steady`") => {
            Ok(Stopped { class: "refused", counter: "exit code".to_owned(), value: 64.0 })
        }
        code => Err(format!("ended with {code}")),
    }
}
