//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed while running, 64 the command line, the configuration or a plugin is at fault.";

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

SIGINT or SIGTERM stops it: what is queued is still sent, within `service.shutdown_timeout`. A second signal stops it at once.")]
    Run(ConfigFile),

    /// Say everything that is wrong with a configuration and its plugins, without running anything
    #[command(after_help = "\
Example:
  kiln validate --config kiln.yaml && systemctl restart kiln")]
    Validate(ConfigFile),

    /// Make, look at and list plugins
    #[command(subcommand)]
    Plugin(PluginCommand),

    /// Render the init script that starts Kiln on a Databricks driver
    #[command(after_help = "\
Examples:
  kiln init-script --bundle ./bundle --source /Volumes/main/ops/kiln > kiln-init.sh
  kiln init-script --bundle ./bundle --source https://artifacts.example.com/kiln -o kiln-init.sh

The bundle holds `kiln`, `kiln.yaml` and `plugins/*.wasm`. The script pins the digest of each.")]
    InitScript(InitScript),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration
    #[arg(short, long, value_name = "FILE", env = "KILN_CONFIG", default_value = "kiln.yaml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Turn a core module, or a component, into a plugin by embedding its manifest
    #[command(after_help = "\
Example:
  cargo build --target wasm32-unknown-unknown --release
  kiln plugin pack target/wasm32-unknown-unknown/release/my_plugin.wasm --manifest plugin.toml -o my-plugin.wasm")]
    Pack(Pack),

    /// Show what a plugin can do: what it imports, requests and emits
    #[command(after_help = "\
Examples:
  kiln plugin inspect plugins/databricks.wasm
  kiln plugin inspect plugins/databricks.wasm --json | jq .requests")]
    Inspect(Inspect),

    /// List the plugins in a directory
    #[command(after_help = "\
Example:
  kiln plugin list /etc/kiln/plugins")]
    List(List),

    /// Write the reference of plugins as Markdown: configuration, metrics, spans, log records, attributes
    #[command(after_help = "\
Examples:
  kiln plugin reference plugins/spark.wasm > spark.md
  kiln plugin reference plugins/*.wasm")]
    Reference(Reference),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pack {
    /// A core module built with bindings for a world in wit/v0.1, or a component
    #[arg(value_name = "WASM")]
    pub(crate) wasm: PathBuf,

    /// The manifest to embed
    #[arg(short, long, value_name = "FILE", default_value = "plugin.toml")]
    pub(crate) manifest: PathBuf,

    /// Where to write the plugin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The plugin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// For machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The directory
    #[arg(value_name = "DIR", default_value = "plugins")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reference {
    /// The plugins
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitScript {
    /// The bundle as it is on this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) bundle: PathBuf,

    /// Where clusters find the bundle: a directory such as a Unity Catalog volume, or an https URL
    #[arg(long, value_name = "DIR_OR_URL")]
    pub(crate) source: String,

    /// Where to write the script; standard output if absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
