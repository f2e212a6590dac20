//! Whether it takes its configuration, works, and starts afresh.

use kiln_policy::Capability;
use kiln_trial::{Emission, Outcome, undeclared};

use super::{Entries, Suite, Went};
use crate::trial::source::is_processor;

/// The limits that show that somebody asked for more than any plugin may have, though nothing stopped it.
const REQUEST_LIMITS: [&str; 6] =
    ["open_bodies", "http_requests", "url_bytes", "request_bytes", "header_count", "header_bytes"];
const OUTPUT_LIMITS: [&str; 7] =
    ["output_bytes", "output_points", "attributes", "key_bytes", "string_bytes", "edits", "edit_bytes"];
const LOG_LIMITS: [&str; 3] = ["log_messages", "log_bytes", "log_message_bytes"];

impl Suite<'_> {
    /// It takes its configuration, and every time.
    pub(super) async fn start(&mut self) -> bool {
        let mut wrong = Vec::new();
        for time in ["the first time", "the second time", "the third time"] {
            if let Err(error) = self.fresh(Entries::new()).await {
                wrong.push(format!("{time}: {error}"));
            }
        }
        let starts = wrong.is_empty();
        if wrong.len() == 3 {
            wrong.truncate(1);
        }
        self.found("configure", &[5, 7, 8], wrong, "takes the same configuration three times");
        starts
    }

    /// It does what it is for. `None` if it breaks, otherwise whether it could do all of it.
    pub(super) async fn work(&mut self) -> Option<bool> {
        self.fresh(Entries::new()).await.ok()?;
        let first = self.act().await;
        let second = if first.breach().is_none() { Some(self.act().await) } else { None };
        let all: Vec<&Went> = std::iter::once(&first).chain(&second).collect();
        let name = if is_processor(self.prepared) { "process" } else { "collect" };
        let rules: &[u8] = if is_processor(self.prepared) { &[7, 8, 15, 22, 23, 24, 28] } else { &[7, 8, 15, 20] };
        let breach = all.iter().find_map(|went| went.breach());
        let trouble = all.iter().find_map(|went| went.trouble());
        // A rule about what is emitted has an item of its own; what comes of it has been said there.
        let refused = all.iter().any(|went| went.attempts.iter().any(|attempt| !attempt.seen.refusals.is_empty()));
        match (&breach, &trouble) {
            (Some(breach), _) => self.found(name, rules, vec![breach.clone()], ""),
            (None, Some(trouble)) if !refused => {
                let hint = if self.asks_for(Capability::Http) {
                    "; to check it without a server, script one with --answers"
                } else {
                    ""
                };
                self.noted(name, rules, Outcome::Warned, format!("{trouble}{hint}"));
            }
            (None, _) => self.found(name, rules, Vec::new(), self.brought(&first)),
        }
        self.emissions(&all);
        self.limits(&all);
        if breach.is_some() { None } else { Some(trouble.is_none()) }
    }

    fn brought(&self, went: &Went) -> String {
        let counts: Vec<_> = went.batches().map(|batch| format!("{} of {}", batch.items, batch.signal)).collect();
        let brought = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
        let requests = went.requests();
        if is_processor(self.prepared) {
            format!("leaves {brought}")
        } else {
            format!("{brought}; requests: {requests}")
        }
    }

    fn emissions(&mut self, all: &[&Went]) {
        if is_processor(self.prepared) {
            return;
        }
        let declared = self.manifest().telemetry.clone();
        let attempts = || all.iter().flat_map(|went| &went.attempts);
        let mut wrong: Vec<String> = attempts().flat_map(|attempt| attempt.seen.refusals.iter().cloned()).collect();
        wrong.dedup();
        wrong.truncate(5);
        wrong.extend(all.iter().flat_map(|went| went.batches()).flat_map(|batch| undeclared(&declared, batch)));
        wrong.sort();
        wrong.dedup();
        let nothing = all.iter().all(|went| went.batches().next().is_none());
        if wrong.is_empty() && nothing {
            self.noted(
                "emits",
                &[16, 17, 18],
                Outcome::Warned,
                "has emitted nothing, so nothing of it could be checked",
            );
        } else {
            self.found(
                "emits",
                &[16, 17, 18],
                wrong,
                "only what its manifest declares, kinds, units and attributes included",
            );
        }
    }

    /// What a plugin runs into that is well: nothing.
    fn limits(&mut self, all: &[&Went]) {
        let attempts = || all.iter().flat_map(|went| &went.attempts);
        let hit = |limits: &[&str]| -> Vec<String> {
            let names: std::collections::BTreeSet<_> =
                attempts().flat_map(|attempt| &attempt.seen.limits).filter(|hit| limits.contains(*hit)).collect();
            names.into_iter().map(|name| format!("was held at the limit `{name}`")).collect()
        };
        let mut denied: Vec<String> = attempts()
            .flat_map(|attempt| &attempt.denials)
            .map(|denial| format!("{}: {}", denial.target, denial.text))
            .collect();
        denied.dedup();
        denied.extend(hit(&REQUEST_LIMITS));
        let (output, logs) = (hit(&OUTPUT_LIMITS), hit(&LOG_LIMITS));
        self.found("asks", &[11, 12], denied, "for nothing it is not granted");
        self.found(
            "output",
            if is_processor(self.prepared) { &[14, 30] } else { &[14, 18] },
            output,
            "within its limits",
        );
        self.found("logs", &[13], logs, "no more than is written");
    }

    /// It works with what it has left behind itself, as after a reload, an upgrade or a restart.
    pub(super) async fn afresh(&mut self, works: bool) {
        let left = match self.fresh(Entries::new()).await {
            Ok(state) => {
                self.act().await;
                state.entries()
            }
            Err(_) => Entries::new(),
        };
        let size: usize = left.iter().map(|(key, value)| key.len() + value.len()).sum();
        let wrong = match self.works_with(left).await {
            Err(error) if works => vec![error],
            Ok(()) | Err(_) => Vec::new(),
        };
        self.found("restart", &[9, 10], wrong, format!("works with the state it has left, {size} bytes"));
    }

    /// A collection that was not queued is made again.
    pub(super) async fn repeat(&mut self, works: bool) {
        if !works {
            self.noted("repeat", &[19], Outcome::Skipped, "a collection that fails cannot be compared with another");
            return;
        }
        // Somewhere in the middle, where there is something to count on.
        let Ok(state) = self.fresh(Entries::new()).await else { return };
        self.act().await;
        let before = state.entries();
        let mut counted = Vec::new();
        for _ in 0..2 {
            if self.fresh(before.clone()).await.is_err() {
                return;
            }
            let went = self.act().await;
            counted.push(went.batches().flat_map(sums).collect::<Vec<_>>());
        }
        let differ = counted.first() != counted.last();
        match (differ, self.script.is_some()) {
            (false, _) => {
                self.found("repeat", &[19], Vec::new(), "the same collection from the same state counts the same")
            }
            (true, true) => {
                let wrong = "from the same state and the same answers it counts differently: what a count depends on belongs into the state";
                self.found("repeat", &[19], vec![wrong.to_owned()], "");
            }
            (true, false) => {
                let why = "from the same state it counts differently; the source may have changed: --answers has it stand still";
                self.noted("repeat", &[19], Outcome::Warned, why);
            }
        }
    }
}

/// What is counted: the points of sums and histograms, without times.
fn sums(batch: &kiln_otlp::Batch) -> Vec<Vec<String>> {
    let rows = Emission::of(batch).map(|emission| emission.rows).unwrap_or_default();
    let is_count =
        |cells: &[String]| cells.get(1).is_some_and(|kind| kind.contains("sum") || kind.contains("histogram"));
    rows.into_iter().map(|row| row.cells).filter(|cells| is_count(cells)).collect()
}
