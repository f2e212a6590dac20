//! The plugin's work outside of a component: for each line on standard input, which says how often to read all pages, a
//! line with the nanoseconds of processor time it took.
#![allow(clippy::print_stdout, missing_docs)]

use std::io::BufRead as _;

fn main() -> std::io::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let rounds = line?.trim().parse().map_err(std::io::Error::other)?;
        let before = processor_time()?;
        let read = kiln_guest_parser::read_pages(rounds);
        println!("{} {read} {}", processor_time()? - before, kiln_guest_parser::bytes_of_pages());
    }
    Ok(())
}

/// Nanoseconds this thread has had a processor, which other processes do not change.
fn processor_time() -> std::io::Result<u64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    told.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).ok_or_else(|| std::io::Error::other("no time"))
}
