//! `kiln validate`.

use std::collections::BTreeSet;

use kiln_config::{Config, Errors, Examined, Instance};

use crate::cli::Checked;
use crate::exit::{Failure, print, warn};
use crate::locked;
use crate::plugins::Plugins;
use crate::prepare::prepare;

pub(super) fn run(arguments: &Checked) -> Result<(), Failure> {
    let path = &arguments.file.config;
    let Examined { config, errors } = Config::examine(path, &environment).map_err(Failure::usage)?;
    for warning in &config.warnings {
        warn(&format!("warning: {warning}"));
    }
    let plugins = match (Plugins::read(&config, &BTreeSet::new(), &warn), &errors) {
        (Ok(plugins), _) => plugins,
        (Err(error), None) => return Err(Failure::usage(error)),
        (Err(error), Some(errors)) => return Err(Failure::Usage(format!("{errors}\n{error}"))),
    };
    let preparation = prepare(path, &config, &plugins);
    for warning in &preparation.warnings {
        warn(&format!("warning: {warning}"));
    }
    // What is wrong with an instance already would only be said again, in worse words.
    let is_new = |instance: &Instance| {
        let own = format!("{}s.{}", instance.role, instance.id);
        !errors.iter().flat_map(Errors::iter).any(|error| error.path().starts_with(&own))
    };
    let mut wrong: Vec<String> = errors.iter().map(|errors| errors.to_string().trim_end().to_owned()).collect();
    wrong.extend(preparation.faults.iter().filter(|fault| is_new(&fault.instance)).map(|fault| fault.reason.clone()));
    wrong.extend(
        preparation.refused.iter().filter(|refusal| is_new(&refusal.instance)).map(|refusal| refusal.reason.clone()),
    );
    // Before that, whatever else is wrong would be told again as drift.
    if arguments.locked && wrong.is_empty() {
        wrong.extend(locked::check(path, &preparation).err());
    }
    if !wrong.is_empty() {
        return Err(Failure::Usage(wrong.join("\n")));
    }
    let instances = preparation.ready.len();
    let pipelines = config.pipelines.len();
    let mut text = format!("{}: valid (plugin instances: {instances}, pipelines: {pipelines})\n", path.display());
    for prepared in &preparation.ready {
        let Instance { role, id, .. } = &prepared.instance;
        prepared.sign_ins().iter().for_each(|sentence| text.push_str(&format!("  {role}s.{id} {sentence}\n")));
    }
    print(&text)
}

/// Environment variables as the configuration sees them.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
