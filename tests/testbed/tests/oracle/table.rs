//! The account as a table: what went wrong, and what became of every item.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use crate::run::{Account, Trial};
use crate::schedule::Kind;

static ROWS: Mutex<Vec<(String, Account)>> = Mutex::new(Vec::new());

const HEAD: &str = "# What becomes of every item

What `scripts/test cases` does to a running Kiln, its machine and its backend, and the account of all items in the end; written by that
command. A plugin tells the entries of a ledger, each once as a point, a span and a log record; a cumulative sum counts them. Every item
was delivered, or dropped for a reason that the settings allow and that Kiln counted; none is missing, and no value of the sum was ever
one it cannot have had. With a queue on disk the backend is away in the end and Kiln is stopped, or killed; what the next one delivers,
which collects nothing, was in the queue.

Time is scaled by a hundred, back-off and patience included. Reasons are those of [exporters.md](exporters.md).

| what goes wrong | exporter | queue | items | delivered | of those from the queue of a Kiln that had ended | more than once | dropped |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

pub(crate) fn name(trial: Trial) -> String {
    let Trial { kind, exporter, on_disk, seed } = trial;
    format!("{kind:?}::{exporter}::{}::seed_{seed}", queue(on_disk))
}

fn queue(on_disk: bool) -> &'static str {
    if on_disk { "disk" } else { "memory" }
}

/// Notes a trial that passed.
pub(crate) fn note(trial: Trial, account: &Account) {
    ROWS.lock().unwrap().push((name(trial), account.clone()));
}

/// Prints the table, and writes it into `docs/` where KILN_WRITE_DOCS is set and nothing is missing.
pub(crate) fn publish(trials: &[Trial]) -> std::io::Result<()> {
    let rows = ROWS.lock().unwrap();
    let mut text = HEAD.to_owned();
    for trial in trials {
        let Some((_, account)) = rows.iter().find(|(known, _)| *known == name(*trial)) else { continue };
        let Trial { kind, exporter, on_disk, seed } = *trial;
        let Account { items, delivered, duplicates, dropped, queued } = account;
        let what =
            if kind == Kind::Everything { format!("{}, seed {seed}", kind.name()) } else { kind.name().to_owned() };
        let dropped: Vec<String> = dropped.iter().map(|(reason, count)| format!("{count} `{reason}`")).collect();
        let queued = if on_disk && kind != Kind::DropsOldest { queued.to_string() } else { String::new() };
        let _ = writeln!(
            text,
            "| {what} | `{exporter}` | {} | {items} | {delivered} | {queued} | {duplicates} | {} |",
            queue(on_disk),
            dropped.join(", ")
        );
    }
    if std::env::var_os("KILN_WRITE_DOCS").is_some() && rows.len() == trials.len() {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it: run `cargo test`");
        std::fs::write(Path::new(&manifest).join("../../docs/delivery.md"), &text)?;
    }
    std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes())
}
