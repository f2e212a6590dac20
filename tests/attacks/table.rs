//! The attack table: what was tried, what stopped it, and who noticed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use crate::arena::{Stopped, Survived};
use crate::attack::Attack;

/// Rows of the attacks that were stopped, in the order they ended.
static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

#[derive(Clone)]
struct Row {
    group: &'static str,
    name: &'static str,
    scenario: String,
    guarantees: String,
    class: &'static str,
    counter: String,
    value: f64,
    neighbour: String,
}

/// Notes an attack that was stopped.
pub(crate) fn note(attack: &Attack, stopped: &Stopped, survived: Option<&Survived>) {
    let neighbour = survived.map_or_else(
        || "Kiln does not start".to_owned(),
        |survived| {
            let Survived { collections, longest_gap, peak_mb } = survived;
            format!("{collections} collections, at most {:.1} s apart; {peak_mb} MB", longest_gap.as_secs_f64())
        },
    );
    ROWS.lock().unwrap().push(Row {
        group: attack.group,
        name: attack.name,
        scenario: attack.scenario(),
        guarantees: attack.guarantees(),
        class: stopped.class,
        counter: stopped.counter.clone(),
        value: stopped.value,
        neighbour,
    });
}

/// All rows as Markdown, in the order of `attacks`.
fn markdown(attacks: &[Attack]) -> (String, usize) {
    let rows = ROWS.lock().unwrap().clone();
    let mut text = String::from(
        "# Attacks\n\nWhat `scripts/test attacks` tries on a running Kiln and what stops it; written by that command. Each case has \
         a real `kiln` process of its own, in which another plugin collects every 100 ms: the last column says how often it did, \
         the longest pause between two of its collections, and the most memory the process had.\n",
    );
    let mut group = "";
    for attack in attacks {
        let Some(row) = rows.iter().find(|row| row.name == attack.name && row.group == attack.group) else { continue };
        if row.group != group {
            group = row.group;
            let _ = write!(
                text,
                "\n## {}\n\n| case | tried | stopped | class | counter | neighbour |\n| --- | --- | --- | --- | --- | --- |\n",
                title(group)
            );
        }
        let Row { name, scenario, guarantees, class, counter, value, neighbour, .. } = row;
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {class} | `{}` = {value} | {neighbour} |",
            cell(scenario),
            cell(guarantees),
            cell(counter)
        );
    }
    (text, rows.len())
}

fn title(group: &str) -> String {
    let mut letters = group.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Prints the table and writes it beside what cargo builds; into `docs/` where KILN_WRITE_DOCS is set.
pub(crate) fn publish(attacks: &[Attack]) -> std::io::Result<()> {
    let (text, rows) = markdown(attacks);
    if rows == 0 {
        return Ok(());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new(".")).join("attacks.md");
    std::fs::write(&target, &text)?;
    if std::env::var_os("KILN_WRITE_DOCS").is_some() && rows == attacks.len() {
        std::fs::write(crate::repository().join("docs/attacks.md"), &text)?;
    }
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, text.as_bytes())?;
    std::io::Write::write_all(&mut out, format!("\nwritten to {}\n", target.display()).as_bytes())
}
