//! SCIM: who is asking, and who else there is.
//!
//! Source: `databricks/sdk/service/iam.py` (`UsersV2API.list` and the like) of databricks-sdk 0.156.0 and RFC
//! 7644, section 3.4.2: `startIndex` counts from 1; `totalResults` counts what the filter lets through, not
//! what is on the page; `id` is always returned. Which filters Databricks takes is told there only as "`eq`,
//! `co`, `sw`, `ne` ... simple expressions": one comparison is simulated, and everything else refused.
//!
//! Some servers ignore a filter they do not understand; a scene can say that this one ignores all of them.

use super::super::shared::Shared;
use super::super::world::{Group, Scene, ServicePrincipal, User};
use super::query::Query;
use super::{Answer, ApiError, Json};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

/// `userName` of whoever holds the workspace's token.
pub(super) const CALLER: &str = "kiln@example.com";

/// The most that is listed at once: what the official client asks for.
const MAX_PAGE: usize = 10_000;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.0/preview/scim/v2/Me", get(me))
        .route("/api/2.0/preview/scim/v2/Users", get(users))
        .route("/api/2.0/preview/scim/v2/Groups", get(groups))
        .route("/api/2.0/preview/scim/v2/ServicePrincipals", get(service_principals))
}

async fn me() -> Json {
    Json(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "7184019284501",
        "userName": CALLER,
        "displayName": "Kiln",
        "active": true,
        "emails": [{ "type": "work", "value": CALLER, "primary": true }],
        "groups": [{ "display": "users", "value": "3", "type": "direct", "$ref": "Groups/3" }],
    }))
}

async fn users(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let groups_of = |scene: &Scene, id: &str| -> Vec<Value> {
        let groups = scene.groups.iter().filter(|group| group.members.iter().any(|member| member == id));
        groups.map(|group| json!({ "display": group.name, "value": group.id, "type": "direct" })).collect()
    };
    list(&shared, &uri, |scene| {
        let body = |user: &User| {
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "id": user.id,
                "userName": user.name,
                "displayName": user.name.split('@').next().unwrap_or_default(),
                "active": user.active,
                "emails": [{ "type": "work", "value": user.name, "primary": true }],
                "groups": groups_of(scene, &user.id),
            })
        };
        scene.users.iter().map(body).collect()
    })
}

async fn groups(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    list(&shared, &uri, |scene| {
        let body = |group: &Group| {
            let member = |id: &String| json!({ "value": id, "$ref": format!("Users/{id}"), "display": id });
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "id": group.id,
                "displayName": group.name,
                "members": group.members.iter().map(member).collect::<Vec<Value>>(),
                "meta": { "resourceType": "Group" },
            })
        };
        scene.groups.iter().map(body).collect()
    })
}

async fn service_principals(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    list(&shared, &uri, |scene| {
        let body = |principal: &ServicePrincipal| {
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"],
                "id": principal.id,
                "applicationId": principal.application_id,
                "displayName": principal.name,
                "active": principal.active,
            })
        };
        scene.service_principals.iter().map(body).collect()
    })
}

fn list(shared: &Shared, uri: &Uri, bodies: impl FnOnce(&Scene) -> Vec<Value>) -> Answer {
    let query = Query::of(uri);
    for unsupported in ["sortBy", "sortOrder"] {
        if query.text(unsupported).is_some() {
            let message = format!("{unsupported} is not simulated");
            return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message));
        }
    }
    // RFC 7644: what is less than 1 counts as 1, a negative count as 0.
    let start = query.number::<i64>("startIndex")?.unwrap_or(1).max(1);
    let count = query.number::<i64>("count")?.unwrap_or(100).max(0);
    let filter = query.text("filter").map(Filter::read).transpose()?;
    let (mut bodies, ignores_filters) =
        shared.read(|state| (bodies(state.world.scene()), state.world.scene().scim_ignores_filters));
    if let Some(filter) = filter.filter(|_| !ignores_filters) {
        bodies.retain(|body| filter.lets_through(body));
    }
    let total = bodies.len();
    let first = usize::try_from(start - 1).unwrap_or(usize::MAX);
    let count = usize::try_from(count).unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let mut page: Vec<Value> = bodies.into_iter().skip(first).take(count).collect();
    for body in &mut page {
        show_only(body, query.text("attributes"), query.text("excludedAttributes"));
    }
    Ok(Json(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": page.len(),
        "Resources": page,
    })))
}

fn show_only(body: &mut Value, wanted: Option<&str>, unwanted: Option<&str>) {
    let names = |list: &str| list.split(',').map(|name| name.trim().to_lowercase()).collect::<Vec<_>>();
    let (wanted, unwanted) = (wanted.map(names), unwanted.map(names).unwrap_or_default());
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| {
            let name = name.to_lowercase();
            name == "id" || (wanted.as_ref().is_none_or(|wanted| wanted.contains(&name)) && !unwanted.contains(&name))
        });
    }
}

/// `attribute operator value`.
struct Filter {
    attribute: String,
    operator: String,
    value: Value,
}

impl Filter {
    fn read(text: &str) -> Result<Self, ApiError> {
        let refused = || {
            let message = format!("Given filter operator is not supported: {text}");
            ApiError::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
        };
        let mut words = text.splitn(3, ' ');
        let (Some(attribute), Some(operator), Some(value)) = (words.next(), words.next(), words.next()) else {
            return Err(refused());
        };
        let operator = operator.to_lowercase();
        if !["eq", "ne", "co", "sw"].contains(&operator.as_str()) {
            return Err(refused());
        }
        let value = serde_json::from_str(value).map_err(|_| refused())?;
        Ok(Self { attribute: attribute.to_lowercase(), operator, value })
    }

    fn lets_through(&self, body: &Value) -> bool {
        let fields = body.as_object().into_iter().flatten();
        let field = fields.filter(|(name, _)| name.to_lowercase() == self.attribute).map(|(_, value)| value).next();
        let lower = |value: &Value| value.as_str().map(str::to_lowercase);
        let (have, want) = (field.and_then(lower), lower(&self.value));
        let equal = field == Some(&self.value) || (have.is_some() && have == want);
        match (self.operator.as_str(), have, want) {
            ("eq", ..) => equal,
            ("ne", ..) => !equal,
            ("co", Some(have), Some(want)) => have.contains(&want),
            ("sw", Some(have), Some(want)) => have.starts_with(&want),
            _ => false,
        }
    }
}
