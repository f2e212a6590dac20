//! One attack: a function with a doc comment that says what is tried and what holds.

use crate::arena::{Arena, Stopped};
use crate::table;

/// One case.
#[derive(Clone)]
pub(crate) struct Attack {
    /// Which kind of attacker it is.
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// Of the file the function is in: its doc comment is part of the table.
    pub(crate) source: &'static str,
    pub(crate) run: Run,
}

/// What an attack comes to.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Kiln runs, and so does the neighbour.
    Running(fn(&mut Arena) -> Result<Stopped, String>),
    /// Kiln must not start at all.
    Refused(fn(&mut Arena) -> Result<Stopped, String>),
}

impl Attack {
    /// What is tried.
    pub(crate) fn scenario(&self) -> String {
        self.said("Scenario:")
    }

    /// What holds.
    pub(crate) fn guarantees(&self) -> String {
        self.said("Guarantees:")
    }

    /// What the doc comment says after a word, up to the next.
    fn said(&self, word: &str) -> String {
        let signature = format!("fn {}(", self.name);
        let before = self.source.lines().take_while(|line| !line.starts_with(&signature)).collect::<Vec<_>>();
        let comment = before.iter().rev().map_while(|line| line.strip_prefix("/// ")).collect::<Vec<_>>();
        let comment: Vec<_> = comment.into_iter().rev().map(str::trim).collect();
        let comment = comment.join(" ");
        let said = comment.split(word).nth(1).unwrap_or_default();
        let end = ["Scenario:", "Guarantees:"].iter().filter_map(|next| said.find(next)).min().unwrap_or(said.len());
        said[..end].trim().to_owned()
    }

    /// Runs it and notes what became of it.
    pub(crate) fn try_it(&self) -> Result<(), String> {
        if self.scenario().is_empty() || self.guarantees().is_empty() {
            return Err("its doc comment lacks `Scenario:` or `Guarantees:`".to_owned());
        }
        let mut arena = Arena::new()?;
        let ended = match self.run {
            Run::Running(run) => run(&mut arena).and_then(|stopped| Ok((stopped, Some(arena.finish()?)))),
            Run::Refused(run) => run(&mut arena).map(|stopped| (stopped, None)),
        };
        match ended {
            Ok((stopped, survived)) => {
                table::note(self, &stopped, survived.as_ref());
                Ok(())
            }
            Err(problem) => Err(format!(
                "\n{}\n{}\n\n{problem}\n\nstandard error of kiln:\n{}",
                self.scenario(),
                self.guarantees(),
                arena.log()
            )),
        }
    }
}

/// The attacks of a file: `attacks!("guests", running: [a, b], refused: [c])`.
macro_rules! attacks {
    ($group:literal, $file:literal, running: [$($running:ident),* $(,)?], refused: [$($refused:ident),* $(,)?] $(,)?) => {
        pub(crate) fn all() -> Vec<$crate::attack::Attack> {
            let attack = |name, run| $crate::attack::Attack { group: $group, name, source: include_str!($file), run };
            vec![
                $(attack(stringify!($running), $crate::attack::Run::Running($running)),)*
                $(attack(stringify!($refused), $crate::attack::Run::Refused($refused)),)*
            ]
        }
    };
}
pub(crate) use attacks;
