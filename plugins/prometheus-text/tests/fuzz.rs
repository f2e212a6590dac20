//! A short run of what the fuzzer does for long: pages that are valid, and then less and less so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;

#[path = "../fuzz/check.rs"]
#[allow(unreachable_pub)]
mod check;

const MUTATIONS: usize = 5_000;

/// Pieces that mean something.
const WORDS: [&str; 20] = [
    "\"",
    "\\",
    "\n",
    "{",
    "}",
    ",",
    "=",
    " ",
    "# ",
    "# TYPE a histogram\n",
    "# EOF\n",
    "_bucket",
    "le=\"+Inf\"",
    "NaN",
    "1e999",
    "{count:",
    "[0:1]",
    "é",
    "\r\n",
    "\u{0}",
];

/// Marsaglia's xorshift, so that every run is the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn mutate(&mut self, page: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(page.len() + 1);
        let end = at + self.below((page.len() - at).min(20) + 1);
        match self.below(5) {
            0 => drop(page.drain(at..end)),
            1 => drop(page.splice(at..at, WORDS[self.below(WORDS.len())].bytes())),
            2 => page[at..end].iter_mut().take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
            3 => drop(page.splice(at..end, page[at..end].repeat(2))),
            _ => {
                let from = self.below(other.len());
                let to = (from + self.below(100)).min(other.len());
                drop(page.splice(at..at, other[from..to].to_vec()));
            }
        }
        page.truncate(4096);
    }
}

#[test]
fn nothing_that_is_nearly_a_page_breaks_what_holds_for_all() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders =
        ["fuzz/corpus/page", "tests/openmetrics/accepted", "tests/openmetrics/rejected", "../spark/tests/pages"];
    let mut seeds: Vec<Vec<u8>> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(here.join(folder)).unwrap())
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    seeds.sort();
    seeds.iter().for_each(|seed| check::check(seed));
    let mut dice = Dice(0x5eed);
    for _ in 0..MUTATIONS {
        let (mut page, other) = (seeds[dice.below(seeds.len())].clone(), &seeds[dice.below(seeds.len())]);
        for _ in 0..=dice.below(4) {
            dice.mutate(&mut page, other);
        }
        check::check(&page);
    }
}
