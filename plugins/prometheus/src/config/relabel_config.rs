//! `relabel_configs` and `metric_relabel_configs`.

use kiln_plugin::ConfigError;
use serde::Deserialize;

use crate::relabel::{Action, Pattern, Rule};

/// One entry, as Prometheus documents it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RelabelConfig {
    #[serde(default)]
    source_labels: Vec<String>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: Option<u64>,
    target_label: Option<String>,
    replacement: Option<String>,
    #[serde(default)]
    action: Name,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// # Errors
/// A rule contradicts itself, or its regular expression is none; says which.
pub(super) fn rules(place: &str, configs: Vec<RelabelConfig>) -> Result<Vec<Rule>, ConfigError> {
    let read = |(index, config): (usize, RelabelConfig)| config.rule(&format!("{place}/{index}"));
    configs.into_iter().enumerate().map(read).collect()
}

impl RelabelConfig {
    fn rule(self, place: &str) -> Result<Rule, ConfigError> {
        let by_name = matches!(self.action, Name::LabelDrop | Name::LabelKeep);
        let extra = self.separator.is_some() || self.modulus.is_some() || self.replacement.is_some();
        if by_name && (extra || !self.source_labels.is_empty() || self.target_label.is_some()) {
            return Err(ConfigError::new(place, "this action takes `regex` and nothing else"));
        }
        if matches!(self.action, Name::KeepEqual | Name::DropEqual) && (extra || self.regex.is_some()) {
            return Err(ConfigError::new(
                place,
                "this action takes `source_labels` and `target_label` and nothing else",
            ));
        }
        let target = || {
            let target = self.target_label.clone().filter(|target| !target.is_empty());
            target.ok_or_else(|| ConfigError::new(format!("{place}/target_label"), "this action needs `target_label`"))
        };
        let replacement = || self.replacement.clone().unwrap_or_else(|| "$1".to_owned());
        let action = match self.action {
            Name::Replace => Action::Replace { target: target()?, replacement: replacement() },
            Name::Keep => Action::Keep,
            Name::Drop => Action::Drop,
            Name::KeepEqual => Action::KeepEqual(target()?),
            Name::DropEqual => Action::DropEqual(target()?),
            Name::HashMod => match self.modulus {
                Some(modulus) if modulus > 0 => Action::HashMod { target: target()?, modulus },
                _ => {
                    return Err(ConfigError::new(format!("{place}/modulus"), "this action needs a `modulus` above 0"));
                }
            },
            Name::LabelMap => Action::LabelMap(replacement()),
            Name::LabelDrop => Action::LabelDrop,
            Name::LabelKeep => Action::LabelKeep,
            Name::Lowercase => Action::Lowercase(target()?),
            Name::Uppercase => Action::Uppercase(target()?),
        };
        let pattern = Pattern::parse(self.regex.as_deref().unwrap_or("(.*)"))
            .map_err(|error| ConfigError::new(format!("{place}/regex"), error.to_string()))?;
        let separator = self.separator.unwrap_or_else(|| ";".to_owned());
        Ok(Rule { sources: self.source_labels, separator, pattern, action })
    }
}
