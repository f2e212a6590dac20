//! How a workspace can misbehave.
//!
//! The variants are what a client of the real service meets, each at the layer where it happens: refused
//! before the request is looked at, delayed, cut off, answered with things the client has never heard of, or
//! with pages that do not keep the rules of pages. A burst of errors is one of them for so many requests.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// `429 REQUEST_LIMIT_EXCEEDED`.
    RateLimited {
        /// `Retry-After` in seconds; absent: no such header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The same, with `Retry-After` as the date that is so many seconds ahead on the world's clock.
    RateLimitedUntil {
        /// How far ahead.
        seconds: u64,
    },
    /// `503 TEMPORARILY_UNAVAILABLE`.
    Unavailable {
        /// `Retry-After` in seconds; absent: no such header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// `502` with a page of HTML, as from a proxy.
    BadGateway,
    /// `403 PERMISSION_DENIED`.
    Forbidden,
    /// `500 INTERNAL_ERROR`.
    InternalError,
    /// The right answer, late.
    Slow {
        /// By how many milliseconds.
        ms: u64,
    },
    /// The connection is reset instead of an answer.
    Reset,
    /// The headers and half of the body, whose whole length was promised, and then the connection is cut.
    CutBody,
    /// The headers and half of the body, and then nothing for ever.
    EndlessBody,
    /// No answer for ever.
    Hang,
    /// `200` with half of the right answer, which is not JSON any more.
    TruncatedJson,
    /// `200` with something that never was JSON.
    InvalidJson,
    /// `200` with a page of HTML, as from a login page.
    Html,
    /// The right answer, with a `null` before the first element of every array.
    NullElements,
    /// The right answer, with `null` for every object within an item of a list.
    NullObjects,
    /// Pages ten times as long as they may be.
    OversizedPages,
    /// Every page but the first begins with the last item of the page before it.
    RepeatedItems,
    /// Every page is the first one, and leads to another.
    EndlessPages {
        /// With which tokens.
        tokens: Tokens,
    },
    /// The right answer, with fields no client knows in every object and a new word in every enumeration.
    Unfamiliar,
}

/// Which tokens lead on for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// One.
    Same,
    /// Two, in turn.
    Alternating,
    /// One that was never seen before.
    New,
}

/// The word that [`Fault::Unfamiliar`] puts into every enumeration.
pub const UNFAMILIAR_VALUE: &str = "BRAND_NEW_VALUE";

/// The field that [`Fault::Unfamiliar`] adds to every object.
pub const UNFAMILIAR_FIELD: &str = "field_of_a_later_release";

impl Fault {
    /// The error it answers with, for those that do.
    pub(super) fn error(&self) -> Option<(StatusCode, &'static str, &'static str)> {
        match self {
            Self::RateLimited { .. } | Self::RateLimitedUntil { .. } => Some((
                StatusCode::TOO_MANY_REQUESTS,
                "REQUEST_LIMIT_EXCEEDED",
                "Too many requests. Please wait a moment and try again.",
            )),
            Self::Forbidden => {
                Some((StatusCode::FORBIDDEN, "PERMISSION_DENIED", "The caller does not have permission to do this."))
            }
            Self::InternalError => {
                Some((StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "The service met an unexpected condition."))
            }
            Self::Unavailable { .. } => Some((
                StatusCode::SERVICE_UNAVAILABLE,
                "TEMPORARILY_UNAVAILABLE",
                "The service is temporarily unavailable. Please try again later.",
            )),
            _ => None,
        }
    }
}

/// Fields of the API whose values are words from a list that may grow.
const ENUMERATIONS: &[&str] = &[
    "cause",
    "cluster_source",
    "code",
    "config_update",
    "event_type",
    "health",
    "level",
    "life_cycle_state",
    "object_type",
    "pause_status",
    "ready",
    "result_state",
    "run_type",
    "runtime_engine",
    "state",
    "statement_type",
    "status",
    "trigger",
    "type",
    "warehouse_type",
];

/// Rewrites an answer for [`Fault::Unfamiliar`].
pub(super) fn make_unfamiliar(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(make_unfamiliar),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if value.is_string() && ENUMERATIONS.contains(&name.as_str()) {
                    *value = UNFAMILIAR_VALUE.into();
                } else {
                    make_unfamiliar(value);
                }
            }
            add_field(fields);
        }
        _ => {}
    }
}

fn add_field(fields: &mut Map<String, Value>) {
    fields.insert(UNFAMILIAR_FIELD.to_owned(), json!({ "nested": [1, "two"] }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfamiliar_answers_keep_their_shape_and_change_their_words() {
        let mut answer = json!({ "runs": [{ "run_id": 1, "state": { "life_cycle_state": "RUNNING" } }] });
        make_unfamiliar(&mut answer);
        let run = answer.pointer("/runs/0");
        assert_eq!(run.and_then(|run| run.pointer("/state/life_cycle_state")), Some(&json!(UNFAMILIAR_VALUE)));
        assert_eq!(run.and_then(|run| run.get("run_id")), Some(&json!(1)));
        assert!(run.and_then(|run| run.get(UNFAMILIAR_FIELD)).is_some());
    }
}
