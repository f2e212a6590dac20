//! OAuth for machines: tokens for a client id and a secret, from the workspace itself and from Entra ID.
//!
//! Sources: `databricks/sdk/oauth.py` (`get_endpoints_from_url`, `ClientCredentials`, `retrieve_token`) and
//! `credentials_provider.py` (`oauth_service_principal`) of databricks-sdk 0.156.0; for Entra ID the protocol
//! is "Microsoft identity platform and the OAuth 2.0 client credentials flow", version 2.0, with the
//! application id of Azure Databricks in the scope.
//!
//! Invariant: whoever proves to be the client gets a token that [`Shared::authorizes`] until it expires by the
//! world's clock or is revoked; nobody else gets one.

use super::super::shared::Shared;
use super::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The application of Azure Databricks in every tenant of Entra ID.
const AZURE_DATABRICKS: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/.well-known/databricks-config", get(host_metadata))
        .route("/oidc/.well-known/oauth-authorization-server", get(discover))
        .route("/oidc/v1/token", post(token))
        .route("/{tenant}/oauth2/v2.0/token", post(entra_token))
}

/// Where newer clients learn where to log in (`databricks/sdk/oauth.py`, `get_host_metadata`).
async fn host_metadata(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Json {
    let host = host_of(&headers);
    Json(json!({
        "oidc_endpoint": format!("http://{host}/oidc"),
        "workspace_id": shared.org_id().to_string(),
        "cloud": "AWS",
    }))
}

fn host_of(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost")
}

async fn discover(headers: HeaderMap) -> Json {
    let host = host_of(&headers);
    Json(json!({
        "issuer": format!("http://{host}/oidc"),
        "authorization_endpoint": format!("http://{host}/oidc/v1/authorize"),
        "token_endpoint": format!("http://{host}/oidc/v1/token"),
        "jwks_uri": format!("http://{host}/oidc/jwks.json"),
        "scopes_supported": ["all-apis", "offline_access", "openid"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["client_credentials", "authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    }))
}

type Refusal = (StatusCode, Json);

fn refusal(status: StatusCode, error: &str, description: &str) -> Refusal {
    (status, Json(json!({ "error": error, "error_description": description })))
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let form = read_form(&body);
    let basic = headers.get(AUTHORIZATION).and_then(|header| read_basic(header.as_bytes()));
    let (id, secret) = basic.unwrap_or_else(|| (field(&form, "client_id"), field(&form, "client_secret")));
    if !shared.knows_client(&id, &secret) {
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed"));
    }
    expect_client_credentials(&form)?;
    if !field(&form, "scope").split(' ').any(|scope| scope == "all-apis") {
        return Err(refusal(StatusCode::BAD_REQUEST, "invalid_scope", "The requested scope is invalid"));
    }
    let mut answer = issue(&shared);
    answer["scope"] = "all-apis".into();
    Ok(Json(answer).into_response())
}

async fn entra_token(
    State(shared): State<Arc<Shared>>,
    Path(_tenant): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let form = read_form(&body);
    if !shared.knows_client(&field(&form, "client_id"), &field(&form, "client_secret")) {
        let description = "AADSTS7000215: Invalid client secret provided.";
        return Err(refusal(StatusCode::UNAUTHORIZED, "invalid_client", description));
    }
    expect_client_credentials(&form)?;
    if field(&form, "scope") != format!("{AZURE_DATABRICKS}/.default") {
        let description = "AADSTS70011: The provided value for the input parameter 'scope' is not valid.";
        return Err(refusal(StatusCode::BAD_REQUEST, "invalid_scope", description));
    }
    let mut answer = issue(&shared);
    answer["ext_expires_in"] = answer["expires_in"].clone();
    Ok(Json(answer).into_response())
}

fn expect_client_credentials(form: &HashMap<String, String>) -> Result<(), Refusal> {
    match field(form, "grant_type").as_str() {
        "client_credentials" => Ok(()),
        _ => Err(refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type", "The grant type is not supported")),
    }
}

fn issue(shared: &Shared) -> Value {
    let (token, seconds) = shared.issue_token();
    json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds })
}

fn read_form(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn field(form: &HashMap<String, String>, name: &str) -> String {
    form.get(name).cloned().unwrap_or_default()
}

fn read_basic(header: &[u8]) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix(b"Basic ")?).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
