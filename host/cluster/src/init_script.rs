//! Renders the init script, and the script that takes back what it did.
//!
//! The scripts are kept as bash in `script/`, a file for each thing they do, where a shell checker and a reader can judge
//! them. Invariant: what is rendered into them are assignments in one place, each value one quoted word, and a stamp of
//! the whole ([`crate::stamp`]); the rest is the same in every script.

use std::fmt::Write as _;

use crate::bundle::{Bundle, BundleFile};
use crate::shell_quote::quote;
use crate::source::Source;
use crate::{spark_settings, stamp};

/// Memory of Kiln on a node at most, unless something else is said.
pub const DEFAULT_MEMORY_LIMIT: u64 = 512 * 1024 * 1024;

/// With less than this Kiln does not come up with the plugins it is shipped with.
pub const LEAST_MEMORY_LIMIT: u64 = 128 * 1024 * 1024;

/// More than Kiln's two threads can use.
const MOST_CPU: u32 = 200;

/// Percent of one core that Kiln may use, unless something else is said.
pub const DEFAULT_CPU_LIMIT: u32 = 100;

const TITLE: &str =
    "# Kiln on the nodes of this cluster. Rendered by `kiln init-script`: change the bundle and render again.\n#\n";
const UNINSTALL_TITLE: &str = "# Takes Kiln off the node it runs on. Rendered by `kiln init-script --uninstall`.\n#\n";
const PREAMBLE: &str = include_str!("script/preamble.sh");
const DETACH: &str = include_str!("script/detach.sh");
const LOG: &str = include_str!("script/log.sh");
const ONLY_ONE: &str = include_str!("script/only_one.sh");
const SPARK_FILES: &str = include_str!("script/spark_files.sh");
const END: &str = "\nmain\nexit 0\n";

/// What is in the script that installs, in the order of its work.
const INSTALL: [&str; 10] = [
    include_str!("script/main.sh"),
    DETACH,
    include_str!("script/spark_settings.sh"),
    SPARK_FILES,
    LOG,
    ONLY_ONE,
    include_str!("script/install.sh"),
    include_str!("script/cloud.sh"),
    include_str!("script/systemd.sh"),
    include_str!("script/supervise.sh"),
];

/// What is in the script that takes it back.
const UNINSTALL: [&str; 5] = [include_str!("script/uninstall.sh"), DETACH, SPARK_FILES, LOG, ONLY_ONE];

/// The nodes of a cluster Kiln runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// The driver, with `kiln.yaml`.
    #[default]
    Driver,
    /// The driver as before, and every worker with `kiln-worker.yaml`.
    All,
}

/// How an init script installs, beyond what and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// On which nodes.
    pub nodes: Nodes,
    /// Bytes of data of one Kiln at most: one that wants more is ended and started again.
    pub memory_limit: u64,
    /// Percent of one core that Kiln may use, where systemd can see to it. Elsewhere its low priority has to do.
    pub cpu_limit: u32,
    /// Whether the script writes the settings Spark needs where Spark reads them. A policy's `spark_conf` is the better
    /// place, where there is a policy.
    pub writes_spark_settings: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Nodes::default(),
            memory_limit: DEFAULT_MEMORY_LIMIT,
            cpu_limit: DEFAULT_CPU_LIMIT,
            writes_spark_settings: false,
        }
    }
}

/// What an init script installs, from where, and how. No part of it can hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitScript {
    source: Source,
    bundle: Bundle,
    options: Options,
}

impl InitScript {
    /// Puts together what belongs together.
    ///
    /// # Errors
    /// The bundle lacks what the options need, or an option is out of bounds.
    pub fn new(source: Source, bundle: Bundle, options: Options) -> Result<Self, InitScriptError> {
        if options.nodes == Nodes::All && !bundle.has_worker_configuration() {
            return Err(InitScriptError::NoWorkerConfiguration);
        }
        if options.memory_limit < LEAST_MEMORY_LIMIT {
            return Err(InitScriptError::MemoryLimit(options.memory_limit));
        }
        if options.cpu_limit == 0 || options.cpu_limit > MOST_CPU {
            return Err(InitScriptError::CpuLimit(options.cpu_limit));
        }
        Ok(Self { source, bundle, options })
    }

    /// The script: bash, to be stored beside the bundle and named in a cluster's or policy's init scripts.
    ///
    /// The same value renders to the same text, so that a review shows what changed.
    #[must_use]
    pub fn render(&self) -> String {
        script(TITLE, &self.values(), &INSTALL)
    }

    fn values(&self) -> String {
        let Options { nodes, memory_limit, cpu_limit, writes_spark_settings } = self.options;
        let nodes = match nodes {
            Nodes::Driver => "driver",
            Nodes::All => "all",
        };
        let (spark_conf, spark_metrics) = if writes_spark_settings {
            (spark_settings::hocon(), spark_settings::metrics_properties())
        } else {
            Default::default()
        };
        let files: String = self.bundle.files().iter().map(line).collect();
        let mut values = String::new();
        // Writing to a String does not fail.
        let _ = write!(
            values,
            "# The only part that differs between two scripts.\n\
             bundle_source={}\n\
             # architecture, sha256, bytes, name\n\
             bundle_files=(\n{files})\n\
             nodes={nodes} memory_limit={memory_limit} cpu_limit={cpu_limit}\n\
             spark_conf={}\n\
             spark_metrics={}\n",
            quote(self.source.as_str()),
            quote(&spark_conf),
            quote(&spark_metrics),
        );
        values
    }
}

/// The script that stops Kiln on the node it runs on and removes what was installed. As harmless as the other one.
#[must_use]
pub fn uninstall_script() -> String {
    script(UNINSTALL_TITLE, "", &UNINSTALL)
}

fn script(title: &str, values: &str, parts: &[&str]) -> String {
    let body: String = [title, PREAMBLE, values].iter().chain(parts).chain(&[END]).copied().collect();
    stamp::stamped(&body)
}

fn line(file: &BundleFile) -> String {
    let architecture = file.architecture().map_or_else(|| "any".to_owned(), |architecture| architecture.to_string());
    format!("  {} {} {} {}\n", quote(&architecture), file.digest(), file.size(), quote(file.name()))
}

/// Why there is no such script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitScriptError {
    /// Workers are to run Kiln, and the bundle does not say how.
    #[error(
        "workers need a configuration of their own, for they have no Spark UI: put kiln-worker.yaml into the bundle, or \
         leave out --all-nodes"
    )]
    NoWorkerConfiguration,
    /// Too little to come up with.
    #[error(
        "{0} bytes of memory are too few for Kiln to come up: give at least {LEAST_MEMORY_LIMIT}, or leave out \
         --memory-limit for {DEFAULT_MEMORY_LIMIT}"
    )]
    MemoryLimit(u64),
    /// Nothing, or more than there is.
    #[error(
        "{0} percent of a core is no limit for Kiln: give 1 to {MOST_CPU}, or leave out --cpu-limit for {DEFAULT_CPU_LIMIT}"
    )]
    CpuLimit(u32),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use crate::bundle::{Architecture, Digest, MAX_FILES};

    fn bundle() -> Bundle {
        let digest = Digest::of(b"x");
        let files = vec![
            BundleFile::binary("kiln", Architecture::X86_64, 1, digest).unwrap(),
            BundleFile::new("kiln.yaml", 1, digest).unwrap(),
            BundleFile::new("plugins/spark.wasm", 1, digest).unwrap(),
        ];
        Bundle::from_files(files).unwrap()
    }

    fn rendered(source: &str, options: Options) -> String {
        InitScript::new(source.parse().unwrap(), bundle(), options).unwrap().render()
    }

    #[test]
    fn values_are_rendered_once_and_quoted() {
        let text = rendered("/Volumes/main/ops/it's kiln", Options::default());
        assert!(text.starts_with("#!/bin/bash\n# kiln "));
        assert_eq!(text.matches("\nbundle_source=").count(), 1);
        assert!(text.contains(r"bundle_source='/Volumes/main/ops/it'\''s kiln'"));
        assert!(
            text.contains("\nnodes=driver memory_limit=536870912 cpu_limit=100\nspark_conf=''\nspark_metrics=''\n"),
            "{text}"
        );
    }

    /// Scenario: the largest bundle there can be.
    /// Guarantees: the script still fits into the one variable it hands to its background process, 128 KiB in Linux.
    #[test]
    fn the_largest_script_can_be_started() {
        let digest = Digest::of(b"x");
        let plugin = |number: usize| format!("plugins/{number:0>64}.wasm");
        let mut files = bundle().files().to_vec();
        files.extend((files.len()..MAX_FILES).map(|number| BundleFile::new(&plugin(number), 1, digest).unwrap()));
        let source = Source::parse(&format!("/{}", "s".repeat(4095))).unwrap();
        let options = Options { writes_spark_settings: true, ..Options::default() };
        let text = InitScript::new(source, Bundle::from_files(files).unwrap(), options).unwrap().render();
        assert!(text.len() < 80 * 1024, "{} bytes", text.len());
    }

    /// Scenario: ipywidgets binds port 6062 on current runtimes, and a driver that cannot bind it dies.
    /// Guarantees: the script does not know that port.
    #[test]
    fn the_port_of_ipywidgets_is_left_alone() {
        assert!(INSTALL.iter().all(|part| !part.contains("6062")));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_remedy() {
        let refusal = |options| {
            let source = "/Volumes/main/ops/kiln".parse().unwrap();
            InitScript::new(source, bundle(), options).unwrap_err().to_string()
        };
        let all = Options { nodes: Nodes::All, ..Options::default() };
        assert!(refusal(all).contains("put kiln-worker.yaml into the bundle"));
        let small = Options { memory_limit: LEAST_MEMORY_LIMIT - 1, ..Options::default() };
        assert!(refusal(small).contains("give at least 134217728"));
        for cpu_limit in [0, 201] {
            assert!(refusal(Options { cpu_limit, ..Options::default() }).contains("give 1 to 200"));
        }
    }

    /// Scenario: two renderings of one value, and one of another.
    /// Guarantees: the first two are the same bytes; the third differs from them.
    #[test]
    fn rendering_is_reproducible() {
        let once = rendered("/Volumes/main/ops/kiln", Options::default());
        assert_eq!(once, rendered("/Volumes/main/ops/kiln", Options::default()));
        let written = Options { writes_spark_settings: true, ..Options::default() };
        assert_ne!(once, rendered("/Volumes/main/ops/kiln", written));
        assert_eq!(uninstall_script(), uninstall_script());
    }
}
