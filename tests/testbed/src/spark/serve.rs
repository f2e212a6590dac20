//! How Spark's UI port answers, as observed on Spark 3.5.9 and 4.1.4.
//!
//! The port is not a plain file server: while the driver starts, every path first answers 200 with an HTML
//! sentence, then 404, then some paths hang; a metrics path that is not configured redirects to the HTML page
//! `/jobs/` or is 404, depending on whether the executors' page exists. Each of these is here because a
//! receiver that trusts the status alone gets it wrong. `spark/README.md` says how it was observed.

use super::{Fault, Phase, Prometheus, Shared, State as SparkState, executors, select};
use crate::broken_off::{End, broken_off};
use crate::request::Request as Record;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const HTML: &str = "text/html;charset=utf-8";
const JETTY_HTML: &str = "text/html;charset=iso-8859-1";
const STARTING_UP: &str = "Spark is starting up. Please wait a while until it's ready.";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let record = Record::new(&head.method, &head.uri, &head.headers);
    let (path, query) = (record.path.clone(), record.query.clone());
    shared.record(record);
    let fault = shared.faults.take(&path);
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Slow { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        _ => {}
    }
    let reply = loop {
        // Subscribed before the state is read: a change in between must end the wait below.
        let mut changes = shared.changes.subscribe();
        match shared.state.read(|state| decide(state, &path, &query, &head.headers)) {
            Some(reply) => break reply,
            // Attaching: the request hangs until Spark has got further.
            None => {
                let _ = changes.changed().await;
            }
        }
    };
    if head.method != Method::GET && head.method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    answer_with(fault.as_ref(), reply, &path, &head.headers).await
}

/// The answer, as a fault makes it.
async fn answer_with(fault: Option<&Fault>, reply: Reply, path: &str, asked: &HeaderMap) -> Response {
    // Compressed, half of a page would be no page.
    let plain = HeaderMap::new();
    match fault {
        Some(Fault::CutBody) => broken_off(reply.into_response(&plain), usize::MAX, End::Cut).await,
        Some(Fault::EndlessBody) => broken_off(reply.into_response(&plain), usize::MAX, End::Never).await,
        Some(Fault::HalfPage) => {
            let half = reply.body.len() / 2;
            Reply { body: reply.body.into_iter().take(half).collect(), ..Reply::page(reply.content_type, b"") }
                .into_response(asked)
        }
        Some(Fault::Html) => Reply::page(HTML, JOBS_PAGE.as_bytes()).into_response(asked),
        Some(Fault::NotAcceptable) => {
            Reply { status: StatusCode::NOT_ACCEPTABLE, ..Reply::not_found(path, JERSEY) }.into_response(asked)
        }
        Some(Fault::RedirectToJobs) => Reply::redirect(absolute(asked, "/jobs/")).into_response(asked),
        Some(Fault::NotFound) => Reply::not_found(path, JERSEY).into_response(asked),
        Some(Fault::Hang | Fault::Slow { .. }) | None => reply.into_response(asked),
    }
}

pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    location: Option<String>,
    body: Vec<u8>,
}

/// What a path answers in a state; nothing while it would hang.
fn decide(state: &SparkState, path: &str, query: &[(String, String)], headers: &HeaderMap) -> Option<Reply> {
    match state.phase {
        Phase::StartingUp => Some(Reply::page(HTML, STARTING_UP.as_bytes())),
        Phase::NotFound => Some(Reply::not_found(path, "-")),
        Phase::Attaching if path.starts_with("/metrics/executors") || path.starts_with("/api/") => None,
        Phase::Attaching | Phase::Ready => Some(ready(state, path, query, headers)),
    }
}

fn ready(state: &SparkState, path: &str, query: &[(String, String)], headers: &HeaderMap) -> Reply {
    let Prometheus { driver, executors } = state.prometheus;
    let page = |name: &str, content_type: &'static str| match state.pages.get(name) {
        Some(body) => Reply::page(content_type, body),
        None => Reply::not_found(path, JERSEY),
    };
    match path {
        "/jobs/" => Reply::page(HTML, JOBS_PAGE.as_bytes()),
        "/metrics/prometheus/" if driver => page("metrics_prometheus", "text/plain;charset=utf-8"),
        "/metrics/json/" => page("metrics_json", "text/json;charset=utf-8"),
        "/metrics/prometheus" if driver => to_slash(state, path, headers),
        "/metrics/json" => to_slash(state, path, headers),
        "/metrics" if executors => to_slash(state, path, headers),
        "/metrics/executors/prometheus" | "/metrics/executors/prometheus/" if executors => {
            match accepts_text(headers) {
                true => executors_page(state).unwrap_or_else(|| page("metrics_executors_prometheus", "text/plain")),
                false => Reply { status: StatusCode::NOT_ACCEPTABLE, ..Reply::not_found(path, JERSEY) },
            }
        }
        // The executors' page brings a servlet for everything under /metrics/, which knows 404; without it
        // the path falls through to the UI's root.
        _ if executors && path.starts_with("/metrics/") => Reply::not_found(path, JERSEY),
        _ => match path.strip_prefix("/api/v1") {
            Some(rest) => api(state, path, rest, query),
            None => Reply::redirect(absolute(headers, "/jobs/")),
        },
    }
}

/// The page of the executors that are made up, if there are any.
fn executors_page(state: &SparkState) -> Option<Reply> {
    let made_up = state.executors?;
    let captured = std::str::from_utf8(state.pages.get("metrics_executors_prometheus")?).ok()?;
    let page = executors::prometheus(captured, made_up.count, TEN_MINUTES + made_up.since.elapsed());
    Some(Reply::page("text/plain", page.as_bytes()))
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn api(state: &SparkState, path: &str, rest: &str, query: &[(String, String)]) -> Reply {
    const JSON: &str = "application/json";
    let page = |name: &str| state.pages.get(name).map(|body| Reply::page(JSON, body));
    let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        [name @ ("applications" | "version")] => page(name),
        ["applications", id, of_application @ ..] => {
            let Some((_, name)) = state.pages.application().filter(|(known, _)| known == id) else {
                return Reply::text_not_found(format!("no such app: {id}"));
            };
            match of_application {
                ["streaming", ..] => Some(Reply::text_not_found(format!("no streaming listener attached to {name}"))),
                [] => page("app"),
                ["executors" | "allexecutors"] if state.executors.is_some() => {
                    let count = state.executors.map_or(0, |executors| executors.count);
                    let made = state.pages.get("allexecutors").and_then(|captured| executors::json(captured, count));
                    made.map(|body| Reply::page(JSON, &body))
                }
                of_application => {
                    select::page(&state.pages, of_application, query).map(|body| Reply::page(JSON, &body))
                }
            }
        }
        _ => None,
    }
    .unwrap_or_else(|| Reply::not_found(path, JERSEY))
}

/// Spark 4.3 changed both the status and the form of the address.
fn to_slash(state: &SparkState, path: &str, headers: &HeaderMap) -> Reply {
    match state.pages.version() {
        Some(version) if version >= (4, 3) => {
            Reply { status: StatusCode::MOVED_PERMANENTLY, ..Reply::redirect(format!("{path}/")) }
        }
        _ => Reply::redirect(absolute(headers, &format!("{path}/"))),
    }
}

fn absolute(headers: &HeaderMap, path: &str) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}{path}")
}

/// The executors' page is negotiated: asked for OpenMetrics or JSON alone it is 406.
fn accepts_text(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    accepted.is_empty()
        || accepted.iter().flat_map(|value| value.split(',')).any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            matches!(kind, "*/*" | "text/*" | "text/plain")
        })
}

const JERSEY: &str = "org.glassfish.jersey.servlet.ServletContainer";

/// A stand-in for the real page, which is 20 kB of HTML: what matters is that it is not metrics.
const JOBS_PAGE: &str =
    "<!DOCTYPE html><html>\n<head><title>Spark Jobs</title></head>\n<body><h3>Spark Jobs</h3></body>\n</html>";

impl Reply {
    fn page(content_type: &'static str, body: &[u8]) -> Self {
        Self { status: StatusCode::OK, content_type, location: None, body: body.to_vec() }
    }

    fn redirect(location: String) -> Self {
        Self { status: StatusCode::FOUND, content_type: "", location: Some(location), body: Vec::new() }
    }

    fn text_not_found(message: String) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::page("text/plain", message.as_bytes()) }
    }

    fn not_found(path: &str, servlet: &str) -> Self {
        let path = path.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n\
             <title>Error 404 Not Found</title>\n</head>\n<body><h2>HTTP ERROR 404 Not Found</h2>\n<table>\n\
             <tr><th>URI:</th><td>{path}</td></tr>\n<tr><th>STATUS:</th><td>404</td></tr>\n\
             <tr><th>MESSAGE:</th><td>Not Found</td></tr>\n<tr><th>SERVLET:</th><td>{servlet}</td></tr>\n\
             </table>\n\n</body>\n</html>\n"
        );
        Self { status: StatusCode::NOT_FOUND, ..Self::page(JETTY_HTML, body.as_bytes()) }
    }

    fn into_response(self, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        if let Some(Ok(location)) = self.location.map(HeaderValue::try_from) {
            headers.insert(LOCATION, location);
            return response;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        let wants_gzip =
            asked.get_all(ACCEPT_ENCODING).iter().any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
        let mut body = self.body;
        if wants_gzip && self.status == StatusCode::OK {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            if gzip.write_all(&body).is_ok()
                && let Ok(compressed) = gzip.finish()
            {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                body = compressed;
            }
        }
        *response.body_mut() = Body::from(body);
        response
    }
}

impl Shared {
    fn record(&self, request: Record) {
        self.state.update(|state| {
            if request.path.starts_with("/metrics/executors/")
                && let Some((requests, pages)) = state.next.take()
            {
                match requests.checked_sub(1) {
                    Some(left) => state.next = Some((left, pages)),
                    None => state.pages = pages,
                }
            }
            crate::request::remember(&mut state.requests, request);
        });
    }
}
