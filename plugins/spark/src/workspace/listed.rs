//! The clusters of a workspace, as its API lists them.
//!
//! `GET /api/2.1/clusters/list` (databricks-sdk 0.156.0, `ClustersAPI.list`). Invariants: a list that could not be read to its
//! end is not used, because who is missing from it would be taken for ended; an id that could lead a request elsewhere
//! than to a cluster is not used in one.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::Host;
use kiln_plugin::http::{FetchError, with_query};
use kiln_plugin::lenient::{self, Items};
use serde::Deserialize;
use serde_json::Value;

use crate::config::{Clusters, matches};

pub(super) const PATH: &str = "/api/2.1/clusters/list";

/// A page has 100 clusters, and no workspace so many.
const MOST_PAGES: usize = 200;

/// What the list says.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Those that are wanted, each once, in the order of the list.
    pub(super) clusters: Vec<Cluster>,
    /// Id of the workspace, as the header of its answers says.
    pub(super) workspace_id: Option<String>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// Since when it is up, in milliseconds since the epoch; 0 if that is not said.
    pub(super) start: i64,
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    clusters: Items<Entry>,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(deserialize_with = "lenient::text")]
    cluster_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    cluster_name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    cluster_source: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    state: Option<String>,
    #[serde(deserialize_with = "lenient::number")]
    start_time: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    last_restarted_time: Option<i64>,
    #[serde(deserialize_with = "lenient::object")]
    custom_tags: Option<BTreeMap<String, Value>>,
    #[serde(deserialize_with = "lenient::object")]
    default_tags: Option<BTreeMap<String, Value>>,
}

impl Listed {
    /// Reads the list to its end.
    ///
    /// # Errors
    /// A page could not be read.
    pub(super) fn read(host: &Host, origin: &str, wanted: &Clusters) -> Result<Self, FetchError> {
        // In a workspace of job clusters what has ended within 30 days is tens of thousands: it is for the API to leave out.
        let mut first = with_query(&format!("{origin}{PATH}"), &[("page_size", "100")]);
        for state in &wanted.states {
            first = with_query(&first, &[("filter_by.cluster_states", state)]);
        }
        for source in &wanted.sources {
            first = with_query(&first, &[("filter_by.cluster_sources", source)]);
        }
        let (mut listed, mut seen) = (Self::default(), BTreeSet::new());
        let mut pages = host.http().pages(MOST_PAGES);
        let mut next = Some(first.clone());
        while let Some(url) = next {
            let page = pages.get(&url)?;
            let id = page.response().header("x-databricks-org-id").filter(|id| !id.is_empty());
            listed.workspace_id = id.map(str::to_owned).or(listed.workspace_id);
            let page: Page = page.json()?;
            for entry in page.clusters.items.into_iter().filter(|entry| entry.is_wanted(wanted)) {
                listed.clusters.extend(entry.cluster().filter(|cluster| seen.insert(cluster.id.clone())));
            }
            let token = page.next_page_token.filter(|token| !token.is_empty());
            next = token.map(|token| with_query(&first, &[("page_token", &token)]));
        }
        Ok(listed)
    }
}

impl Entry {
    fn is_wanted(&self, wanted: &Clusters) -> bool {
        let one_of =
            |words: &[String], word: Option<&String>| words.is_empty() || word.is_some_and(|word| words.contains(word));
        let has = |tags: &Option<BTreeMap<String, Value>>, key: &str, pattern: &str| {
            let value = tags.as_ref().and_then(|tags| tags.get(key)).and_then(Value::as_str);
            value.is_some_and(|value| matches(pattern, value))
        };
        one_of(&wanted.states, self.state.as_ref())
            && one_of(&wanted.sources, self.cluster_source.as_ref())
            && wanted.names.allow(self.cluster_name.as_deref().unwrap_or_default())
            && wanted
                .tags
                .iter()
                .all(|(key, pattern)| has(&self.custom_tags, key, pattern) || has(&self.default_tags, key, pattern))
    }

    fn cluster(self) -> Option<Cluster> {
        let is_plain = |id: &String| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !id.is_empty() && id.len() <= 128 && id.bytes().all(allowed)
        };
        let start = self.last_restarted_time.max(self.start_time).unwrap_or_default();
        Some(Cluster { id: self.cluster_id.filter(is_plain)?, name: self.cluster_name, start })
    }
}
