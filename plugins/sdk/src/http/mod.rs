//! HTTP through the host, with errors that name the path and say what was wrong with the answer.
//!
//! A status of 200 is not yet success: what is read as JSON must parse, and what is read as text must be text.

mod body;
mod paging;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::collection::CollectError;
pub use crate::bindings::http::{Error as HttpError, Header, Method, Request, Response};
use crate::imports::{Backend, Imports};
use crate::json::{self, JsonError};
use crate::prelude::*;
pub use body::{Body, Opened};
#[cfg(feature = "std")]
pub use body::{BodyReader, Broken};
pub use paging::{Pages, with_query};

/// So much of an error's body is repeated to the operator.
const EXCERPT_BYTES: usize = 200;

impl Request {
    /// A GET request.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: Method::Get, url: url.into(), headers: Vec::new(), body: None }
    }

    /// A POST request with a JSON body.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn post_json(url: impl Into<String>, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        let body = Some(serde_json::to_vec(body)?);
        let request = Self { method: Method::Post, url: url.into(), headers: Vec::new(), body };
        Ok(request.with_header("content-type", "application/json"))
    }

    /// The same request with one header more.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }
}

impl Response {
    /// The first header of this name, which is written in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
}

/// The host's HTTP client.
#[derive(Clone, Copy)]
pub struct Http<'a>(pub(crate) &'a Backend);

impl Http<'_> {
    /// Sends a request and returns whatever the server answers.
    ///
    /// # Errors
    /// No answer came, or the host would not send the request.
    pub fn send(self, request: &Request) -> Result<Response, HttpError> {
        self.0.send(request)
    }

    /// Sends requests concurrently and answers in their order.
    #[must_use]
    pub fn send_all(self, requests: &[Request]) -> Vec<Result<Response, HttpError>> {
        self.0.send_all(requests)
    }

    /// Sends a request and returns whatever the server answers as soon as its head is there. For pages that need not fit
    /// into memory: the body is read piece by piece. At most 8 may be open at once.
    ///
    /// # Errors
    /// No answer came, or the host would not send the request.
    pub fn open(self, request: &Request) -> Result<Opened, HttpError> {
        self.0.open(request)
    }

    /// Fetches a page with GET. Anything but a 2xx status is an error.
    ///
    /// # Errors
    /// No answer, or not a successful one.
    pub fn get(self, url: &str) -> Result<Page, FetchError> {
        self.fetch(&Request::get(url))
    }

    /// Sends a request. Anything but a 2xx status is an error.
    ///
    /// # Errors
    /// No answer, or not a successful one.
    pub fn fetch(self, request: &Request) -> Result<Page, FetchError> {
        page(&request.url, self.send(request))
    }

    /// Fetches pages concurrently and answers in the order of the URLs.
    #[must_use]
    pub fn get_all(self, urls: &[String]) -> Vec<Result<Page, FetchError>> {
        self.fetch_all(&urls.iter().map(Request::get).collect::<Vec<_>>())
    }

    /// Sends requests concurrently and answers in their order. Anything but a 2xx status is an error.
    #[must_use]
    pub fn fetch_all(self, requests: &[Request]) -> Vec<Result<Page, FetchError>> {
        requests.iter().zip(self.send_all(requests)).map(|(request, answer)| page(&request.url, answer)).collect()
    }

    /// Fetches JSON.
    ///
    /// # Errors
    /// No answer, not a successful one, or not the JSON that was expected.
    pub fn get_json<T: DeserializeOwned>(self, url: &str) -> Result<T, FetchError> {
        self.get(url)?.json()
    }

    /// Fetches plain text.
    ///
    /// # Errors
    /// No answer, not a successful one, or not `text/plain` in UTF-8.
    pub fn get_text(self, url: &str) -> Result<String, FetchError> {
        self.get(url)?.text()
    }
}

fn page(url: &str, response: Result<Response, HttpError>) -> Result<Page, FetchError> {
    let fail = |problem| Err(FetchError { path: path_of(url).to_owned(), problem });
    match response {
        Ok(response) if (200..300).contains(&response.status) => {
            Ok(Page { path: path_of(url).to_owned(), url: url.to_owned(), response })
        }
        Ok(response) => fail(Problem::Status { status: response.status, body: excerpt(&response.body) }),
        Err(error) => fail(Problem::Http(error)),
    }
}

/// Host, query and fragment stay out of messages: the host is configured once, and queries hold cursors.
fn path_of(url: &str) -> &str {
    // Searching for a character takes less code than searching for a text, which is in every plugin.
    let rest = url.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    let path = rest.and_then(|rest| rest.get(rest.find('/')?..)).unwrap_or("/");
    path.split(['?', '#']).next().unwrap_or("/")
}

fn excerpt(body: &[u8]) -> String {
    let head = body.get(..EXCERPT_BYTES).unwrap_or(body);
    let mut text = String::new();
    for chunk in head.utf8_chunks() {
        text.extend(chunk.valid().chars().map(|character| if character.is_control() { ' ' } else { character }));
        text.extend((!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER));
    }
    let mut text = text.trim_ascii().to_owned();
    if body.len() > EXCERPT_BYTES {
        text.push('…');
    }
    text
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Page {
    path: String,
    url: String,
    response: Response,
}

impl Page {
    /// The response as it came.
    #[must_use]
    pub const fn response(&self) -> &Response {
        &self.response
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Not JSON, or not of this shape; says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, FetchError> {
        json::from_slice(&self.response.body).map_err(|error| match self.content_type() {
            Some(found) if !found.contains("json") => self.fail(Problem::ContentType {
                expected: "JSON",
                found: found.to_owned(),
                body: excerpt(&self.response.body),
            }),
            Some(_) | None => self.fail(Problem::Json(error)),
        })
    }

    /// The body as plain text.
    ///
    /// # Errors
    /// The server calls it something else than `text/plain`, or it is not UTF-8.
    pub fn text(self) -> Result<String, FetchError> {
        match self.content_type() {
            Some(found) if !found.starts_with("text/plain") => {
                let (found, body) = (found.to_owned(), excerpt(&self.response.body));
                Err(self.fail(Problem::ContentType { expected: "text/plain", found, body }))
            }
            Some(_) | None => String::from_utf8(self.response.body)
                .map_err(|_| FetchError { path: self.path, problem: Problem::NotUtf8 }),
        }
    }

    fn content_type(&self) -> Option<&str> {
        self.response.header("content-type")
    }

    fn fail(&self, problem: Problem) -> FetchError {
        FetchError { path: self.path.clone(), problem }
    }
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FetchError {
    path: String,
    problem: Problem,
}

/// What was wrong with the answer, or why there was none.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No answer.
    #[error("{}", sentence(.0))]
    Http(HttpError),
    /// Not 2xx.
    #[error("status {status}{}{body}", separator(.body))]
    Status {
        /// Status code.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// Not what was asked for, by the server's own account.
    #[error("expected {expected}, the server sent `{found}`{}{body}", separator(.body))]
    ContentType {
        /// What was asked for.
        expected: &'static str,
        /// The value of the header.
        found: String,
        /// The beginning of the body.
        body: String,
    },
    /// Not JSON, or another shape.
    #[error("unexpected JSON: {0}")]
    Json(JsonError),
    /// Not text.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// A list leads back to a page that was read.
    #[error("the list leads to a page it has led to before")]
    PageTwice,
    /// A list is longer than the plugin reads.
    #[error("the list has more than {0} pages")]
    TooManyPages(usize),
}

const fn separator(body: &str) -> &'static str {
    if body.is_empty() { "" } else { ": " }
}

fn sentence(error: &HttpError) -> String {
    match error {
        HttpError::Denied(reason) => format!("not sent: {reason}"),
        HttpError::InvalidRequest(reason) => format!("not sent, the request is invalid: {reason}"),
        HttpError::Timeout => "no answer in time".to_owned(),
        HttpError::Connect(reason) => format!("cannot connect: {reason}"),
        HttpError::Tls(reason) => format!("no secure connection: {reason}"),
        HttpError::TooLarge(limit) => format!("the answer is larger than {limit} bytes"),
        HttpError::RateLimited(Some(seconds)) => format!("the server asks to wait {seconds} s"),
        HttpError::RateLimited(None) => "the server asks to slow down".to_owned(),
        HttpError::Cancelled => "cancelled, the host is shutting down".to_owned(),
        HttpError::Protocol(reason) => format!("the connection broke: {reason}"),
    }
}

impl FetchError {
    /// The path of the URL.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was wrong.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What is wrong, without the path.
    #[must_use]
    pub fn reason(&self) -> String {
        self.problem.to_string()
    }

    /// Whether the server refuses the credentials: 401 or 403.
    #[must_use]
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self.problem, Problem::Status { status: 401 | 403, .. })
    }
}

/// What a failed fetch means when nothing else could be read.
impl From<FetchError> for CollectError {
    fn from(error: FetchError) -> Self {
        let message = error.to_string();
        match error.problem {
            Problem::Status { status: 401 | 403, .. } => Self::Unauthorized(message),
            Problem::Status { status: 408 | 425 | 429 | 500..=599, .. } => Self::Unavailable(message),
            Problem::Status { .. }
            | Problem::ContentType { .. }
            | Problem::Json(_)
            | Problem::NotUtf8
            | Problem::PageTwice => Self::InvalidData(message),
            Problem::Http(HttpError::Denied(_) | HttpError::InvalidRequest(_) | HttpError::TooLarge(_))
            | Problem::TooManyPages(_) => Self::Failed(message),
            Problem::Http(_) => Self::Unavailable(message),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Result<Page, FetchError> {
        let headers = vec![Header { name: "content-type".to_owned(), value: content_type.to_owned() }];
        page("https://a.example/api/x?page_token=secret", Ok(Response { status, headers, body: body.into() }))
    }

    #[test]
    fn an_error_names_the_path_and_says_what_was_wrong() {
        let error = answer(403, "application/json", r#"{"error_code":"PERMISSION_DENIED"}"#).unwrap_err();
        assert_eq!(error.to_string(), r#"/api/x: status 403: {"error_code":"PERMISSION_DENIED"}"#);
        let error = answer(200, "application/json", "[1, 2,").unwrap().json::<Vec<u8>>().unwrap_err();
        assert!(error.to_string().starts_with("/api/x: unexpected JSON: "), "{error}");
        // serde_json counts what it has read, the SDK's own reader names the place as editors do.
        let column = if cfg!(feature = "std") { 6 } else { 7 };
        assert!(error.to_string().ends_with(&format!("line 1 column {column}")), "{error}");
        let error = answer(200, "text/html", "<html>").unwrap().json::<Vec<u8>>().unwrap_err();
        assert_eq!(error.to_string(), "/api/x: expected JSON, the server sent `text/html`: <html>");
        let error = answer(200, "text/html", "<html>").unwrap().text().unwrap_err();
        assert_eq!(error.to_string(), "/api/x: expected text/plain, the server sent `text/html`: <html>");
        let error = page("https://a.example", Err(HttpError::Timeout)).unwrap_err();
        assert_eq!(error.to_string(), "/: no answer in time");
    }

    #[test]
    fn a_long_body_is_cut_even_inside_a_character() {
        let error = answer(500, "text/plain", &format!("x{}", "é".repeat(200))).unwrap_err();
        let message = error.to_string();
        assert!(message.ends_with('…') && message.len() < 260, "{message}");
    }

    #[test]
    fn a_body_cannot_break_the_log_line() {
        let error = answer(500, "text/plain", "a\nb\u{1b}[31mc").unwrap_err();
        assert_eq!(error.to_string(), "/api/x: status 500: a b [31mc");
    }

    #[test]
    fn what_a_failure_means_follows_its_cause() {
        let meaning = |error: FetchError| match CollectError::from(error) {
            CollectError::Unauthorized(_) => "unauthorized",
            CollectError::Unavailable(_) => "unavailable",
            CollectError::InvalidData(_) => "invalid-data",
            CollectError::Failed(_) => "failed",
        };
        let status = |status| meaning(answer(status, "", "").unwrap_err());
        assert_eq!([status(401), status(403)], ["unauthorized"; 2]);
        assert_eq!([status(429), status(500), status(503)], ["unavailable"; 3]);
        assert_eq!([status(302), status(404)], ["invalid-data"; 2]);
        let http = |error| meaning(page("https://a.example/", Err(error)).unwrap_err());
        assert_eq!(http(HttpError::Timeout), "unavailable");
        assert_eq!(http(HttpError::Denied(String::new())), "failed");
    }
}
