//! Time that ends, state that is full or somebody else's, clocks that jump.

use kiln_egress::Part;
use kiln_policy::Capability;
use kiln_trial::Outcome;

use super::{Entries, Suite, Trials, brief};

/// Seconds by which the clock is moved between two collections.
const JUMPS: [(&str, i64); 4] =
    [("an hour back", -3600), ("a year back", -31_536_000), ("a day ahead", 86_400), ("to 1970", i64::MIN)];

impl Suite<'_> {
    /// It is stopped while it waits for an answer that does not come, and works when it is started afresh.
    pub(super) async fn time_out(&mut self, works: bool) {
        const RULES: &[u8] = &[7, 9, 19];
        if !self.asks_for(Capability::Http) {
            self.noted("time-out", RULES, Outcome::Skipped, "it waits for nothing");
            return;
        }
        let timeout = brief(self.prepared.instance.timeout);
        let mut hurried = self.prepared.clone();
        hurried.instance.timeout = timeout;
        let state = match self.fresh_as(Some(&hurried), Entries::new()).await {
            Ok(state) => state,
            Err(error) => {
                // Some take longer to start.
                self.noted("time-out", RULES, Outcome::Skipped, error.to_string());
                return;
            }
        };
        self.rehearsal.play(Part::Hangs);
        let went = self.act().await;
        if went.breach().is_none() {
            self.noted("time-out", RULES, Outcome::Skipped, "it makes no requests");
            return;
        }
        let mut wrong = Vec::new();
        if !state.entries().is_empty() {
            wrong.push("remembers something of a collection that was stopped".to_owned());
        }
        if let Err(error) = self.works_with(state.entries()).await
            && works
        {
            wrong.push(format!("does not work after it was stopped: {error}"));
        }
        self.found("time-out", RULES, wrong, format!("is stopped after {timeout:?} of waiting, and works afterwards"));
    }

    /// There is no room for what it wants to remember, and what it finds is not what it has left.
    pub(super) async fn state(&mut self, works: bool) {
        const RULES: &[u8] = &[8, 10];
        if !self.asks_for(Capability::State) {
            self.noted("state", RULES, Outcome::Skipped, "it remembers nothing");
            return;
        }
        let left = match self.fresh(Entries::new()).await {
            Ok(state) => {
                self.act().await;
                state.entries()
            }
            Err(_) => Entries::new(),
        };
        let mut trials = Trials::new();
        let mut narrow = self.prepared.clone();
        narrow.instance.limits.state_bytes = 0;
        let wrong = match self.fresh_as(Some(&narrow), Entries::new()).await {
            Err(error) => Some(error.to_string()),
            Ok(_) => {
                let went = self.act().await;
                let silent = !left.is_empty() && works && went.trouble().is_none();
                went.breach().or_else(|| silent.then(|| "says nothing of what it cannot remember".to_owned()))
            }
        };
        trials.add("a full state", wrong);
        if left.is_empty() {
            let said = if trials.wrong.is_empty() { Outcome::Warned } else { Outcome::Failed };
            let why = trials
                .wrong
                .pop()
                .unwrap_or_else(|| "it has remembered nothing, so only a full state was tried".to_owned());
            self.noted("state", RULES, said, why);
            return;
        }
        type Made = fn(&[u8]) -> Vec<u8>;
        let made: [(&str, Made); 7] = [
            ("empty values", |_| Vec::new()),
            ("an empty object", |_| b"{}".to_vec()),
            ("null", |_| b"null".to_vec()),
            ("a number", |_| b"7".to_vec()),
            ("bytes that are no text", |_| vec![0xff, 0, 0xfe]),
            ("half of its values", |value| value.get(..value.len() / 2).unwrap_or_default().to_vec()),
            ("its values with something added", |value| [value, &b"}0"[..]].concat()),
        ];
        for (name, make) in made {
            let garbage = left.iter().map(|(key, value)| (key.clone(), make(value))).collect();
            let wrong = match self.fresh(garbage).await {
                Err(error) => Some(error.to_string()),
                Ok(_) => self.act().await.breach(),
            };
            trials.add(name, wrong);
        }
        let mut more = left.clone();
        more.insert("of another version".to_owned(), b"1".to_vec());
        let wrong = self.works_with(more).await.err().filter(|_| works);
        trials.add("a key of another version", wrong);
        self.found("state", RULES, trials.wrong.clone(), format!("survives {}", trials.tried()));
    }

    /// The clock is moved between two collections.
    pub(super) async fn clocks(&mut self, works: bool) {
        const RULES: &[u8] = &[8, 17];
        let mut trials = Trials::new();
        for (name, seconds) in JUMPS {
            let wrong = match self.fresh(Entries::new()).await {
                Err(error) => Some(error.to_string()),
                Ok(_) => {
                    self.act().await;
                    self.clock.set_ahead(seconds);
                    let went = self.act().await;
                    let refused = went.attempts.iter().find_map(|attempt| attempt.seen.refusals.first().cloned());
                    went.breach().or(refused.filter(|_| works))
                }
            };
            trials.add(name, wrong);
        }
        self.clock.set_ahead(0);
        self.found("clock", RULES, trials.wrong.clone(), format!("survives a clock that is moved {}", trials.tried()));
    }
}
