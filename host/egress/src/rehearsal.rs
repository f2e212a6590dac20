//! What a plugin is answered while somebody tries it, in the place of servers.
//!
//! A request that is rehearsed has passed every check before, and an answer is read by what reads those of servers, under the
//! same caps. So what a plugin meets here differs from operation in nothing but where the answer comes from. An instance
//! that nobody tries has no rehearsal, and its requests go to servers.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use kiln_policy::Method;
use url::Url;

use crate::error::Error;

/// What happens to the requests of one instance from now on. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Rehearsal(Arc<RwLock<Part>>);

/// What a server would do, played by the host.
#[derive(Clone, Debug, Default)]
pub enum Part {
    /// Nothing is played: requests go to servers.
    #[default]
    Servers,
    /// Every request fails like this.
    Fails(Error),
    /// Every request waits until the call ends.
    Hangs,
    /// Every request has this answer.
    Answers(ScriptedAnswer),
    /// Requests are answered by the first that fits, and with status 404 if none does.
    Script(Arc<[ScriptedAnswer]>),
}

/// An answer that somebody has written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptedAnswer {
    /// Of the requests it answers; any if absent.
    pub method: Option<Method>,
    /// Path and query of the requests it answers; those that begin so if it ends in `*`.
    pub target: String,
    /// 100 to 999.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl ScriptedAnswer {
    fn fits(&self, method: Method, target: &str) -> bool {
        let is_target = match self.target.strip_suffix('*') {
            Some(beginning) => target.starts_with(beginning),
            None => target == self.target,
        };
        is_target && self.method.is_none_or(|wanted| wanted == method)
    }

    fn response(&self) -> Result<reqwest::Response, Error> {
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let response = response.body(self.body.clone());
        response.map(reqwest::Response::from).map_err(|error| Error::Protocol(format!("a scripted answer: {error}")))
    }
}

impl Rehearsal {
    /// From now on.
    pub fn play(&self, part: Part) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = part;
    }

    /// What is played for a request; `None` if it goes to a server.
    pub(crate) async fn answer(&self, method: Method, url: &Url) -> Option<Result<reqwest::Response, Error>> {
        let part = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        match part {
            Part::Servers => None,
            Part::Fails(error) => Some(Err(error)),
            Part::Hangs => std::future::pending().await,
            Part::Answers(answer) => Some(answer.response()),
            Part::Script(answers) => {
                let target = match url.query() {
                    Some(query) => format!("{}?{query}", url.path()),
                    None => url.path().to_owned(),
                };
                let answer = answers.iter().find(|answer| answer.fits(method, &target));
                let missing = || ScriptedAnswer {
                    method: None,
                    target: String::new(),
                    status: 404,
                    headers: Vec::new(),
                    body: Bytes::from(format!("no scripted answer for {} {target}", method.name())),
                };
                Some(answer.cloned().unwrap_or_else(missing).response())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(method: Option<Method>, target: &str, status: u16) -> ScriptedAnswer {
        ScriptedAnswer { method, target: target.to_owned(), status, headers: Vec::new(), body: Bytes::new() }
    }

    async fn status(rehearsal: &Rehearsal, method: Method, url: &str) -> Option<u16> {
        let answered = rehearsal.answer(method, &url.parse().unwrap()).await?;
        Some(answered.unwrap().status().as_u16())
    }

    #[tokio::test]
    async fn the_first_answer_that_fits_is_given() {
        let rehearsal = Rehearsal::default();
        assert_eq!(status(&rehearsal, Method::Get, "https://h/a").await, None);
        let script = [
            answer(Some(Method::Post), "/a", 201),
            answer(None, "/a", 200),
            answer(None, "/b?after=*", 202),
            answer(None, "/broken", 1),
        ];
        rehearsal.play(Part::Script(script.into()));
        for (method, url, expected) in [
            (Method::Get, "https://h/a", 200),
            (Method::Post, "https://h/a", 201),
            (Method::Get, "https://h/a?x=1", 404),
            (Method::Get, "https://h/b?after=7", 202),
            (Method::Get, "https://h/b", 404),
        ] {
            assert_eq!(status(&rehearsal, method, url).await, Some(expected), "{url}");
        }
        let broken = rehearsal.answer(Method::Get, &"https://h/broken".parse().unwrap()).await.unwrap();
        assert!(matches!(broken, Err(Error::Protocol(_))));
        rehearsal.play(Part::Fails(Error::Timeout));
        let failed = rehearsal.answer(Method::Get, &"https://h/a".parse().unwrap()).await.unwrap();
        assert_eq!(failed.err(), Some(Error::Timeout));
    }
}
