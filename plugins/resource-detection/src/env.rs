//! What the operator says in the variables every OpenTelemetry SDK reads.

use kiln_plugin::env::Env;
use percent_encoding::percent_decode_str;

use crate::findings::{Findings, MAX_KEY_BYTES};

const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

pub(crate) fn detect(env: Env<'_>, findings: &mut Findings) {
    // By the specification it wins over a service.name among the attributes.
    findings.add_if_there("service.name", env.get(SERVICE_NAME), SERVICE_NAME);
    let Some(text) = env.get(ATTRIBUTES) else { return };
    match parse(&text) {
        Ok(attributes) => {
            attributes.into_iter().for_each(|(key, value)| findings.add(&key, value, ATTRIBUTES));
        }
        // The specification discards all of it, and has it reported.
        Err(problem) => findings.complain(format!("{ATTRIBUTES}: {problem}; all of it is left out")),
    }
}

/// `key=value` pairs, separated by commas; what would be one of these characters is percent-encoded.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut attributes = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(format!("`{}` is no key=value", excerpt(pair)));
        };
        let (key, value) = (decode(key.trim())?, decode(value.trim())?);
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(format!("a key is empty or longer than {MAX_KEY_BYTES} bytes in `{}`", excerpt(pair)));
        }
        attributes.push((key, value));
    }
    Ok(attributes)
}

fn decode(text: &str) -> Result<String, String> {
    let mut parts = text.split('%').skip(1);
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    if parts.any(|part| !is_digit(part.as_bytes().first()) || !is_digit(part.as_bytes().get(1))) {
        return Err(format!("`{}` has a % without two hexadecimal digits", excerpt(text)));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| format!("`{}` is not UTF-8 when decoded", excerpt(text)))
}

/// So that no value, which may be a mistaken secret, is in the log as a whole.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 20;
    let mut head: String = text.chars().take(CHARACTERS).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        head.push('…');
    }
    head
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let parsed = parse(" a=1, b.c = x%20y%2C%3D ,,d=").unwrap();
        let parsed: Vec<_> = parsed.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(parsed, [("a", "1"), ("b.c", "x y,="), ("d", "")]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_as_a_whole() {
        assert_eq!(parse("a=1,b").unwrap_err(), "`b` is no key=value");
        assert_eq!(parse("a=%2").unwrap_err(), "`%2` has a % without two hexadecimal digits");
        assert_eq!(parse("a=%é").unwrap_err(), "`%é` has a % without two hexadecimal digits");
        assert_eq!(parse("a=%ff").unwrap_err(), "`%ff` is not UTF-8 when decoded");
        assert!(parse("=1").unwrap_err().starts_with("a key is empty"));
    }

    proptest! {
        #[test]
        fn any_text_is_pairs_or_refused(text in "[a%,=é0-9 ]{0,40}|.*") {
            if let Ok(attributes) = parse(&text) {
                prop_assert!(attributes.iter().all(|(key, _)| !key.is_empty()));
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(value in "\\PC*") {
            use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
            let text = format!("k={}", utf8_percent_encode(&value, NON_ALPHANUMERIC));
            prop_assert_eq!(parse(&text).unwrap(), [("k".to_owned(), value)]);
        }
    }
}
