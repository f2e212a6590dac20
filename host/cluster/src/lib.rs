//! Kiln on a Databricks cluster: the bundle a platform team puts on a volume, the init script that installs it, and where
//! Spark is there.
//!
//! This crate runs nothing on a cluster and opens no connection. It describes what is to be installed, in types that can
//! only hold what the script can act on, and renders the script; the script is bash, because that is what Databricks runs.
//! And it knows where the UI of a Spark driver may be, and what it looks like; who looks is `kiln-egress`.
//!
//! ```no_run
//! use kiln_cluster::{Bundle, InitScript, Options, Source};
//!
//! let source: Source = "/Volumes/main/ops/kiln".parse()?;
//! let bundle = Bundle::read("./bundle".as_ref())?;
//! let script = InitScript::new(source, bundle, Options::default())?.render();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod archive;
pub mod bundle;
pub mod init_script;
mod shell_quote;
pub mod source;
pub mod spark_settings;
pub mod spark_ui;
pub mod stamp;

pub use bundle::{Architecture, Bundle, BundleError, BundleFile, Digest};
pub use init_script::{InitScript, InitScriptError, Nodes, Options, uninstall_script};
pub use source::{Source, SourceError};
pub use spark_ui::SparkUi;
pub use stamp::Verdict;
