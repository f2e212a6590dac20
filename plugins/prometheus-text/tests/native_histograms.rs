//! What is promised of histograms in one line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use kiln_prometheus_text::{
    CUSTOM_BUCKETS_SCHEMA, Entry, LineProblem, NativeHistogramSample, Options, Parser, Span, Timestamp, Value,
};

fn read(line: &str) -> Result<NativeHistogramSample<'_>, LineProblem> {
    match Parser::new(line, Options::default()).next().unwrap() {
        Ok(Entry::NativeHistogram(sample)) => Ok(sample),
        Ok(other) => panic!("{line}: {other:?}"),
        Err(error) => Err(error.problem),
    }
}

#[test]
fn a_native_histogram_has_buckets_on_both_sides_of_zero() {
    let sample = read(
        "a{b=\"c\"} {count:24,sum:100.5,schema:0,zero_threshold:0.001,zero_count:4,positive_spans:[0:2,1:2],\
         negative_spans:[-3:2,1:2],positive_deltas:[2,1,-3,3],negative_buckets:[2,1,0,3.5]} 5 # {d=\"e\"} 1",
    )
    .unwrap();
    let histogram = sample.histogram;
    assert_eq!((sample.name, sample.labels.get("b").unwrap().as_ref()), ("a", "c"));
    assert_eq!((sample.timestamp, sample.exemplar.is_some()), (Some(Timestamp::from_millis(5)), true));
    assert_eq!((histogram.count, histogram.sum, histogram.schema), (Value::Integer(24), 100.5, 0));
    assert_eq!((histogram.zero_threshold, histogram.zero_count), (0.001, Value::Integer(4)));
    assert_eq!(
        histogram.positive.spans().collect::<Vec<_>>(),
        [Span { offset: 0, length: 2 }, Span { offset: 1, length: 2 }]
    );
    assert_eq!(histogram.positive.counts().collect::<Vec<_>>(), [2.0, 3.0, 0.0, 3.0]);
    assert_eq!(histogram.negative.spans().next(), Some(Span { offset: -3, length: 2 }));
    assert_eq!(histogram.negative.counts().collect::<Vec<_>>(), [2.0, 1.0, 0.0, 3.5]);
}

#[test]
fn custom_bounds_are_written_out() {
    let line = "a {count:3,sum:1,schema:-53,positive_spans:[0:3],positive_buckets:[1,0,2],custom_values:[0.5,1]}";
    let histogram = read(line).unwrap().histogram;
    assert_eq!(histogram.schema, CUSTOM_BUCKETS_SCHEMA);
    assert_eq!(histogram.custom_values.iter().collect::<Vec<_>>(), [0.5, 1.0]);
}

#[test]
fn it_is_shown_as_it_is_written() {
    let written =
        "{count:3,sum:1.5,schema:2,zero_threshold:0.0,zero_count:1,positive_spans:[0:2],positive_deltas:[1,0]}";
    let line = format!("a {written}");
    assert_eq!(read(&line).unwrap().histogram.to_string(), written);
}

#[test]
fn what_contradicts_itself_is_no_histogram() {
    let good = "a {count:3,sum:1,schema:0,zero_count:1,positive_spans:[0:1,1:1],positive_deltas:[1,0]}";
    assert!(read(good).is_ok());
    for (from, to) in [
        ("count:3,", ""),
        ("sum:1,", ""),
        ("schema:0,", ""),
        ("count:3", "count:-3"),
        ("count:3", "count:NaN"),
        ("schema:0", "schema:9"),
        ("schema:0", "schema:-5"),
        ("schema:0", "schema:0,schema:0"),
        ("schema:0", "schema:0,more:1"),
        ("zero_count:1", "zero_count:1,zero_threshold:-1"),
        ("zero_count:1", "zero_count:1,custom_values:[1]"),
        ("[0:1,1:1]", "[0:1,-1:1]"),
        ("[0:1,1:1]", "[0:1]"),
        ("[0:1,1:1]", "[0:1,1:4294967295]"),
        ("[0:1,1:1]", "[0:1,1:-1]"),
        ("[1,0]", "[1,-2]"),
        ("[1,0]", "[1,x]"),
        ("[1,0]", "[1,0],positive_buckets:[1,1]"),
        ("[1,0]}", "[1,0]"),
        ("[1,0]}", "[1,0}"),
        ("[1,0]}", "[1,0],}"),
    ] {
        let line = good.replacen(from, to, 1);
        assert_ne!(line, good);
        assert!(read(&line).is_err(), "{line}");
    }
    let custom = "a {count:1,sum:1,schema:-53,custom_values:[1,2]}";
    assert!(read(custom).is_ok());
    assert!(read(&custom.replace("[1,2]", "[2,1]")).is_err());
    assert!(read(&custom.replace("[1,2]", "[1,NaN]")).is_err());
}
