//! One collection, or one batch that a processor was given, as its author sees it.

use std::fmt::Write as _;

use kiln_otlp::{Batch, Signal, to_json};
use kiln_policy::Visible;
use kiln_telemetry::metrics::EgressOutcome;
use kiln_telemetry::{DenialRecord, Seen, SeenRequest};
use serde_json::{Map, Value as Json, json};

use crate::change::change;
use crate::emission::Emission;
use crate::table::table;
use crate::values::{bytes, duration};

/// What was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Id of the instance, for example `databricks/prod`.
    pub instance: String,
    /// What it may hold, in bytes of memory.
    pub memory_limit: u64,
}

/// How a collection, or the processing of a batch, went.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What the plugin did meanwhile.
    pub seen: Seen,
    /// What it was denied meanwhile.
    pub denials: Vec<DenialRecord>,
    /// What came of it, or the class of the error and its sentence.
    pub result: Result<Left, (&'static str, String)>,
    /// What a processor was given.
    pub given: Option<Batch>,
}

/// What came of a collection, or was left of a batch.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// One batch for each signal.
    pub batches: Vec<Batch>,
    /// What could not be read, and why; the first hundred.
    pub failures: Vec<(String, String)>,
    /// How much could not be read.
    pub failure_count: usize,
    /// Whether there is more to collect at once.
    pub more: bool,
}

/// An attempt and what was tried.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was tried.
    pub subject: &'a Subject,
    /// How it went.
    pub attempt: &'a Attempt,
}

impl Report<'_> {
    /// Whether all was done, and nothing left out or denied.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let Attempt { result, denials, .. } = self.attempt;
        denials.is_empty()
            && self.attempt.seen.refusals.is_empty()
            && result.as_ref().is_ok_and(|left| left.failure_count == 0)
    }

    /// For people, with at most so many requests, and rows of each signal.
    #[must_use]
    pub fn to_text(&self, rows: usize) -> String {
        let Attempt { seen, denials, result, given } = self.attempt;
        let mut text = self.headline();
        text += &requests(seen, rows);
        match result {
            Ok(left) => match given {
                Some(given) => text += &changed(given, left.batches.first(), rows),
                None => left.batches.iter().for_each(|batch| text += &emitted(batch, rows)),
            },
            Err((class, sentence)) => {
                let _infallible = writeln!(text, "\n{class}: {}", Visible(sentence));
            }
        }
        if let Ok(Left { failures, failure_count, .. }) = result {
            text += &listed("not read", failures.iter().map(|(source, why)| format!("{source}: {why}")));
            if *failure_count > failures.len() {
                let _infallible = writeln!(text, "  … {failure_count} in all");
            }
        }
        text += &listed("denied", denials.iter().map(denied));
        text += &listed("refused to emit", seen.refusals.iter().cloned());
        let message = |message: &kiln_telemetry::SeenMessage| {
            let blank = if message.attributes.is_empty() { "" } else { " " };
            format!("{} {}{blank}{}", message.level, message.text, message.attributes)
        };
        text += &listed("log", seen.messages.iter().map(message));
        let kept = u64::try_from(seen.messages.len()).unwrap_or(u64::MAX);
        if seen.message_count > kept {
            let _infallible = writeln!(text, "  … {} in all", seen.message_count);
        }
        text
    }

    /// `orders: ok in 35.1 ms, CPU 4.2 ms, memory 1.3 MiB of 128.0 MiB, state 82 B`.
    fn headline(&self) -> String {
        let Attempt { seen, result, .. } = self.attempt;
        let outcome = match result {
            Ok(left) if left.failure_count > 0 => "partly ok",
            Ok(_) => "ok",
            Err(_) => "failed",
        };
        let mut text = format!("{}: {outcome}", Visible(&self.subject.instance));
        for call in &seen.calls {
            let (took, cpu) = (duration(call.took), duration(call.cpu));
            let _infallible = write!(text, ", {} {took} (CPU {cpu})", call.function.name());
        }
        if let Some(call) = seen.calls.last() {
            let _infallible = write!(text, ", memory {} of {}", bytes(call.memory), bytes(self.subject.memory_limit));
        }
        if let Some(state) = seen.state {
            let _infallible = write!(text, ", state {}", bytes(state));
        }
        if !seen.limits.is_empty() {
            let limits: Vec<_> = seen.limits.iter().copied().collect();
            let _infallible = write!(text, ", held at the limits {}", limits.join(", "));
        }
        text + "\n"
    }

    /// For machines: one object. What was emitted is OTLP JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let Attempt { seen, denials, result, given } = self.attempt;
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let calls = seen.calls.iter().map(|call| {
            json!({
                "function": call.function.name(), "outcome": call.outcome.name(), "ms": micros(call.took),
                "cpu_ms": micros(call.cpu), "memory_bytes": call.memory,
            })
        });
        let requests = seen.requests.iter().map(|request| {
            let SeenRequest { method, url, status, outcome, took, bytes } = request;
            json!({
                "method": method, "url": url, "status": status, "outcome": outcome.name(), "ms": micros(*took),
                "bytes": bytes,
            })
        });
        let messages = seen.messages.iter().map(|message| {
            json!({ "level": message.level.as_str(), "text": message.text, "attributes": message.attributes })
        });
        let mut report = json!({
            "instance": self.subject.instance,
            "ok": self.is_good(),
            "calls": calls.collect::<Json>(),
            "memory_limit_bytes": self.subject.memory_limit,
            "state_bytes": seen.state,
            "limits": seen.limits.iter().collect::<Vec<_>>(),
            "request_count": seen.request_count,
            "requests": requests.collect::<Json>(),
            "denials": denials,
            "refusals": seen.refusals,
            "log": messages.collect::<Json>(),
        });
        let more = match result {
            Err((class, sentence)) => json!({ "error": { "type": class, "message": sentence } }),
            Ok(Left { batches, failures, failure_count, more }) => {
                let failures = failures.iter().map(|(source, why)| json!({ "source": source, "message": why }));
                let mut fields = json!({
                    "failure_count": failure_count, "failures": failures.collect::<Json>(), "more": more,
                });
                let name = if given.is_some() { "left" } else { "emitted" };
                set(&mut fields, name, otlp(batches));
                fields
            }
        };
        if let Json::Object(more) = more {
            more.into_iter().for_each(|(key, value)| set(&mut report, &key, value));
        }
        if let Some(given) = given {
            set(&mut report, "given", otlp(std::slice::from_ref(given)));
        }
        report
    }
}

fn set(object: &mut Json, key: &str, value: Json) {
    if let Json::Object(fields) = object {
        fields.insert(key.to_owned(), value);
    }
}

/// Each signal's batch as OTLP JSON, by the name of the signal.
fn otlp(batches: &[Batch]) -> Json {
    let one = |batch: &Batch| {
        let text = to_json(batch.signal, &batch.payload).ok()?;
        Some((batch.signal.name().to_owned(), serde_json::from_str(&text).ok()?))
    };
    Json::Object(batches.iter().filter_map(one).collect::<Map<_, _>>())
}

fn requests(seen: &Seen, most: usize) -> String {
    let row = |request: &SeenRequest| {
        let status = match (request.status, request.outcome) {
            (Some(status), EgressOutcome::Ok | EgressOutcome::HttpError) => status.to_string(),
            (_, outcome) => outcome.name().to_owned(),
        };
        vec![request.method.to_owned(), status, duration(request.took), bytes(request.bytes), request.url.clone()]
    };
    let rows: Vec<_> = seen.requests.iter().take(most).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}", table(&["REQUEST", "STATUS", "TOOK", "BODY", "URL"], &rows));
    let left = seen.request_count.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    if left > 0 {
        let _infallible = writeln!(text, "  … and {left} more; `--rows {}` shows them", seen.request_count);
    }
    text
}

fn emitted(batch: &Batch, rows: usize) -> String {
    match Emission::of(batch) {
        Ok(emission) => emission.to_text(rows),
        Err(error) => format!("\n{} that are no OTLP: {error}\n", batch.signal),
    }
}

fn changed(given: &Batch, left: Option<&Batch>, rows: usize) -> String {
    let things = match given.signal {
        Signal::Metrics => "data points",
        Signal::Traces => "spans",
        Signal::Logs => "log records",
    };
    match (Emission::of(given), left.map(Emission::of).transpose()) {
        (Ok(before), Ok(after)) => format!("\n{things}: {}", change(&before, after.as_ref()).to_text(rows)),
        (Err(error), _) | (_, Err(error)) => format!("\n{things} that are no OTLP: {error}\n"),
    }
}

/// A denial, and what its author has to add for it to be none.
fn denied(denial: &DenialRecord) -> String {
    let DenialRecord { capability, target, reason, text, count, .. } = denial;
    let remedy = match (*capability, *reason) {
        ("http", "origin") => format!(
            "\nto ask it, add to plugin.toml\n  [[requests.http]]\n  origin = \"{}\"\nand, unless a field of the configuration \
             names it, to the instance\n  grants: {{ http: [ {{ origin: \"{}\" }} ] }}",
            origin(target),
            origin(target)
        ),
        ("http", "path" | "ambiguous_path") => {
            "\nadd the path to `paths` of the request in plugin.toml, and of the grant if it names paths".to_owned()
        }
        ("http", "method") => {
            "\nadd the method to `methods` of the request in plugin.toml, and of the grant if it names methods"
                .to_owned()
        }
        _ => String::new(),
    };
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    format!("{capability}: {text}{times}{remedy}")
}

/// Scheme, host and port of what was asked for.
fn origin(target: &str) -> &str {
    let host = target.find("://").map_or(0, |at| at + 3);
    let end = target.get(host..).and_then(|rest| rest.find('/')).map_or(target.len(), |at| host + at);
    target.get(..end).unwrap_or(target)
}

/// A line for each under a heading, nothing if there are none. A text may have lines of its own.
fn listed(heading: &str, texts: impl Iterator<Item = String>) -> String {
    let mut list = String::new();
    for text in texts {
        let lines: Vec<_> = text.lines().map(|line| Visible(line).to_string()).collect();
        let _infallible = writeln!(list, "  {}", lines.join("\n  "));
    }
    if list.is_empty() { list } else { format!("\n{heading}\n{list}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::time::Duration;

    use kiln_otlp::from_json;
    use kiln_telemetry::metrics::{CallOutcome, Function};
    use kiln_telemetry::{Denied, DeniedCapability, Metrics, SeenMessage};

    use super::*;

    const LOGS: &str =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"hi"}}]}]}]}"#;

    fn subject() -> Subject {
        Subject { instance: "a/b".to_owned(), memory_limit: 128 << 20 }
    }

    fn seen() -> Seen {
        let (metrics, activity) = Metrics::watched("");
        let instance = metrics.instance("a/b");
        instance.cpu(Duration::from_millis(4));
        instance.memory(3 << 20);
        instance.called(Function::Collect, CallOutcome::Ok, Duration::from_millis(35));
        instance.state(82);
        metrics.egress("a/b").seen(|| SeenRequest {
            method: "GET",
            url: "https://h/x?a=1".to_owned(),
            status: Some(200),
            outcome: EgressOutcome::Ok,
            took: Duration::from_millis(12),
            bytes: 2048,
        });
        let mut seen = activity.take();
        seen.messages =
            vec![SeenMessage { level: "WARN".parse().unwrap(), text: "slow".to_owned(), attributes: "a=1".to_owned() }];
        seen.message_count = 1;
        seen
    }

    #[test]
    fn a_collection_shows_what_it_cost_asked_and_brought() {
        let failures = vec![("/jobs".to_owned(), "status 500".to_owned())];
        let left = Left { batches: vec![from_json(LOGS).unwrap()], failures, failure_count: 1, more: false };
        let attempt = Attempt { seen: seen(), denials: Vec::new(), result: Ok(left), given: None };
        let report = Report { subject: &subject(), attempt: &attempt };
        assert_eq!(
            report.to_text(10),
            "a/b: partly ok, collect 35.0 ms (CPU 4.0 ms), memory 3.0 MiB of 128.0 MiB, state 82 B\n\n  REQUEST  STATUS  \
             TOOK     BODY     URL\n  GET      200     12.0 ms  2.0 KiB  https://h/x?a=1\n\nfrom a resource without \
             attributes\n  SEVERITY  EVENT  BODY  ATTRIBUTES\n  INFO      -      \"hi\"\n\nnot read\n  /jobs: status \
             500\n\nlog\n  WARN slow a=1\n"
        );
        assert!(!report.is_good());
        let json = report.to_json();
        assert_eq!(json["emitted"]["logs"]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["severityNumber"], 9);
        assert_eq!((json["requests"][0]["status"].as_u64(), json["ok"].as_bool()), (Some(200), Some(false)));
    }

    #[test]
    fn a_failure_shows_its_class_and_its_sentence_on_one_line() {
        let result = Err(("trap", "trapped: boom\n\u{1b}[2J".to_owned()));
        let attempt = Attempt { seen: Seen::default(), denials: Vec::new(), result, given: None };
        let report = Report { subject: &subject(), attempt: &attempt };
        assert_eq!(report.to_text(10), "a/b: failed\n\ntrap: trapped: boom\\n\\u{1b}[2J\n");
        assert_eq!(report.to_json()["error"]["type"], "trap");
    }

    #[test]
    fn a_denial_says_what_to_add() {
        let metrics = Metrics::new("");
        let denied =
            |reason, target| Denied { capability: DeniedCapability::Http, target, reason, rule: None, text: "no" };
        let recorder = metrics.denials().of(kiln_telemetry::Subject::default());
        for (reason, target) in [("path", "https://h.example/x"), ("origin", "https://other.example:8443/x")] {
            recorder.record(&denied(reason, target));
            recorder.record(&denied(reason, target));
        }
        let denials = metrics.denials().recent();
        let attempt = Attempt { seen: Seen::default(), denials, result: Ok(Left::default()), given: None };
        let report = Report { subject: &subject(), attempt: &attempt };
        let text = report.to_text(10);
        for wanted in ["http: no (2 times)\n", "  origin = \"https://other.example:8443\"\n", "add the path to `paths`"]
        {
            assert!(text.contains(wanted), "{text}");
        }
        assert!(!report.is_good());
    }

    #[test]
    fn a_processed_batch_shows_what_changed() {
        let given = from_json(LOGS).unwrap();
        let left = from_json(&LOGS.replace("hi", "ho")).unwrap();
        let result = Ok(Left { batches: vec![left], ..Left::default() });
        let attempt = Attempt { seen: Seen::default(), denials: Vec::new(), result, given: Some(given) };
        let report = Report { subject: &subject(), attempt: &attempt };
        let text = report.to_text(10);
        assert!(text.contains("log records: 0 the same, 1 gone, 1 new\n"), "{text}");
        assert!(text.contains("  -  INFO") && text.contains("  +  INFO"), "{text}");
        let json = report.to_json();
        assert!(json["given"]["logs"].is_object() && json["left"]["logs"].is_object() && report.is_good());
    }
}
