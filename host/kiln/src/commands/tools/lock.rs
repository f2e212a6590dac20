//! `kiln plugin lock`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kiln_config::Config;

use crate::cli::ConfigFile;
use crate::commands::environment;
use crate::exit::{Failure, print, warn};
use crate::locked;
use crate::plugins::Plugins;
use crate::prepare::prepare;

pub(super) fn run(arguments: &ConfigFile) -> Result<(), Failure> {
    let path = &arguments.config;
    let config = Config::read(path, &environment).map_err(Failure::usage)?;
    let plugins = Plugins::read(&config, &BTreeSet::new(), &warn).map_err(Failure::usage)?;
    let preparation = prepare(path, &config, &plugins);
    for warning in &preparation.warnings {
        warn(&format!("warning: {warning}"));
    }
    // A lock of what does not run would be drift from the first start on.
    let wrong: Vec<_> =
        preparation.faults.iter().chain(&preparation.refused).map(|obstacle| obstacle.reason.as_str()).collect();
    if !wrong.is_empty() {
        return Err(Failure::Usage(wrong.join("\n")));
    }
    let lock = locked::lock_of(&preparation);
    let place = locked::place(path);
    replace(&place, &lock.to_text().map_err(Failure::runtime)?)?;
    let instances = lock.instances();
    print(&format!("{}: written (plugin instances: {instances})\n", place.display()))
}

/// Writes a file aside and puts it into its place, so that nobody ever reads half of it.
fn replace(place: &Path, text: &str) -> Result<(), Failure> {
    let aside = place.with_extension("lock.new");
    let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, place));
    written.map_err(|error| Failure::runtime(format!("{} cannot be written: {error}", place.display())))
}
