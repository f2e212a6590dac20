//! `policy`: how grants are decided, and which plugin files may run.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_policy::{Digest, ListedPlugins, PluginName, PluginRule, PluginRules, ProxyRule, SigningKey};

use crate::document::Content;
use crate::error::Problem;
use crate::reader::{Section, Value};

/// How grants are decided, and which plugin files may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// Whether every grant must be spelled out, so that settings such as `host` imply none.
    pub explicit_grants: bool,
    /// Which plugin files may run.
    pub rules: PluginRules,
    /// Through which proxy requests of plugins go.
    pub proxy: ProxyRule,
}

impl PolicySettings {
    /// `file` is the name of the configuration.
    pub(crate) fn read(file: &Arc<str>, mut section: Section<'_>) -> Self {
        let mut switch = |key| section.get(key).and_then(|value| value.boolean()).unwrap_or_default();
        let explicit_grants = switch("explicit_grants");
        let require_digest = switch("require_digest");
        let require_signature = switch("require_signature");
        let signing_keys = keys(&mut section).unwrap_or_default();
        let proxy = section.get("proxy").and_then(|value| value.parsed_with("proxy", str::parse)).unwrap_or_default();
        let plugins = section.get_or_null("plugins").map(|value| listed(file, &value));
        section.finish();
        let rules = PluginRules { plugins, signing_keys, require_digest, require_signature };
        Self { explicit_grants, rules, proxy }
    }
}

/// A list of plugins; nothing in its place would look like a list that allows none and be no list at all.
fn listed(file: &Arc<str>, value: &Value<'_>) -> ListedPlugins {
    if matches!(value.node.content, Content::Null) {
        value.error(Problem::Empty);
    }
    let mut rules = BTreeMap::new();
    for (entry, value) in value.section().entries() {
        let Ok(name) = PluginName::try_from(entry.key.clone()) else {
            let problem = Problem::Unsupported(
                "must be the name of a plugin: lower-case letters, digits and `-`, not an instance",
            );
            value.report.error(entry.key_at, &value.path, problem);
            continue;
        };
        let mut section = value.section();
        let digests = parsed_list(&mut section, "digests", "digest", |text| text.parse::<Digest>());
        let signing_keys = keys(&mut section);
        section.finish();
        let written = entry.key_at.in_file(file, &value.path);
        rules.insert(name, PluginRule { digests, signing_keys, written });
    }
    ListedPlugins { rules, written: value.node.at.in_file(file, &value.path) }
}

fn keys(section: &mut Section<'_>) -> Option<Vec<SigningKey>> {
    parsed_list(section, "signing_keys", "minisign public key", |text| text.parse())
}

/// A list with at least one item; what cannot be read is reported and left out.
fn parsed_list<T, E: std::fmt::Display>(
    section: &mut Section<'_>,
    key: &'static str,
    what: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<Vec<T>> {
    let value = section.get(key)?;
    let items = value.list()?;
    if items.is_empty() {
        value.error(Problem::EmptyList(what));
    }
    Some(items.iter().filter_map(|item| item.parsed_with(what, &parse)).collect())
}
