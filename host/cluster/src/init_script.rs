//! Renders the init script.
//!
//! The script is kept as bash in `init_script.sh`, where a shell checker and a reader can judge it. Invariant: what is
//! rendered into it are assignments in one place, each value one quoted word; the rest is the same in every script.

use crate::bundle::{Bundle, BundleFile};
use crate::shell_quote::quote;
use crate::source::Source;

const TEMPLATE: &str = include_str!("init_script.sh");
const VALUES: &str = "bundle_source='' bundle_files=() # what `kiln init-script` fills in\n";

/// What an init script installs, and from where. No part of it can hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitScript {
    /// Where the cluster finds the bundle.
    pub source: Source,
    /// What it must find there.
    pub bundle: Bundle,
}

/// The script: bash, to be stored beside the bundle and named in a cluster's or policy's init scripts.
///
/// The same `script` renders to the same text, so that a review shows what changed.
#[must_use]
pub fn render(script: &InitScript) -> String {
    let files: String = script.bundle.files().iter().map(line).collect();
    let values = format!(
        "# The only part that differs between two scripts.\n\
         bundle_source={}\n\
         # architecture, sha256, bytes, name\n\
         bundle_files=(\n{files})\n",
        quote(script.source.as_str())
    );
    TEMPLATE.replacen(VALUES, &values, 1)
}

fn line(file: &BundleFile) -> String {
    let architecture = file.architecture().map_or_else(|| "any".to_owned(), |architecture| architecture.to_string());
    format!("  {} {} {} {}\n", quote(&architecture), file.digest(), file.size(), quote(file.name()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use crate::bundle::{Architecture, Digest, MAX_FILES};

    fn script(source: &str) -> InitScript {
        let digest = Digest::of(b"x");
        let files = vec![
            BundleFile::binary("kiln", Architecture::X86_64, 1, digest).unwrap(),
            BundleFile::new("kiln.yaml", 1, digest).unwrap(),
            BundleFile::new("plugins/spark.wasm", 1, digest).unwrap(),
        ];
        InitScript { source: Source::parse(source).unwrap(), bundle: Bundle::from_files(files).unwrap() }
    }

    #[test]
    fn values_are_rendered_once_and_quoted() {
        let text = render(&script("/Volumes/main/ops/it's kiln"));
        assert!(text.starts_with("#!/bin/bash\n"));
        assert_eq!(text.matches("\nbundle_source=").count(), 1);
        assert!(text.contains(r"bundle_source='/Volumes/main/ops/it'\''s kiln'"));
        assert_eq!(TEMPLATE.matches(VALUES).count(), 1);
        assert!(!text.contains(VALUES));
    }

    /// Scenario: the largest bundle there can be.
    /// Guarantees: the script still fits into the one variable it hands to its background process, 128 KiB in Linux.
    #[test]
    fn the_largest_script_can_be_started() {
        let digest = Digest::of(b"x");
        let plugin = |number: usize| format!("plugins/{number:0>64}.wasm");
        let mut files = script("/x").bundle.files().to_vec();
        files.extend((files.len()..MAX_FILES).map(|number| BundleFile::new(&plugin(number), 1, digest).unwrap()));
        let source = Source::parse(&format!("/{}", "s".repeat(4095))).unwrap();
        let text = render(&InitScript { source, bundle: Bundle::from_files(files).unwrap() });
        assert!(text.len() < 64 * 1024, "{} bytes", text.len());
    }

    /// Scenario: ipywidgets binds port 6062 on current runtimes, and a driver that cannot bind it dies.
    /// Guarantees: the script does not know that port.
    #[test]
    fn the_port_of_ipywidgets_is_left_alone() {
        assert!(!TEMPLATE.contains("6062"));
    }
}
