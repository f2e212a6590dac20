//! Personal access tokens of the whole workspace: how many there are, and when each one expires.
//!
//! `GET /api/2.0/token-management/tokens` (databricks-sdk, `TokenManagementAPI.list`): one answer, no pages, and only
//! for admins. Of tokens that expire the first [`MAX_EXPIRING`] to do so are kept, so that the bound costs those that
//! have the longest time left.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::api::{Api, ApiError, count, lenient};
use crate::telemetry;

const PATH: &str = "/api/2.0/token-management/tokens";

/// So many tokens have a point of their own.
const MAX_EXPIRING: usize = 5_000;

const MILLIS_PER_DAY: f64 = 86_400_000.0;

/// The tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// Tokens that never expire.
    lasting: i64,
    /// When the others do, in milliseconds.
    expiries: Vec<u64>,
    /// Those that have a point of their own, the first to expire first.
    expiring: Vec<Expiring>,
}

#[derive(Debug)]
struct Expiring {
    at: u64,
    id: String,
    user_name: Option<String>,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    token_infos: lenient::Items<TokenInfo>,
}

#[derive(Debug, Deserialize)]
struct TokenInfo {
    #[serde(default, deserialize_with = "lenient::text")]
    token_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    comment: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    created_by_username: Option<String>,
    /// -1 if it never expires.
    #[serde(default, deserialize_with = "lenient::number")]
    expiry_time: Option<i64>,
}

impl Tokens {
    pub(crate) fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let answer: Answer = api.get_json(PATH)?;
        api.pass_over(PATH, answer.token_infos.odd);
        let mut tokens = Self::default();
        let mut seen = BTreeSet::new();
        for token in answer.token_infos.items {
            if token.token_id.as_ref().is_some_and(|id| !seen.insert(id.clone())) {
                continue;
            }
            // Whatever is no time says what -1 says.
            let Some(at) = token.expiry_time.and_then(|time| u64::try_from(time).ok()) else {
                tokens.lasting = tokens.lasting.saturating_add(1);
                continue;
            };
            tokens.expiries.push(at);
            if let Some(id) = token.token_id {
                tokens.expiring.push(Expiring { at, id, user_name: token.created_by_username, comment: token.comment });
            }
        }
        tokens.expiring.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        tokens.expiring.truncate(MAX_EXPIRING);
        Ok(tokens)
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics, now: u64, with_comments: bool) {
        let not_expired = count(self.expiries.iter().filter(|at| **at > now).count());
        metrics.databricks_tokens_count(self.lasting.saturating_add(not_expired));
        for token in &self.expiring {
            let attributes = telemetry::DatabricksTokensDaysUntilExpiry {
                databricks_token_id: &token.id,
                databricks_user_name: token.user_name.as_deref(),
                token_comment: token.comment.as_deref().filter(|_| with_comments),
            };
            metrics.databricks_tokens_days_until_expiry(&attributes, days_until(token.at, now));
        }
    }
}

/// Days from one time to another, in milliseconds; negative if it has passed.
#[allow(clippy::cast_precision_loss, reason = "times are far below 2^53 milliseconds, and a day too far is far enough")]
fn days_until(at: u64, now: u64) -> f64 {
    let days = at.abs_diff(now) as f64 / MILLIS_PER_DAY;
    if at < now { -days } else { days }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "halves are exact")]
    fn time_left_is_fractional_and_negative_once_it_has_passed() {
        const DAY: u64 = 86_400_000;
        assert_eq!(days_until(10 * DAY, 8 * DAY + DAY / 2), 1.5);
        assert_eq!(days_until(8 * DAY, 8 * DAY), 0.0);
        assert_eq!(days_until(8 * DAY, 10 * DAY), -2.0);
        assert!(days_until(u64::MAX, 0).is_finite());
    }
}
