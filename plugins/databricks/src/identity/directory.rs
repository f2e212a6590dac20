//! Users and groups, through SCIM (RFC 7644).
//!
//! `GET /api/2.0/preview/scim/v2/{Users,Groups}` (databricks-sdk, `UsersV2API.list`, `GroupsV2API.list`). A list says how
//! long it is, so one resource is asked for and its `totalResults` is read: nobody's name leaves the workspace. How many
//! users are active is asked for with a filter. A server that does not know it answers 400 or ignores it; then the users
//! are paged through, of each of which only `id` and `active` are asked for.
//!
//! A list is read to its end or not used. Its end is an empty page, a page without anyone new, or `totalResults`; the
//! number of pages and of what is kept is bounded, and work beyond the patience of the [`Api`] is given up.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::api::{Api, ApiError, count, encode, lenient};
use crate::telemetry;

const USERS: &str = "/api/2.0/preview/scim/v2/Users";
const GROUPS: &str = "/api/2.0/preview/scim/v2/Groups";

/// Resources asked for at once.
const PER_PAGE: usize = 100;
/// A workspace has 10,000 users and 5,000 groups at most.
const MAX_PAGES: usize = 500;
/// Groups that have a point of their own.
const MAX_GROUPS: usize = 5_000;

/// How many users there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Users {
    active: i64,
    inactive: i64,
}

/// How many groups there are, and members in each, if that was asked for.
#[derive(Debug)]
pub(crate) struct Groups {
    total: i64,
    /// By display name. Groups that share one share a point.
    members: BTreeMap<String, i64>,
}

/// A page of a list. Names are those of RFC 7644 §3.4.2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListResponse {
    #[serde(default, deserialize_with = "lenient::number")]
    total_results: Option<i64>,
    #[serde(default, rename = "Resources")]
    resources: lenient::Items<Resource>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Option<String>,
    /// A user is active unless it says otherwise.
    #[serde(default = "yes", deserialize_with = "lenient::flag")]
    active: bool,
    #[serde(default, deserialize_with = "lenient::text")]
    display_name: Option<String>,
    #[serde(default)]
    members: lenient::Items<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {}

const fn yes() -> bool {
    true
}

impl ListResponse {
    /// How many there are in all. A page that holds more than that makes no sense.
    fn total(&self) -> Option<i64> {
        self.total_results.filter(|total| *total >= count(self.resources.items.len()))
    }
}

impl Users {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let total = ask(api, USERS, "id")?.total();
        match (total, Self::read_filtered(api, true)?) {
            (Some(total), Some(active)) if active < total => {
                return Ok(Self { active, inactive: total.saturating_sub(active) });
            }
            // Either all are active or the filter is ignored, and one that is not ignored finds nobody inactive.
            (Some(total), Some(active)) if active == total && Self::read_filtered(api, false)? == Some(0) => {
                return Ok(Self { active, inactive: 0 });
            }
            _ => {}
        }
        Self::read_all(api)
    }

    /// How many are active, or how many are not, if the server knows the filter.
    fn read_filtered(api: &mut Api<'_>, active: bool) -> Result<Option<i64>, ApiError> {
        let filter = encode(if active { "active eq true" } else { "active eq false" });
        let path = format!("{USERS}?count=1&attributes={}&filter={filter}", encode("id,active"));
        let answer: ListResponse = match api.get_json(&path) {
            Ok(answer) => answer,
            Err(error) if error.status() == Some(400) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_filtered = answer.resources.items.iter().all(|user| user.active == active);
        Ok(answer.total().filter(|_| is_filtered))
    }

    fn read_all(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let mut users = Self { active: 0, inactive: 0 };
        each(api, USERS, "id,active", |user| {
            let status = if user.active { &mut users.active } else { &mut users.inactive };
            *status = status.saturating_add(1);
        })?;
        Ok(users)
    }

    pub(crate) fn add_to(self, metrics: &mut telemetry::Metrics) {
        for (user_status, count) in [("active", self.active), ("inactive", self.inactive)] {
            metrics.databricks_users_count(&telemetry::DatabricksUsersCount { user_status }, count);
        }
    }
}

impl Groups {
    pub(crate) fn read(api: &mut Api<'_>, with_members: bool) -> Result<Self, ApiError> {
        if !with_members && let Some(total) = ask(api, GROUPS, "id")?.total() {
            return Ok(Self { total, members: BTreeMap::new() });
        }
        let mut groups = Self { total: 0, members: BTreeMap::new() };
        let attributes = if with_members { "id,displayName,members" } else { "id" };
        each(api, GROUPS, attributes, |group| {
            groups.total = groups.total.saturating_add(1);
            let Some(name) = group.display_name.filter(|_| with_members) else { return };
            if groups.members.len() < MAX_GROUPS || groups.members.contains_key(&name) {
                let members = groups.members.entry(name).or_default();
                *members = members.saturating_add(count(group.members.items.len()));
            }
        })?;
        Ok(groups)
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        metrics.databricks_groups_count(self.total);
        for (group_name, members) in &self.members {
            metrics.databricks_groups_members(&telemetry::DatabricksGroupsMembers { group_name }, *members);
        }
    }
}

/// Asks for one resource, and so for how many there are.
fn ask(api: &mut Api<'_>, path: &str, attributes: &str) -> Result<ListResponse, ApiError> {
    api.get_json(&format!("{path}?count=1&attributes={}", encode(attributes)))
}

/// Shows every resource of a list to `visit`, each once.
fn each(api: &mut Api<'_>, path: &str, attributes: &str, mut visit: impl FnMut(Resource)) -> Result<(), ApiError> {
    let attributes = encode(attributes);
    let mut seen = BTreeSet::new();
    let mut start = 1_usize;
    for _ in 0..MAX_PAGES {
        let page: ListResponse =
            api.get_json(&format!("{path}?startIndex={start}&count={PER_PAGE}&attributes={attributes}"))?;
        api.pass_over(path, page.resources.odd);
        let shown = page.resources.items.len().saturating_add(page.resources.odd);
        start = start.saturating_add(shown);
        let before = seen.len();
        let (mut nameless, total) = (false, page.total_results);
        for resource in page.resources.items {
            match &resource.id {
                Some(id) if !seen.insert(id.clone()) => {}
                Some(_) => visit(resource),
                None => {
                    nameless = true;
                    visit(resource);
                }
            }
        }
        let has_news = seen.len() > before || nameless;
        let is_last = total.is_some_and(|total| count(start) > total);
        if shown == 0 || is_last || !has_news {
            return Ok(());
        }
        if api.is_out_of_time() {
            return Err(ApiError::OutOfTime(path.to_owned()));
        }
    }
    Err(ApiError::Endless(path.to_owned()))
}
