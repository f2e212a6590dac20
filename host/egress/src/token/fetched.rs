//! A token that is fetched, kept in memory, and renewed before it expires.
//!
//! Invariant: at most one attempt is under way, in a task of its own, so that it neither dies with the request that
//! started it nor starts anew with the next. Requests that have a good token never wait; those that have none wait for
//! the attempt under way. After a failed attempt there is a pause in which requests fail at once with its reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use kiln_policy::ClientCredentials;
use kiln_telemetry::Protected;
use reqwest::header::HeaderValue;
use tokio::task::AbortHandle;

use super::World;
use super::endpoint::Endpoint;
use super::error::{NoToken, TokenError};
use super::pause::Pause;
use crate::credentials::Credentials;
use crate::error::EgressError;
use crate::limits::EgressLimits;

/// A token is renewed so long before it expires, or after four fifths of its life if that is later.
const AHEAD: Duration = Duration::from_secs(300);

pub(crate) struct FetchedToken(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    world: World,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    under_way: Option<Attempt>,
    /// Why the last attempt failed, unless it succeeded.
    failed: Option<TokenError>,
    /// Follows a failed attempt.
    pause: Pause,
    /// Follows a token that a server did not accept: a fresh one may fare no better.
    refused: Pause,
}

struct Token {
    value: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
    _protected: Option<Protected>,
}

struct Attempt {
    outcome: Outcome,
    task: AbortHandle,
}

type Outcome = Shared<BoxFuture<'static, Result<HeaderValue, TokenError>>>;

impl FetchedToken {
    pub(super) fn new(
        credentials: &ClientCredentials,
        values: &Credentials,
        limits: &EgressLimits,
        world: World,
    ) -> Result<Self, EgressError> {
        let endpoint = Endpoint::new(credentials, values, limits, world.clone())?;
        Ok(Self(Arc::new(Inner { endpoint, world, state: Mutex::default() })))
    }

    pub(super) async fn authorization(&self) -> Result<HeaderValue, NoToken> {
        let outcome = {
            let mut state = self.0.state();
            let now = self.0.now();
            match &state.token {
                Some(token) if now < token.renew_at => return Ok(token.value.clone()),
                Some(token) if now < token.expires_at => {
                    let value = token.value.clone();
                    // It renews itself in the background; if it cannot, this one is still good.
                    let _ = self.attempt(&mut state, now);
                    return Ok(value);
                }
                Some(_) | None => self.attempt(&mut state, now)?,
            }
        };
        Ok(outcome.await?)
    }

    pub(super) async fn replace(&self, refused: &HeaderValue) -> bool {
        let outcome = {
            let mut state = self.0.state();
            let now = self.0.now();
            if state.token.as_ref().is_some_and(|token| token.value != *refused) {
                // Another request was faster.
                return true;
            }
            if state.under_way.is_none() {
                if state.refused.left(now).is_some() {
                    return false;
                }
                let chance = (self.0.world.ambient.chance)();
                state.refused.begin(now, None, chance);
            }
            state.token = None;
            self.attempt(&mut state, now)
        };
        match outcome {
            Ok(outcome) => outcome.await.is_ok(),
            Err(_) => false,
        }
    }

    /// The attempt under way, or a new one, unless it is too soon after the last.
    fn attempt(&self, state: &mut State, now: Instant) -> Result<Outcome, NoToken> {
        if let Some(attempt) = &state.under_way {
            return Ok(attempt.outcome.clone());
        }
        if let (Some(error), Some(left)) = (&state.failed, state.pause.left(now)) {
            return Err(NoToken::after(error.clone(), Some(left)));
        }
        let inner = Arc::clone(&self.0);
        // Cannot end before the guard that `state` comes from is gone.
        let task = tokio::spawn(async move { inner.renew().await });
        let abort = task.abort_handle();
        let outcome = task.map(|joined| joined.unwrap_or(Err(TokenError::Interrupted))).boxed().shared();
        state.under_way = Some(Attempt { outcome: outcome.clone(), task: abort });
        Ok(outcome)
    }

    #[cfg(test)]
    pub(super) async fn settle(&self) {
        let under_way = self.0.state().under_way.as_ref().map(|attempt| attempt.outcome.clone());
        if let Some(outcome) = under_way {
            let _ = outcome.await;
        }
    }
}

impl Drop for FetchedToken {
    fn drop(&mut self) {
        if let Some(attempt) = &self.0.state().under_way {
            attempt.task.abort();
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done when a guard is dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        (self.world.ambient.instant)()
    }

    async fn renew(&self) -> Result<HeaderValue, TokenError> {
        // Its life began before the answer arrived.
        let asked_at = self.now();
        let result = self.endpoint.exchange().await;
        let protected = result.as_ref().ok().map(|issued| self.world.protect(&issued.value));
        self.world.record(self.endpoint.place().as_str(), result.as_ref().map(|_| ()));
        let mut state = self.state();
        state.under_way = None;
        match result.map(|issued| (issued, protected)) {
            Ok((issued, protected)) => {
                state.failed = None;
                state.pause = Pause::default();
                let expires_at = asked_at.checked_add(issued.life).unwrap_or(asked_at);
                let renew_at = expires_at.checked_sub(AHEAD.min(issued.life / 5)).unwrap_or(asked_at);
                let value = issued.value.clone();
                state.token = Some(Token { value, renew_at, expires_at, _protected: protected });
                Ok(issued.value)
            }
            Err(error) => {
                let (now, chance) = (self.now(), (self.world.ambient.chance)());
                state.pause.begin(now, error.asked(), chance);
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }
}
