//! Kiln's log: one event per line on standard error, as text for people or JSON for machines.
//!
//! Logging must never take the process down: when whoever reads the log goes away, lines are lost and nothing else
//! happens. Text that comes from outside belongs into a field, never into the message: fields are quoted and escaped,
//! and so cannot forge a line. Every line, whoever wrote it, passes the redaction of known secrets; a panic is a line too.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::TryInitError;

use crate::redaction::Redaction;

/// The environment variable that overrides the configured level.
const VARIABLE: &str = "KILN_LOG";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal unless `NO_COLOR` is set.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Text or JSON.
    pub format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`), which speaks of Kiln's own code while libraries stay at
    /// `warn`; or a list of directives such as `info,kiln_egress=debug`, which is taken as it stands.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("cannot understand the log level `{filter}` in {place}: {source}; use error, warn, info, debug or trace")]
    Filter {
        /// The text as given.
        filter: String,
        /// The setting or variable it came from.
        place: &'static str,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something else in the process has set up logging before.
    #[error("logging is set up already")]
    Twice(#[from] TryInitError),
}

impl LogSettings {
    /// Starts logging for the whole process, without the secrets `redaction` knows; `KILN_LOG` wins over the configured
    /// level.
    ///
    /// # Errors
    ///
    /// When the level cannot be understood, or logging was started before.
    pub fn init(&self, redaction: &Redaction) -> Result<(), LogError> {
        use tracing_subscriber::util::SubscriberInitExt;
        let variable = std::env::var(VARIABLE).ok().filter(|value| !value.trim().is_empty());
        let filter = match variable {
            Some(value) => filter(&value, "the environment variable `KILN_LOG`")?,
            None => filter(&self.filter, "`service.telemetry.logs.level`")?,
        };
        let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let writer = Redacting { writer: io::stderr, redaction: redaction.clone() };
        self.subscriber(filter, colours, writer).try_init()?;
        std::panic::set_hook(Box::new(|panic| {
            let backtrace = Backtrace::capture();
            let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
            tracing::error!(target: "kiln", text = %panic, backtrace, "panic: this is a fault in Kiln");
        }));
        Ok(())
    }

    fn subscriber<W>(&self, filter: EnvFilter, colours: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        // Reporting a failed write would mean writing to the very stream that failed, which panics.
        let lines = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
        match self.format {
            LogFormat::Text => Box::new(Registry::default().with(lines.with_ansi(colours)).with(filter)),
            LogFormat::Json => {
                Box::new(Registry::default().with(lines.json().with_ansi(false).flatten_event(true)).with(filter))
            }
        }
    }
}

/// Writes lines without the secrets that are known.
struct Redacting<M> {
    writer: M,
    redaction: Redaction,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacting<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { writer: self.writer.make_writer(), redaction: self.redaction.clone() }
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> Self::Writer {
        Line { writer: self.writer.make_writer_for(metadata), redaction: self.redaction.clone() }
    }
}

/// Takes a whole line with each write, as the formatting layer hands it over.
struct Line<W> {
    writer: W,
    redaction: Redaction,
}

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.writer.write_all(&self.redaction.bytes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn filter(text: &str, place: &'static str) -> Result<EnvFilter, LogError> {
    let text = text.trim();
    let directives = match text.parse::<LevelFilter>() {
        // A library's debug output is its authors' business; asking for Kiln's should not bury it.
        Ok(level) if level > LevelFilter::WARN => format!("warn,kiln={level}"),
        _ => text.to_owned(),
    };
    EnvFilter::builder().parse(directives).map_err(|source| LogError::Filter { filter: text.to_owned(), place, source })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing::{debug, error, info, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, events: impl FnOnce()) -> String {
        logged_without(&Redaction::default(), format, level, events)
    }

    fn logged_without(redaction: &Redaction, format: LogFormat, level: &str, events: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = LogSettings { format, filter: level.to_owned() };
        let writer = Redacting { writer: move || writer.clone(), redaction: redaction.clone() };
        let subscriber = settings.subscriber(filter(level, "test").unwrap(), false, writer);
        with_default(subscriber, events);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_one_uncoloured_line_with_level_message_and_fields() {
        let text = logged(LogFormat::Text, "info", || info!(exporter = "otlp_http", items = 3, "sent"));
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with(" INFO kiln_telemetry::logs::tests: sent exporter=\"otlp_http\" items=3\n"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn json_is_one_object_with_the_fields_beside_the_message() {
        let text = logged(LogFormat::Json, "info", || warn!(exporter = "otlp_http", items = 3, "dropped"));
        assert_eq!(text.lines().count(), 1);
        for part in [r#""level":"WARN""#, r#""message":"dropped""#, r#""exporter":"otlp_http""#, r#""items":3"#] {
            assert!(text.contains(part), "{part} not in {text}");
        }
    }

    #[test]
    fn a_field_cannot_forge_a_line() {
        let guest = "hello\n2026-01-01T00:00:00Z ERROR kiln: all is lost\x1b[2J";
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, "info", || info!(text = guest, "guest says"));
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\x1b'), "{text}");
        }
    }

    /// Scenario: a secret is in a message, in a field and in quotes, and so is what it looks like when escaped.
    /// Guarantees: no line of either format shows it.
    #[test]
    fn no_line_shows_a_known_secret() {
        let (redaction, secret) = (Redaction::default(), "s3cret \"token\"");
        let _protected = redaction.protect(secret);
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged_without(&redaction, format, "info", || {
                info!(text = secret, quoted = ?secret, "got {secret}");
            });
            assert_eq!(text.matches("[REDACTED]").count(), 3, "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_bare_level_speaks_of_kiln_and_keeps_libraries_quiet() {
        let text = logged(LogFormat::Text, "debug", || {
            debug!(target: "kiln_export::queue", "mine");
            info!(target: "hyper::proto", "theirs");
            warn!(target: "hyper::proto", "their warning");
        });
        assert!(text.contains("mine") && text.contains("their warning") && !text.contains("theirs"), "{text}");
        let text = logged(LogFormat::Text, "error", || {
            error!(target: "kiln_export", "bad");
            warn!(target: "hyper", "meh");
        });
        assert!(text.contains("bad") && !text.contains("meh"), "{text}");
    }

    #[test]
    fn directives_are_taken_as_they_stand() {
        let text = logged(LogFormat::Text, "warn,hyper=trace", || {
            debug!(target: "hyper", "theirs");
            info!(target: "kiln_export", "mine");
        });
        assert!(text.contains("theirs") && !text.contains("mine"), "{text}");
    }

    #[test]
    fn a_level_nobody_knows_is_an_error_that_says_where_it_is() {
        let message = filter("kiln=loud", "`service.telemetry.logs.level`").unwrap_err().to_string();
        assert!(
            message.starts_with("cannot understand the log level `kiln=loud` in `service.telemetry.logs.level`: "),
            "{message}"
        );
        assert!(message.ends_with("; use error, warn, info, debug or trace"), "{message}");
    }

    /// Runs [`writes_a_lot`] in a process of its own whose standard error nobody reads any more.
    #[test]
    fn a_reader_that_goes_away_does_not_end_the_process() {
        let this = std::env::current_exe().unwrap();
        for format in ["text", "json"] {
            let mut child = Command::new(&this)
                .args(["--exact", "logs::tests::writes_a_lot", "--nocapture"])
                .env("KILN_TEST_LOG_FORMAT", format)
                .env_remove(VARIABLE)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            drop(child.stderr.take());
            // The child waits for this, so that the pipe is broken before its first line.
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success(), "{format}");
        }
    }

    /// Does nothing but in the process that [`a_reader_that_goes_away_does_not_end_the_process`] starts.
    #[test]
    fn writes_a_lot() {
        let Ok(format) = std::env::var("KILN_TEST_LOG_FORMAT") else { return };
        let format = if format == "json" { LogFormat::Json } else { LogFormat::Text };
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        LogSettings { format, ..LogSettings::default() }.init(&Redaction::default()).unwrap();
        for line in 0..1000 {
            info!(line, "into the void");
        }
    }
}
