//! What a token endpoint says, read without trust.
//!
//! A token endpoint is chosen by the operator, but what comes from its address need not come from it: a portal's login
//! page has status 200 as well. Whatever the bytes are, the result is a token, a code, or the statement that it was
//! neither; no text of the answer gets any further.

use std::time::Duration;

use kiln_policy::Origin;
use reqwest::header::HeaderValue;
use serde_json::Value;
use url::Url;

use super::error::{Nonsense, TokenError};

/// The life of a token whose issuer does not say (RFC 6749 §5.1 recommends that it does).
const USUAL_LIFE: Duration = Duration::from_secs(3600);
/// A shorter life would mean a request for a token with every request.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);
/// A token that is never renewed is one whose loss is never noticed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// As much of a server's sentence as goes to the log, in characters.
const MAX_SAID: usize = 300;
const MAX_CODE: usize = 60;

/// A token, and how long it is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) value: HeaderValue,
    pub(super) life: Duration,
}

/// Reads a successful answer (RFC 6749 §5.1).
pub(super) fn issued(body: &[u8]) -> Result<Issued, Nonsense> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| Nonsense::NotJson)?;
    let is_bearer = match answer.get("token_type") {
        None | Some(Value::Null) => true,
        Some(kind) => kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")),
    };
    let token = answer.get("access_token").and_then(Value::as_str);
    let value = token.and_then(super::bearer).ok_or(Nonsense::NoToken)?;
    if !is_bearer {
        return Err(Nonsense::NotBearer);
    }
    let life = answer.get("expires_in").and_then(seconds).map_or(USUAL_LIFE, Duration::from_secs);
    Ok(Issued { value, life: life.clamp(SHORTEST_LIFE, LONGEST_LIFE) })
}

/// Some issuers write numbers as text.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Reads metadata (RFC 8414 §3.2): the token endpoint, which has to be where the metadata is.
pub(super) fn token_endpoint(body: &[u8], origin: &Origin) -> Result<Url, TokenError> {
    let nonsense = |nonsense| TokenError::Answer(origin.clone(), nonsense);
    let answer: Value = serde_json::from_slice(body).map_err(|_| nonsense(Nonsense::NotJson))?;
    let text = answer.get("token_endpoint").and_then(Value::as_str);
    let url = text.and_then(|text| Url::parse(text).ok()).ok_or_else(|| nonsense(Nonsense::NoEndpoint))?;
    match Origin::of(&url) {
        Ok(named) if named == *origin => Ok(url),
        named => Err(TokenError::Elsewhere { origin: origin.clone(), named: named.ok() }),
    }
}

/// Reads an error answer (RFC 6749 §5.2): its code, and what else it says, without any of `secrets`.
pub(super) fn refusal(body: &[u8], secrets: &[&str]) -> (Option<String>, Option<String>) {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return (None, None) };
    let text = |key| answer.get(key).and_then(Value::as_str);
    let code = text("error").filter(|code| is_code(code) && !secrets.iter().any(|secret| code.contains(secret)));
    let said = text("error_description").map(|said| {
        let said = secrets.iter().fold(said.to_owned(), |said, secret| said.replace(secret, "[REDACTED]"));
        said.chars().map(|it| if it.is_control() { ' ' } else { it }).take(MAX_SAID).collect()
    });
    (code.map(str::to_owned), said)
}

fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_CODE
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> Origin {
        Origin::parse("https://a.example").unwrap()
    }

    fn life(expires_in: &str) -> u64 {
        let body = format!(r#"{{"access_token":"t","token_type":"bearer"{expires_in}}}"#);
        issued(body.as_bytes()).unwrap().life.as_secs()
    }

    #[test]
    fn a_token_and_its_life_are_read_however_they_are_spelled() {
        let body = br#"{"access_token":"eyJ0.x-y","token_type":"BEARER","expires_in":3600,"scope":"all-apis"}"#;
        assert_eq!(issued(body).unwrap().value, "Bearer eyJ0.x-y");
        assert_eq!([life(r#","expires_in":900"#), life(r#","expires_in":"900""#)], [900, 900]);
        for unknown in ["", r#","expires_in":null"#, r#","expires_in":-1"#, r#","expires_in":"soon""#] {
            assert_eq!(life(unknown), 3600, "{unknown}");
        }
        assert_eq!([life(r#","expires_in":0"#), life(r#","expires_in":9999999999"#)], [10, 24 * 3600]);
        assert!(issued(br#"{"access_token":"t"}"#).is_ok());
    }

    #[test]
    fn what_is_no_token_is_not_sent_as_one() {
        for (body, expected) in [
            ("<html><body>Please sign in</body></html>", Nonsense::NotJson),
            ("", Nonsense::NotJson),
            ("[]", Nonsense::NoToken),
            (r#"{"token":"t"}"#, Nonsense::NoToken),
            (r#"{"access_token":""}"#, Nonsense::NoToken),
            (r#"{"access_token":7}"#, Nonsense::NoToken),
            (r#"{"access_token":"a\r\nx-admin: 1"}"#, Nonsense::NoToken),
            (r#"{"access_token":"t","token_type":"DPoP"}"#, Nonsense::NotBearer),
            (r#"{"access_token":"t","token_type":7}"#, Nonsense::NotBearer),
        ] {
            assert_eq!(issued(body.as_bytes()), Err(expected), "{body}");
        }
    }

    #[test]
    fn metadata_may_name_an_endpoint_of_its_own_origin_and_no_other() {
        let endpoint = |url: &str| token_endpoint(format!(r#"{{"token_endpoint":"{url}"}}"#).as_bytes(), &origin());
        for own in ["https://a.example/oidc/v1/token", "https://A.example:443/x?y=z"] {
            assert!(endpoint(own).is_ok(), "{own}");
        }
        for other in [
            "https://evil.example/token",
            "https://a.example.evil.example/token",
            "https://a.example:444/token",
            "http://a.example/token",
            "https://a.example@evil.example/token",
            "https://me:s3cret@a.example/token",
            "ftp://a.example/token",
            "file:///etc/passwd",
        ] {
            let error = endpoint(other).unwrap_err();
            assert!(matches!(error, TokenError::Elsewhere { .. }), "{other}: {error:?}");
            assert!(!error.to_string().contains("s3cret"));
        }
        for none in ["", "/oidc/v1/token", "//a.example/token"] {
            assert!(matches!(endpoint(none), Err(TokenError::Answer(..))), "{none}");
        }
    }

    #[test]
    fn of_a_refusal_the_plugin_gets_a_code_and_the_operator_a_sentence_without_the_secret() {
        let read = |body: &str| refusal(body.as_bytes(), &["s3cret", "czNjcmV0"]);
        let (code, said) = read(r#"{"error":"invalid_client","error_description":"bad s3cret\n(czNjcmV0)"}"#);
        assert_eq!(code.as_deref(), Some("invalid_client"));
        assert_eq!(said.as_deref(), Some("bad [REDACTED] ([REDACTED])"));
        for no_code in [r#"{"error":"s3cret"}"#, r#"{"error":"two words"}"#, r#"{"error":{}}"#, "<html>", ""] {
            assert_eq!(read(no_code).0, None, "{no_code}");
        }
        let long = format!(r#"{{"error":"e","error_description":"{}"}}"#, "é".repeat(1000));
        assert_eq!(read(&long).1.unwrap().chars().count(), MAX_SAID);
    }

    fn answers() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| number.to_string()),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
            Just("null".to_owned()),
            Just("[".repeat(5000)),
            Just(r#"{"a":[1,"b"]}"#.to_owned()),
            Just("\"https://a.example/t\"".to_owned()),
        ];
        let key = prop::sample::select(vec![
            "access_token",
            "expires_in",
            "token_type",
            "token_endpoint",
            "error",
            "error_description",
        ]);
        let object = prop::collection::vec((key, value), 0..7).prop_map(|entries| {
            let entries: Vec<_> = entries.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", entries.join(",")).into_bytes()
        });
        prop_oneof![3 => object, 1 => prop::collection::vec(any::<u8>(), 0..200)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_answer_panics_or_leaves_its_bounds(body in answers()) {
            if let Ok(issued) = issued(&body) {
                prop_assert!(issued.life >= SHORTEST_LIFE && issued.life <= LONGEST_LIFE);
                prop_assert!(issued.value.is_sensitive());
            }
            if let Ok(url) = token_endpoint(&body, &origin()) {
                prop_assert_eq!(Origin::of(&url), Ok(origin()));
            }
            let (code, said) = refusal(&body, &["s"]);
            prop_assert!(code.is_none_or(|code| is_code(&code)));
            prop_assert!(said.is_none_or(|said| said.chars().all(|it| !it.is_control())));
        }
    }
}
