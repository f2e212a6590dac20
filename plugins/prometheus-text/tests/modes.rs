//! What the text format forgives, what it does not, and what each page may cost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use kiln_prometheus_text::{
    Entry, Exemplar, Feed, Format, Limits, LineError, LineProblem, MAX_BYTES, Mode, Options, Parser, Sample, Timestamp,
    Type, Value,
};

const STRICT: Options = Options {
    format: Format::Text,
    mode: Mode::Strict,
    limits: Limits { line_bytes: 200, labels: 8, lines: 100, bytes: 1000, series: 100 },
};
const LENIENT: Options = Options { mode: Mode::Lenient, ..STRICT };

fn read(line: &str, options: Options) -> Result<Option<Entry<'_>>, LineProblem> {
    Parser::new(line, options).next().transpose().map_err(|error| error.problem)
}

fn sample(line: &str, options: Options) -> Sample<'_> {
    match read(line, options) {
        Ok(Some(Entry::Sample(sample))) => sample,
        other => panic!("{line}: {other:?}"),
    }
}

fn errors(page: impl AsRef<[u8]>, options: Options) -> Vec<(usize, LineProblem)> {
    Parser::new(&page, options).filter_map(Result::err).map(|error| (error.line, error.problem)).collect()
}

#[test]
fn what_only_lenient_reading_forgives() {
    for (line, problem) in [
        ("a{x=\"say \"hi\"\"} 1", LineProblem::Labels),
        ("a{x=\"1\" y=\"2\"} 1", LineProblem::Labels),
        ("a{x=\"1\",x=\"2\"} 1", LineProblem::RepeatedLabel),
        ("a{x:y=\"1\"} 1", LineProblem::Labels),
        ("a 1\r", LineProblem::Value),
        ("a -NaN", LineProblem::Value),
        ("a 1 # {trace_id=\"x\"} 1", LineProblem::Timestamp),
        ("# TYPE a info", LineProblem::Metadata),
    ] {
        assert!(matches!(read(line, LENIENT), Ok(Some(_))), "{line}");
        assert_eq!(read(line, STRICT), Err(problem), "{line}");
    }
}

#[test]
fn what_no_reading_forgives() {
    for (line, problem) in [
        ("a 1_000", LineProblem::Value),
        ("a 0x1p-3", LineProblem::Value),
        ("a 0x1P-3", LineProblem::Value),
        ("a", LineProblem::Value),
        ("a 1 1.5", LineProblem::Timestamp),
        ("a 1 9223372036854775808", LineProblem::Timestamp),
        ("a{x} 1", LineProblem::Labels),
        ("a{x=1} 1", LineProblem::Labels),
        ("# HELP", LineProblem::Metadata),
        ("# TYPE a", LineProblem::Metadata),
        ("# TYPE a gauge gauge", LineProblem::Metadata),
    ] {
        assert_eq!(read(line, LENIENT), Err(problem), "{line}");
        assert_eq!(read(line, STRICT), Err(problem), "{line}");
    }
}

#[test]
fn what_the_text_format_allows() {
    for options in [LENIENT, STRICT] {
        for line in ["a{x=\"1\"} 2", " \ta {\tx = \"1\" , } 2", "a{x=\"1\"}2", "a{x=\"1\"}\t2\t", "a{x=\"1\"}    +2"] {
            let sample = sample(line, options);
            assert_eq!((sample.name, sample.value), ("a", Value::Integer(2)), "{line}");
            assert_eq!(sample.labels.iter().collect::<Vec<_>>(), [("x", "1".into())], "{line}");
        }
        for line in ["", " ", "# a comment", "#", "# EOF", "# help a b"] {
            assert_eq!(read(line, options), Ok(None), "{line}");
        }
        for (text, value) in [("nan", f64::NAN), ("+inf", f64::INFINITY), ("-INFINITY", f64::NEG_INFINITY)] {
            let line = format!("a {text}");
            let read = sample(&line, options).value.as_f64();
            assert!(read == value || (read.is_nan() && value.is_nan()), "{text}");
        }
        assert_eq!(sample("a 1 -5", options).timestamp, Some(Timestamp::from_millis(-5)));
        let help = Entry::Help { family: "a", text: "\\ \n \\\"x\t".into() };
        assert_eq!(read("#\tHELP  a  \\\\ \\n \\\"x\t", options), Ok(Some(help)));
        assert_eq!(
            read("# TYPE \"a.b\" counter", options),
            Ok(Some(Entry::Type { family: "a.b", r#type: Type::Counter }))
        );
    }
}

#[test]
fn names_may_be_anything_in_quotes() {
    for options in [LENIENT, STRICT] {
        let sample = sample(r#"{"my.dotted.metric", "a b"="c\"", d="e"} 1 5"#, options);
        assert_eq!((sample.name, sample.timestamp), ("my.dotted.metric", Some(Timestamp::from_millis(5))));
        assert_eq!(sample.labels.iter().collect::<Vec<_>>(), [("a b", "c\"".into()), ("d", "e".into())]);
        assert_eq!(self::sample("{\"a.b\"} 1", options).name, "a.b");
        assert_eq!(read("{\"a\\\"b\"} 1", options), Err(LineProblem::Name));
        assert_eq!(read("{a=\"b\"} 1", options), Err(LineProblem::Name));
    }
}

#[test]
fn a_line_is_escaped_or_it_is_not() {
    let labels = |line| sample(line, LENIENT).labels.iter().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
    assert_eq!(labels(r#"a{x="C:\\new", y="\"b\""} 1"#), [r"C:\new", "\"b\""]);
    assert_eq!(labels(r#"a{x="C:\\new", y=""b""} 1"#), [r"C:\\new", "\"b\""]);
    assert_eq!(labels(r#"a{x="ends in \", y="\n"} 1"#), [r"ends in \", r"\n"]);
}

#[test]
fn an_exemplar_is_read_where_it_should_not_be() {
    let Exemplar { labels, value, timestamp } = sample("a 1 5 # {x=\"y\"} 2 1.5 ", LENIENT).exemplar.unwrap();
    assert_eq!(labels.get("x").unwrap(), "y");
    assert_eq!((value, timestamp), (Value::Integer(2), Some(Timestamp::from_millis(1500))));
}

#[test]
fn a_strict_page_ends_with_its_first_error_and_a_lenient_one_goes_on() {
    let page = "a 1\nb\nc\n";
    assert_eq!(errors(page, LENIENT), [(2, LineProblem::Value), (3, LineProblem::Value)]);
    assert_eq!(errors(page, STRICT), [(2, LineProblem::Value)]);
}

#[test]
fn a_line_that_is_not_utf_8_costs_itself() {
    assert_eq!(errors(b"a{x=\"\xff\"} 1\nb{x=\"\xc3\xa9\"} 1\n", LENIENT), [(1, LineProblem::Encoding)]);
    assert_eq!(errors(b"# EOF\xff", Options::new(Format::OpenMetrics)), [(1, LineProblem::Encoding)]);
}

#[test]
fn a_line_may_be_long_and_no_longer() {
    let line = |length: usize| format!("{} 1\nb 1\n", "a".repeat(length - 2));
    assert_eq!(errors(line(200), LENIENT), []);
    assert_eq!(errors(line(201), LENIENT), [(1, LineProblem::TooLong)]);
    assert_eq!(errors(format!("# {}", "a".repeat(199)), LENIENT), [(1, LineProblem::TooLong)]);
}

#[test]
fn a_sample_may_have_many_labels_and_no_more() {
    let labels = |count: usize| (0..count).map(|n| format!("l{n}=\"{n}\",")).collect::<String>();
    let escaped = |count| format!("a{{{}}} 1", labels(count));
    let unescaped = |count| format!("a{{x=\"\"\",{}}} 1", labels(count));
    for line in [escaped(8), unescaped(7)] {
        assert_eq!(errors(&line, LENIENT), [], "{line}");
    }
    for line in [escaped(9), unescaped(8)] {
        assert_eq!(errors(&line, LENIENT), [(1, LineProblem::TooManyLabels)], "{line}");
    }
}

#[test]
fn a_page_may_have_many_lines_and_no_more() {
    assert_eq!(errors("a 1\n".repeat(100), LENIENT), []);
    assert_eq!(errors("a 1\n".repeat(102), LENIENT), [(101, LineProblem::TooManyLines)]);
}

#[test]
fn a_page_may_have_many_bytes_and_no_more() {
    let page = |last: usize| format!("{}{} 1\nb 1\n", "aaaaaaa 1\n".repeat(96), "a".repeat(last - 2));
    assert_eq!(errors(page(36), LENIENT), []);
    assert_eq!(errors(page(38), LENIENT), [(98, LineProblem::TooManyBytes)]);
    assert_eq!(errors(page(41), LENIENT), [(97, LineProblem::TooManyBytes)]);
    assert_eq!(Limits::default().bytes, MAX_BYTES);
}

#[test]
fn a_page_in_pieces_keeps_no_more_of_a_line_than_the_limit() {
    let mut feed = Feed::new(LENIENT);
    let mut found = Vec::new();
    for piece in ["a", &"a".repeat(150), &"a".repeat(150), &"a".repeat(150), "a 1\nb", " 1"] {
        feed.push(piece.as_bytes());
        while let Some(entry) = feed.next_entry() {
            found.push(entry.map(|entry| format!("{entry:?}")));
        }
    }
    assert_eq!(found, [Err(LineError { line: 1, problem: LineProblem::TooLong })]);
    feed.finish();
    assert!(matches!(feed.next_entry(), Some(Ok(Entry::Sample(sample))) if sample.name == "b"));
    assert_eq!((feed.line(), feed.next_entry()), (2, None));
}

#[test]
fn errors_say_where_and_what() {
    let error = Parser::new("a 1\nb one", LENIENT).nth(1).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "line 2 has no number for a value");
}

#[test]
fn the_content_type_says_the_format() {
    for (header, format) in [
        ("text/plain", Some(Format::Text)),
        ("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
        ("TEXT/PLAIN;version=1.0.0;escaping=allow-utf-8", Some(Format::Text)),
        ("application/openmetrics-text", Some(Format::OpenMetrics)),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
        ("application/openmetrics-text; Version=\"0.0.1\"", Some(Format::OpenMetrics)),
        ("application/openmetrics-text; version=2.0.0", None),
        ("text/html;charset=utf-8", None),
        ("application/json", None),
        ("text/plainer", None),
        ("", None),
    ] {
        assert_eq!(Format::from_content_type(header), format, "{header}");
    }
}

#[test]
fn times_are_exact_where_a_float_would_not_be() {
    let options = Options::new(Format::OpenMetrics);
    let time = |text: &str| sample(&format!("a 1 {text}"), options).timestamp.unwrap().as_nanos();
    for (text, nanos) in [
        ("1520879607.789123456", 1_520_879_607_789_123_456),
        ("1520879607.7891234567", 1_520_879_607_789_123_456),
        ("-0.5", -500_000_000),
        ("1.", 1_000_000_000),
        ("+.25", 250_000_000),
        ("1.5e3", 1_500_000_000_000),
        ("9223372036.854775807", i64::MAX),
        ("9223372036.854775808", i64::MAX),
        ("12345678901234567890.1234567890", i64::MAX),
        ("-1e300", i64::MIN),
    ] {
        assert_eq!(time(text), nanos, "{text}");
    }
}
