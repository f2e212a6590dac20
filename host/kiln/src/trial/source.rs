//! What is tried: a file, and the instance of it that somebody has configured.

use std::path::{Path, PathBuf};

use kiln_config::{Config, Instance, Role};
use kiln_policy::{PluginKind, SIGNATURE_EXTENSION};
use kiln_runtime::{ComponentFile, Directory};

use crate::commands::environment;
use crate::exit::Failure;
use crate::plugins::Plugins;
use crate::prepare::{Prepared, prepare};
use crate::watch::Fingerprint;

/// Who writes settings on the command line has made the plugin, and waits for the compiler as long as it takes.
const LIMITS: &str = "limits: { compile_time: 15m, compile_memory: 4GiB }";

/// What stands for the file where settings were written on the command line.
const INLINE: &str = "--with";

/// What is to be tried, by name.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) settings: Settings,
    /// Which of several instances of the plugin.
    pub(crate) instance: Option<String>,
}

/// Where the instance is configured.
#[derive(Clone, Debug)]
pub(crate) enum Settings {
    /// In a configuration as `kiln run` takes it.
    File(PathBuf),
    /// Here, as a mapping in YAML.
    Inline(String),
}

/// What is to be tried, read and checked.
pub(crate) struct Tried {
    pub(crate) config: Config,
    pub(crate) prepared: Prepared,
    pub(crate) warnings: Vec<String>,
}

impl Source {
    /// How the files look that [`Self::read`] reads. Blocks.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut signature = self.file.clone().into_os_string();
        signature.push(format!(".{SIGNATURE_EXTENSION}"));
        let fingerprint = Fingerprint::default().with_file(&self.file).with_file(Path::new(&signature));
        match &self.settings {
            Settings::File(path) => fingerprint.with_file(path),
            Settings::Inline(_) => fingerprint,
        }
    }

    /// Reads the file and the configuration. Blocks.
    ///
    /// # Errors
    /// Whatever would keep the instance from running.
    pub(crate) fn read(&self) -> Result<Tried, Failure> {
        let directory = Directory::read_one(&self.file).map_err(Failure::usage)?;
        if let Some(refused) = directory.refused().first() {
            return Err(Failure::Usage(format!("{}: {}", refused.path.display(), refused.error)));
        }
        let plugins = Plugins::from(directory);
        let Some((_, file)) = plugins.directory.plugins().next() else {
            return Err(Failure::Usage(format!("{} is no plugin", self.file.display())));
        };
        let (place, mut config) = self.config(file)?;
        let mut chosen = self.choose(&place, &config, file)?.clone();
        // The file is tried in the place of whatever the configuration names.
        chosen.plugin = file.manifest.name.clone().into();
        config.instances = vec![chosen];
        let preparation = prepare(&place, &config, &plugins);
        let wrong: Vec<_> =
            preparation.faults.iter().chain(&preparation.refused).map(|obstacle| obstacle.reason.as_str()).collect();
        let wrong = wrong.join("\n");
        let mut warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
        warnings.extend(preparation.warnings);
        match preparation.ready.into_iter().next() {
            Some(prepared) if wrong.is_empty() => Ok(Tried { config, prepared, warnings }),
            _ => Err(Failure::Usage(wrong)),
        }
    }

    fn config(&self, file: &ComponentFile) -> Result<(PathBuf, Config), Failure> {
        match &self.settings {
            Settings::File(path) => Ok((path.clone(), Config::read(path, &environment).map_err(Failure::usage)?)),
            Settings::Inline(settings) => {
                let text = around(settings, file);
                let config = Config::parse(INLINE, &text, Path::new(""), &environment).map_err(Failure::usage)?;
                Ok((PathBuf::from(INLINE), config))
            }
        }
    }

    /// The instance that is meant.
    fn choose<'c>(&self, place: &Path, config: &'c Config, file: &ComponentFile) -> Result<&'c Instance, Failure> {
        let (name, kind) = (&file.manifest.name, file.manifest.kind);
        let of_plugin = |instance: &&Instance| match instance.plugin.name() {
            Some(configured) => configured == name,
            None => instance.id.kind() == name.as_str(),
        };
        let meant: Vec<_> = match &self.instance {
            Some(id) => config.instances.iter().filter(|instance| instance.id.to_string() == *id).collect(),
            None => config.instances.iter().filter(of_plugin).collect(),
        };
        let place = place.display();
        match (meant.as_slice(), &self.instance) {
            ([one], _) => Ok(one),
            ([], Some(id)) => Err(Failure::Usage(format!(
                "{place}: there is no instance `{id}` that runs: name one that is in a pipeline"
            ))),
            ([], None) => Err(Failure::Usage(format!(
                "{place}: no instance of `{name}` runs; add one under `{}s` and list it in a pipeline, or write its \
                 settings with --with '{{ … }}'",
                kind.name()
            ))),
            (several, _) => {
                let ids: Vec<_> = several.iter().map(|instance| instance.id.to_string()).collect();
                Err(Failure::Usage(format!(
                    "{place}: there are several instances of `{name}`: choose with --instance, one of {}",
                    ids.join(", ")
                )))
            }
        }
    }
}

/// A configuration with one instance, which has these settings. All of it stands on the line on which they begin, so that
/// what is said of a line is true.
pub(super) fn around(settings: &str, file: &ComponentFile) -> String {
    let name = &file.manifest.name;
    let settings = settings.trim();
    let settings = if settings.starts_with('{') { settings.to_owned() } else { format!("{{ {settings} }}") };
    let (sections, used) = match file.manifest.kind {
        PluginKind::Receiver => (format!("receivers: {{ {name}: {settings}"), format!("receivers: [{name}]")),
        PluginKind::Processor => (
            format!("receivers: {{ input: {{}} }}, processors: {{ {name}: {settings}"),
            format!("receivers: [input], processors: [{name}]"),
        ),
    };
    let pipeline = format!("{{ {used}, exporters: [debug] }}");
    format!(
        "{{ {sections}\n }}, exporters: {{ debug: {{}} }}, service: {{ {LIMITS}, pipelines: {{ metrics: {pipeline}, traces: {pipeline}, \
         logs: {pipeline} }} }} }}\n"
    )
}

/// What the instance is.
pub(crate) const fn is_processor(prepared: &Prepared) -> bool {
    matches!(prepared.instance.role, Role::Processor)
}
