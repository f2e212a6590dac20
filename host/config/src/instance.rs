//! Instances of plugins: the entries of `receivers` and `processors`.
//!
//! The keys of the host are read here; all others belong to the plugin and wait in a [`PluginBody`] until its
//! manifest is known.

use std::fmt;
use std::time::Duration;

use kiln_policy::Grants;

use crate::component_id::ComponentId;
use crate::document::{Content, Entry, Node};
use crate::error::{Location, Problem, YamlPath};
use crate::grants;
use crate::limits::Limits;
use crate::plugin_reference::PluginReference;
use crate::reader::{Section, Value};
use crate::units::MAX_DURATION;

/// How often a receiver collects unless its configuration says otherwise.
pub const DEFAULT_COLLECTION_INTERVAL: Duration = Duration::from_secs(60);

/// How long a receiver waits before it collects for the first time, as in the Collector.
pub const DEFAULT_INITIAL_DELAY: Duration = Duration::from_secs(1);

/// How long a call of a receiver may take by default. Longer than a short interval: late beats never.
pub const DEFAULT_RECEIVER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call of a processor may take by default.
pub const DEFAULT_PROCESSOR_TIMEOUT: Duration = Duration::from_secs(5);

/// Collecting more often than this is polling, not observing.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// What an instance does in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads a source.
    Receiver,
    /// Changes what others have read.
    Processor,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
        })
    }
}

/// A plugin with one configuration.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The key under `receivers` or `processors`; unique within its role.
    pub id: ComponentId,
    /// Which of the two sections it stands in.
    pub role: Role,
    /// The plugin that runs.
    pub plugin: PluginReference,
    /// Time from the start of one collection to the start of the next; of no meaning for processors.
    pub collection_interval: Duration,
    /// Time before the first collection; of no meaning for processors.
    pub initial_delay: Duration,
    /// Whether it collects once more when Kiln stops; of no meaning for processors.
    pub final_collection: bool,
    /// How long one call may take on the clock on the wall.
    pub timeout: Duration,
    /// What it may use up.
    pub limits: Limits,
    /// What it is given beyond what its own settings imply.
    pub grants: Grants,
    /// The plugin's own keys.
    pub body: PluginBody,
    /// Where it is configured.
    pub at: Location,
}

/// The keys of an instance that belong to its plugin, not yet checked.
///
/// [`PluginBody::settings`] checks them. They may hold secrets, so they cannot be looked at before.
#[derive(Clone)]
pub struct PluginBody {
    pub(crate) file: String,
    pub(crate) path: YamlPath,
    /// Always a mapping.
    pub(crate) node: Node,
}

impl fmt::Debug for PluginBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginBody").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The keys of the host, which no plugin can have for itself.
pub(crate) const HOST_KEYS: [&str; 7] =
    ["collection_interval", "final_collection", "grants", "initial_delay", "limits", "plugin", "timeout"];

impl Instance {
    /// Reads one entry; `None` if it cannot be told which plugin it is for.
    pub(crate) fn read(file: &str, id: ComponentId, role: Role, entry: &Entry, value: &Value<'_>) -> Option<Self> {
        let mut section = value.section();
        let plugin = plugin_reference(&id, entry, value, &mut section);
        let limits = Limits::read(section.section("limits"));
        let grants = section.get("grants").map(|grants| grants::read(file, &grants)).unwrap_or_default();
        let collection_interval =
            schedule_key(&mut section, role, "collection_interval", SHORTEST_INTERVAL, DEFAULT_COLLECTION_INTERVAL);
        let initial_delay = schedule_key(&mut section, role, "initial_delay", Duration::ZERO, DEFAULT_INITIAL_DELAY);
        let final_collection = schedule_value(&mut section, role, "final_collection")
            .and_then(|value| value.boolean())
            .unwrap_or_default();
        let default_timeout = match role {
            Role::Receiver => DEFAULT_RECEIVER_TIMEOUT,
            Role::Processor => DEFAULT_PROCESSOR_TIMEOUT,
        };
        let timeout = section
            .get("timeout")
            .and_then(|timeout| timeout.duration(Duration::from_millis(1)..=MAX_DURATION))
            .unwrap_or(default_timeout);
        section.unsupported(
            "credentials",
            "this version knows no `credentials`; the plugin's own settings, such as `token`, hold them",
        );
        let body = PluginBody {
            file: file.to_owned(),
            path: value.path.clone(),
            node: Node { at: entry.key_at, content: Content::Mapping(section.rest().cloned().collect()) },
        };
        Some(Self {
            id,
            role,
            plugin: plugin?,
            collection_interval,
            initial_delay,
            final_collection,
            timeout,
            limits,
            grants,
            body,
            at: entry.key_at,
        })
    }
}

fn plugin_reference(
    id: &ComponentId,
    entry: &Entry,
    value: &Value<'_>,
    section: &mut Section<'_>,
) -> Option<PluginReference> {
    let (text, at, path) = match section.get("plugin") {
        Some(plugin) => (plugin.text()?, plugin.node.at, plugin.path.clone()),
        None => (id.kind(), entry.key_at, value.path.clone()),
    };
    match text.parse() {
        Ok(reference) => Some(reference),
        Err(error) => {
            value.report.error(at, &path, Problem::PluginReference(error));
            None
        }
    }
}

fn schedule_key(
    section: &mut Section<'_>,
    role: Role,
    key: &'static str,
    shortest: Duration,
    default: Duration,
) -> Duration {
    schedule_value(section, role, key).and_then(|value| value.duration(shortest..=MAX_DURATION)).unwrap_or(default)
}

/// The value of a key that only receivers have.
fn schedule_value<'v>(section: &mut Section<'v>, role: Role, key: &'static str) -> Option<Value<'v>> {
    let value = section.get(key)?;
    if role == Role::Processor {
        value.error(Problem::Unsupported("only receivers run on a schedule; remove the key"));
        return None;
    }
    Some(value)
}
