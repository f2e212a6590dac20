//! Sources that fail, in every way there is.

use kiln_egress::{Error, Part, ScriptedAnswer};
use kiln_policy::Capability;
use kiln_trial::Outcome;

use super::{Entries, Suite, Trials};
use crate::trial::source::is_processor;

/// What a plugin is told when it gets no answer, each kind of the contract's `http.error`.
fn errors() -> [(&'static str, Error); 10] {
    let text = || "played by `kiln plugin check`".to_owned();
    [
        ("denied", Error::Denied(text())),
        ("invalid-request", Error::InvalidRequest(text())),
        ("timeout", Error::Timeout),
        ("connect", Error::Connect(text())),
        ("tls", Error::Tls(text())),
        ("too-large", Error::TooLarge(1024)),
        ("rate-limited", Error::RateLimited(Some(60))),
        ("rate-limited without a time", Error::RateLimited(None)),
        ("cancelled", Error::Cancelled),
        ("protocol", Error::Protocol(text())),
    ]
}

/// Statuses of errors.
const STATUSES: [u16; 7] = [400, 401, 403, 404, 429, 500, 503];

/// Answers that are no answers, with status 200.
const BODIES: [(&str, &str); 12] = [
    ("an empty body", ""),
    ("a page of HTML", "<!doctype html><html><body>Sign in</body></html>"),
    ("half of an object", "{\"items\": [{\"id\": 1, \"na"),
    ("null", "null"),
    ("a number", "-1e999"),
    ("an empty object", "{}"),
    ("an empty list", "[]"),
    ("a list of null", "[null]"),
    ("lists in lists", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
    ("text of another form", "# HELP up x\n# TYPE up gauge\nup{a=\"\u{fffd}\"} NaN\n\u{0}"),
    ("a large number", "{\"value\": 123456789012345678901234567890, \"next\": 1e400}"),
    ("what is no text", "\u{feff}\u{0}\u{1}\u{7f}"),
];

impl Suite<'_> {
    /// Whether it asks anything at all; otherwise there is nothing to play.
    async fn makes_requests(&mut self) -> bool {
        self.asks_for(Capability::Http) && self.fresh(Entries::new()).await.is_ok() && self.act().await.requests() > 0
    }

    /// Every request fails: it says so, and works again afterwards.
    pub(super) async fn requests(&mut self, works: bool) {
        const RULES: &[u8] = &[7, 8, 20];
        if !self.makes_requests().await {
            self.noted("http errors", RULES, Outcome::Skipped, "it makes no requests");
            return;
        }
        let mut trials = Trials::new();
        let status = |status| {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            let body = r#"{"error_code":"PLAYED","message":"played by `kiln plugin check`"}"#.into();
            let answer = ScriptedAnswer { method: None, target: "*".to_owned(), status, headers, body };
            (format!("status {status}"), Part::Answers(answer))
        };
        let errors = errors().map(|(name, error)| (name.to_owned(), Part::Fails(error)));
        for (name, part) in errors.into_iter().chain(STATUSES.map(status)) {
            let wrong = self.play(part, works).await;
            trials.add(&name, wrong);
        }
        self.found("http errors", RULES, trials.wrong.clone(), format!("reports {}", trials.tried()));
    }

    /// One thing happens to every request of a collection. What is wrong with how that was taken.
    async fn play(&mut self, part: Part, works: bool) -> Option<String> {
        if let Err(error) = self.fresh(Entries::new()).await {
            return Some(error.to_string());
        }
        self.rehearsal.play(part);
        let went = self.act().await;
        if let Some(breach) = went.breach() {
            return Some(breach);
        }
        // One that asks for the sake of a few attributes may go on without them.
        if went.trouble().is_none() && !is_processor(self.prepared) {
            return Some("says that all was read".to_owned());
        }
        self.rehearsal.play(self.usual());
        let went = self.act().await;
        let still = went.breach().or_else(|| went.trouble().filter(|_| works));
        still.map(|still| format!("does not work again afterwards: {still}"))
    }

    /// What comes back is no answer: it may make of it what it wants, but it must not break.
    pub(super) async fn answers(&mut self) {
        const RULES: &[u8] = &[8, 15, 17];
        if !self.makes_requests().await {
            self.noted("answers", RULES, Outcome::Skipped, "it makes no requests");
            return;
        }
        let mut trials = Trials::new();
        for (name, body) in BODIES {
            let answer = ScriptedAnswer {
                method: None,
                target: "*".to_owned(),
                status: 200,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: body.into(),
            };
            let wrong = match self.fresh(Entries::new()).await {
                Err(error) => Some(error.to_string()),
                Ok(_) => {
                    self.rehearsal.play(Part::Answers(answer));
                    self.act().await.breach()
                }
            };
            trials.add(name, wrong);
        }
        self.found("answers", RULES, trials.wrong.clone(), format!("survives {}", trials.tried()));
    }
}
