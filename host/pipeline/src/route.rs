//! What a receiver collects with and where that goes, and how it is told.

use std::sync::Arc;
use std::time::Duration;

use kiln_runtime::Instance;
use tokio::sync::mpsc;

use crate::pipeline::Pipeline;

/// What a receiver collects with and where that goes. It is replaced as a whole, between two collections.
#[derive(Debug)]
pub struct Route {
    /// The plugin.
    pub instance: Instance,
    /// From the start of one collection to the start of the next.
    pub interval: Duration,
    /// Where its batches go, each to those of its signal.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// Says that somebody may still be on the way.
    pub hold: Hold,
}

/// What a source has to do.
#[derive(Clone, Debug)]
pub enum Order {
    /// Collect, and take this route from the next collection on.
    Collect(Arc<Route>),
    /// Come to an end after the collection that is under way.
    Stop,
}

/// Kept by every route of one generation: as long as one is, a collection may be on its way along it.
#[derive(Clone, Debug)]
pub struct Hold(#[allow(dead_code, reason = "its end is what it says")] mpsc::Sender<()>);

/// The other end of a [`Hold`].
#[derive(Debug)]
pub struct Released(mpsc::Receiver<()>);

impl Hold {
    /// For the routes of one generation, and whoever waits until nobody takes one of them any more.
    #[must_use]
    pub fn new() -> (Self, Released) {
        let (hold, released) = mpsc::channel(1);
        (Self(hold), Released(released))
    }
}

impl Released {
    /// Waits until every [`Hold`] is gone.
    pub async fn wait(mut self) {
        // Nobody sends: what is received is the end.
        while self.0.recv().await.is_some() {}
    }
}
