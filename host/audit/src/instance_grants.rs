//! What the instances of a plugin are granted, and by which line.

use kiln_config::{Config, Instance};
use kiln_policy::{Capability, ConfigLine, FilePattern, FilesRule, HttpRule, Policy};
use kiln_runtime::ComponentFile;
use serde::Serialize;

use crate::facts;

/// One instance of the plugin in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceGrants {
    /// Section and id: `receivers.databricks/prod`.
    pub instance: String,
    /// Where it is configured, for example `kiln.yaml:4:3`.
    pub written: String,
    /// What it has. Nothing if anything is refused, for then it does not run.
    pub grants: Vec<Grant>,
    /// Why it does not run, in whole sentences.
    pub refused: Vec<String>,
}

/// One thing an instance may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The interface it can call for it.
    pub capability: &'static str,
    /// What it may do.
    pub what: String,
    /// Under which conditions.
    pub conditions: Vec<String>,
    /// What grants it.
    pub by: String,
    /// Where that is written; `None` if it is a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<ConfigLine>,
}

impl InstanceGrants {
    /// The instances of the plugin in `config`, in the order of the file.
    #[must_use]
    pub fn of(file: &ComponentFile, config: &Config, config_name: &str) -> Vec<Self> {
        let instances = config
            .instances
            .iter()
            .filter(|instance| instance.plugin.means(&file.manifest.name, &file.manifest.version, &file.digest));
        instances.map(|instance| Self::of_one(file, config, config_name, instance)).collect()
    }

    fn of_one(file: &ComponentFile, config: &Config, config_name: &str, instance: &Instance) -> Self {
        let (grants, refused) = match resolve(file, config, instance) {
            Ok(policy) => (grants(instance, &policy), Vec::new()),
            Err(reasons) => (Vec::new(), reasons),
        };
        Self {
            instance: format!("{}s.{}", instance.role, instance.id),
            written: format!("{config_name}:{}", instance.at),
            grants,
            refused,
        }
    }
}

fn resolve(file: &ComponentFile, config: &Config, instance: &Instance) -> Result<Policy, Vec<String>> {
    let manifest = &file.manifest;
    let not_allowed = config.policy.rules.check(&file.for_rules()).err();
    let mut reasons: Vec<String> = not_allowed.iter().map(ToString::to_string).collect();
    let settings = match instance.body.settings(&manifest.config) {
        Ok(settings) => settings,
        Err(errors) => {
            reasons.extend(errors.iter().map(|error| format!("{}: {}", error.path(), error.message())));
            return Err(reasons);
        }
    };
    let explicit = config.policy.explicit_grants;
    match Policy::resolve(manifest, &instance.grants, explicit, |field| settings.setting(field)) {
        Ok(policy) if reasons.is_empty() => Ok(policy),
        Ok(_) => Err(reasons),
        Err(errors) => {
            reasons.extend(errors.iter().map(ToString::to_string));
            Err(reasons)
        }
    }
}

fn grants(instance: &Instance, policy: &Policy) -> Vec<Grant> {
    let mut grants: Vec<Grant> = policy.http_rules().iter().map(http).collect();
    grants.extend(policy.files().iter().map(|rule| files(instance, rule)));
    grants.extend(policy.env().iter().map(|name| Grant {
        capability: Capability::Env.name(),
        what: format!("read the environment variable {name}"),
        conditions: Vec::new(),
        by: "`grants.env` of the instance".to_owned(),
        written: instance.grants.written_env(name).cloned(),
    }));
    if policy.links(Capability::State) {
        let by = match instance.grants.state {
            Some(_) => "`grants.state` of the instance",
            None => "default: state is granted unless `policy.explicit_grants` or `grants.state: false` says otherwise",
        };
        grants.push(Grant {
            capability: Capability::State.name(),
            what: "remember from one collection to the next".to_owned(),
            conditions: vec![format!("at most {} bytes", instance.limits.state_bytes)],
            by: by.to_owned(),
            written: instance.grants.written.state.clone(),
        });
    }
    grants
}

fn files(instance: &Instance, rule: &FilesRule) -> Grant {
    let list = |paths: &[FilePattern]| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut conditions = vec!["read-only".to_owned(), format!("paths {}", list(rule.requested_paths()))];
    conditions.extend(rule.granted_paths().map(|paths| format!("and of these only {}", list(paths))));
    Grant {
        capability: Capability::Files.name(),
        what: format!("{}, which the plugin knows as {}", rule.host, rule.guest),
        conditions,
        by: "`grants.files` of the instance".to_owned(),
        written: instance.grants.written_files(&rule.guest).cloned(),
    }
}

fn http(rule: &HttpRule) -> Grant {
    let methods: Vec<_> = rule.methods.iter().map(ToString::to_string).collect();
    let list = |paths: &[kiln_policy::PathPattern]| {
        let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
        paths.join(", ")
    };
    let mut conditions = vec![format!("paths {}", list(rule.requested_paths()))];
    conditions.extend(rule.granted_paths().map(|paths| format!("and of these only {}", list(paths))));
    conditions.push(format!("addresses {}", rule.addresses));
    conditions.extend(facts::other_terms(rule));
    conditions.extend(rule.credential.iter().map(|way| format!("with {way}, which the plugin never sees")));
    let by = facts::source(&rule.source);
    Grant {
        capability: Capability::Http.name(),
        what: format!("{} {}", methods.join(", "), rule.origin),
        conditions,
        by,
        written: rule.written.clone(),
    }
}
