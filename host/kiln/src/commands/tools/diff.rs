//! `kiln plugin diff`.

use std::path::Path;

use kiln_audit::Difference;
use kiln_runtime::ComponentFile;

use super::plugin::read;
use crate::cli::Diff;
use crate::exit::{Failure, print};

pub(super) fn run(arguments: &Diff) -> Result<(), Failure> {
    let difference = Difference::between(&parse(&arguments.old)?, &parse(&arguments.new)?);
    if arguments.json {
        let text = serde_json::to_string_pretty(&difference).map_err(Failure::runtime)?;
        print(&format!("{text}\n"))?;
    } else {
        print(&difference.to_string())?;
    }
    if difference.asks_for_more() { Err(Failure::Negative) } else { Ok(()) }
}

fn parse(path: &Path) -> Result<ComponentFile, Failure> {
    ComponentFile::parse(read(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
