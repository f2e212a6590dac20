//! What is configured, read and checked as a whole: by a start and by every reload, in the same way.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_config::Config;
use kiln_policy::Digest;

use crate::blueprint::Blueprint;
use crate::commands::environment;
use crate::exit::Failure;
use crate::locked;
use crate::plugins::Plugins;
use crate::prepare::{Preparation, prepare};
use crate::watch::Fingerprint;

/// Where everything is read from.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// Whether whatever differs from the lock file beside it is refused.
    pub(crate) locked: bool,
    /// Plugins that were compiled before, see [`kiln_runtime::ComponentFile::parse_compiled`].
    pub(crate) compiled: Arc<BTreeSet<Digest>>,
}

/// What is to run.
pub(crate) struct Desired {
    pub(crate) config: Config,
    pub(crate) preparation: Preparation,
    pub(crate) blueprint: Blueprint,
    /// The files as they were just before they were read.
    pub(crate) fingerprint: Fingerprint,
}

impl Place {
    /// Reads everything again. Blocks.
    ///
    /// # Errors
    /// The configuration is faulty, the plugins directory cannot be read, or the lock file says otherwise.
    pub(crate) fn read(&self) -> Result<Desired, Failure> {
        let before = Fingerprint::of_configuration(self);
        let config = Config::read(&self.config, &environment).map_err(Failure::usage)?;
        self.read_plugins(config, before)
    }

    /// Reads the plugins for a configuration. Blocks. `fingerprint` is that of the files read already.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_plugins(&self, config: Config, fingerprint: Fingerprint) -> Result<Desired, Failure> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let fingerprint = fingerprint.with_plugins(&config.plugins_dir);
        let plugins =
            Plugins::read(&config, &self.compiled, &|text| tracing::info!("{text}")).map_err(Failure::usage)?;
        let preparation = prepare(&self.config, &config, &plugins);
        for warning in &preparation.warnings {
            tracing::warn!("{warning}");
        }
        if !preparation.faults.is_empty() {
            let reasons: Vec<_> = preparation.faults.iter().map(|fault| fault.reason.as_str()).collect();
            return Err(Failure::Usage(reasons.join("\n")));
        }
        if self.locked {
            locked::check(&self.config, &preparation).map_err(Failure::Usage)?;
        }
        let blueprint = Blueprint::of(&config, &preparation);
        Ok(Desired { config, preparation, blueprint, fingerprint })
    }
}
