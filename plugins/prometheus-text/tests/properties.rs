//! What holds for whatever is written and whatever arrives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fmt::Write as _;

use kiln_prometheus_text::family::{Label, Observation, Page, Series};
use kiln_prometheus_text::print::Printer;
use kiln_prometheus_text::{
    Entry, Exemplar, Feed, Format, Labels, Limits, Mode, Options, Parser, Timestamp, Type, Value,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn all_options(limits: Limits) -> [Options; 3] {
    [(Format::Text, Mode::Lenient), (Format::Text, Mode::Strict), (Format::OpenMetrics, Mode::Strict)]
        .map(|(format, mode)| Options { format, mode, limits })
}

/// `NaN` is not equal to itself, so what is read is compared as it is shown.
fn shown(entries: impl Iterator<Item = impl std::fmt::Debug>) -> String {
    entries.fold(String::new(), |mut all, entry| {
        writeln!(all, "{entry:?}").unwrap();
        all
    })
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        Just(Value::Float(f64::NAN))
    ]
    .prop_map(|value| if value.is_nan() { Value::Float(f64::NAN) } else { value })
}

fn plain_name() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,8}"
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![plain_name(), r#"[^"\\\n]{1,8}"#]
}

fn any_labels() -> impl Strategy<Value = Vec<Label<'static>>> {
    let value = prop_oneof![r#"[ab"\\n,={} \n]{0,10}"#, any::<String>()];
    btree_map(any_name(), value, 0..4)
        .prop_map(|labels| labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn series(time: impl Strategy<Value = Timestamp>) -> impl Strategy<Value = Series<'static>> {
    (any_name(), any_labels(), number(), proptest::option::of(time)).prop_map(|(name, labels, value, timestamp)| {
        Series { name: name.into(), labels, value: Observation::Number(value), timestamp, exemplar: None }
    })
}

fn print(format: Format, write: impl FnOnce(&mut Printer<&mut String>)) -> String {
    let mut page = String::new();
    write(&mut Printer::new(&mut page, format));
    page
}

fn read_series(page: &str, options: Options) -> Vec<Series<'_>> {
    Parser::new(page, options)
        .filter_map(|entry| match entry.unwrap_or_else(|error| panic!("{error}\n{page}")) {
            Entry::Sample(sample) => Some(Series::from(sample)),
            Entry::NativeHistogram(sample) => Some(Series::from(sample)),
            _ => None,
        })
        .collect()
}

/// What lines are made of, so that many of them are nearly right.
fn almost_a_page() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("a".to_owned()),
        Just("# TYPE a histogram\n".to_owned()),
        Just("# HELP a b\\n".to_owned()),
        Just("# TYPE \"a.b\" counter".to_owned()),
        Just("# UNIT a_s s\n".to_owned()),
        Just("# EOF\n".to_owned()),
        Just("a_bucket{le=\"1\"} 1 1 # {b=\"c\"} 1\n".to_owned()),
        Just("a_bucket{le=\"+Inf\"} 1\n".to_owned()),
        Just("{\"a.b\",c=\"d\"} 1\n".to_owned()),
        Just("a {count:1,sum:1,schema:0,positive_spans:[0:1],positive_deltas:[1]}\n".to_owned()),
        Just("\r\n".to_owned()),
        Just(" 1\n".to_owned()),
        Just("_total".to_owned()),
        r#"[ab_:{}=",\\n# \t1.é\n-]{0,6}"#,
        r#"\{[ab_]="[ab"\\, ]{0,6}"\}"#,
    ];
    vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn text_that_is_printed_is_read_back_in_either_mode(
        written in vec(series(any::<i32>().prop_map(|millis| Timestamp::from_millis(millis.into()))), 0..6),
    ) {
        let page = print(Format::Text, |out| written.iter().for_each(|series| out.series(series).unwrap()));
        for mode in [Mode::Lenient, Mode::Strict] {
            let read = read_series(&page, Options { mode, ..Options::default() });
            prop_assert_eq!(shown(read.iter()), shown(written.iter()), "{}", page);
        }
    }

    #[test]
    fn openmetrics_that_is_printed_is_read_back(
        written in series(any::<i64>().prop_map(Timestamp::from_nanos)),
    ) {
        let page = print(Format::OpenMetrics, |out| {
            out.series(&written).unwrap();
            out.eof().unwrap();
        });
        let read = read_series(&page, Options::new(Format::OpenMetrics));
        prop_assert_eq!(shown(read.iter()), shown([&written].into_iter()), "{}", page);
    }

    #[test]
    fn exemplars_that_are_printed_are_read_back(
        trace in r#"[^"\\]{0,100}"#,
        value in number(),
        time in proptest::option::of(any::<i64>().prop_map(Timestamp::from_nanos)),
    ) {
        let labels = format!("{{trace_id=\"{}\"}}", trace.replace('\n', "\\n"));
        let exemplar = Exemplar { labels: Labels::parse(&labels).unwrap(), value, timestamp: time };
        let written = Series {
            name: "a_total".into(),
            labels: Vec::new(),
            value: Observation::Number(Value::Integer(1)),
            timestamp: None,
            exemplar: Some(exemplar),
        };
        let page = print(Format::OpenMetrics, |out| {
            out.r#type("a", Type::Counter).unwrap();
            out.series(&written).unwrap();
            out.eof().unwrap();
        });
        let read = read_series(&page, Options::new(Format::OpenMetrics));
        prop_assert_eq!(shown(read.iter()), shown([&written].into_iter()), "{}", page);
    }

    #[test]
    fn metadata_that_is_printed_is_read_back(
        family in any_name(),
        // Blanks before the text are none of it in the text format, and what ends a line on Windows is not either.
        help in r#"([^ \t\r]([^\r]{0,20}[^\r])?)?"#,
    ) {
        for options in all_options(Limits::default()) {
            let page = print(options.format, |out| {
                out.help(&family, &help).unwrap();
                out.r#type(&family, Type::Summary).unwrap();
                if options.format == Format::OpenMetrics {
                    out.eof().unwrap();
                }
            });
            let read: Vec<_> = Parser::new(&page, options).take(2).map(Result::unwrap).collect();
            let expected = [
                Entry::Help { family: &family, text: help.as_str().into() },
                Entry::Type { family: &family, r#type: Type::Summary },
            ];
            prop_assert_eq!(&read, &expected, "{}", page);
        }
    }

    #[test]
    fn whatever_is_read_reads_the_same_when_it_is_printed(page in almost_a_page()) {
        for entry in Parser::new(&page, Options::default()).flatten() {
            let line = print(Format::Text, |out| out.entry(&entry).unwrap());
            let read: Vec<_> = Parser::new(&line, Options::default()).map(Result::unwrap).collect();
            // The text format has no exemplars, and Spark's labels are escaped now.
            let again = read.iter().fold(String::new(), |mut all, entry| {
                Printer::new(&mut all, Format::Text).entry(entry).unwrap();
                all
            });
            prop_assert_eq!(&again, &line);
        }
    }

    #[test]
    fn a_page_reads_the_same_in_whatever_pieces_it_arrives(
        page in almost_a_page(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
        line_bytes in 1_usize..40,
        bytes in 1_usize..400,
        lines in 1_usize..20,
    ) {
        let page = page.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(page.len() + 1)).chain([0, page.len()]).collect();
        cuts.sort_unstable();
        let small = Limits { line_bytes, bytes, lines, ..Limits::default() };
        for options in all_options(Limits::default()).into_iter().chain(all_options(small)) {
            let whole = shown(Parser::new(page, options));
            let mut feed = Feed::new(options);
            let mut in_pieces = String::new();
            for piece in cuts.windows(2) {
                feed.push(&page[piece[0]..piece[1]]);
                while let Some(entry) = feed.next_entry() {
                    writeln!(in_pieces, "{entry:?}").unwrap();
                }
            }
            feed.finish();
            while let Some(entry) = feed.next_entry() {
                writeln!(in_pieces, "{entry:?}").unwrap();
            }
            prop_assert_eq!(&in_pieces, &whole);
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_find_more_than_there_is(page in prop_oneof![
        vec(any::<u8>(), 0..300),
        almost_a_page().prop_map(String::into_bytes),
    ]) {
        for options in all_options(Limits::default()) {
            let lines = page.split(|byte| *byte == b'\n').count();
            for entry in Parser::new(&page, options).flatten() {
                if let Entry::Sample(sample) = entry {
                    prop_assert!(sample.labels.iter().count() <= page.len());
                    let _ = (sample.labels.get_last("a"), sample.value.as_i64());
                }
            }
            prop_assert!(Parser::new(&page, options).count() <= lines + 1);
            if let Ok(read) = Page::read(&page, options) {
                let metrics: usize = read.families.iter().map(|family| family.metrics.len()).sum();
                prop_assert!(metrics + read.errors.len() <= lines);
            }
        }
    }
}
