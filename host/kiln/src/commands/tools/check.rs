//! `kiln plugin check`.

use kiln_egress::Rehearsal;
use kiln_otlp::Batch;
use kiln_runtime::{Clock, Directory};
use kiln_telemetry::{LogFormat, LogSettings, Redaction};
use kiln_trial::{Item, Outcome, Verdict};

use super::dev::{LOGGED, batches_in};
use crate::cli::Check;
use crate::commands::run::keep_memory_private;
use crate::exit::{Failure, print, warn};
use crate::trial::{Bench, Suite, Tried, is_processor, read_answers, samples};

pub(super) fn run(arguments: &Check) -> Result<(), Failure> {
    keep_memory_private()?;
    let redaction = Redaction::default();
    LogSettings { format: LogFormat::Text, filter: LOGGED.to_owned() }.init(&redaction).map_err(Failure::usage)?;
    let verdict = verdict(arguments, &redaction)?;
    let text = if arguments.json { format!("{:#}\n", verdict.to_json()) } else { verdict.to_text() };
    print(&redaction.text(&text))?;
    if verdict.is_good() { Ok(()) } else { Err(Failure::Negative) }
}

fn verdict(arguments: &Check, redaction: &Redaction) -> Result<Verdict, Failure> {
    let source = arguments.source.source();
    let mut verdict = Verdict::default();
    let mut loads = |outcome, detail| {
        let item = Item { name: "loads", rules: &[1, 2, 3, 32], outcome, details: vec![detail] };
        verdict.items.push(item);
    };
    // What is wrong with the file is the first thing to be found, not a reason not to look.
    let directory = Directory::read_one(&source.file).map_err(Failure::usage)?;
    if let Some(refused) = directory.refused().first() {
        if let kiln_runtime::FileError::Read(error) = refused.error.as_ref() {
            return Err(Failure::Usage(format!("{} cannot be read: {error}", source.file.display())));
        }
        loads(Outcome::Failed, refused.error.to_string());
        return Ok(verdict);
    }
    let Tried { config, prepared, warnings } = source.read()?;
    warnings.iter().for_each(|warning| warn(&format!("warning: {warning}")));
    prepared.settings.secrets.values().for_each(|secret| redaction.protect_for_good(secret.expose()));
    let manifest = &prepared.file.manifest;
    loads(
        Outcome::Passed,
        format!("{} {}, a {}, {}", manifest.name, manifest.version, manifest.kind.name(), prepared.file.digest),
    );
    let script = arguments.answers.as_deref().map(read_answers).transpose()?;
    let batches: Vec<Batch> = match (&arguments.input, is_processor(&prepared)) {
        (Some(_), false) => {
            return Err(Failure::Usage(format!(
                "`{}` is a receiver, which is given nothing: leave --input out",
                manifest.name
            )));
        }
        (Some(path), true) => batches_in(path)?,
        (None, true) => samples(),
        (None, false) => Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::runtime(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut bench = Bench::new(&config, redaction.clone())?;
        let suite = Suite {
            bench: &mut bench,
            prepared: &prepared,
            script,
            batches,
            collections: arguments.collections,
            rehearsal: Rehearsal::default(),
            clock: Clock::default(),
            verdict,
        };
        Ok(suite.run().await)
    })
}
