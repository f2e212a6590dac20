//! `kiln validate`.

use kiln_config::Config;
use kiln_runtime::Directory;

use crate::cli::ConfigFile;
use crate::exit::{Failure, print, warn};
use crate::prepare::prepare;

pub(super) fn run(arguments: &ConfigFile) -> Result<(), Failure> {
    let path = &arguments.config;
    let config = Config::read(path, &environment).map_err(Failure::usage)?;
    for warning in &config.warnings {
        warn(&format!("warning: {warning}"));
    }
    let directory = Directory::read(&config.plugins_dir).map_err(Failure::usage)?;
    let preparation = prepare(path, &config, &directory);
    for warning in &preparation.warnings {
        warn(&format!("warning: {warning}"));
    }
    let refusals = preparation.refused.iter().map(|refusal| refusal.reason.clone());
    let wrong: Vec<_> = preparation.faults.iter().cloned().chain(refusals).collect();
    if !wrong.is_empty() {
        return Err(Failure::Usage(wrong.join("\n")));
    }
    let instances = preparation.ready.len();
    let pipelines = config.pipelines.len();
    print(&format!("{}: valid (plugin instances: {instances}, pipelines: {pipelines})\n", path.display()))
}

/// Environment variables as the configuration sees them.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
