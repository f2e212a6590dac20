//! Whether what a target answers is a page of metrics.

use core::time::Duration;

use kiln_plugin::http::{FetchError, Page, Problem, Request};
use kiln_prometheus_text::Format;

use crate::config::Job;
use crate::target::Target;

/// What is asked of a target. Compression is the host's.
pub(crate) fn request(job: &Job, target: &Target) -> Request {
    Request::get(target.url.as_str())
        .with_header("accept", job.accept.as_str())
        .with_header("x-prometheus-scrape-timeout-seconds", seconds(job.timeout))
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => duration.as_secs().to_string(),
        millis => format!("{}.{millis:03}", duration.as_secs()),
    }
}

/// The text of a page, and its format.
///
/// # Errors
/// There is no page, or it is not one of metrics; says what to do about it where that is known.
pub(crate) fn text<'p>(answer: &'p Result<Page, FetchError>, job: &Job) -> Result<(&'p str, Format), String> {
    let page = answer.as_ref().map_err(failure)?;
    let response = page.response();
    let limit = job.limits.body_bytes;
    if limit > 0 && response.body.len() as u64 > limit {
        return Err(format!(
            "the page has {} bytes, more than `body_size_limit`, which is {limit}",
            response.body.len()
        ));
    }
    let format = match response.header("content-type") {
        // Prometheus' own clients always say; small scripts do not, and write text.
        None => Format::Text,
        Some(found) => Format::from_content_type(found).ok_or_else(|| {
            format!("the answer is `{}` and not metrics; {REMEDY}", found.chars().take(80).collect::<String>())
        })?,
    };
    let text = core::str::from_utf8(&response.body).map_err(|_| "the page is not UTF-8".to_owned())?;
    if text.trim_start().starts_with('<') {
        return Err(format!("the answer is a web page and not metrics; {REMEDY}"));
    }
    Ok((text, format))
}

const REMEDY: &str = "check `metrics_path`, and that the target serves metrics there";

fn failure(error: &FetchError) -> String {
    match error.problem() {
        Problem::Status { status: status @ 300..=399, .. } => format!(
            "status {status}: the page has moved, and redirects are not followed; write the final path as `metrics_path`"
        ),
        Problem::Status { status: 404, .. } => format!("{}; {REMEDY}", error.reason()),
        _ => error.reason(),
    }
}
