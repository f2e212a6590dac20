//! What holds for any bytes. The fuzzer and a test of the workspace look for some for which it does not.

use std::fmt::Write as _;

use kiln_prometheus_text::family::Page;
use kiln_prometheus_text::print::Printer;
use kiln_prometheus_text::{Entry, Feed, Format, Limits, Mode, Options, Parser};

pub fn check(page: &[u8]) {
    for (format, mode) in
        [(Format::Text, Mode::Lenient), (Format::Text, Mode::Strict), (Format::OpenMetrics, Mode::Strict)]
    {
        let options = Options { format, mode, limits: Limits { line_bytes: 500, ..Limits::default() } };
        check_pieces(page, options);
        check_families(page, options);
        check_print(page, options);
    }
}

/// In pieces a page reads as it does at once.
fn check_pieces(page: &[u8], options: Options) {
    let whole = Parser::new(page, options).fold(String::new(), |mut all, entry| {
        writeln!(all, "{entry:?}").unwrap();
        all
    });
    let piece = usize::from(page.first().copied().unwrap_or(0) % 7) + 1;
    let (mut feed, mut in_pieces) = (Feed::new(options), String::new());
    for piece in page.chunks(piece) {
        feed.push(piece);
        while let Some(entry) = feed.next_entry() {
            writeln!(in_pieces, "{entry:?}").unwrap();
        }
    }
    feed.finish();
    while let Some(entry) = feed.next_entry() {
        writeln!(in_pieces, "{entry:?}").unwrap();
    }
    assert_eq!(in_pieces, whole);
}

/// There are no more metrics than lines, and buckets are in order.
fn check_families(page: &[u8], options: Options) {
    let Ok(read) = Page::read(page, options) else { return };
    let metrics: usize = read.families.iter().map(|family| family.metrics.len()).sum();
    assert!(metrics + read.errors.len() <= page.split(|byte| *byte == b'\n').count());
}

/// A line that was read and printed reads as it did.
fn check_print(page: &[u8], options: Options) {
    for entry in Parser::new(page, options).flatten() {
        // Blanks before a help are none of it in the text format, and what ends a line on Windows is not either.
        if matches!(&entry, Entry::Help { text, .. } if text.starts_with([' ', '\t']) || text.ends_with('\r')) {
            continue;
        }
        // Printed twice, because the text format cuts times off and has fewer types.
        let print = |entry: &Entry<'_>| {
            let mut line = String::new();
            Printer::new(&mut line, Format::Text).entry(entry).unwrap();
            line
        };
        let line = print(&entry);
        let unlimited = Options::default();
        let again = Parser::new(&line, unlimited).map(|entry| print(&entry.unwrap())).collect::<String>();
        assert!(again == line || entry == Entry::Eof, "{line}{again}");
    }
}
