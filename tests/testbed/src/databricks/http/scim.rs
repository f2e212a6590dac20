//! SCIM: who is asking.
//!
//! Source: `databricks/sdk/service/iam.py` (`User`) of databricks-sdk 0.156.0.

use super::super::shared::Shared;
use super::Json;
use axum::Router;
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/2.0/preview/scim/v2/Me", get(me))
}

async fn me() -> Json {
    Json(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "7184019284501",
        "userName": "kiln@example.com",
        "displayName": "Kiln",
        "active": true,
        "emails": [{ "type": "work", "value": "kiln@example.com", "primary": true }],
        "groups": [{ "display": "users", "value": "3", "type": "direct", "$ref": "Groups/3" }],
    }))
}
