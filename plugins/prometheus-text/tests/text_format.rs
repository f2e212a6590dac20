//! What the reader of the text format promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::borrow::Cow;

use kiln_prometheus_text::{LineProblem, MAX_LINE_BYTES, MAX_LINES, Sample, Timestamp, Type, Value, samples, types};
use proptest::prelude::*;

fn one(line: &str) -> Sample<'_> {
    let mut found = samples(line);
    let sample = found.next().expect("a sample").unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(found.next().is_none(), "{line}");
    sample
}

fn problem(line: &str) -> LineProblem {
    samples(line).next().expect("a line").expect_err(line).problem
}

fn labels(line: &str) -> Vec<(&str, Cow<'_, str>)> {
    one(line).labels.iter().collect()
}

#[test]
fn a_name_labels_a_value_and_perhaps_a_time() {
    let sample = one(r#"a:b_1{x="1", y="2"} 3"#);
    assert_eq!((sample.name, sample.value, sample.timestamp), ("a:b_1", Value::Integer(3), None));
    assert_eq!(labels(r#"a:b_1{x="1", y="2"} 3"#), [("x", "1".into()), ("y", "2".into())]);
    assert_eq!(one("a 1").labels.iter().count(), 0);
    assert_eq!(one("a{} 1").labels.iter().count(), 0);
    assert_eq!(labels(r#"a{x="1",} 1"#), [("x", "1".into())]);
    assert_eq!(one(r#"a{x="1"} 1 1795353190860"#).timestamp, Some(Timestamp::from_millis(1_795_353_190_860)));
    assert_eq!(one("  a\t{x=\"1\"}\t1\r").labels.get("x").as_deref(), Some("1"));
}

#[test]
fn java_s_numbers_are_read_and_what_is_no_number_is_not() {
    let value = |text: &str| one(&format!("a {text}")).value;
    assert_eq!(value("2.8953718209662054E7"), Value::Float(28_953_718.209_662_054));
    assert_eq!(value("1.0E-5"), Value::Float(0.000_01));
    assert_eq!(value("-1"), Value::Integer(-1));
    assert_eq!(value("9223372036854775807"), Value::Integer(i64::MAX));
    assert_eq!(value("9223372036854775808"), Value::Float(9_223_372_036_854_775_808.0));
    for (text, expected) in [("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY), ("+Inf", f64::INFINITY)] {
        assert_eq!(value(text).as_f64(), expected);
        assert!(!value(text).is_finite());
    }
    assert!(value("NaN").as_f64().is_nan() && !value("NaN").is_finite());
    assert_eq!(value("NaN").as_i64(), 0);
    for text in ["", "true", "1,5", "0x10", "\"1\"", "1.5.2", "--1"] {
        assert_eq!(problem(&format!("a {text}")), LineProblem::Value, "{text}");
    }
}

#[test]
fn quotes_braces_and_backslashes_stay_in_a_value_that_spark_did_not_escape() {
    let line = r#"metrics_executor_rddBlocks{application_id="local-1", application_name="ETL "daily" \ job, {x} é", executor_id="driver"} 0"#;
    assert_eq!(
        labels(line),
        [
            ("application_id", "local-1".into()),
            ("application_name", r#"ETL "daily" \ job, {x} é"#.into()),
            ("executor_id", "driver".into())
        ]
    );
    assert_eq!(labels(r#"a{x="", y="""} 1"#), [("x", "".into()), ("y", "\"".into())]);
    assert_eq!(labels(r#"a{x="\", y="1"} 1"#), [("x", "\\".into()), ("y", "1".into())]);
    assert_eq!(labels(r#"a{x="1} 2", y="}"} 1"#), [("x", "1} 2".into()), ("y", "}".into())]);
}

#[test]
fn the_last_label_is_read_from_the_right() {
    let last = |line| one(line).labels.get_last("id");
    assert_eq!(last(r#"a{name="x", id="1", y="2", id="2"} 1"#).as_deref(), Some("2"));
    assert_eq!(last(r#"a{name="",y=", id="2"} 1"#).as_deref(), Some("2"));
    assert_eq!(last(r#"a{id="2",} 1"#).as_deref(), Some("2"));
    assert_eq!(last(r#"a{id="1", y="2"} 1"#).as_deref(), Some("1"));
    assert_eq!(last(r#"a{my_id="1"} 1"#), None);
    assert_eq!(last(r#"a{y="id"} 1"#), None);
    assert_eq!(last("a 1"), None);
}

#[test]
fn a_bad_line_costs_nothing_but_itself() {
    let page = "a 1\n# TYPE b counter\n\n{x=\"1\"} 2\nb\nb{x=\"1\" 2\n9c 1\nd 1 later\nd 1 2 3\nd{x=\"1\"}2\ne 5";
    let (good, bad): (Vec<_>, Vec<_>) = samples(page).partition(Result::is_ok);
    let names: Vec<_> = good.into_iter().map(|sample| sample.unwrap().name).collect();
    assert_eq!(names, ["a", "d", "e"]);
    let lines: Vec<_> =
        bad.into_iter().map(|error| error.unwrap_err()).map(|error| (error.line, error.problem)).collect();
    assert_eq!(
        lines,
        [
            (4, LineProblem::Name),
            (5, LineProblem::Value),
            (6, LineProblem::Labels),
            (7, LineProblem::Name),
            (8, LineProblem::Timestamp),
            (9, LineProblem::Timestamp),
        ]
    );
}

#[test]
fn types_are_read_and_comments_that_say_something_else_are_not() {
    let page = "# HELP a TYPE b gauge\n# TYPE a counter\r\n#TYPE b   gauge\na 1\n# TYPE c histogram\n  # TYPE d summary\n\
# TYPE e untyped\n# TYPE f stateset\n# TYPE 9 gauge\n# TYPE g\n# TYPE h gauge too\n# TYPE {x} gauge\n# EOF";
    assert_eq!(
        types(page).collect::<Vec<_>>(),
        [
            ("a", Type::Counter),
            ("b", Type::Gauge),
            ("c", Type::Histogram),
            ("d", Type::Summary),
            ("e", Type::Unknown),
            ("f", Type::Unknown),
        ]
    );
    assert_eq!(types(&format!("# TYPE {} gauge", "a".repeat(MAX_LINE_BYTES))).count(), 0);
    assert_eq!(types(&"# TYPE a gauge\n".repeat(MAX_LINES + 5)).count(), MAX_LINES);
}

#[test]
fn a_line_may_be_long_and_not_longer() {
    let line = |length: usize| format!("{} 1", "a".repeat(length - 2));
    assert!(samples(&line(MAX_LINE_BYTES)).all(|sample| sample.is_ok()));
    assert_eq!(problem(&line(MAX_LINE_BYTES + 1)), LineProblem::TooLong);
}

#[test]
fn a_page_may_have_many_lines_and_not_more() {
    let page = "a 1\n".repeat(MAX_LINES);
    assert_eq!(samples(&page).filter(Result::is_ok).count(), MAX_LINES);
    let mut found = samples(Box::leak(format!("{page}a 1\na 1\n").into_boxed_str())).skip(MAX_LINES);
    assert_eq!(found.next().unwrap().unwrap_err().problem, LineProblem::TooManyLines);
    assert!(found.next().is_none());
}

#[test]
fn every_line_of_the_real_pages_is_read() {
    let pages = [
        include_str!("../../spark/tests/pages/driver-3.5.9.prom"),
        include_str!("../../spark/tests/pages/driver-4.1.4.prom"),
        include_str!("../../spark/tests/pages/executors-3.5.9.prom"),
        include_str!("../../spark/tests/pages/executors-4.1.4.prom"),
    ];
    for page in pages {
        assert_eq!(samples(page).filter(Result::is_ok).count(), page.lines().count());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_read_more_than_there_is(text in "(?s).{0,400}") {
        let lines = text.split('\n').count();
        prop_assert!(samples(&text).count() + types(&text).count() <= lines);
        for sample in samples(&text).flatten() {
            prop_assert!(sample.labels.iter().count() <= text.len());
        }
    }

    #[test]
    fn no_mixture_of_what_lines_are_made_of_makes_it_panic(text in r#"[ab_ ,="{}\\\n1.#\t-]{0,200}"#) {
        for sample in samples(&text).flatten() {
            let _ = (sample.labels.iter().count(), sample.value.as_f64(), sample.value.as_i64());
        }
    }

    #[test]
    fn what_spark_writes_is_read_back(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
        id in r#"[^",\\\n]{0,20}"#,
        value in any::<i64>(),
    ) {
        let line = format!("{name}{{application_id=\"{id}\", executor_id=\"1\"}} {value}");
        let sample = samples(&line).next().unwrap().unwrap();
        prop_assert_eq!((sample.name, sample.value), (name.as_str(), Value::Integer(value)));
        prop_assert_eq!(sample.labels.get("application_id"), Some(id.into()));
        prop_assert_eq!(sample.labels.get("executor_id"), Some("1".into()));
    }

    #[test]
    fn whatever_an_application_is_called_the_executor_is_known(
        application in r#"[a-z",=\\{} ]{0,30}"#,
        executor in "[0-9]{1,4}",
    ) {
        let line = format!("a{{application_id=\"x\", application_name=\"{application}\", executor_id=\"{executor}\"}} 1");
        let sample = samples(&line).next().unwrap().unwrap();
        prop_assert_eq!(sample.labels.get_last("executor_id"), Some(executor.as_str().into()));
    }
}
