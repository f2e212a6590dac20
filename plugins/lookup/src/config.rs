//! What the operator writes.

use kiln_plugin::ConfigError;
use kiln_plugin::telemetry::AttributeValue;
use serde::Deserialize;

/// The configuration; `plugin.toml` says what the fields mean.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub(crate) path: String,
    pub(crate) from_attribute: String,
    pub(crate) column: Option<String>,
    pub(crate) attributes: Option<Vec<RawTarget>>,
    pub(crate) reload_interval_seconds: u64,
}

/// An attribute to set, as it is written.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawTarget {
    key: String,
    column: Option<String>,
    default: Option<serde_json::Value>,
    #[serde(default)]
    action: Action,
}

/// An attribute to set, and the column its value is in.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) key: String,
    pub(crate) column: String,
    pub(crate) default: Option<AttributeValue>,
    pub(crate) action: Action,
}

/// When an attribute is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Insert,
    Update,
    #[default]
    Upsert,
}

impl Action {
    pub(crate) const fn sets_absent(self) -> bool {
        matches!(self, Self::Insert | Self::Upsert)
    }

    pub(crate) const fn sets_present(self) -> bool {
        matches!(self, Self::Update | Self::Upsert)
    }
}

impl Config {
    /// The column the looked-up values are in.
    pub(crate) fn key_column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.from_attribute)
    }

    /// What is set; `None` if that is every other column of the table.
    ///
    /// # Errors
    /// A default is no value of an attribute, or a key is there twice.
    pub(crate) fn targets(&self) -> Result<Option<Vec<Target>>, ConfigError> {
        let Some(raw) = &self.attributes else { return Ok(None) };
        let mut targets: Vec<Target> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            if targets.iter().any(|target| target.key == raw.key) {
                let message = format!("`{}` is there already", raw.key);
                return Err(ConfigError::new(format!("/attributes/{index}/key"), message));
            }
            let default = raw.default.as_ref().map(AttributeValue::try_from).transpose();
            let default =
                default.map_err(|message| ConfigError::new(format!("/attributes/{index}/default"), message))?;
            let column = raw.column.as_ref().unwrap_or(&raw.key).clone();
            targets.push(Target { key: raw.key.clone(), column, default, action: raw.action });
        }
        Ok(Some(targets))
    }
}
