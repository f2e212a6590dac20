//! A receiver in its pipelines: collect, process, queue, commit, over and over.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Instant;

use kiln_export::{NotTaken, Staged, Unit};
use kiln_memory::{Held, Memory, Reservation};
use kiln_otlp::Batch;
use kiln_runtime::{CallError, Collection, PartialFailure};
use kiln_telemetry::metrics::{CollectionOutcome, HeldUpBy, MemoryBound, ReceiverMetrics};
use kiln_telemetry::{Component, Status};
use tokio::sync::watch;

use crate::delivery::Delivery;
use crate::expected::Expected;
use crate::pipeline::Pipeline;
use crate::processor::ProcessorError;
use crate::route::{Order, Route};
use crate::schedule::Schedule;

/// A receiver, its schedule and what it is to do.
#[derive(Debug)]
pub struct Source {
    /// The instance's id.
    pub id: String,
    /// When it collects.
    pub schedule: Schedule,
    /// What it is to do; the latest order counts. If nobody can give any, it comes to an end.
    pub orders: watch::Receiver<Order>,
    /// Where what it brings is counted, and who lets it collect.
    pub memory: Memory,
    /// Where it is counted.
    pub metrics: ReceiverMetrics,
    /// Where its health shows.
    pub health: Component,
}

impl Source {
    /// Collects until it is told to stop. A collection that has begun is finished first, the way it has begun.
    pub async fn run(mut self) {
        let mut trouble = Trouble::default();
        let mut expected = Expected::first();
        let mut is_due = false;
        let mut is_told = false;
        let mut server = None;
        loop {
            let route = match self.latest_order() {
                Order::Collect(route) => route,
                Order::Stop => break,
                Order::Finish(route) => {
                    self.finish(&route, &mut expected, &mut trouble).await;
                    break;
                }
            };
            self.schedule.set_interval(route.interval);
            if !is_due {
                tokio::select! {
                    biased;
                    changed = self.orders.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => break,
                    },
                    () = self.schedule.due() => is_due = true,
                    () = route.appearance(server) => {
                        self.schedule.begin_anew();
                        is_due = true;
                    }
                }
            }
            let Self { id, orders, memory, metrics, health, .. } = &mut self;
            let room = tokio::select! {
                biased;
                changed = orders.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => break,
                },
                room = wait_for_room(memory, expected, id, metrics, health, &mut is_told) => room,
            };
            is_due = self.cycle(&route, room, &mut expected, &mut trouble).await;
            server = route.server();
        }
        self.health.set(Status::Stopped);
    }

    /// What the last collection did not see would be seen by nobody. Whoever gave the order says when it is enough.
    async fn finish(&self, route: &Route, expected: &mut Expected, trouble: &mut Trouble) {
        let mut has_more = true;
        while has_more {
            let room = wait_for_room(&self.memory, *expected, &self.id, &self.metrics, &self.health, &mut false).await;
            has_more = self.cycle(route, room, expected, trouble).await;
        }
    }

    fn latest_order(&mut self) -> Order {
        self.orders.borrow_and_update().clone()
    }

    /// One unit. Returns whether the receiver has more to give at once.
    async fn cycle(&self, route: &Route, room: Reservation, expected: &mut Expected, trouble: &mut Trouble) -> bool {
        let started = Instant::now();
        let result = self.unit(route, room, expected, trouble).await;
        let outcome = match &result {
            Ok(collected) if collected.partial_failures == 0 => CollectionOutcome::Ok,
            Ok(_) => CollectionOutcome::Partial,
            Err(_) => CollectionOutcome::Error,
        };
        self.metrics.collected(outcome, started.elapsed());
        match result {
            Ok(collected) => {
                self.metrics.partial_failures(collected.partial_failures);
                if let Some(trouble) = trouble.whole.take() {
                    tracing::info!(receiver = self.id, after = trouble, "collecting again");
                }
                self.health.set(Status::Ok);
                collected.more
            }
            Err(error) => {
                match &error {
                    UnitError::Collect(_) => self.metrics.failed(),
                    UnitError::Process(_) | UnitError::Export(_) => self.metrics.not_taken(),
                }
                let text = error.to_string();
                let error_type = error.error_type();
                // The same trouble at every interval is one message, not a flood. Of a quarantine the instance has told.
                if matches!(error, UnitError::Collect(CallError::Pausing(_) | CallError::Quarantined { .. }))
                    || trouble.whole.as_ref() == Some(&text)
                {
                    tracing::debug!(receiver = self.id, "error.type" = error_type, "{text}");
                } else {
                    tracing::warn!(receiver = self.id, "error.type" = error_type, "{text}");
                    trouble.whole = Some(text.clone());
                }
                self.health.set(match error {
                    UnitError::Collect(error) if error.is_permanent() => Status::PermanentError(text),
                    _ => Status::RecoverableError(text),
                });
                false
            }
        }
    }

    async fn unit(
        &self,
        route: &Route,
        room: Reservation,
        expected: &mut Expected,
        trouble: &mut Trouble,
    ) -> Result<Collected, UnitError> {
        let Collection { batches, failures, failure_count, more, mut checkpoint } = route.instance.collect().await?;
        let bytes = batches.iter().fold(0_usize, |sum, batch| sum.saturating_add(batch.payload.len()));
        expected.learn(bytes as u64);
        let emitted: Vec<_> = batches.iter().map(|batch| (batch.signal, batch.items)).collect();
        for (signal, items) in &emitted {
            self.metrics.scraped(*signal, *items);
        }
        let held = self.memory.hold(bytes);
        drop(room);
        if failure_count > failures.len() {
            tracing::warn!(
                receiver = self.id,
                "{failure_count} parts could not be read; the first {} are told",
                failures.len()
            );
        }
        for failure in trouble.note(&failures, more) {
            tracing::warn!(receiver = self.id, source = failure.source, error = failure.message, "could not be read");
        }
        let unit = Unit { instance: self.id.clone(), sequence: checkpoint.sequence() };
        let result = self.deliver(route, batches, held, &unit).await;
        for (signal, items) in emitted {
            match (route.pipelines.iter().any(|pipeline| pipeline.signal() == signal), &result) {
                (true, Ok(_)) => self.metrics.accepted(signal, items),
                (true, Err(_)) => self.metrics.refused(signal, items),
                (false, Ok(_)) => self.metrics.unrouted(signal, items),
                (false, Err(_)) => {}
            }
        }
        let staged = result?;
        if !staged.is_empty() {
            checkpoint.count();
        }
        // In one piece, which goes on to its end even if nobody waits for it any more. Also if the checkpoint cannot be
        // written: were the batches taken back then, nothing would collect them again.
        let commit = move || {
            let committed = checkpoint.commit();
            staged.release();
            committed
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(commit).await {
            tracing::error!(receiver = self.id, %error, "the checkpoint holds only until Kiln stops");
        }
        Ok(Collected { partial_failures: failure_count, more })
    }

    /// Processes everything before queueing anything, so that a failing processor leaves no half of a unit behind. Until
    /// then `held` counts what is under way.
    async fn deliver(&self, route: &Route, batches: Vec<Batch>, held: Held, unit: &Unit) -> Result<Staged, UnitError> {
        let mut delivery = Delivery::default();
        for batch in batches {
            let of_signal = |pipeline: &&Pipeline| pipeline.signal() == batch.signal;
            match *route.pipelines.iter().map(AsRef::as_ref).filter(of_signal).collect::<Vec<_>>() {
                [] => {}
                [only] => {
                    // Nobody else holds the bytes, so that they may change where they stand.
                    if let Some(processed) = only.process(batch).await? {
                        delivery.add(only.exporters(), &self.counted(processed));
                    }
                }
                ref several => {
                    let shared = self.counted(batch);
                    for pipeline in several {
                        let Some(processed) = pipeline.process(shared.clone()).await? else { continue };
                        let is_as_it_was = processed.payload.as_ptr() == shared.payload.as_ptr();
                        let processed = if is_as_it_was { processed } else { self.counted(processed) };
                        delivery.add(pipeline.exporters(), &processed);
                    }
                }
            }
        }
        drop(held);
        let waiting = OnceLock::new();
        let waits = || {
            waiting.get_or_init(|| self.metrics.held_up(HeldUpBy::Queue));
        };
        Ok(delivery.stage(unit, &waits).await?)
    }

    fn counted(&self, batch: Batch) -> Batch {
        Batch { payload: self.memory.count(batch.payload), ..batch }
    }
}

/// Waits until there is room for a collection, and says so if that takes a while; `is_told` is whether it was said already.
async fn wait_for_room(
    memory: &Memory,
    expected: Expected,
    id: &str,
    metrics: &ReceiverMetrics,
    health: &Component,
    is_told: &mut bool,
) -> Reservation {
    let mut waiting = None;
    let waits = |bound: MemoryBound| {
        let key = bound.name();
        health.set(Status::RecoverableError(format!("waits for memory, see `service.memory_limit.{key}`")));
        if !*is_told {
            tracing::warn!(receiver = id, limit = key, "memory is short, collects when there is room again");
        }
        waiting = Some(metrics.held_up(HeldUpBy::Memory(bound)));
    };
    let room = memory.room(expected.bytes(), waits).await;
    *is_told = waiting.is_some();
    room
}

/// What is known to be wrong, so that what stays wrong is said once and not with every collection.
#[derive(Default)]
struct Trouble {
    /// Why nothing was collected.
    whole: Option<String>,
    /// What could not be read last time: where, and why.
    parts: BTreeSet<(String, String)>,
    /// What could not be read this time, as far as it has come: a source is read in as many units as it has more to give.
    parts_so_far: BTreeSet<(String, String)>,
}

impl Trouble {
    /// Remembers what could not be read, and gives what was not among it last time.
    fn note<'f>(&mut self, failures: &'f [PartialFailure], more: bool) -> Vec<&'f PartialFailure> {
        let Self { parts, parts_so_far, .. } = self;
        let is_new = |failure: &&PartialFailure| {
            let key = (failure.source.clone(), failure.message.clone());
            let was_known = parts.contains(&key);
            parts_so_far.insert(key) && !was_known
        };
        let new = failures.iter().filter(is_new).collect();
        if !more {
            *parts = std::mem::take(parts_so_far);
        }
        new
    }
}

struct Collected {
    partial_failures: usize,
    more: bool,
}

#[derive(Debug, thiserror::Error)]
enum UnitError {
    #[error(transparent)]
    Collect(#[from] CallError),
    #[error("what was collected is not delivered and will be collected again: {0}")]
    Process(#[from] ProcessorError),
    #[error("what was collected is not delivered: {0}")]
    Export(#[from] NotTaken),
}

impl UnitError {
    /// The class of the error; see [`CallError::error_type`].
    const fn error_type(&self) -> &'static str {
        match self {
            Self::Collect(error) => error.error_type(),
            Self::Process(_) => "process",
            Self::Export(_) => "export",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(source: &str, message: &str) -> PartialFailure {
        PartialFailure { source: source.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn what_stays_wrong_is_said_once_and_again_when_it_comes_back() {
        let mut trouble = Trouble::default();
        let both = [failure("jobs", "status 500"), failure("runs", "no answer in time")];
        assert_eq!(trouble.note(&both, false).len(), 2);
        assert!(trouble.note(&both, false).is_empty());
        let other = [failure("jobs", "status 502"), failure("runs", "no answer in time")];
        assert_eq!(
            trouble.note(&other, false).iter().map(|failure| failure.source.as_str()).collect::<Vec<_>>(),
            ["jobs"]
        );
        assert!(trouble.note(&[], false).is_empty());
        assert_eq!(trouble.note(&both, false).len(), 2);
    }

    /// Scenario: a source is read in two units each time, and in each of them something is wrong.
    #[test]
    fn what_stays_wrong_in_a_part_is_said_once() {
        let mut trouble = Trouble::default();
        let (first, second) = ([failure("a", "status 500")], [failure("b", "status 500")]);
        assert_eq!((trouble.note(&first, true).len(), trouble.note(&second, false).len()), (1, 1));
        assert_eq!((trouble.note(&first, true).len(), trouble.note(&second, false).len()), (0, 0));
        assert_eq!((trouble.note(&[], true).len(), trouble.note(&second, false).len()), (0, 0));
        assert_eq!(trouble.note(&first, true).len(), 1);
    }
}
