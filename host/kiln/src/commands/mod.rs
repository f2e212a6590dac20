//! One module per subcommand.

mod run;
#[cfg(feature = "compiler")]
mod tools;
mod validate;

use crate::cli::Command;
use crate::exit::Failure;

#[cfg(feature = "compiler")]
pub(crate) use self::tools::{compiler, read_file};
pub(crate) use self::validate::environment;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        #[cfg(feature = "compiler")]
        Command::Tool(tool) => tools::run(tool),
    }
}

/// A running Kiln without a compiler runs what was compiled before.
#[cfg(not(feature = "compiler"))]
pub(crate) fn compiler(_: &kiln_config::LoadingLimits) -> kiln_runtime::Compiler {
    kiln_runtime::Compiler::Absent
}
