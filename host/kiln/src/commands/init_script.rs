//! `kiln init-script`.

use kiln_cluster::{Bundle, InitScript, Source, init_script};

use crate::cli;
use crate::exit::{Failure, print};

pub(super) fn run(arguments: &cli::InitScript) -> Result<(), Failure> {
    let source: Source = arguments.source.parse().map_err(|error| Failure::Usage(format!("--source: {error}")))?;
    let bundle = Bundle::read(&arguments.bundle).map_err(|error| Failure::Usage(format!("--bundle: {error}")))?;
    let script = init_script::render(&InitScript { source, bundle });
    match &arguments.output {
        None => print(&script),
        Some(path) => std::fs::write(path, script)
            .map_err(|error| Failure::runtime(format!("{} cannot be written: {error}", path.display()))),
    }
}
