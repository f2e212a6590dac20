//! The contract's rules, tried on one plugin.
//!
//! Every item starts the plugin afresh and plays one thing that happens in operation: a source that fails in each way there
//! is, a state that is full or from another version, a clock that jumps. What is looked for is that the plugin neither traps
//! nor runs into a limit, and that it says what it could not do. What the host enforces on every plugin is not tried again;
//! that a good collection hits none of it is.

mod answers;
mod faults;
mod memory;
mod samples;
mod schema;
mod start;
mod surroundings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kiln_egress::{Part, Rehearsal, ScriptedAnswer};
use kiln_otlp::Batch;
use kiln_policy::{Capability, Manifest};
use kiln_runtime::{Clock, StateStore};
use kiln_trial::{Attempt, Item, Outcome, Verdict};

pub(crate) use self::answers::read_answers;
pub(crate) use self::samples::samples;
use super::bench::Bench;
use super::source::is_processor;
use crate::instances::{Stage, StartError};
use crate::prepare::Prepared;

/// Pages of one collection that are read at most.
const MAX_PAGES: usize = 20;

type Entries = BTreeMap<String, Vec<u8>>;

/// A plugin and what it is tried with.
pub(crate) struct Suite<'a> {
    pub(crate) bench: &'a mut Bench,
    pub(crate) prepared: &'a Prepared,
    /// What servers answer, if not the servers themselves.
    pub(crate) script: Option<Arc<[ScriptedAnswer]>>,
    /// What a processor is given.
    pub(crate) batches: Vec<Batch>,
    /// How often it collects, or gets all batches, while its memory is watched.
    pub(crate) collections: usize,
    pub(crate) rehearsal: Rehearsal,
    pub(crate) clock: Clock,
    pub(crate) verdict: Verdict,
}

/// How a collection, or all batches, went.
struct Went {
    attempts: Vec<Attempt>,
}

impl Suite<'_> {
    /// Tries everything.
    pub(crate) async fn run(mut self) -> Verdict {
        self.schema();
        // Whoever cannot start or work at all would only be told so twenty times.
        if !self.start().await {
            return self.verdict;
        }
        let Some(works) = self.work().await else { return self.verdict };
        self.afresh(works).await;
        if !is_processor(self.prepared) {
            self.repeat(works).await;
        }
        self.requests(works).await;
        self.answers().await;
        self.time_out(works).await;
        self.state(works).await;
        self.clocks(works).await;
        self.memory().await;
        self.verdict
    }

    fn manifest(&self) -> &Manifest {
        &self.prepared.file.manifest
    }

    fn asks_for(&self, capability: Capability) -> bool {
        capability.is_requested_by(self.manifest())
    }

    /// Adds an item: failed if anything is wrong, otherwise what was tried.
    fn found(&mut self, name: &'static str, rules: &'static [u8], wrong: Vec<String>, tried: impl Into<String>) {
        let (outcome, details) = if wrong.is_empty() {
            let tried = tried.into();
            (Outcome::Passed, if tried.is_empty() { Vec::new() } else { vec![tried] })
        } else {
            (Outcome::Failed, wrong)
        };
        self.verdict.items.push(Item { name, rules, outcome, details });
    }

    fn noted(&mut self, name: &'static str, rules: &'static [u8], outcome: Outcome, why: impl Into<String>) {
        self.verdict.items.push(Item { name, rules, outcome, details: vec![why.into()] });
    }

    /// What servers do unless something else is played.
    fn usual(&self) -> Part {
        self.script.clone().map_or(Part::Servers, Part::Script)
    }

    /// Starts the plugin afresh, with surroundings that are as usual and a state of its own.
    async fn fresh(&mut self, entries: Entries) -> Result<StateStore, StartError> {
        self.fresh_as(None, entries).await
    }

    /// The same, as an instance that is configured differently.
    async fn fresh_as(&mut self, prepared: Option<&Prepared>, entries: Entries) -> Result<StateStore, StartError> {
        self.rehearsal.play(self.usual());
        self.clock.set_ahead(0);
        let state = StateStore::in_memory_with(entries);
        let stage =
            Stage { rehearsal: Some(self.rehearsal.clone()), clock: self.clock.clone(), state: Some(state.clone()) };
        // What it did while starting is not of the collection that follows.
        self.bench.start_on(prepared.unwrap_or(self.prepared), stage).await.map(|()| state)
    }

    /// One collection with its pages, or all batches, as far as it goes.
    async fn act(&mut self) -> Went {
        let mut attempts = Vec::new();
        if is_processor(self.prepared) {
            let id = self.prepared.instance.id.to_string();
            for batch in self.batches.clone() {
                attempts.push(self.bench.process(&id, batch).await);
            }
        } else {
            for _ in 0..MAX_PAGES {
                let attempt = self.bench.collect().await;
                let has_more = attempt.result.as_ref().is_ok_and(|left| left.more);
                attempts.push(attempt);
                if !has_more {
                    break;
                }
            }
        }
        Went { attempts }
    }

    /// With a state that somebody has left and under the usual surroundings, whether it works.
    async fn works_with(&mut self, entries: Entries) -> Result<(), String> {
        self.fresh(entries).await.map_err(|error| error.to_string())?;
        let went = self.act().await;
        went.breach().or_else(|| went.trouble()).map_or(Ok(()), Err)
    }
}

impl Went {
    /// What no plugin may do whatever happens: trap, or run into a limit that stops it.
    fn breach(&self) -> Option<String> {
        let errors = self.attempts.iter().filter_map(|attempt| attempt.result.as_ref().err());
        let mut breaches = errors.filter(|(class, _)| {
            // What a processor may not edit is its fault, whatever it was given.
            *class == "trap" || *class == "edit" || *class == "malformed" || class.starts_with("limit_")
        });
        breaches.next().map(|(_, sentence)| sentence.clone())
    }

    /// What it says it could not do.
    fn trouble(&self) -> Option<String> {
        self.attempts.iter().find_map(|attempt| match &attempt.result {
            Err((_, sentence)) => Some(sentence.clone()),
            Ok(left) => left.failures.first().map(|(source, why)| format!("{source}: {why}")),
        })
    }

    fn requests(&self) -> u64 {
        self.attempts.iter().map(|attempt| attempt.seen.request_count).sum()
    }

    fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.attempts.iter().filter_map(|attempt| attempt.result.as_ref().ok()).flat_map(|left| &left.batches)
    }
}

/// What is said of several trials: each name with what went wrong in it.
struct Trials {
    wrong: Vec<String>,
    tried: Vec<String>,
}

impl Trials {
    const fn new() -> Self {
        Self { wrong: Vec::new(), tried: Vec::new() }
    }

    fn add(&mut self, name: &str, wrong: Option<String>) {
        self.tried.push(name.to_owned());
        self.wrong.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
    }

    fn tried(&self) -> String {
        self.tried.join(", ")
    }
}

/// The shortest that a call may be given to show what happens when its time is over.
fn brief(timeout: Duration) -> Duration {
    timeout.min(Duration::from_millis(500))
}
