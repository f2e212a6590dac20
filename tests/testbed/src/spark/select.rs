//! Parts of a captured list, as the REST API gives them for one id or one status.
//!
//! Invariant: an element is the captured one; nothing is computed but which.

use serde_json::Value as Json;

use super::Pages;

/// The page of a path below an application and its query; nothing if there is none.
pub(super) fn page(pages: &Pages, path: &[&str], query: &[(String, String)]) -> Option<Vec<u8>> {
    if let Some(captured) = pages.get(&path.join("_")) {
        return Some(match query {
            [] => captured.to_vec(),
            query => listed(captured, query)?,
        });
    }
    match path {
        ["jobs", id] => element(pages.get("jobs")?, &[("jobId", id)]),
        ["sql", id] => element(pages.get("sql")?, &[("id", id)]),
        // All attempts, as a list.
        ["stages", id] => matching(pages.get("stages")?, &[("stageId", id)]).filter(|page| page != b"[]"),
        ["stages", id, attempt] => element(pages.get("stages")?, &[("stageId", id), ("attemptId", attempt)]),
        _ => None,
    }
}

/// With the parameters that Spark knows for lists; the others are ignored, as Spark does.
fn listed(captured: &[u8], query: &[(String, String)]) -> Option<Vec<u8>> {
    let Ok(Json::Array(mut items)) = serde_json::from_slice(captured) else { return Some(captured.to_vec()) };
    let number = |name: &str| query.iter().find(|(known, _)| known == name)?.1.parse::<usize>().ok();
    let statuses: Vec<&str> = query.iter().filter(|(name, _)| name == "status").map(|(_, value)| &**value).collect();
    if !statuses.is_empty() {
        items.retain(|item| {
            statuses.iter().any(|status| item["status"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(status)))
        });
    }
    let skipped = items.into_iter().skip(number("offset").unwrap_or(0));
    serde_json::to_vec_pretty(&skipped.take(number("length").unwrap_or(usize::MAX)).collect::<Vec<_>>()).ok()
}

fn element(captured: &[u8], fields: &[(&str, &str)]) -> Option<Vec<u8>> {
    let items: Vec<Json> = serde_json::from_slice(captured).ok()?;
    serde_json::to_vec_pretty(items.iter().find(|item| has(item, fields))?).ok()
}

fn matching(captured: &[u8], fields: &[(&str, &str)]) -> Option<Vec<u8>> {
    let items: Vec<Json> = serde_json::from_slice(captured).ok()?;
    serde_json::to_vec_pretty(&items.iter().filter(|item| has(item, fields)).collect::<Vec<_>>()).ok()
}

fn has(item: &Json, fields: &[(&str, &str)]) -> bool {
    fields.iter().all(|(field, wanted)| wanted.parse::<u64>().is_ok_and(|wanted| item[field] == wanted))
}
