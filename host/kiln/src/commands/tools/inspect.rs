//! `kiln plugin inspect`.

use kiln_audit::{Inspection, Subject, to_html, to_json, to_text};
use kiln_config::Config;
use kiln_runtime::signature_of;

use super::plugin::{read, signing_keys};
use crate::cli::Inspect;
use crate::commands::environment;
use crate::exit::{Failure, print};

pub(super) fn run(arguments: &Inspect) -> Result<(), Failure> {
    let Inspect { file, config, key, json, html } = arguments;
    let keys = signing_keys(key)?;
    let name = file.display().to_string();
    let subject = Subject { bytes: read(file)?, signature: signature_of(file), name };
    let config = match config {
        Some(path) => {
            let config = Config::read(path, &environment).map_err(Failure::usage)?;
            Some((config, path.display().to_string()))
        }
        None => None,
    };
    let named = config.as_ref().map(|(config, name)| (config, name.as_str()));
    let inspection = Inspection::of(subject, &keys, named)
        .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    print(&match (json, html) {
        (true, _) => to_json(&inspection).map_err(Failure::runtime)?,
        (false, true) => to_html(&inspection),
        (false, false) => to_text(&inspection).map_err(Failure::runtime)?,
    })?;
    if inspection.is_grantable() { Ok(()) } else { Err(Failure::Negative) }
}
