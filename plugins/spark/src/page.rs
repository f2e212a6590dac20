//! Whether what answered is a page of metrics.
//!
//! A status of 200 does not say so: while Spark starts it answers every path with a sentence, and a path that is
//! switched off leads to the page of jobs, by redirect or at once. What is missing is said with the setting that
//! brings it.

use kiln_plugin::http::{HttpError, Problem, Request};
use kiln_plugin::{CollectError, Host, PartialFailure};

use crate::endpoint::Address;
use crate::lifecycle::Sight;
use crate::lines::Lines;

/// What Spark says on every path until it is ready.
const STARTING_UP: &[u8] = b"Spark is starting up";

/// The pages of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Prometheus,
    Json,
    Executors,
}

impl Source {
    /// Where it is. Without the slash at its end the first two are redirects.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Prometheus => "/metrics/prometheus/",
            Self::Json => "/metrics/json/",
            Self::Executors => "/metrics/executors/prometheus",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Prometheus => {
                "to have the metrics of the driver, start the application with \
                 spark.metrics.conf.driver.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet \
                 and spark.metrics.conf.driver.sink.prometheusServlet.path=/metrics/prometheus, or set `source: json`"
            }
            Self::Json => {
                "to have the metrics of the driver, leave the sink `servlet` of Spark's metrics as it is by default"
            }
            Self::Executors => {
                "to have the metrics of the executors, start the application with spark.ui.prometheus.enabled=true"
            }
        }
    }

    /// Whether a page of this kind can be served as this.
    fn is_served_as(self, content_type: &str) -> bool {
        match self {
            Self::Json => content_type.starts_with("text/json") || content_type.starts_with("application/json"),
            Self::Prometheus | Self::Executors => content_type.starts_with("text/plain"),
        }
    }
}

/// Why there is no page, and what that says about the application.
#[derive(Debug)]
pub(crate) struct Trouble {
    source: Source,
    error: CollectError,
    pub(crate) sight: Sight,
    /// Whether Spark itself says that it is starting.
    pub(crate) is_starting: bool,
    /// Whether it says something of the way to Spark, so that other pages would fare no better.
    pub(crate) is_of_the_way: bool,
    /// Whether whoever answered wants to be asked less.
    pub(crate) asks_to_wait: bool,
}

impl Trouble {
    /// What is wrong, in words.
    pub(crate) fn sentence(&self) -> &str {
        sentence(&self.error)
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

impl From<Trouble> for PartialFailure {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.source.path(), trouble.sentence())
    }
}

/// A page and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) source: Source,
    url: String,
    is_proxied: bool,
}

impl Location {
    pub(crate) fn new(source: Source, address: &Address) -> Self {
        Self { source, url: format!("{}{}", address.url, source.path()), is_proxied: address.is_proxied }
    }

    /// The whole page.
    ///
    /// # Errors
    /// It is not one of metrics; says what to do about it.
    pub(crate) fn fetch(&self, host: &Host) -> Result<Vec<u8>, Trouble> {
        let response = host.http().send(&Request::get(&self.url)).map_err(|error| self.no_answer(error))?;
        self.check_status(response.status)?;
        self.check(response.header("content-type"), &response.body)?;
        Ok(response.body)
    }

    /// Hands the page out line by line, however large it is.
    ///
    /// # Errors
    /// It is not one of metrics, or breaks off.
    pub(crate) fn read(&self, host: &Host, mut take: impl FnMut(&str)) -> Result<(), Trouble> {
        let mut opened = host.http().open(&Request::get(&self.url)).map_err(|error| self.no_answer(error))?;
        self.check_status(opened.status)?;
        let content_type = opened.header("content-type").map(str::to_owned);
        let mut lines = Lines::default();
        let mut is_checked = false;
        while let Some(piece) = opened.body.read().map_err(|error| self.no_answer(error))? {
            lines.push(&piece);
            if !is_checked && lines.starts_with_enough(STARTING_UP.len()) {
                self.check(content_type.as_deref(), lines.start())?;
                is_checked = true;
            }
            if is_checked {
                lines.drain(&mut take);
            }
        }
        if !is_checked {
            self.check(content_type.as_deref(), lines.start())?;
            lines.drain(&mut take);
        }
        if lines.is_cut() {
            // The last line may be half of one, and half of a number is another number.
            take(CUT);
        }
        Ok(())
    }

    const fn trouble(&self, sight: Sight, error: CollectError) -> Trouble {
        let source = self.source;
        Trouble { source, error, sight, is_starting: false, is_of_the_way: false, asks_to_wait: false }
    }

    /// A page of metrics on which there are none.
    pub(crate) fn empty(&self) -> Trouble {
        let message = format!("{}: the answer holds no metric of Spark; {}", self.url, self.source.remedy());
        self.trouble(Sight::Answers, CollectError::InvalidData(message))
    }

    /// A page that cannot be read.
    pub(crate) fn unreadable(&self, reason: &str) -> Trouble {
        self.trouble(Sight::Answers, CollectError::InvalidData(format!("{}: {reason}", self.url)))
    }

    /// A page of an application that is gone, or not the one the other page is of yet.
    pub(crate) fn of_another(&self) -> Trouble {
        let message = format!("{}: the page is another application's than the rest", self.url);
        self.trouble(Sight::Answers, CollectError::Unavailable(message))
    }

    fn check(&self, content_type: Option<&str>, start: &[u8]) -> Result<(), Trouble> {
        let (url, start) = (&self.url, start.trim_ascii_start());
        if start.starts_with(STARTING_UP) {
            let error = CollectError::Unavailable(format!("{url}: Spark is still starting up"));
            return Err(Trouble { is_starting: true, ..self.trouble(Sight::Answers, error) });
        }
        if content_type.is_some_and(|found| !self.source.is_served_as(found)) || start.starts_with(b"<") {
            let remedy = self.source.remedy();
            let message = format!("{url}: the answer is a web page and not metrics; {remedy}");
            return Err(self.trouble(Sight::Answers, CollectError::Unavailable(message)));
        }
        Ok(())
    }

    /// What a workspace answers in place of Spark, if that is who answers.
    fn check_way(&self, status: u16) -> Result<(), Trouble> {
        let url = &self.url;
        let (sight, error) = match status {
            401 => (
                Sight::Answers,
                CollectError::Unauthorized(format!("{url}: status 401; the workspace does not know the credential")),
            ),
            403 => (
                Sight::Answers,
                CollectError::Unauthorized(format!(
                    "{url}: status 403; the workspace does not let this identity through to the driver: it needs `Can \
                     attach to` on the cluster, and on one in dedicated access mode to be whom it is assigned to, or in \
                     that group"
                )),
            ),
            429 => (
                Sight::Answers,
                CollectError::Unavailable(format!("{url}: status 429; the workspace asks to slow down")),
            ),
            502..=504 => (
                Sight::Silence,
                CollectError::Unavailable(format!(
                    "{url}: status {status}; the workspace does not reach the driver, which may be starting"
                )),
            ),
            _ => return Ok(()),
        };
        Err(Trouble { is_of_the_way: true, asks_to_wait: status == 429, ..self.trouble(sight, error) })
    }

    fn check_status(&self, status: u16) -> Result<(), Trouble> {
        if self.is_proxied {
            self.check_way(status)?;
        }
        let url = &self.url;
        let error = match status {
            200..=299 => return Ok(()),
            300..=399 | 404 => {
                let remedy = self.source.remedy();
                CollectError::Unavailable(format!("{url}: Spark does not have this page (status {status}); {remedy}"))
            }
            401 | 403 => CollectError::Unauthorized(format!(
                "{url}: status {status}; the UI asks for a login, which spark.ui.filters and spark.acls.enable configure"
            )),
            _ => CollectError::Unavailable(format!("{url}: status {status}")),
        };
        Err(self.trouble(Sight::Answers, error))
    }

    fn no_answer(&self, error: HttpError) -> Trouble {
        let url = &self.url;
        let sight = match error {
            // Of the workspace this says nothing about one of its clusters.
            HttpError::Connect(_) if !self.is_proxied => Sight::Nothing,
            _ => Sight::Silence,
        };
        let asks_to_wait = matches!(error, HttpError::RateLimited(_));
        let is_of_the_way =
            asks_to_wait || matches!(error, HttpError::Connect(_) | HttpError::Tls(_) | HttpError::Timeout);
        let sight = if asks_to_wait { Sight::Answers } else { sight };
        let problem = Problem::Http(error);
        let error = match &problem {
            Problem::Http(HttpError::Denied(_) | HttpError::InvalidRequest(_) | HttpError::TooLarge(_)) => {
                CollectError::Failed(format!("{url}: {problem}"))
            }
            Problem::Http(HttpError::Connect(_)) if !self.is_proxied => CollectError::Unavailable(format!(
                "{url}: {problem}; `endpoint` must be the UI of an application that is running"
            )),
            _ => CollectError::Unavailable(format!("{url}: {problem}")),
        };
        Trouble { is_of_the_way, asks_to_wait, ..self.trouble(sight, error) }
    }
}

/// What stands for a line without an end: no reader takes it for a metric.
const CUT: &str = "!the page ends within a line";

/// The text of a page, without what follows its last line break.
pub(crate) fn whole_lines(text: &str) -> &str {
    text.rfind('\n').and_then(|end| text.get(..=end)).unwrap_or_default()
}

/// What is said when there is neither page. Their causes are told apart only if they have one cause.
pub(crate) fn neither(driver: &Trouble, executors: &Trouble) -> CollectError {
    let message = format!("{}; {}", driver.sentence(), executors.sentence());
    match (&driver.error, &executors.error) {
        (CollectError::Unauthorized(_), CollectError::Unauthorized(_)) => CollectError::Unauthorized(message),
        (CollectError::Failed(_), CollectError::Failed(_)) => CollectError::Failed(message),
        (CollectError::InvalidData(_), CollectError::InvalidData(_)) => CollectError::InvalidData(message),
        _ => CollectError::Unavailable(message),
    }
}
