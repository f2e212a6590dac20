//! `kiln plugin dev`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::Config;
use kiln_otlp::{Batch, all_from_json};
use kiln_policy::Visible;
use kiln_telemetry::{LogFormat, LogSettings, Redaction};
use kiln_trial::{Attempt, Report, Subject};
use tokio::time::{Instant, sleep, sleep_until};

use super::plugin::read;
use crate::cli::Dev;
use crate::commands::run::keep_memory_private;
use crate::exit::{Failure, print, warn};
use crate::prepare::Prepared;
use crate::signals::{Signals, Told};
use crate::trial::{Bench, Settings, Source, Tried, is_processor};
use crate::watch::Fingerprint;

/// Messages and denials of the plugin are part of what is printed; of Kiln, what is wrong.
pub(super) const LOGGED: &str = "warn,kiln::plugin=off,kiln::denials=off";

/// What has changed must look the same twice, so that half a file is not taken for one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A source that never says that this is all must not keep `--once` busy for ever.
const MAX_ROUNDS: usize = 100;

pub(super) fn run(arguments: &Dev) -> Result<(), Failure> {
    keep_memory_private()?;
    let redaction = Redaction::default();
    LogSettings { format: LogFormat::Text, filter: LOGGED.to_owned() }.init(&redaction).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start: {error}")))?;
    let source = arguments.source.source();
    let show = Show { json: arguments.json, rows: arguments.rows };
    let input = arguments.input.as_deref();
    runtime.block_on(async {
        if arguments.once {
            once(&source, input, &show, redaction).await
        } else {
            keep(&source, input, &show, redaction).await
        }
    })
}

impl crate::cli::Trial {
    /// What is to be tried.
    pub(super) fn source(&self) -> Source {
        let settings = match &self.config {
            Some(path) => Settings::File(path.clone()),
            None => Settings::Inline(self.with.clone().unwrap_or_default()),
        };
        Source { file: self.file.clone(), settings, instance: self.instance.clone() }
    }
}

/// How reports are printed.
struct Show {
    json: bool,
    rows: usize,
}

/// A plugin that is started, and what it is given.
struct Started {
    prepared: Prepared,
    subject: Subject,
    batches: Vec<Batch>,
}

impl Started {
    /// Reads everything anew and starts the plugin. The first time there is no bench yet.
    async fn new(
        source: &Source,
        input: Option<&Path>,
        bench: &mut Option<Bench>,
        redaction: &Redaction,
        show: &Show,
    ) -> Result<Self, Failure> {
        let Tried { config, prepared, warnings } = source.read()?;
        warnings.iter().for_each(|warning| warn(&format!("warning: {warning}")));
        prepared.settings.secrets.values().for_each(|secret| redaction.protect_for_good(secret.expose()));
        let batches = batches(&prepared, input)?;
        show.plugin(&prepared)?;
        let bench = use_bench(bench, &config, redaction)?;
        bench.start(&prepared).await.map_err(|error| {
            let attempt = bench.attempt(None, Ok(kiln_trial::Left::default()));
            attempt.seen.messages.iter().for_each(|message| warn(&format!("{} {}", message.level, message.text)));
            Failure::Usage(format!("{}: {error}", prepared.key()))
        })?;
        let instance = &prepared.instance;
        let subject = Subject { instance: instance.id.to_string(), memory_limit: instance.limits.memory };
        Ok(Self { prepared, subject, batches })
    }

    /// Calls the plugin as often as there is something to do. Says whether all went well.
    async fn try_out(&self, bench: &mut Bench, show: &Show) -> Result<bool, Failure> {
        let mut is_good = true;
        if is_processor(&self.prepared) {
            for batch in &self.batches {
                let attempt = bench.process(&self.subject.instance, batch.clone()).await;
                is_good &= show.attempt(bench, &self.subject, &attempt)?;
            }
            return Ok(is_good);
        }
        for _ in 0..MAX_ROUNDS {
            let attempt = bench.collect().await;
            is_good &= show.attempt(bench, &self.subject, &attempt)?;
            if !attempt.result.is_ok_and(|left| left.more) {
                return Ok(is_good);
            }
        }
        warn(&format!("it says after {MAX_ROUNDS} calls that there is more to collect"));
        Ok(is_good)
    }
}

fn use_bench<'b>(
    bench: &'b mut Option<Bench>,
    config: &Config,
    redaction: &Redaction,
) -> Result<&'b mut Bench, Failure> {
    let made = match bench.take() {
        Some(bench) => bench,
        None => Bench::new(config, redaction.clone())?,
    };
    Ok(bench.insert(made))
}

async fn once(source: &Source, input: Option<&Path>, show: &Show, redaction: Redaction) -> Result<(), Failure> {
    let mut bench = None;
    let started = Started::new(source, input, &mut bench, &redaction, show).await?;
    let Some(mut bench) = bench else { return Ok(()) };
    if started.try_out(&mut bench, show).await? { Ok(()) } else { Err(Failure::Negative) }
}

/// Tries it over and over, and anew when a file has changed, until told to stop.
async fn keep(source: &Source, input: Option<&Path>, show: &Show, redaction: Redaction) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let files = Files { source: source.clone(), input: input.map(Path::to_owned) };
    let mut bench = None;
    loop {
        let read = files.look().await;
        let attempt = async {
            let started = match Started::new(source, input, &mut bench, &redaction, show).await {
                Ok(started) => started,
                // Whoever reads the output has gone away.
                Err(failure @ (Failure::NobodyListens | Failure::Runtime(_))) => return Err(failure),
                Err(failure) => {
                    warn(&failure.into_text());
                    warn("waiting for the files to change");
                    return std::future::pending().await;
                }
            };
            let Some(bench) = &mut bench else { return std::future::pending().await };
            let interval = started.prepared.instance.collection_interval;
            loop {
                let began = Instant::now();
                started.try_out(bench, show).await?;
                if is_processor(&started.prepared) {
                    return std::future::pending().await;
                }
                sleep_until(began + interval).await;
            }
        };
        tokio::select! {
            biased;
            told = signals.next() => match told {
                Told::Stop => return Ok(()),
                Told::Reload => warn("told to start afresh"),
            },
            () = files.change(read) => warn("a file has changed: starting afresh"),
            ended = attempt => return ended,
        }
    }
}

/// Whatever is read.
struct Files {
    source: Source,
    input: Option<PathBuf>,
}

impl Files {
    async fn look(&self) -> Fingerprint {
        let (source, input) = (self.source.clone(), self.input.clone());
        let look = move || match &input {
            Some(input) => source.fingerprint().with_file(input),
            None => source.fingerprint(),
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Once they look different, and the same for a moment.
    async fn change(&self, read: Fingerprint) {
        let mut last = read.clone();
        loop {
            sleep(LOOK_EVERY).await;
            let now = self.look().await;
            if now != read && now == last {
                return;
            }
            last = now;
        }
    }
}

/// What a processor is given.
fn batches(prepared: &Prepared, input: Option<&Path>) -> Result<Vec<Batch>, Failure> {
    let name = &prepared.file.manifest.name;
    match (is_processor(prepared), input) {
        (false, None) => Ok(Vec::new()),
        (false, Some(_)) => {
            Err(Failure::Usage(format!("`{name}` is a receiver, which is given nothing: leave --input out")))
        }
        (true, None) => Err(Failure::Usage(format!(
            "`{name}` is a processor: give it something with --input FILE, which holds OTLP JSON such as the exporter `file` \
             writes"
        ))),
        (true, Some(path)) => batches_in(path),
    }
}

/// The requests in a file.
pub(super) fn batches_in(path: &Path) -> Result<Vec<Batch>, Failure> {
    let text =
        String::from_utf8(read(path)?).map_err(|_| Failure::Usage(format!("{} is not UTF-8 text", path.display())))?;
    let batch = |(at, batch): (usize, Result<Batch, _>)| {
        batch.map_err(|error| Failure::Usage(format!("{}: request {} {error}", path.display(), at + 1)))
    };
    let batches = all_from_json(&text).enumerate().map(batch).collect::<Result<Vec<_>, _>>()?;
    if batches.is_empty() {
        return Err(Failure::Usage(format!("{} holds no request", path.display())));
    }
    Ok(batches)
}

impl Show {
    /// Says what is tried from now on.
    fn plugin(&self, prepared: &Prepared) -> Result<(), Failure> {
        let file = &prepared.file;
        let manifest = &file.manifest;
        if self.json {
            let line = serde_json::json!({
                "plugin": manifest.name, "version": manifest.version, "kind": manifest.kind.name(),
                "digest": file.digest.to_string(), "bytes": file.bytes.len(), "instance": prepared.instance.id.to_string(),
            });
            return print(&format!("{line}\n"));
        }
        print(&format!(
            "{} {}, a {} of {} bytes, {}\n",
            manifest.name,
            Visible(&manifest.version),
            manifest.kind.name(),
            file.bytes.len(),
            file.digest
        ))
    }

    /// Prints how an attempt went, without secrets. Says whether all went well.
    fn attempt(&self, bench: &Bench, subject: &Subject, attempt: &Attempt) -> Result<bool, Failure> {
        let report = Report { subject, attempt };
        let text =
            if self.json { format!("{}\n", report.to_json()) } else { format!("\n{}", report.to_text(self.rows)) };
        print(&bench.redaction.text(&text))?;
        Ok(report.is_good())
    }
}
