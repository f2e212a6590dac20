//! Scripted HTTP: what is answered to which request, and which requests were made.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde::Serialize;

use crate::http::{Body, Header, HttpError, Method, Opened, Request, Response};

/// An answer, or a sequence of answers of which the last one stays.
#[derive(Clone, Debug)]
pub struct Reply {
    answer: Answer,
    then: Option<Box<Reply>>,
}

impl Reply {
    /// A body with a content type, status 200.
    #[must_use]
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let response = Response { status: 200, headers: Vec::new(), body: body.into() };
        Self { answer: Answer::of(Ok(response)), then: None }.with_header("content-type", content_type)
    }

    /// JSON, status 200.
    ///
    /// # Panics
    /// The value has no JSON form.
    #[must_use]
    pub fn json(value: &impl Serialize) -> Self {
        Self::new("application/json", serde_json::to_vec(value).expect("a value with a JSON form"))
    }

    /// Plain text, status 200.
    #[must_use]
    pub fn text(body: &str) -> Self {
        Self::new("text/plain;charset=utf-8", body)
    }

    /// A status and a body.
    #[must_use]
    pub fn status(status: u16, body: &str) -> Self {
        Self { answer: Answer::of(Ok(Response { status, headers: Vec::new(), body: body.into() })), then: None }
    }

    /// No answer, as the host reports it.
    #[must_use]
    pub const fn error(error: HttpError) -> Self {
        Self { answer: Answer::of(Err(error)), then: None }
    }

    /// The same answer with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Ok(response) = &mut self.answer.result {
            response.headers.push(Header { name: name.to_owned(), value: value.to_owned() });
        }
        self
    }

    /// The same answer, whose body [`Http::open`](crate::http::Http::open) hands out in pieces of this many bytes, at
    /// most 64 KiB.
    ///
    /// # Panics
    /// No piece can be empty.
    #[must_use]
    pub const fn in_pieces(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a piece has at least one byte");
        self.answer.piece = if bytes < LARGEST_PIECE { bytes } else { LARGEST_PIECE };
        self
    }

    /// The same answer, whose body breaks with this error when so many bytes of it have been read. Where it is read
    /// whole, the error is all there is.
    #[must_use]
    pub fn breaking_after(mut self, bytes: usize, error: HttpError) -> Self {
        self.answer.breaks = Some((bytes, error));
        self
    }

    /// What to answer from the next request on.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        match self.then.take() {
            Some(then) => self.then = Some(Box::new(then.then(next))),
            None => self.then = Some(Box::new(next)),
        }
        self
    }
}

/// What the host hands out at once, at most.
const LARGEST_PIECE: usize = 64 << 10;

/// What one request is answered with.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    result: Result<Response, HttpError>,
    piece: usize,
    breaks: Option<(usize, HttpError)>,
}

impl Answer {
    const fn of(result: Result<Response, HttpError>) -> Self {
        Self { result, piece: LARGEST_PIECE, breaks: None }
    }

    /// As `http.send` answers.
    pub(super) fn whole(self) -> Result<Response, HttpError> {
        match self.breaks {
            Some((_, error)) => self.result.and(Err(error)),
            None => self.result,
        }
    }

    /// As `http.open` answers.
    pub(super) fn open(self, place: Rc<()>) -> Result<Opened, HttpError> {
        let Response { status, headers, mut body } = self.result?;
        let end = match self.breaks {
            Some((bytes, error)) => {
                body.truncate(bytes);
                Err(error)
            }
            None => Ok(()),
        };
        let pieces = Pieces { left: body.into(), piece: self.piece, end, _place: place };
        Ok(Opened { status, headers, body: Body(pieces) })
    }
}

/// The rest of a scripted body, and how it ends.
#[derive(Debug)]
pub(crate) struct Pieces {
    left: VecDeque<u8>,
    piece: usize,
    end: Result<(), HttpError>,
    /// Counts as an open body for as long as it is held.
    _place: Rc<()>,
}

impl Pieces {
    pub(crate) fn read(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        if self.left.is_empty() {
            return self.end.clone().map(|()| None);
        }
        let piece = self.piece.min(self.left.len());
        Ok(Some(self.left.drain(..piece).collect()))
    }
}

type Respond = Box<dyn Fn(&Request) -> Reply>;

#[derive(Default)]
pub(super) struct Script {
    replies: BTreeMap<String, VecDeque<Answer>>,
    paths: BTreeMap<String, Respond>,
    any: Option<Respond>,
    sent: Vec<String>,
}

impl Script {
    pub(super) fn set(&mut self, method: Method, path_and_query: &str, reply: Reply) {
        let mut sequence = VecDeque::new();
        let mut next = Some(Box::new(reply));
        while let Some(reply) = next {
            sequence.push_back(reply.answer);
            next = reply.then;
        }
        self.replies.insert(key(method, path_and_query), sequence);
    }

    pub(super) fn set_path(&mut self, path: &str, respond: Respond) {
        self.paths.insert(path.to_owned(), respond);
    }

    pub(super) fn set_any(&mut self, respond: Respond) {
        self.any = Some(respond);
    }

    pub(super) fn take_sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn answer(&mut self, request: &Request, url: &url::Url) -> Answer {
        let path_and_query = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        self.sent.push(format!("{} {path_and_query}", name(request.method)));
        let key = key(request.method, &path_and_query);
        if let Some(sequence) = self.replies.get_mut(&key) {
            let first = if sequence.len() > 1 { sequence.pop_front() } else { sequence.front().cloned() };
            return first.expect("a script has at least one reply");
        }
        let Some(respond) = self.paths.get(url.path()).or(self.any.as_ref()) else {
            let scripted: Vec<_> = self.replies.keys().chain(self.paths.keys()).map(|key| format!("  {key}")).collect();
            panic!("the plugin sent a request that has no script:\n  {key}\nscripted are:\n{}", scripted.join("\n"));
        };
        respond(request).answer
    }
}

const fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

/// One spelling for requests that differ only in the order of their parameters.
fn key(method: Method, path_and_query: &str) -> String {
    let method = name(method);
    match path_and_query.split_once('?') {
        None => format!("{method} {path_and_query}"),
        Some((path, query)) => {
            let mut parameters: Vec<_> = query.split('&').collect();
            parameters.sort_unstable();
            format!("{method} {path}?{}", parameters.join("&"))
        }
    }
}
