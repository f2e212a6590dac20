//! What the workspace holds: its objects and the files in DBFS, whole trees.
//!
//! The API lists one directory at a time, so a tree is walked over many collections: the first time with all requests
//! that can be spared, later at an even pace over `interval`, which costs a request or two in each. Where a walk has
//! come to and what the last complete one counted are in state. A count is reported only if its walk was complete, and
//! from then on until the next one is.
//!
//! The two trees fail by themselves. Growth is bounded by [`walk`].

mod tree;
mod walk;

use core::time::Duration;

use kiln_plugin::{CollectError, Host, PartialFailure};
use serde::{Deserialize, Serialize};

use crate::api::{AT_ONCE, Api, ApiError, encode};
use crate::config;
use crate::errors::Errors;
use crate::memory::{keep, load};
use crate::telemetry;
use crate::watch::Due;
use tree::Tree;
use walk::{Abandoned, Counts, Directory, Exclude, Walk};

/// The collector.
#[derive(Debug)]
pub(crate) struct Inventory {
    trees: [Walker; 2],
}

impl Inventory {
    pub(crate) fn new(config: &config::Inventory) -> Self {
        let walker = |tree: Tree, enabled: bool| Walker {
            tree,
            // Where a walk stands is looked at in every collection; when the next one begins is in state.
            due: Due::new(tree.part(), config.enabled && enabled, Duration::ZERO),
            interval: u64::try_from(config.interval.as_millis()).unwrap_or(u64::MAX),
            exclude: tree.exclude(&config.exclude),
            last: None,
        };
        Self { trees: [walker(Tree::Workspace, config.workspace), walker(Tree::Dbfs, config.dbfs)] }
    }

    /// Walks on with the requests that can be spared.
    pub(crate) fn read(&mut self, host: &Host, api: &mut Api<'_>, errors: &mut Errors) -> Result<(), CollectError> {
        self.trees.iter_mut().try_for_each(|walker| walker.read(host, api, errors))
    }

    /// Adds what the last complete walks counted.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        for walker in &self.trees {
            if let Some(counts) = &walker.last {
                walker.tree.add_to(counts, metrics);
            }
        }
    }
}

/// Walks through one tree again and again.
#[derive(Debug)]
struct Walker {
    tree: Tree,
    due: Due,
    /// From the start of one walk to the start of the next, in milliseconds.
    interval: u64,
    exclude: Exclude,
    last: Option<Counts>,
}

/// What is remembered of one tree.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// When the last walk began, in milliseconds of the workspace's clock.
    began: Option<u64>,
    walk: Option<Walk>,
    last: Option<Complete>,
}

/// What a complete walk came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Complete {
    counts: Counts,
    directories: u64,
}

/// What went wrong.
enum Trouble {
    Server(ApiError),
    Directory(ApiError),
}

/// How a stretch of a walk ended.
enum Stop {
    /// The identity may not read the tree at all.
    Forbidden(ApiError),
    /// The tree is not counted.
    Abandoned(Abandoned),
}

impl From<Abandoned> for Stop {
    fn from(why: Abandoned) -> Self {
        Self::Abandoned(why)
    }
}

impl Walker {
    fn read(&mut self, host: &Host, api: &mut Api<'_>, errors: &mut Errors) -> Result<(), CollectError> {
        let monotonic = api.monotonic();
        if !self.due.is_due(monotonic) {
            self.last = None;
            return Ok(());
        }
        let key = self.tree.state();
        let mut memory: Memory = load(host, key)?.unwrap_or_default();
        if memory.walk.is_none() && memory.is_due(api.now(), self.interval) {
            (memory.began, memory.walk) = (Some(api.now()), Some(Walk::begin()));
        }
        if let Some(mut walk) = memory.walk.take() {
            let limit = memory.limit(&walk, api, self.interval);
            let stop = self.walk_on(&mut walk, limit, api, errors);
            if stop.is_ok() {
                self.due.note(monotonic, Ok(()), errors);
            }
            match stop {
                Ok(()) if walk.is_complete() => {
                    self.report(&walk, errors);
                    let directories = walk.done;
                    memory.last = Some(Complete { counts: walk.into_counts(), directories });
                }
                Ok(()) => memory.walk = Some(walk),
                Err(Stop::Abandoned(why)) => errors.note(self.tree.part(), self.failed(why.to_string())),
                Err(Stop::Forbidden(error)) => {
                    self.due.note::<()>(monotonic, Err(error), errors);
                    memory = Memory::default();
                }
            }
            self.remember(host, &mut memory, errors)?;
        }
        self.last = memory.last.map(|last| last.counts);
        if let Some(odd) = api.take_odd() {
            errors.note(self.tree.part(), odd);
        }
        Ok(())
    }

    /// Lists directories until the limit is reached, the walk is complete, or something goes wrong: what else is tried
    /// in this collection would most likely go wrong as well, and after a timeout there is no time for more.
    fn walk_on(&self, walk: &mut Walk, limit: usize, api: &mut Api<'_>, errors: &mut Errors) -> Result<(), Stop> {
        let (mut spent, mut trouble) = (0_usize, None);
        while spent < limit && trouble.is_none() {
            if spent > 0 && api.spare() == 0 {
                break;
            }
            let directories = walk.take(AT_ONCE.min(limit.saturating_sub(spent)), &self.exclude);
            if directories.is_empty() {
                break;
            }
            spent = spent.saturating_add(directories.len());
            let path = |directory: &Directory| format!("{}?path={}", self.tree.endpoint(), encode(&directory.path));
            let paths: Vec<String> = directories.iter().map(path).collect();
            for (directory, page) in directories.into_iter().zip(api.get_all(&paths)) {
                match page.and_then(|page| Ok(self.tree.read(&page)?)) {
                    Ok(listing) => {
                        let odd = walk.enter(&directory, listing.entries, &self.exclude)?;
                        api.pass_over(self.tree.endpoint(), listing.odd.saturating_add(odd));
                    }
                    Err(error) if error.is_forbidden() && directory.is_root() => return Err(Stop::Forbidden(error)),
                    Err(error) if error.is_forbidden() => walk.refuse(),
                    Err(error) if error.status() == Some(404) && !directory.is_root() => walk.vanish(),
                    // Neither says anything about the directory.
                    Err(error) if error.is_unauthorized() || is_to_wait(&error) => {
                        walk.postpone(directory);
                        trouble = Some(Trouble::Server(error));
                    }
                    Err(error) => {
                        let is_root = directory.is_root();
                        if let Err(why) = walk.fail(directory) {
                            errors.note(self.tree.part(), error);
                            return Err(why.into());
                        }
                        let kind = if is_root { Trouble::Server } else { Trouble::Directory };
                        trouble = Some(kind(error));
                    }
                }
            }
        }
        match trouble {
            Some(Trouble::Server(error)) => errors.note(self.tree.part(), error),
            Some(Trouble::Directory(error)) => self.tell(&error, errors),
            None => {}
        }
        Ok(())
    }

    /// Says what a complete walk has passed over: once for all directories.
    fn report(&self, walk: &Walk, errors: &mut Errors) {
        if walk.refused > 0 {
            let what = format!(
                "{} directories may not be read and count as empty: the identity needs {}",
                walk.refused,
                self.tree.part().permission
            );
            self.tell(&self.failed(what), errors);
        }
        if walk.lost > 0 {
            let what = format!("{} directories could not be read and count as empty", walk.lost);
            self.tell(&self.failed(what), errors);
        }
    }

    /// Reports what went wrong without making it a reason for the collection to fail. A directory may be all that was
    /// asked for, and a collection that fails does not remember that the directory did.
    fn tell(&self, error: &ApiError, errors: &mut Errors) {
        errors.count(self.tree.part(), error);
        errors.report(PartialFailure::new(self.tree.part().name, error.to_string()));
    }

    fn failed(&self, reason: String) -> ApiError {
        ApiError::Failed { path: self.tree.endpoint().to_owned(), reason }
    }

    /// A walk for which state has no room must not cost everything else that is remembered.
    fn remember(&self, host: &Host, memory: &mut Memory, errors: &mut Errors) -> Result<(), CollectError> {
        let had_room = keep(host, self.tree.state(), memory, self.tree.part(), errors)?;
        if !had_room && memory.walk.take().is_some() {
            keep(host, self.tree.state(), memory, self.tree.part(), errors)?;
        }
        Ok(())
    }
}

/// Whether the server says that it wants to be left alone.
fn is_to_wait(error: &ApiError) -> bool {
    matches!(error.kind().as_ref(), "429" | "rate_limited" | "cancelled")
}

impl Memory {
    /// Whether a walk is to begin. A clock that was ahead must not put it off for longer than the interval.
    fn is_due(&self, now: u64, interval: u64) -> bool {
        self.began.is_none_or(|began| now < began || now.saturating_sub(began) >= interval)
    }

    /// Requests for this collection. Where everybody else has used up the budget, a walk still gets on.
    fn limit(&self, walk: &Walk, api: &Api<'_>, interval: u64) -> usize {
        let spare = api.spare().max(1);
        let (Some(last), Some(began)) = (&self.last, self.began) else { return spare };
        let due = requests_due(last.directories, api.now().saturating_sub(began), interval);
        usize::try_from(due.saturating_sub(walk.asked)).unwrap_or(usize::MAX).min(spare)
    }
}

/// How many requests a walk is to have spent after some time: as many as make it complete after nine tenths of the
/// interval if the tree is as large as it was.
fn requests_due(directories: u64, elapsed: u64, interval: u64) -> u64 {
    if elapsed >= interval {
        return u64::MAX;
    }
    let due = u128::from(directories).saturating_mul(u128::from(elapsed)).saturating_mul(10);
    let due = due.checked_div(u128::from(interval).saturating_mul(9)).unwrap_or_default();
    u64::try_from(due).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_over_nine_tenths_of_the_interval() {
        assert_eq!(requests_due(900, 0, 1_000), 1);
        assert_eq!(requests_due(900, 450, 1_000), 451);
        assert_eq!(requests_due(900, 900, 1_000), 901);
        assert_eq!(requests_due(900, 1_000, 1_000), u64::MAX);
        assert_eq!(requests_due(u64::MAX, 999, 1_000), u64::MAX);
    }

    #[test]
    fn a_walk_begins_when_the_interval_is_over_or_the_clock_was_wrong() {
        let memory = |began| Memory { began, ..Memory::default() };
        assert!(memory(None).is_due(0, 100));
        assert!(memory(Some(50)).is_due(150, 100));
        assert!(memory(Some(500)).is_due(150, 100));
        assert!(!memory(Some(50)).is_due(149, 100));
    }
}
