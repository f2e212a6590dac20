//! `grants` of an instance: handed to the policy's own types, with its errors put in their place.

use std::sync::Arc;

use kiln_policy::Grants;
use serde_json::Value as Json;
use serde_path_to_error::{Error, Segment};

use crate::document::{Content, Node, Scalar, ScalarKind};
use crate::error::Problem;
use crate::reader::Value;

/// Reads grants; whatever the policy does not accept is reported where it stands, one error per entry of a list.
///
/// `file` is the name of the configuration: every entry remembers its line.
pub(crate) fn read(file: &str, value: &Value<'_>) -> Grants {
    if !is_keyed(value) {
        return Grants::default();
    }
    let whole = match deserialize(json(value.node)) {
        Ok(grants) => return located(file, value, grants),
        Err(error) => error,
    };
    let mut found = false;
    for part in parts(value.node) {
        if let Err(error) = deserialize(part.json) {
            found = true;
            report(value, part.index, &error);
        }
    }
    if !found {
        report(value, None, &whole);
    }
    Grants::default()
}

/// Tells every entry where it is written.
fn located(file: &str, value: &Value<'_>, mut grants: Grants) -> Grants {
    let file = Arc::from(file);
    let Content::Mapping(entries) = &value.node.content else { return grants };
    for entry in entries {
        let path = value.path.key(&entry.key);
        let items = match &entry.value.content {
            Content::Sequence(items) => items.as_slice(),
            _ => &[],
        };
        let lines = items.iter().enumerate().map(|(index, item)| item.at.in_file(&file, &path.index(index)));
        match entry.key.as_str() {
            "http" => grants.http.iter_mut().zip(lines).for_each(|(grant, line)| grant.written = Some(line)),
            "files" => grants.written.files = lines.collect(),
            "env" => grants.written.env = lines.collect(),
            "state" => grants.written.state = Some(entry.value.at.in_file(&file, &path)),
            _ => {}
        }
    }
    grants
}

/// Refuses lists where mappings belong: the derived readers would take their items for fields, in order.
fn is_keyed(value: &Value<'_>) -> bool {
    let section = value.section();
    let mut keyed = section.sound;
    for (_, value) in section.entries() {
        let Content::Sequence(items) = &value.node.content else { continue };
        for (index, item) in items.iter().enumerate().filter(|(_, item)| matches!(item.content, Content::Sequence(_))) {
            let problem = Problem::WrongKind { expected: "one grant", found: item.kind() };
            value.report.error(item.at, &value.path.index(index), problem);
            keyed = false;
        }
    }
    keyed
}

fn deserialize(json: Json) -> Result<Grants, Error<serde_json::Error>> {
    serde_path_to_error::deserialize(json)
}

/// A piece of the grants that can be wrong on its own.
struct Part {
    /// Its place in the list it is in.
    index: Option<usize>,
    /// Grants with nothing but it.
    json: Json,
}

/// The grants, cut so that each part holds one thing that can be wrong.
fn parts(node: &Node) -> Vec<Part> {
    let Content::Mapping(entries) = &node.content else { return Vec::new() };
    let mut parts = Vec::new();
    for entry in entries {
        let mut part = |index, value| {
            parts.push(Part { index, json: Json::Object([(entry.key.clone(), value)].into_iter().collect()) });
        };
        match &entry.value.content {
            Content::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    part(Some(index), Json::Array(vec![json(item)]));
                }
            }
            _ => part(None, json(&entry.value)),
        }
    }
    parts
}

/// Reports an error of the part that stands at `index` in its list.
fn report(grants: &Value<'_>, index: Option<usize>, error: &Error<serde_json::Error>) {
    let mut at = grants.node.at;
    let mut node = Some(grants.node);
    let mut path = grants.path.clone();
    for (depth, segment) in error.path().iter().enumerate() {
        match (segment, node.map(|node| &node.content)) {
            (Segment::Map { key }, Some(Content::Mapping(entries))) => {
                let entry = entries.iter().find(|entry| entry.key == *key);
                at = entry.map_or(at, |entry| entry.key_at);
                node = entry.map(|entry| &entry.value);
                path = path.key(key);
            }
            (Segment::Seq { index: within }, Some(Content::Sequence(items))) => {
                // The list of a part has one item, whatever its place in the file.
                let index = index.filter(|_| depth == 1).unwrap_or(*within);
                node = items.get(index);
                at = node.map_or(at, |item| item.at);
                path = path.index(index);
            }
            _ => break,
        }
    }
    let substituted = matches!(node.map(|node| &node.content), Some(Content::Scalar(Scalar { substituted: true, .. })));
    let message =
        if substituted { "the substituted value is not accepted here".to_owned() } else { error.inner().to_string() };
    grants.report.error(at, &path, Problem::Grant(message));
}

fn json(node: &Node) -> Json {
    match &node.content {
        Content::Null | Content::Invalid => Json::Null,
        Content::Scalar(Scalar { kind: ScalarKind::Boolean(value), .. }) => Json::Bool(*value),
        Content::Scalar(Scalar { kind: ScalarKind::Number(value), .. }) => Json::Number(value.clone()),
        // No text of a grant is `true`: only a switch can mean that.
        Content::Scalar(Scalar { text, substituted: true, .. }) if text == "true" || text == "false" => {
            Json::Bool(text == "true")
        }
        Content::Scalar(Scalar { text, .. }) => Json::String(text.clone()),
        Content::Sequence(items) => Json::Array(items.iter().map(json).collect()),
        Content::Mapping(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect())
        }
    }
}
