//! Whether what answered is a page of metrics.
//!
//! A status of 200 does not say so: while Spark starts it answers every path with a sentence, and a path that is
//! switched off leads to the page of jobs, by redirect or at once. What is missing is said with the setting that
//! brings it.

use std::borrow::Cow;

use kiln_plugin::CollectError;
use kiln_plugin::http::{FetchError, HttpError, Page, Problem};

/// What Spark says on every path until it is ready.
const STARTING_UP: &[u8] = b"Spark is starting up";

/// The two pages of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Driver,
    Executors,
}

impl Source {
    /// Both, in the order in which they are asked for.
    pub(crate) const ALL: [Self; 2] = [Self::Driver, Self::Executors];

    /// Where it is. Without the slash at its end the first one is a redirect.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Driver => "/metrics/prometheus/",
            Self::Executors => "/metrics/executors/prometheus",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Driver => {
                "to have the metrics of the driver, start the application with \
                 spark.metrics.conf.driver.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet \
                 and spark.metrics.conf.driver.sink.prometheusServlet.path=/metrics/prometheus"
            }
            Self::Executors => {
                "to have the metrics of the executors, start the application with spark.ui.prometheus.enabled=true"
            }
        }
    }
}

/// The text of the page, if it is one of metrics.
///
/// # Errors
/// It is not; says what to do about it.
pub(crate) fn text<'a>(
    source: Source,
    url: &str,
    answer: &'a Result<Page, FetchError>,
) -> Result<Cow<'a, str>, CollectError> {
    let response = match answer {
        Ok(page) => page.response(),
        Err(error) => return Err(failure(source, url, error)),
    };
    let plain = response.header("content-type").is_none_or(|found| found.starts_with("text/plain"));
    let body = response.body.trim_ascii_start();
    if body.starts_with(STARTING_UP) {
        return Err(CollectError::Unavailable(format!("{url}: Spark is still starting up")));
    }
    if !plain || body.starts_with(b"<") {
        let remedy = source.remedy();
        return Err(CollectError::Unavailable(format!("{url}: the answer is a web page and not metrics; {remedy}")));
    }
    Ok(String::from_utf8_lossy(&response.body))
}

/// A page of metrics on which there are none.
pub(crate) fn empty(source: Source, url: &str) -> CollectError {
    CollectError::InvalidData(format!("{url}: the answer holds no metric of Spark; {}", source.remedy()))
}

fn failure(source: Source, url: &str, error: &FetchError) -> CollectError {
    let reason = error.reason();
    match error.problem() {
        Problem::Status { status: status @ (300..=399 | 404), .. } => {
            let remedy = source.remedy();
            CollectError::Unavailable(format!("{url}: Spark does not have this page (status {status}); {remedy}"))
        }
        Problem::Status { status: 401 | 403, .. } => CollectError::Unauthorized(format!(
            "{url}: {reason}; the UI asks for a login, which spark.ui.filters and spark.acls.enable configure"
        )),
        Problem::Http(HttpError::Denied(_) | HttpError::InvalidRequest(_) | HttpError::TooLarge(_)) => {
            CollectError::Failed(format!("{url}: {reason}"))
        }
        Problem::Http(HttpError::Connect(_)) => CollectError::Unavailable(format!(
            "{url}: {reason}; `endpoint` must be the UI of an application that is running"
        )),
        Problem::Http(_) | Problem::Status { .. } => CollectError::Unavailable(format!("{url}: {reason}")),
        Problem::ContentType { .. } | Problem::Json(_) | Problem::NotUtf8 => {
            CollectError::InvalidData(format!("{url}: {reason}"))
        }
    }
}

/// What is said when there is neither page. Their causes are told apart only if they have one cause.
pub(crate) fn neither(driver: &CollectError, executors: &CollectError) -> CollectError {
    let message = format!("{}; {}", sentence(driver), sentence(executors));
    match (driver, executors) {
        (CollectError::Unauthorized(_), CollectError::Unauthorized(_)) => CollectError::Unauthorized(message),
        (CollectError::Failed(_), CollectError::Failed(_)) => CollectError::Failed(message),
        (CollectError::InvalidData(_), CollectError::InvalidData(_)) => CollectError::InvalidData(message),
        _ => CollectError::Unavailable(message),
    }
}

/// What an error says.
pub(crate) fn sentence(error: &CollectError) -> &str {
    match error {
        CollectError::Unauthorized(message)
        | CollectError::Unavailable(message)
        | CollectError::InvalidData(message)
        | CollectError::Failed(message) => message,
    }
}
