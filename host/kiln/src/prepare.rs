//! Configuration and plugins brought together: what each instance is, and why those that cannot run cannot.
//!
//! Two kinds of trouble. A *fault* is in the configuration itself: nothing runs until it is mended. A *refusal* concerns
//! one instance, because of its plugin or what it is granted: the others run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use kiln_config::{Config, Instance, PluginReference, PluginSettings, Role, Secret};
use kiln_egress::Credentials;
use kiln_policy::{
    Credential, NotAllowed, Origin, OriginRange, PluginKind, Policy, PolicyError, ProxyRule, ValidSignature, Visible,
};
use kiln_runtime::{ComponentFile, NotFound};
use kiln_telemetry::{Redaction, Subject};

use crate::blueprint::InstanceKey;
use crate::plugins::Plugins;

/// An instance that can run.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) instance: Instance,
    pub(crate) file: Arc<ComponentFile>,
    pub(crate) settings: PluginSettings,
    pub(crate) policy: Arc<Policy>,
    /// By whom the file is signed, if the configuration asks for it.
    pub(crate) signature: Option<ValidSignature>,
    /// Through which proxy its requests go.
    pub(crate) proxy: ProxyRule,
}

impl Prepared {
    pub(crate) fn key(&self) -> InstanceKey {
        InstanceKey { role: self.instance.role, id: self.instance.id.clone() }
    }

    /// The values the policy's credentials need.
    pub(crate) fn credentials(&self) -> Credentials {
        let mut credentials = Credentials::default();
        let rules = self.policy.http_rules().iter().filter_map(|rule| rule.credential.as_ref());
        for field in rules.flat_map(Credential::fields) {
            let secret = self.settings.secrets.get(field.path()).map(Secret::expose);
            if let Some(value) = secret.or_else(|| self.settings.text(field.path())) {
                credentials.insert(field.path(), value);
            }
        }
        credentials
    }

    /// Who is denied, when the instance is.
    pub(crate) fn subject(&self) -> Subject {
        Subject {
            plugin: self.file.manifest.name.to_string(),
            instance: self.instance.id.to_string(),
            digest: self.file.digest.to_string(),
        }
    }

    /// How the host signs in for the plugin, a sentence for each way.
    pub(crate) fn sign_ins(&self) -> Vec<String> {
        let mut ways: BTreeMap<String, Vec<&Origin>> = BTreeMap::new();
        for rule in self.policy.http_rules() {
            if let Some(credential) = &rule.credential {
                ways.entry(credential.to_string()).or_default().push(&rule.origin);
            }
        }
        let sentence = |(way, origins): (String, Vec<&Origin>)| {
            let ranges: Vec<_> = OriginRange::covering(origins).iter().map(ToString::to_string).collect();
            format!("signs in at {} with {way}", ranges.join(", "))
        };
        ways.into_iter().map(sentence).collect()
    }
}

/// Why an instance cannot, whether by a fault or by a refusal.
pub(crate) struct Obstacle {
    pub(crate) instance: Instance,
    pub(crate) reason: String,
}

impl Obstacle {
    pub(crate) fn key(&self) -> InstanceKey {
        InstanceKey { role: self.instance.role, id: self.instance.id.clone() }
    }

    fn of(instance: &Instance, reason: String) -> Self {
        Self { instance: instance.clone(), reason }
    }
}

/// All instances, sorted by what can become of them.
#[derive(Default)]
pub(crate) struct Preparation {
    pub(crate) ready: Vec<Prepared>,
    pub(crate) refused: Vec<Obstacle>,
    pub(crate) faults: Vec<Obstacle>,
    pub(crate) warnings: Vec<String>,
}

/// Where something is configured, for people: `kiln.yaml:12:3: receivers.spark`.
pub(crate) struct Place<'a> {
    pub(crate) config: &'a Path,
    pub(crate) instance: &'a Instance,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, instance } = self;
        write!(f, "{}:{}: {}s.{}", config.display(), instance.at, instance.role, instance.id)
    }
}

/// Finds each instance's plugin, checks its settings against the manifest and its grants against the requests.
pub(crate) fn prepare(path: &Path, config: &Config, plugins: &Plugins) -> Preparation {
    let mut preparation = Preparation::default();
    for instance in &config.instances {
        let place = Place { config: path, instance };
        match find(&place, config, plugins) {
            Ok(file) => preparation.check(&place, config, file),
            Err(Missing::Refused(reason)) => preparation.refused.push(Obstacle::of(instance, reason)),
            Err(Missing::Unknown(reason)) => preparation.faults.push(Obstacle::of(instance, reason)),
        }
    }
    for refused in plugins.directory.refused() {
        preparation.warnings.push(format!("{}: {}; ignored", refused.path.display(), refused.error));
    }
    preparation
}

/// Whether the operator's rules let this file run; by whom it is signed, if they ask. The one gate for every way a plugin
/// can come to run.
pub(crate) fn check_file(file: &ComponentFile, config: &Config) -> Result<Option<ValidSignature>, NotAllowed> {
    config.policy.rules.check(&file.for_rules())
}

enum Missing {
    /// There is a file that ought to be it.
    Refused(String),
    /// There is nothing of that name.
    Unknown(String),
}

fn find<'d>(place: &Place<'_>, config: &Config, plugins: &'d Plugins) -> Result<&'d Arc<ComponentFile>, Missing> {
    let (name, version) = match &place.instance.plugin {
        PluginReference::Named { name, version } => (name.as_str(), version.as_deref()),
        PluginReference::Fetched { digest, .. } => {
            let fetched = plugins.fetched(digest);
            return fetched.map_err(|reason| {
                Missing::Refused(format!("{place}: the plugin `{}` {reason}", place.instance.plugin))
            });
        }
    };
    let directory = &plugins.directory;
    let in_directory = config.plugins_dir.display();
    let missing = match directory.find(name, version) {
        Ok(file) => return Ok(file),
        Err(missing) => missing,
    };
    let choices = |versions: &[String]| {
        let choices: Vec<_> = versions.iter().map(|version| format!("`plugin: {name}@{}`", Visible(version))).collect();
        choices.join(" or ")
    };
    match missing {
        NotFound::Ambiguous(versions) => {
            let choices = choices(&versions);
            return Err(Missing::Refused(format!(
                "{place}: {in_directory} holds several versions of the plugin `{name}`: choose with {choices}, or remove what is \
                 not to run"
            )));
        }
        NotFound::Version(versions) => {
            let choices = choices(&versions);
            return Err(Missing::Unknown(format!(
                "{place}: there is no version {} of the plugin `{name}` in {in_directory}; there is {choices}",
                Visible(version.unwrap_or_default())
            )));
        }
        NotFound::Name => {}
    }
    let of_that_name =
        directory.refused().iter().find(|refused| refused.path.file_stem().is_some_and(|stem| stem == name));
    if let Some(refused) = of_that_name {
        return Err(Missing::Refused(format!("{place}: {} {}", refused.path.display(), refused.error)));
    }
    let mut names: Vec<_> = directory.plugins().map(|(_, file)| file.manifest.name.to_string()).collect();
    names.dedup();
    let there = if names.is_empty() { "it holds none".to_owned() } else { format!("it holds {}", names.join(", ")) };
    Err(Missing::Unknown(format!("{place}: there is no plugin `{name}` in {in_directory}; {there}")))
}

impl Preparation {
    /// Has every secret of the configuration kept out of what Kiln says, for as long as it runs: one that was replaced by
    /// a reload may be good still.
    pub(crate) fn protect_secrets(&self, config: &Config, redaction: &Redaction) {
        for secret in self.ready.iter().flat_map(|prepared| prepared.settings.secrets.values()) {
            redaction.protect_for_good(secret.expose());
        }
        let secrets = config.exporters.iter().flat_map(|exporter| exporter.kind.secrets());
        secrets.for_each(|secret| redaction.protect_for_good(&secret));
    }

    fn check(&mut self, place: &Place<'_>, config: &Config, file: &Arc<ComponentFile>) {
        let instance = place.instance;
        let manifest = &file.manifest;
        let signature = match check_file(file, config) {
            Ok(signature) => signature,
            Err(not_allowed) => {
                self.refused.push(Obstacle::of(instance, format!("{place}: {not_allowed}")));
                return;
            }
        };
        let kind_fits = matches!(
            (instance.role, manifest.kind),
            (Role::Receiver, PluginKind::Receiver) | (Role::Processor, PluginKind::Processor)
        );
        if !kind_fits {
            let kind = manifest.kind.name();
            let reason = format!("{place}: plugin `{}` is a {kind}; move it to `{kind}s`", manifest.name);
            self.faults.push(Obstacle::of(instance, reason));
            return;
        }
        let settings = match instance.body.settings(&manifest.config) {
            Ok(settings) => settings,
            Err(errors) => {
                let reason = errors.to_string().trim_end().to_owned();
                self.faults.push(Obstacle::of(instance, reason));
                return;
            }
        };
        let explicit_grants = config.policy.explicit_grants;
        match Policy::resolve(manifest, &instance.grants, explicit_grants, |field| settings.setting(field)) {
            Ok(policy) => {
                for origin in policy.unused_grants() {
                    self.warnings
                        .push(format!("{place}: grants {origin}, which plugin `{}` does not request", manifest.name));
                }
                let others = policy.unused_files().iter().map(ToString::to_string);
                for other in others.chain(policy.unused_env().iter().map(ToString::to_string)) {
                    self.warnings
                        .push(format!("{place}: grants {other}, which plugin `{}` does not request", manifest.name));
                }
                let policy = Arc::new(policy);
                self.ready.push(Prepared {
                    instance: instance.clone(),
                    file: Arc::clone(file),
                    settings,
                    policy,
                    signature,
                    proxy: config.policy.proxy.clone(),
                });
            }
            Err(errors) => {
                let (faults, refusals): (Vec<_>, Vec<_>) = errors.into_iter().partition(PolicyError::is_fault);
                for fault in faults {
                    self.faults.push(Obstacle::of(instance, format!("{place}: {fault}")));
                }
                if !refusals.is_empty() {
                    let reasons: Vec<_> = refusals.iter().map(ToString::to_string).collect();
                    let reason = format!("{place}: plugin `{}` {}", manifest.name, reasons.join("\n  and "));
                    self.refused.push(Obstacle::of(instance, reason));
                }
            }
        }
    }
}
