//! What is done to plugins, configurations and bundles before they run somewhere.

use std::path::PathBuf;

use clap::Subcommand;
use kiln_authoring::Language;

use super::ConfigFile;

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Make, look at and list plugins
    #[command(subcommand)]
    Plugin(PluginCommand),

    /// Put everything a cluster needs into one file
    #[command(after_help = "\
Example:
  kiln bundle --program kiln-x86_64 --config kiln.yaml plugins/spark.wasm plugins/resource-detection.wasm
  kiln init-script --bundle . --source /Volumes/main/ops/kiln > kiln-init.sh

The file is the same for the same content. It holds the program, the configuration, the plugins, native code for them on
machines of the program's kind, bom.cdx.json with the packages all of it was made of, and SHA256SUMS.")]
    Bundle(Bundle),

    /// Render the init script that starts Kiln on a Databricks driver
    #[command(after_help = "\
Examples:
  kiln init-script --bundle ./bundle --source /Volumes/main/ops/kiln > kiln-init.sh
  kiln init-script --bundle ./bundle --source https://artifacts.example.com/kiln -o kiln-init.sh > spark-conf.json
  kiln init-script --bundle ./bundle --source /Volumes/main/ops/kiln --check kiln-init.sh
  kiln init-script --uninstall -o kiln-remove.sh

The bundle holds `kiln`, `kiln.yaml` and `plugins/*.wasm`, and `kiln-worker.yaml` for --all-nodes. The script pins the
digest of each. The settings Spark needs are printed as the part of a cluster policy that fixes them: with -o on standard
output, otherwise on standard error, or not at all if the script writes them.

Exit code 1 of --check: the script is not current.")]
    InitScript(InitScript),

    /// What Kiln runs in processes of its own, and what its scripts ask of it
    #[command(subcommand, hide = true)]
    Internal(InternalCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum InternalCommand {
    /// Compile the plugin on standard input to native code on standard output, within bounds
    Compile(Compile),

    /// Write the reference of Kiln's own metrics as Markdown
    Metrics,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Compile {
    /// Address space, in bytes
    #[arg(long)]
    pub(crate) memory: u64,

    /// Time, in milliseconds
    #[arg(long)]
    pub(crate) time: u64,

    /// The kind of machine to compile for, if it is not this one
    #[arg(long)]
    pub(crate) target: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Start a plugin of your own: a project that builds, and whose tests pass, as it is
    #[command(after_help = "\
Examples:
  kiln plugin new --kind receiver --lang c queue-length
  kiln plugin new --kind processor --lang rust --sdk ~/kiln/plugins/sdk mask

The project is written into a directory of the plugin's name; its README says what building needs.")]
    New(New),

    /// Build the project in a directory and pack what comes out
    #[command(after_help = "\
Example:
  kiln plugin build && kiln plugin inspect build/queue-length.wasm

Writes the contract to build/wit, cut to what plugin.toml requests, and runs the project's build.sh with KILN (this
program), KILN_WIT, KILN_WORLD, KILN_TOOLS (where toolchains may be kept) and KILN_MODULE: there the script leaves a core
module or a component, which is then packed.")]
    Build(Build),

    /// Write bindings for the world of a manifest, or its WIT for toolchains that make their own
    #[command(after_help = "\
Examples:
  kiln plugin bindings --lang c build/bindings
  kiln plugin bindings --lang go build/bindings     (in the directory of go.mod)
  kiln plugin bindings --lang wit wit")]
    Bindings(Bindings),

    /// Run one plugin by itself and print what it emits, costs, asks and is denied; again whenever a file changes
    #[command(after_help = "\
Examples:
  kiln plugin dev build/queue-length.wasm --with '{ host: \"https://queues.example.com\" }'
  kiln plugin dev build/queue-length.wasm --config kiln.yaml --once --json | jq .emitted
  kiln plugin dev build/mask.wasm --with '{ keys: [user.email] }' --input telemetry.jsonl

The plugin is held to what `kiln run` holds it to: the same checks, grants, limits and requests. What it remembers is in memory;
what it emits goes nowhere. A receiver collects every `collection_interval`.

Exit code of --once, 1: it failed, could not read something, or was denied something.")]
    Dev(Dev),

    /// Try the rules of the contract on one plugin and print what was found
    #[command(after_help = "\
Examples:
  kiln plugin check build/queue-length.wasm --with '{ host: \"https://queues.example.com\" }' --answers tests/answers.json
  kiln plugin check build/mask.wasm --with '{ keys: [user.email] }' --json | jq .items

Each item is about rules of docs/plugin-contract.md, whose numbers stand beside it. The plugin is started some hundred times, and
its source asked as often unless --answers says what that answers. A processor is given samples, or --input.

Exit code 1: a rule is broken.")]
    Check(Check),

    /// Turn a core module, or a component, into a plugin by embedding its manifest
    #[command(after_help = "\
Example:
  cargo rustc --release --lib --crate-type cdylib --target wasm32-unknown-unknown
  kiln plugin pack target/wasm32-unknown-unknown/release/my_plugin.wasm --manifest plugin.toml -o my-plugin.wasm")]
    Pack(Pack),

    /// Show what a plugin can do: what it imports, requests and emits
    #[command(after_help = "\
Examples:
  kiln plugin inspect plugins/databricks.wasm
  kiln plugin inspect plugins/databricks.wasm --config kiln.yaml --html > databricks.html
  kiln plugin inspect plugins/databricks.wasm --json | jq .manifest.requests

Exit code 1: something it can call cannot be granted, or is not granted by the configuration, or its signature is not good.")]
    Inspect(Inspect),

    /// Write down what runs: kiln.lock, which `--locked` compares with
    #[command(after_help = "\
Example:
  kiln plugin lock --config kiln.yaml && git diff kiln.lock && kiln run --config kiln.yaml --locked")]
    Lock(ConfigFile),

    /// Check the signature of a plugin, FILE.minisig
    #[command(after_help = "\
Example:
  kiln plugin verify plugins/databricks.wasm --key /etc/kiln/minisign.pub

Exit code 1: it is not signed by one of the keys.")]
    Verify(Verify),

    /// Show what a new version of a plugin can do that the old one could not
    #[command(after_help = "\
Example:
  kiln plugin diff old/databricks.wasm new/databricks.wasm

Exit code 1: the new one asks for more.")]
    Diff(Diff),

    /// List the plugins in a directory
    #[command(after_help = "\
Example:
  kiln plugin list /etc/kiln/plugins")]
    List(List),

    /// Write the reference of plugins, or of the contract, as Markdown
    #[command(after_help = "\
Examples:
  kiln plugin reference plugins/spark.wasm > spark.md
  kiln plugin reference --contract > wit.md
  kiln plugin reference plugins/*.wasm")]
    Reference(Reference),
}

#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// Which world it implements
    #[arg(long, value_name = "KIND", value_parser = ["receiver", "processor"])]
    pub(crate) kind: String,

    /// What it is written in: rust, python, javascript, c or go
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,

    /// Where Kiln's SDK for Rust is: plugins/sdk of a clone, found by itself within one
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,

    /// Name of the plugin
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The project
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    /// Where to write the plugin; build/NAME.wasm in the project if absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bindings {
    /// For which language
    #[arg(long, value_name = "LANGUAGE", value_parser = ["c", "go", "wit"])]
    pub(crate) lang: String,

    /// The manifest
    #[arg(short, long, value_name = "FILE", default_value = "plugin.toml")]
    pub(crate) manifest: PathBuf,

    /// Where to write them
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// One instance of one plugin file.
#[derive(Debug, clap::Args)]
pub(crate) struct Trial {
    /// The plugin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Take the instance's settings from this configuration
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The instance's settings as they stand below it in a configuration: a mapping of YAML in braces, which can be left out
    #[arg(short, long, value_name = "YAML", conflicts_with = "config")]
    pub(crate) with: Option<String>,

    /// Which instance, if the configuration has several of the plugin
    #[arg(long, value_name = "ID", requires = "config")]
    pub(crate) instance: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    #[command(flatten)]
    pub(crate) source: Trial,

    /// What a processor is given: OTLP JSON, one request or one after the other
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Collect once, or process the input once, and end
    #[arg(long)]
    pub(crate) once: bool,

    /// For machines: a line for each collection or batch
    #[arg(long)]
    pub(crate) json: bool,

    /// So many data points, spans and log records are shown of each collection or batch
    #[arg(long, value_name = "COUNT", default_value_t = 50, conflicts_with = "json")]
    pub(crate) rows: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) source: Trial,

    /// What servers answer, in place of them: a list of { "path": "/api/queues", "json": … } in JSON
    #[arg(short, long, value_name = "FILE")]
    pub(crate) answers: Option<PathBuf>,

    /// What a processor is given: OTLP JSON, one request or one after the other
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Over so many collections its memory is watched
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(crate) collections: usize,

    /// For machines
    #[arg(long)]
    pub(crate) json: bool,
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

    /// List the packages it is made of, for `inspect` to show: a file with what `cargo tree --prefix none` prints
    #[arg(long, value_name = "FILE")]
    pub(crate) packages: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The plugin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Show what the instances in this configuration are granted, and by which line
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Check the signature with this minisign public key: the key, or its file
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Vec<String>,

    /// For machines
    #[arg(long, conflicts_with = "html")]
    pub(crate) json: bool,

    /// A page of its own, without scripts
    #[arg(long)]
    pub(crate) html: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The plugin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// A minisign public key: the key, or its file; one of several will do
    #[arg(short, long, value_name = "KEY", required = true)]
    pub(crate) key: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The version that runs
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// The version that is to run
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

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
    #[arg(value_name = "FILE", required_unless_present = "contract")]
    pub(crate) files: Vec<PathBuf>,

    /// The contract between Kiln and its plugins instead: worlds, interfaces, functions and types
    #[arg(long, conflicts_with = "files")]
    pub(crate) contract: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bundle {
    /// The kiln that is to run on clusters, of this one's sources, which need not have a compiler; this one itself if absent
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,

    /// The configuration of drivers
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// The configuration of workers, if they are to run Kiln too
    #[arg(long, value_name = "FILE")]
    pub(crate) worker_config: Option<PathBuf>,

    /// The packages the program was made of: a file with what `cargo tree --prefix none` prints
    #[arg(long, value_name = "FILE")]
    pub(crate) packages: Option<PathBuf>,

    /// Where to write it; kiln-ARCHITECTURE.tar.gz if absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The plugins
    #[arg(value_name = "PLUGIN", required = true)]
    pub(crate) plugins: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitScript {
    /// The bundle as it is on this machine
    #[arg(long, value_name = "DIR", required_unless_present_any = ["check", "uninstall"])]
    pub(crate) bundle: Option<PathBuf>,

    /// Where clusters find the bundle: a directory such as a Unity Catalog volume, or an https URL
    #[arg(long, value_name = "DIR_OR_URL", required_unless_present_any = ["check", "uninstall"])]
    pub(crate) source: Option<String>,

    /// Run Kiln on workers as well, with kiln-worker.yaml of the bundle
    #[arg(long)]
    pub(crate) all_nodes: bool,

    /// Memory of Kiln at most, such as 256MiB: what wants more is ended and started again
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = kiln_config::parse_size)]
    pub(crate) memory_limit: u64,

    /// Percent of one core that Kiln may use, where systemd looks after it
    #[arg(long, value_name = "PERCENT", default_value_t = kiln_cluster::init_script::DEFAULT_CPU_LIMIT)]
    pub(crate) cpu_limit: u32,

    /// Have the script write Spark's settings on the driver, where no policy or cluster has them in its spark_conf
    #[arg(long)]
    pub(crate) write_spark_settings: bool,

    /// Render the script that stops and removes Kiln
    #[arg(long, conflicts_with_all = ["bundle", "source", "all_nodes", "write_spark_settings"])]
    pub(crate) uninstall: bool,

    /// Render nothing, and say whether this script is what would be rendered
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) check: Option<PathBuf>,

    /// Where to write the script; standard output if absent
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
