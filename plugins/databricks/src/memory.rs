//! What collectors remember from one collection to the next, through the host's transactional state.
//!
//! A collector whose memory cannot be kept must not report what it would have remembered: the next collection would
//! count it again. It costs itself only; the others have room.

use kiln_plugin::state::StateError;
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{CollectError, Host, Level};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::ApiError;
use crate::errors::Errors;
use crate::part::Part;

/// What is stored under a key. What this version cannot read is begun anew, with a new start time: counts restart where
/// everyone can see it, instead of never being collected again.
pub(crate) fn load<T: DeserializeOwned>(host: &Host, key: &str) -> Result<Option<T>, CollectError> {
    match host.state().get(key) {
        Err(StateError::Unreadable { key, error }) => {
            let attributes = [Attribute::new("state", key), Attribute::new("error", error.to_string())];
            host.log(Level::Warn, "counting starts anew: what was stored cannot be read", &attributes);
            Ok(None)
        }
        stored => Ok(stored?),
    }
}

/// Remembers a value under a key. Whether there was room for it; if not, that is reported.
pub(crate) fn keep<T: Serialize>(
    host: &Host,
    key: &str,
    value: &T,
    part: Part,
    errors: &mut Errors,
) -> Result<bool, CollectError> {
    match host.state().set(key, value) {
        Err(StateError::Full { .. }) => {
            errors.note(part, ApiError::NoRoom);
            Ok(false)
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}
