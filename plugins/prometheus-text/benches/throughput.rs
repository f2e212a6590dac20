//! How fast pages are read: `cargo bench -p kiln-prometheus-text`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use kiln_prometheus_text::family::Page;
use kiln_prometheus_text::{Feed, Format, Mode, Options, Parser, samples};

/// Bytes that a body arrives in.
const PIECE: usize = 64 * 1024;

/// Spark's page of executors, as many as a large cluster has.
fn executors(count: usize, application: &str) -> String {
    let page = include_str!("../../spark/tests/pages/executors-4.1.4.prom");
    let lines: Vec<_> = page
        .lines()
        .filter_map(|line| {
            let (name, labels) = line.split_once('{')?;
            let (id, rest) = (labels.split_once("application_id=\"")?.1.split_once('"')?.0, labels.rsplit_once('}')?.1);
            Some((name, id, rest))
        })
        .collect();
    let mut out = String::new();
    for executor in 0..count {
        for (name, id, value) in lines.iter().take(45) {
            out.push_str(&format!(
                "{name}{{application_id=\"{id}\", application_name=\"{application}\", executor_id=\"{executor}\"}}{value}\n"
            ));
        }
    }
    out
}

/// What a service with a client library exposes, mostly histograms.
fn service() -> String {
    let mut out = String::new();
    for family in 0..50 {
        out.push_str(&format!(
            "# TYPE http_{family}_seconds histogram\n# UNIT http_{family}_seconds seconds\n# HELP http_{family}_seconds Time to answer.\n"
        ));
        for path in 0..20 {
            let labels = format!("method=\"GET\",path=\"/api/v1/things/{path}\"");
            for bound in 1..15 {
                let le = f64::from(bound) / 10.0;
                out.push_str(&format!("http_{family}_seconds_bucket{{{labels},le=\"{le:?}\"}} {bound}\n"));
            }
            out.push_str(&format!("http_{family}_seconds_bucket{{{labels},le=\"+Inf\"}} 20\n"));
            out.push_str(&format!("http_{family}_seconds_sum{{{labels}}} 12.25\n"));
            out.push_str(&format!("http_{family}_seconds_count{{{labels}}} 20\n"));
        }
    }
    out.push_str("# EOF\n");
    out
}

/// Time this process had a processor, which other processes do not change; that it took, where the system does not say.
fn spent(start: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/self/schedstat").ok();
    let nanos = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn measure(what: &str, page: &str, read: impl Fn(&str) -> usize) {
    let found = read(page);
    let (start, mut rounds) = (Instant::now(), 0.0);
    let before = spent(start);
    let took = loop {
        black_box(read(black_box(page)));
        rounds += 1.0;
        let took = spent(start) - before;
        if took > Duration::from_millis(500) {
            break took.as_secs_f64() / rounds;
        }
    };
    let megabytes = page.len() as f64 / 1e6;
    println!("{what:<48} {megabytes:>8.3} MB {found:>7} {:>7.0} MB/s", megabytes / took);
}

fn read_pieces(page: &str, options: Options) -> usize {
    let (mut feed, mut found) = (Feed::new(options), 0);
    for piece in page.as_bytes().chunks(PIECE) {
        feed.push(piece);
        while let Some(entry) = feed.next_entry() {
            found += usize::from(entry.is_ok());
        }
    }
    found
}

fn main() {
    let (lenient, openmetrics) = (Options::default(), Options::new(Format::OpenMetrics));
    let strict = Options { mode: Mode::Strict, ..lenient };
    let count = |page: &str, options| Parser::new(page, options).filter(|entry| entry.is_ok()).count();
    let labels = |page: &str| samples(page).flatten().map(|sample| sample.labels.iter().count()).sum();
    let families = |page: &str, options| Page::read(page, options).unwrap().families.len();

    println!("{:<48} {:>11} {:>7} {:>12}", "page", "size", "found", "speed");
    for (what, page) in [
        ("driver 3.5.9", include_str!("../../spark/tests/pages/driver-3.5.9.prom")),
        ("driver 4.1.4", include_str!("../../spark/tests/pages/driver-4.1.4.prom")),
        ("executors 3.5.9", include_str!("../../spark/tests/pages/executors-3.5.9.prom")),
        ("executors 4.1.4", include_str!("../../spark/tests/pages/executors-4.1.4.prom")),
    ] {
        measure(&format!("{what}, lenient"), page, |page| count(page, lenient));
    }
    let plain = executors(1000, "nightly etl");
    measure("1000 executors, lenient", &plain, |page| count(page, lenient));
    measure("1000 executors, lenient, in pieces", &plain, |page| read_pieces(page, lenient));
    measure("1000 executors, lenient, every label", &plain, labels);
    measure("1000 executors, strict", &plain, |page| count(page, strict));
    measure("1000 executors, families", &plain, |page| families(page, lenient));
    let quoted = executors(1000, "ETL \"daily\" \\ job, {x}");
    measure("1000 executors, not escaped, lenient", &quoted, |page| count(page, lenient));
    let service = service();
    measure("histograms, lenient", &service, |page| count(page, lenient));
    measure("histograms, families", &service, |page| families(page, lenient));
    measure("histograms, OpenMetrics", &service, |page| count(page, openmetrics));
    measure("histograms, OpenMetrics, families", &service, |page| families(page, openmetrics));
}
