//! The machine and its operating system: `host.*` and `os.*`.

use kiln_plugin::files::Files;

use crate::findings::Findings;

const HOSTNAME: &str = "/proc/sys/kernel/hostname";
const ARCHITECTURE: &str = "/proc/sys/kernel/arch";
const MACHINE_ID: &str = "/etc/machine-id";
/// `/etc/os-release` is a link to it, and links do not lead out of a granted directory.
const OS_RELEASE: &str = "/usr/lib/os-release";

pub(crate) fn detect(files: Files<'_>, findings: &mut Findings) {
    let name = findings.text(files, HOSTNAME);
    let is_linux = name.is_some();
    // What a machine without a name says.
    let name = name.filter(|name| !matches!(name.trim(), "(none)" | "localhost"));
    findings.add_if_there("host.name", name, HOSTNAME);
    if let Some(machine) = findings.text(files, ARCHITECTURE) {
        findings.add("host.arch", architecture(machine.trim()), ARCHITECTURE);
    }
    let id = findings.text(files, MACHINE_ID);
    // An image that has not been started yet says `uninitialized`.
    let id = id.filter(|id| id.trim().len() == 32 && id.trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
    findings.add_if_there("host.id", id, MACHINE_ID);
    let release = findings.text(files, OS_RELEASE);
    if is_linux || release.is_some() {
        findings.add("os.type", "linux", HOSTNAME);
    }
    let release = release.unwrap_or_default();
    for (key, field) in [("os.name", "NAME"), ("os.version", "VERSION_ID"), ("os.description", "PRETTY_NAME")] {
        findings.add_if_there(key, value(&release, field), OS_RELEASE);
    }
}

/// What `uname -m` says in the words of the semantic conventions.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "ppc64le" => "ppc64",
        machine if machine.starts_with("armv") => "arm32",
        machine => machine,
    }
}

/// The value of a line `FIELD=value`, where quotes and backslashes are those of a shell. The last line counts.
fn value(release: &str, field: &str) -> Option<String> {
    let assigned = |line: &str| line.trim().strip_prefix(field)?.strip_prefix('=').map(unquoted);
    release.lines().filter_map(assigned).next_back()
}

fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = inner('\'') {
        return literal.to_owned();
    }
    let mut value = String::new();
    let mut characters = inner('"').unwrap_or(text).chars();
    while let Some(character) = characters.next() {
        let character = if character == '\\' { characters.next() } else { Some(character) };
        value.extend(character);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_as_a_shell_would() {
        let release =
            "NAME=\"Ubuntu\"\nVERSION_ID='22.04'\nID=ubuntu\n#NAME=x\nPRETTY_NAME=\"a \\\"b\\\" \\$c\"\nNAME_X=y\n";
        let found = |field| value(release, field);
        assert_eq!(found("NAME").as_deref(), Some("Ubuntu"));
        assert_eq!(found("VERSION_ID").as_deref(), Some("22.04"));
        assert_eq!(found("ID").as_deref(), Some("ubuntu"));
        assert_eq!(found("PRETTY_NAME").as_deref(), Some("a \"b\" $c"));
        assert_eq!(found("VERSION"), None);
        assert_eq!(unquoted("\""), "\"");
    }

    #[test]
    fn architectures_have_the_names_of_the_conventions() {
        for (machine, name) in [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm32"), ("riscv64", "riscv64")]
        {
            assert_eq!(architecture(machine), name);
        }
    }
}
