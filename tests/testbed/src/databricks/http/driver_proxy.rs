//! The proxy that leads to web servers on the drivers of clusters.
//!
//! `GET /driver-proxy-api/o/{workspace}/{cluster}/{port}/{path}` is not part of the documented API; that it leads to the UI
//! of Spark with the credential of the API is known from the scripts of others. What it answers where it leads nowhere is
//! not documented either and was chosen: 404 for a cluster nobody knows, 400 for one that is not up, and 502 with a page
//! of HTML where nothing answers on the driver, as long as it starts.

use super::super::shared::Shared;
use super::ApiError;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::sync::{Arc, Once};

pub(super) const PREFIX: &str = "/driver-proxy-api/";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/driver-proxy-api/o/{workspace}/{cluster}/{port}/{*path}", get(forward))
}

async fn forward(
    State(shared): State<Arc<Shared>>,
    Path((_workspace, cluster, port, path)): Path<(String, String, u16, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (found, driver) = shared.read(|state| {
        let found = state.world.with_clusters(state.world.now(), |clusters| {
            let all = (0..clusters.len()).filter_map(|position| clusters.get(position));
            all.into_iter().find(|found| found.cluster_id == cluster).map(|found| found.state)
        });
        (found, state.drivers.get(&(cluster.clone(), port)).cloned())
    });
    match found.as_deref() {
        None => {
            let message = format!("Cluster {cluster} does not exist");
            return Err(ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message));
        }
        Some("TERMINATING" | "TERMINATED" | "ERROR" | "UNKNOWN") => {
            let message = format!("Cluster {cluster} is in unexpected state");
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "INVALID_STATE", message));
        }
        Some(_) => {}
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let Some(driver) = driver else { return Ok(bad_gateway()) };
    let Some(client) = client() else { return Ok(bad_gateway()) };
    let Ok(answer) = client.get(format!("{driver}/{path}{query}")).send().await else { return Ok(bad_gateway()) };
    let status = answer.status();
    let content_type = answer.headers().get(CONTENT_TYPE).cloned();
    let Ok(body) = answer.bytes().await else { return Ok(bad_gateway()) };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().extend(content_type.map(|value| (CONTENT_TYPE, value)));
    Ok(response)
}

fn client() -> Option<reqwest::Client> {
    static PROVIDER: Once = Once::new();
    // Built without a TLS provider; plain HTTP still wants one installed. Somebody else may have done so.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.pool_max_idle_per_host(0).build().ok()
}

fn bad_gateway() -> Response {
    (StatusCode::BAD_GATEWAY, Html("<html><body><h1>502 Bad Gateway</h1></body></html>")).into_response()
}
