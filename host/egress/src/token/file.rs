//! A token that somebody else keeps fresh in a file.
//!
//! The file is looked at once a second at most and read when its modification time or length has changed. Invariant:
//! what is sent is what the file held at the last look; when that cannot be told, nothing is sent.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kiln_telemetry::Protected;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::error::{FileProblem, TokenError};
use super::scheme::Scheme;
use super::{MAX_BYTES, World};

const LOOKS_APART: Duration = Duration::from_secs(1);

pub(crate) struct FileToken {
    field: String,
    path: Arc<Path>,
    scheme: Arc<Scheme>,
    world: World,
    /// Held during a look, so that concurrent requests share it.
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    at: Instant,
    stamp: Option<Stamp>,
    token: Result<Content, FileProblem>,
}

/// What a file held.
struct Content {
    value: HeaderValue,
    /// The secret as it is and as it is sent.
    _protected: [Protected; 2],
}

/// What changes with the content.
type Stamp = (Option<SystemTime>, u64);

impl FileToken {
    pub(super) fn new(field: &str, path: &str, scheme: Scheme, world: World) -> Self {
        let (field, path) = (field.to_owned(), PathBuf::from(path).into());
        Self { field, path, scheme: Arc::new(scheme), world, seen: Mutex::new(None) }
    }

    pub(super) async fn authorization(&self) -> Result<HeaderValue, TokenError> {
        let mut seen = self.seen.lock().await;
        let now = (self.world.ambient.instant)();
        let known = match &*seen {
            Some(seen) if now.saturating_duration_since(seen.at) < LOOKS_APART => return self.token(seen),
            Some(Seen { stamp, token: Ok(_), .. }) => *stamp,
            Some(_) | None => None,
        };
        match self.look(known).await {
            Look::Unchanged => {
                if let Some(seen) = &mut *seen {
                    seen.at = now;
                }
            }
            Look::Changed(stamp, token) => *seen = Some(self.take(now, stamp, token)),
        }
        match &*seen {
            Some(seen) => self.token(seen),
            // Only what has been seen is unchanged.
            None => Err(TokenError::Interrupted),
        }
    }

    /// Reads the file even if it seems to be the same: modification times are coarse.
    pub(super) async fn replace(&self, refused: &HeaderValue) -> bool {
        let mut seen = self.seen.lock().await;
        if seen.as_ref().is_some_and(|seen| seen.token.as_ref().is_ok_and(|token| token.value != *refused)) {
            return true;
        }
        let Look::Changed(stamp, token) = self.look(None).await else { return false };
        let changed = token.as_ref().is_ok_and(|token| token.value != *refused);
        if changed {
            *seen = Some(self.take((self.world.ambient.instant)(), stamp, token));
        }
        changed
    }

    async fn look(&self, known: Option<Stamp>) -> Look {
        let (path, scheme, world) = (Arc::clone(&self.path), Arc::clone(&self.scheme), self.world.clone());
        // A file can be on a server that does not answer.
        let look = tokio::task::spawn_blocking(move || look(&path, &scheme, &world, known)).await;
        look.unwrap_or_else(|_| Look::Changed(None, Err(FileProblem::Unreadable("interrupted".to_owned()))))
    }

    fn take(&self, at: Instant, stamp: Option<Stamp>, token: Result<Content, FileProblem>) -> Seen {
        let seen = Seen { at, stamp, token };
        self.world.record(&self.field, self.token(&seen).as_ref().map(|_| ()));
        seen
    }

    fn token(&self, seen: &Seen) -> Result<HeaderValue, TokenError> {
        match &seen.token {
            Ok(token) => Ok(token.value.clone()),
            Err(problem) => Err(TokenError::File { field: self.field.clone(), problem: problem.clone() }),
        }
    }
}

enum Look {
    Unchanged,
    Changed(Option<Stamp>, Result<Content, FileProblem>),
}

fn look(path: &Path, scheme: &Scheme, world: &World, known: Option<Stamp>) -> Look {
    let stamp = match stamp(path) {
        Ok(stamp) if Some(stamp) == known => return Look::Unchanged,
        Ok(stamp) => stamp,
        Err(problem) => return Look::Changed(None, Err(problem)),
    };
    // If it changes now, the next look finds another stamp.
    Look::Changed(Some(stamp), read(path, scheme, world))
}

fn stamp(path: &Path) -> Result<Stamp, FileProblem> {
    let metadata = fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe would wait for whoever writes to it.
    if !metadata.is_file() {
        return Err(FileProblem::NotAFile);
    }
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read(path: &Path, scheme: &Scheme, world: &World) -> Result<Content, FileProblem> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(FileProblem::TooLarge);
    }
    let text = std::str::from_utf8(&content).map_err(|_| FileProblem::NotAToken)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    let value = scheme.value(secret).ok_or(FileProblem::NotAToken)?;
    Ok(Content { _protected: [world.redaction.protect(secret), world.protect(&value)], value })
}

fn unreadable(error: io::Error) -> FileProblem {
    FileProblem::Unreadable(error.to_string())
}
