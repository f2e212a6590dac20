//! Answers of servers that an author has written down, so that a plugin can be checked without any.
//!
//! ```json
//! [ { "path": "/api/queues", "json": { "queues": [] } },
//!   { "method": "GET", "path": "/api/orders?after=*", "status": 500, "body": "broken" } ]
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kiln_egress::ScriptedAnswer;
use kiln_policy::Method;
use serde::Deserialize;

use crate::commands::read_file;
use crate::exit::Failure;

/// One entry of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Any if absent.
    method: Option<String>,
    /// Path and query; a `*` at the end stands for whatever follows.
    path: String,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json: Option<serde_json::Value>,
    body: Option<String>,
}

const fn ok() -> u16 {
    200
}

/// Reads the answers in a file.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub(crate) fn read_answers(path: &Path) -> Result<Arc<[ScriptedAnswer]>, Failure> {
    let fault = |text: &dyn std::fmt::Display| Failure::Usage(format!("{}: {text}", path.display()));
    let written: Vec<Written> = serde_json::from_slice(&read_file(path)?).map_err(|error| {
        fault(&format!(
            "is no list of answers: {error}; an answer is {{ \"path\": \"/api/queues\", \"json\": {{ … }} }}, and may have \
             `method`, `status`, `headers` and `body`"
        ))
    })?;
    written.into_iter().map(|written| written.answer().map_err(|text| fault(&text))).collect()
}

impl Written {
    fn answer(self) -> Result<ScriptedAnswer, String> {
        let Self { method, path, status, headers, json, body } = self;
        let method = method.map(|name| {
            let known = Method::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(&name));
            known.ok_or_else(|| format!("`{name}` is no method of HTTP that a plugin can use"))
        });
        if !(100..=999).contains(&status) {
            return Err(format!("{status} is no status of HTTP"));
        }
        let body = match (json, body) {
            (Some(_), Some(_)) => return Err(format!("the answer to `{path}` has both `json` and `body`")),
            (Some(json), None) => json.to_string(),
            (None, body) => body.unwrap_or_default(),
        };
        let headers = headers.into_iter().collect();
        Ok(ScriptedAnswer { method: method.transpose()?, target: path, status, headers, body: body.into() })
    }
}
