//! A backend for tests that does as it is told, without a socket, so that time can stand still.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::attempt::{Outcome, Request};

/// Answers attempts with the next outcome of the script, and with success once it has run out. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripted {
    script: Arc<Mutex<VecDeque<Outcome>>>,
    attempts: Arc<Mutex<Vec<(Request, Instant)>>>,
    /// Attempts need one of these each before they are answered.
    gate: Option<Arc<Semaphore>>,
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Outcome>) -> Self {
        Self { script: Arc::new(Mutex::new(script.into_iter().collect())), ..Self::default() }
    }

    /// Answers nothing until [`Self::answer`] is called.
    pub(crate) fn silent() -> Self {
        Self { gate: Some(Arc::new(Semaphore::new(0))), ..Self::default() }
    }

    /// Answers like that once [`Self::answer`] is called.
    pub(crate) fn silent_with(outcome: Outcome) -> Self {
        Self { gate: Self::silent().gate, ..Self::new([outcome]) }
    }

    /// Lets that many attempts be answered.
    pub(crate) fn answer(&self, attempts: usize) {
        self.gate.as_ref().unwrap().add_permits(attempts);
    }

    /// What arrived so far and when.
    pub(crate) fn attempts(&self) -> Vec<(Request, Instant)> {
        self.attempts.lock().unwrap().clone()
    }

    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        self.attempts.lock().unwrap().push((request.clone(), Instant::now()));
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let next = self.script.lock().unwrap().pop_front();
        next.unwrap_or(Outcome::Delivered { rejected: 0, note: None })
    }
}
