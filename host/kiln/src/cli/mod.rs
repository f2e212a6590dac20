//! The command line.

#[cfg(feature = "compiler")]
mod tools;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[cfg(feature = "compiler")]
pub(crate) use self::tools::*;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed while running or the answer is no, 64 the command line, the configuration or a plugin \
     is at fault.";

/// An OpenTelemetry collector host whose receivers and processors are sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Collect, process and export until told to stop
    #[command(after_help = "\
Examples:
  kiln run --config /etc/kiln/kiln.yaml
  KILN_LOG=debug kiln run

SIGINT or SIGTERM stops it: what is queued is still sent, within `service.shutdown_timeout`. A second signal stops it at once.
SIGHUP reads configuration and plugins again; what is wrong changes nothing.")]
    Run(Run),

    /// Say everything that is wrong with a configuration and its plugins, without running anything
    #[command(after_help = "\
Example:
  kiln validate --config kiln.yaml && systemctl reload kiln")]
    Validate(Checked),

    #[cfg(feature = "compiler")]
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) checked: Checked,

    /// Take compiled plugins from this bundle, which `kiln bundle` has made and somebody has unpacked
    #[arg(long, value_name = "DIR", requires = "bundle_digest")]
    pub(crate) bundle: Option<PathBuf>,

    /// The digest of the bundle's SHA256SUMS, by which its native code is trusted
    #[arg(long, value_name = "sha256:DIGEST", requires = "bundle")]
    pub(crate) bundle_digest: Option<kiln_policy::Digest>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration
    #[arg(short, long, value_name = "FILE", env = "KILN_CONFIG", default_value = "kiln.yaml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Checked {
    #[command(flatten)]
    pub(crate) file: ConfigFile,

    /// Refuse whatever differs from kiln.lock, which `kiln plugin lock` wrote beside the configuration
    #[arg(long)]
    pub(crate) locked: bool,
}
