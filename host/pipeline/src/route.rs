//! What a receiver collects with and where that goes, and how it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kiln_runtime::Instance;
use tokio::sync::watch;

use crate::pipeline::Pipeline;

/// What a receiver collects with and where that goes. It is replaced as a whole, between two collections.
#[derive(Debug)]
pub struct Route {
    /// The plugin.
    pub instance: Instance,
    /// From the start of one collection to the start of the next.
    pub interval: Duration,
    /// Whether it collects once more when everything comes to an end.
    pub collects_at_the_end: bool,
    /// Where the server is that it reads, if the host finds it by itself: once it is there, it is read at once.
    pub found: Option<watch::Receiver<Option<SocketAddr>>>,
    /// Where its batches go, each to those of its signal.
    pub pipelines: Vec<Arc<Pipeline>>,
    /// Says that somebody may still be on the way.
    pub hold: Hold,
}

impl Route {
    /// Where the server is now that the host finds by itself.
    pub(crate) fn server(&self) -> Option<SocketAddr> {
        self.found.as_ref().and_then(|found| *found.borrow())
    }

    /// Waits until that server is there and is not the one that was there last.
    pub(crate) async fn appearance(&self, last: Option<SocketAddr>) {
        if let Some(mut found) = self.found.clone() {
            let another = found.wait_for(|now| *now != last).await.is_ok();
            if another && found.wait_for(Option::is_some).await.is_ok() {
                return;
            }
        }
        std::future::pending().await
    }
}

/// What a source has to do.
#[derive(Clone, Debug)]
pub enum Order {
    /// Collect, and take this route from the next collection on.
    Collect(Arc<Route>),
    /// Come to an end after the collection that is under way.
    Stop,
    /// Collect once more, after the collection that is under way, until there is no more to be had; then come to an end.
    Finish(Arc<Route>),
}

impl Order {
    /// What a source is to do when everything comes to an end.
    #[must_use]
    pub fn at_the_end(&self) -> Self {
        match self {
            Self::Collect(route) if route.collects_at_the_end => Self::Finish(Arc::clone(route)),
            Self::Finish(route) => Self::Finish(Arc::clone(route)),
            Self::Collect(_) | Self::Stop => Self::Stop,
        }
    }
}

/// Kept by what may still be at work, such as every route of one generation: as long as one is, a collection may be on its
/// way along it.
#[derive(Clone, Debug)]
pub struct Hold(#[allow(dead_code, reason = "its end is what it says")] Arc<watch::Sender<()>>);

/// The other end of a [`Hold`]. Clones wait for the same.
#[derive(Clone, Debug)]
pub struct Released(watch::Receiver<()>);

impl Hold {
    /// For whatever is to be waited for, and for whoever waits.
    #[must_use]
    pub fn new() -> (Self, Released) {
        let (hold, released) = watch::channel(());
        (Self(Arc::new(hold)), Released(released))
    }
}

impl Released {
    /// Whether every [`Hold`] is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Waits until every [`Hold`] is gone.
    pub async fn wait(mut self) {
        // Nothing is ever sent: what comes is the end.
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_held_is_waited_for() {
        let (hold, released) = Hold::new();
        let another = hold.clone();
        let waiting = tokio::spawn(released.clone().wait());
        drop(hold);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && !released.is_over());
        drop(another);
        waiting.await.unwrap();
        assert!(released.is_over());
        released.wait().await;
    }
}
