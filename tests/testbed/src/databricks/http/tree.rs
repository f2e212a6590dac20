//! `/api/2.0/workspace/list` and `/api/2.0/dbfs/{list, get-status}`: one directory at a time, without pages.
//!
//! Sources: `databricks/sdk/service/workspace.py` (`WorkspaceAPI.list`, `ObjectInfo`) and `files.py`
//! (`DbfsAPI.list`, `get_status`, `FileInfo`) of databricks-sdk 0.156.0: the path is required; of a thing that is no
//! directory the thing itself is listed; what does not exist is `RESOURCE_DOES_NOT_EXIST`.

use super::super::shared::Shared;
use super::super::world::{DbfsFile, Object};
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.0/workspace/list", get(objects))
        .route("/api/2.0/dbfs/list", get(files))
        .route("/api/2.0/dbfs/get-status", get(file_status))
}

async fn objects(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let path = absolute(&query)?;
    let modified_after: Option<i64> = query.number("notebooks_modified_after")?;
    shared.read(|state| {
        state.world.with_objects(|tree| {
            let objects = tree.list(path).ok_or_else(|| missing(path))?;
            let shown = |object: &&&Object| {
                let of_notebook = modified_after.filter(|_| object.kind == "NOTEBOOK");
                of_notebook.is_none_or(|after| object.modified.0 >= after)
            };
            Ok(listing("objects", objects.iter().filter(shown).map(|object| object_body(object)).collect()))
        })
    })
}

async fn files(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let path = absolute(&query)?;
    shared.read(|state| {
        state.world.with_files(|tree| {
            let files = tree.list(path).ok_or_else(|| missing(path))?;
            Ok(listing("files", files.iter().map(|file| file_body(file)).collect()))
        })
    })
}

/// What the official client asks before it descends.
async fn file_status(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let path = absolute(&query)?;
    shared.read(|state| {
        state.world.with_files(|tree| {
            let file = tree.find(path).ok_or_else(|| missing(path))?;
            Ok(Json(file_body(&file)))
        })
    })
}

fn absolute(query: &Query) -> Result<&str, ApiError> {
    let path = query.text("path").ok_or_else(|| ApiError::invalid("path is required"))?;
    let path = path.strip_prefix("dbfs:").unwrap_or(path);
    match path.starts_with('/') {
        true => Ok(path),
        false => Err(ApiError::invalid(format!("Path ({path}) must be absolute."))),
    }
}

fn missing(path: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", format!("Path ({path}) doesn't exist."))
}

/// An empty directory is an empty object.
fn listing(list: &str, items: Vec<Value>) -> Json {
    match items.is_empty() {
        true => Json(json!({})),
        false => Json(json!({ list: items })),
    }
}

fn object_body(object: &Object) -> Value {
    let mut hasher = DefaultHasher::new();
    object.path.hash(&mut hasher);
    let mut body = json!({
        "object_id": hasher.finish() >> 12,
        "object_type": object.kind,
        "path": object.path,
        "created_at": object.modified,
        "modified_at": object.modified,
    });
    if let Some(language) = &object.language {
        body["language"] = language.as_str().into();
    }
    if let Some(size) = object.size {
        body["size"] = size.into();
    }
    body
}

fn file_body(file: &DbfsFile) -> Value {
    json!({
        "path": file.path,
        "is_dir": file.is_dir,
        "file_size": file.size,
        "modification_time": file.modified,
    })
}
