//! Manifests made to deceive whoever reads them, or to break whatever does.

use crate::arena::{Arena, PATIENCE, Stopped};
use crate::attack::attacks;
use crate::guest::{Guest, MANIFEST};
use kiln_testbed::program::Program;

attacks!(
    "manifests",
    "manifests.rs",
    running: [
        manifest_of_ten_megabytes,
        manifest_nested_deeply,
        manifest_nested_deeply_in_its_schema,
        manifest_that_is_not_text,
        manifest_with_a_key_nobody_knows,
        manifest_that_names_a_path,
        manifest_with_escape_sequences,
        request_for_everything,
        request_that_hides_the_metadata_service,
    ],
    refused: [
        schema_that_refers_to_the_network,
        schema_that_refers_to_a_file,
        schema_that_refers_to_itself,
        schema_with_a_pattern_that_explodes,
    ],
);

fn refused(arena: &mut Arena, manifest: String, words: &[&str]) -> Result<Stopped, String> {
    arena.attacker(Guest::collecting("").manifest(manifest).pack(), "")?;
    arena.start()?;
    arena.is_broken(words)?;
    arena.refused("attacker")
}

/// Scenario: a manifest of ten megabytes.
/// Guarantees: refused by its size; it is not parsed.
fn manifest_of_ten_megabytes(arena: &mut Arena) -> Result<Stopped, String> {
    refused(arena, format!("{MANIFEST}# {}", "x".repeat(10_000_000)), &["larger than"])
}

/// Scenario: a manifest of a hundred thousand arrays within each other.
/// Guarantees: refused; the parser does not run off its stack.
fn manifest_nested_deeply(arena: &mut Arena) -> Result<Stopped, String> {
    refused(arena, format!("{MANIFEST}config = {}{}", "[".repeat(100_000), "]".repeat(100_000)), &["manifest"])
}

/// Scenario: a schema of tables within each other, by dotted keys, which nest without brackets.
/// Guarantees: refused, or read; the parser does not run off its stack.
fn manifest_nested_deeply_in_its_schema(arena: &mut Arena) -> Result<Stopped, String> {
    let manifest = format!("{MANIFEST}[config]\n{}a = 1", "a.".repeat(50_000));
    arena.attacker(Guest::collecting("").manifest(manifest).pack(), "")?;
    arena.start()?;
    arena.stopped("harmless", "kiln_instance_up", &["steady"])
}

/// Scenario: a manifest that is not UTF-8.
/// Guarantees: refused with a sentence.
fn manifest_that_is_not_text(arena: &mut Arena) -> Result<Stopped, String> {
    let mut plugin = Guest::collecting("").pack();
    let name = plugin.windows(8).rposition(|window| window == b"attacker").expect("its name");
    plugin[name] = 0xff;
    arena.attacker(plugin, "")?;
    arena.start()?;
    arena.is_broken(&["not UTF-8"])?;
    arena.refused("attacker")
}

/// Scenario: a manifest with a key nobody knows, such as a request of a Kiln to come.
/// Guarantees: refused: nothing is ignored.
fn manifest_with_a_key_nobody_knows(arena: &mut Arena) -> Result<Stopped, String> {
    refused(arena, format!("{MANIFEST}[requests.everything]\nreason = \"trust me\"\n"), &["manifest"])
}

/// Scenario: a plugin whose name is a path out of the directories its state and cache are kept in.
/// Guarantees: refused: a name is letters, digits and dashes.
fn manifest_that_names_a_path(arena: &mut Arena) -> Result<Stopped, String> {
    refused(arena, MANIFEST.replace("attacker", "../../attacker"), &["manifest"])
}

/// Scenario: a description with the escape sequences of a terminal, markup, and characters that turn the direction of a
/// line.
/// Guarantees: `kiln plugin inspect`, as text, JSON or HTML, prints none of them as they are.
fn manifest_with_escape_sequences(arena: &mut Arena) -> Result<Stopped, String> {
    let manifest = MANIFEST.replace(
        "made for a test",
        r"\u001b[2J\u001b[31mharmless\u001b[0m <script>alert(1)</script> \u202Egnihtyna seod\u202C \u0007",
    );
    arena.attacker(Guest::collecting("").manifest(manifest).pack(), "")?;
    arena.start()?;
    for form in [None, Some("--json"), Some("--html")] {
        let mut command = arena.command(&["plugin", "inspect", "plugins/attacker.wasm"])?;
        let mut inspect = Program::start(command.args(form)).map_err(|error| error.to_string())?;
        inspect.wait(PATIENCE)?;
        let printed = inspect.stdout().text() + &inspect.stderr().text() + &arena.log();
        if let Some(shown) = ['\u{1b}', '\u{7}', '\u{202e}'].into_iter().find(|shown| printed.contains(*shown)) {
            return Err(format!("{form:?} prints {shown:?} as it is"));
        }
        if form == Some("--html") && printed.contains("<script>") {
            return Err("markup is printed as it is".to_owned());
        }
        if !printed.contains("harmless") {
            return Err(format!("inspect {form:?} says nothing: {printed}"));
        }
    }
    arena.stopped("harmless", "kiln_instance_up", &["steady"])
}

/// A schema that refers to something else: nothing is fetched for it.
fn refers_to(arena: &mut Arena, reference: &str) -> Result<Stopped, String> {
    let manifest =
        format!("{MANIFEST}[config]\ntype = \"object\"\n[config.properties.a]\n\"$ref\" = \"{reference}\"\n");
    arena.attacker(Guest::collecting("").manifest(manifest).pack(), "a: 1")?;
    arena.start_or_refuse()
}

/// Scenario: a schema that refers to one on a server at loopback.
/// Guarantees: nothing is fetched: the configuration is refused with a sentence.
fn schema_that_refers_to_the_network(arena: &mut Arena) -> Result<Stopped, String> {
    let server = crate::hostile_server::HostileServer::start(|connection| connection.answer(200, "{}"))?;
    let stopped = refers_to(arena, &format!("{}/schema", server.url()))?;
    match server.heads().first() {
        Some(head) => Err(format!("this arrived: {head}")),
        None => Ok(stopped),
    }
}

/// Scenario: a schema that refers to a file of the machine.
/// Guarantees: nothing is read: the configuration is refused with a sentence that shows nothing of it.
fn schema_that_refers_to_a_file(arena: &mut Arena) -> Result<Stopped, String> {
    let stopped = refers_to(arena, "file:///etc/passwd")?;
    arena.never_says("root:")?;
    Ok(stopped)
}

/// Scenario: a schema that refers to itself.
/// Guarantees: checking ends.
fn schema_that_refers_to_itself(arena: &mut Arena) -> Result<Stopped, String> {
    refers_to(arena, "#/properties/a")
}

/// Scenario: a schema with a pattern on which backtracking takes for ever, and a value made for it.
/// Guarantees: checking ends.
fn schema_with_a_pattern_that_explodes(arena: &mut Arena) -> Result<Stopped, String> {
    let manifest = format!(
        "{MANIFEST}[config]\ntype = \"object\"\n[config.properties.a]\ntype = \"string\"\npattern = \"^(a+)+$\"\n"
    );
    arena.attacker(Guest::collecting("").manifest(manifest).pack(), &format!("a: \"{}!\"", "a".repeat(64)))?;
    arena.start_or_refuse()
}

/// Scenario: a manifest that requests every origin there is.
/// Guarantees: refused: a request names an origin.
fn request_for_everything(arena: &mut Arena) -> Result<Stopped, String> {
    let request = "[[requests.http]]\norigin = \"*\"\nmethods = [\"GET\"]\npaths = [\"/*\"]\nreason = \"trust me\"\n";
    refused(arena, format!("{MANIFEST}{request}"), &["manifest"])
}

/// Scenario: a manifest that requests the metadata service of a cloud by another spelling of its address.
/// Guarantees: refused: it is that address however it is spelled.
fn request_that_hides_the_metadata_service(arena: &mut Arena) -> Result<Stopped, String> {
    let request = "[[requests.http]]\norigin = \"http://0xa9fea9fe\"\nmethods = [\"GET\"]\npaths = [\"/*\"]\nreason = \"trust me\"\n";
    refused(arena, format!("{MANIFEST}{request}"), &["metadata"])
}
