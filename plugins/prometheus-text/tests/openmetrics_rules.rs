//! Every rule of OpenMetrics: a page that keeps it beside one that breaks it and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use kiln_prometheus_text::LineProblem::{self, *};
use kiln_prometheus_text::{Format, LineError, Options, Parser};

fn read(page: &str) -> Result<(), LineError> {
    Parser::new(page, Options::new(Format::OpenMetrics)).try_for_each(|entry| entry.map(drop))
}

/// `# EOF` is added.
fn assert_rule(rule: &str, kept: &str, broken: &str, problem: LineProblem) {
    let (kept, broken) = (format!("{kept}\n# EOF\n"), format!("{broken}\n# EOF\n"));
    assert_eq!(read(&kept), Ok(()), "{rule}:\n{kept}");
    assert_eq!(read(&broken).map_err(|error| error.problem), Err(problem), "{rule}:\n{broken}");
}

macro_rules! rules {
    ($($rule:ident: $kept:expr, $broken:expr => $problem:expr;)*) => {$(
        #[test]
        fn $rule() {
            assert_rule(stringify!($rule), $kept, $broken, $problem);
        }
    )*};
}

// The shape of lines.
rules! {
    a_name_starts_with_a_letter: "a 1", "1a 1" => Name;
    a_name_has_no_dots_without_quotes: "{\"a.b\"} 1", "a.b 1" => Name;
    a_quoted_name_is_not_empty: "{\"a\"} 1", "{\"\"} 1" => Name;
    a_quoted_name_has_no_escapes: r#"{"a.b",x="\\"} 1"#, r#"{"a\\b"} 1"# => Name;
    a_name_stands_in_one_place: "{\"a.b\",c=\"d\"} 1", "a{\"a.b\",c=\"d\"} 1" => Labels;
    a_quoted_name_stands_first: "{\"a.b\",c=\"d\"} 1", "{c=\"d\",\"a.b\"} 1" => Labels;
    no_label_is_without_a_name: "a{b=\"c\"} 1", "a{=\"c\"} 1" => Labels;
    no_label_has_a_colon_without_quotes: "a{\"b:c\"=\"d\"} 1", "a{b:c=\"d\"} 1" => Labels;
    no_label_is_there_twice: "a{b=\"c\",d=\"c\"} 1", "a{b=\"c\",b=\"d\"} 1" => RepeatedLabel;
    no_label_is_there_twice_in_other_quotes: "a{b=\"c\",\"d\"=\"c\"} 1", "a{b=\"c\",\"b\"=\"d\"} 1" => RepeatedLabel;
    labels_have_no_comma_behind_them: "a{b=\"c\"} 1", "a{b=\"c\",} 1" => Labels;
    labels_have_no_spaces_around_them: "a{b=\"c\"} 1", "a{ b=\"c\"} 1" => Labels;
    labels_have_no_spaces_between_them: "a{b=\"c\",d=\"e\"} 1", "a{b=\"c\", d=\"e\"} 1" => Labels;
    labels_stand_at_the_name: "a{b=\"c\"} 1", "a {b=\"c\"} 1" => NativeHistogram;
    quotes_in_labels_are_escaped: r#"a{b="\"c\"",d="e"} 1"#, r#"a{b=""c"",d="e"} 1"# => Labels;
    one_space_is_before_the_value: "a 1", "a  1" => Value;
    a_space_is_before_the_value: "a{b=\"c\"} 1", "a{b=\"c\"}1" => Value;
    the_value_is_a_number: "a 1e3", "a one" => Value;
    the_value_is_decimal: "a 1.5", "a 0x1p3" => Value;
    not_a_number_has_no_sign: "a NaN", "a -NaN" => Value;
    nothing_is_behind_the_value: "a 1", "a 1 " => Timestamp;
    a_timestamp_is_a_number: "a 1 1.5e3", "a 1 now" => Timestamp;
    a_timestamp_is_finite: "a 1 1", "a 1 +Inf" => Timestamp;
    nothing_is_behind_the_timestamp: "a 1 1", "a 1 1 1" => Timestamp;
    no_line_is_blank: "a 1", "a 1\n" => NotOpenMetrics;
    no_line_is_a_comment: "# HELP a b", "# a b" => NotOpenMetrics;
    metadata_has_a_space_behind_the_hash: "# HELP a b", "#HELP a b" => NotOpenMetrics;
    no_line_ends_with_a_carriage_return: "a 1", "a 1\r" => Value;
    metadata_names_a_family: "# HELP a ", "# HELP " => Metadata;
    metadata_says_something: "# UNIT a ", "# UNIT a" => Metadata;
    a_family_with_dots_is_quoted: "# TYPE \"a.b\" gauge", "# TYPE a.b gauge" => Metadata;
    a_type_is_known: "# TYPE a unknown", "# TYPE a untyped" => Metadata;
    a_unit_has_no_spaces: "# UNIT a_b b", "# UNIT a_b b " => Metadata;
}

// The order of lines.
rules! {
    help_is_there_once: "# HELP a b\n# TYPE a gauge", "# HELP a b\n# HELP a c" => RepeatedMetadata;
    type_is_there_once: "# TYPE a gauge\n# HELP a b", "# TYPE a gauge\n# TYPE a gauge" => RepeatedMetadata;
    unit_is_there_once: "# UNIT a_b b\n# TYPE a_b gauge", "# UNIT a_b b\n# UNIT a_b b" => RepeatedMetadata;
    metadata_is_above_the_samples: "# TYPE a gauge\n# HELP a b\na 1", "# TYPE a gauge\na 1\n# HELP a b" => LateMetadata;
    families_do_not_come_back: "a{x=\"1\"} 1\na{x=\"2\"} 1\nb 1", "a{x=\"1\"} 1\nb 1\na{x=\"2\"} 1" => ClashingName;
    described_families_do_not_come_back: "# HELP a b\n# HELP c d", "# HELP a b\n# HELP c d\n# HELP a b" => ClashingName;
    no_family_has_the_name_of_another_s_samples:
        "# TYPE a counter\na_total 1\n# TYPE b_total gauge\nb_total 1",
        "# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total 1" => ClashingName;
    no_family_could_have_samples_of_another: "# TYPE a_count gauge\n# TYPE a gauge", "# TYPE a_count gauge\n# TYPE a summary" => ClashingName;
    metrics_do_not_come_back:
        "# TYPE a summary\na_sum{x=\"1\"} 1\na_count{x=\"1\"} 1\na_sum{x=\"2\"} 1",
        "# TYPE a summary\na_sum{x=\"1\"} 1\na_sum{x=\"2\"} 1\na_count{x=\"1\"} 1" => Interleaved;
    metrics_do_not_come_back_in_another_order_of_labels:
        "# TYPE a gauge\na{x=\"1\",y=\"1\"} 1\na{x=\"1\",y=\"2\"} 1\na{x=\"2\",y=\"1\"} 1",
        "# TYPE a gauge\na{x=\"1\",y=\"1\"} 1\na{x=\"1\",y=\"2\"} 1\na{y=\"1\",x=\"1\"} 1" => Interleaved;
    all_samples_of_a_metric_have_a_timestamp_or_none: "a 1 1\na 1 2", "a 1 1\na 1" => MixedTimestamps;
    time_does_not_go_back: "a 1 1\na 1 1.5", "a 1 1.5\na 1 1" => TimeGoesBack;
    time_is_compared_by_the_nanosecond:
        "a 1 1520879607.000000001\na 1 1520879607.000000002", "a 1 1520879607.000000002\na 1 1520879607.000000001" => TimeGoesBack;
    nothing_is_behind_the_end: "a 1", "a 1\n# EOF\nb 1" => Eof;
}

// Types.
rules! {
    a_counter_s_samples_are_called_total: "# TYPE a counter\na_total 1", "# TYPE a counter\na 1" => ClashingName;
    an_info_s_samples_are_called_info: "# TYPE a info\na_info 1", "# TYPE a info\na 1" => ClashingName;
    a_counter_is_a_number: "# TYPE a counter\na_total +Inf", "# TYPE a counter\na_total NaN" => TypeValue;
    a_counter_is_not_negative: "# TYPE a counter\na_total 0", "# TYPE a counter\na_total -1" => TypeValue;
    a_gauge_is_any_number: "# TYPE a gauge\na -1", "# TYPE a gauge\na minus" => Value;
    creation_is_a_time: "# TYPE a counter\na_total 1\na_created 1.5", "# TYPE a counter\na_total 1\na_created NaN" => TypeValue;
    a_state_is_on_or_off: "# TYPE a stateset\na{a=\"x\"} 1\na{a=\"y\"} 0", "# TYPE a stateset\na{a=\"x\"} 0.5" => TypeValue;
    a_state_has_a_label_like_its_family: "# TYPE a stateset\na{a=\"x\"} 1", "# TYPE a stateset\na{b=\"x\"} 1" => TypeLabel;
    an_info_is_one: "# TYPE a info\na_info{b=\"c\"} 1", "# TYPE a info\na_info{b=\"c\"} 0" => TypeValue;
    a_unit_ends_the_name: "# UNIT a_seconds seconds", "# UNIT seconds seconds" => Unit;
    a_unit_is_a_word_of_the_name: "# UNIT a_seconds seconds", "# UNIT aseconds seconds" => Unit;
    an_info_has_no_unit: "# TYPE a_b info\n# UNIT a_b ", "# TYPE a_b info\n# UNIT a_b b" => Unit;
    a_state_set_has_no_unit: "# TYPE a_b gauge\n# UNIT a_b b", "# TYPE a_b stateset\n# UNIT a_b b" => Unit;
    a_quantile_has_its_label: "# TYPE a summary\na{quantile=\"0.5\"} 1", "# TYPE a summary\na{q=\"0.5\"} 1" => TypeLabel;
    a_quantile_is_a_share: "# TYPE a summary\na{quantile=\"1\"} 1", "# TYPE a summary\na{quantile=\"1.1\"} 1" => TypeLabel;
    a_quantile_is_not_negative: "# TYPE a summary\na{quantile=\"1\"} NaN", "# TYPE a summary\na{quantile=\"1\"} -1" => TypeValue;
    a_summary_s_sum_is_not_negative: "# TYPE a summary\na_sum 0.5", "# TYPE a summary\na_sum -0.5" => TypeValue;
    a_summary_s_count_is_whole: "# TYPE a summary\na_count 2.0", "# TYPE a summary\na_count 2.5" => TypeValue;
}

// Histograms.
rules! {
    a_bucket_has_a_bound: "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1", "# TYPE a histogram\na_bucket{l=\"+Inf\"} 1" => TypeLabel;
    a_bound_is_a_number: "# TYPE a histogram\na_bucket{le=\"1e3\"} 1\na_bucket{le=\"+Inf\"} 1", "# TYPE a histogram\na_bucket{le=\"NaN\"} 1" => TypeLabel;
    infinity_is_written_in_one_way: "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1", "# TYPE a histogram\na_bucket{le=\"Inf\"} 1" => TypeLabel;
    buckets_count_whole_numbers: "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1.0", "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1.5" => TypeValue;
    buckets_count_nothing_negative: "# TYPE a histogram\na_bucket{le=\"+Inf\"} 0", "# TYPE a histogram\na_bucket{le=\"+Inf\"} -1" => TypeValue;
    bounds_ascend:
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"2\"} 1\na_bucket{le=\"+Inf\"} 1",
        "# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1" => BucketOrder;
    no_bound_is_there_twice:
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_bucket{le=\"+Inf\"} 1" => BucketOrder;
    buckets_count_those_below:
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2",
        "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1" => BucketOrder;
    the_last_bucket_is_infinite: "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1", "# TYPE a histogram\na_bucket{le=\"1\"} 1" => NoInfinityBucket;
    every_histogram_has_an_infinite_bucket:
        "# TYPE a histogram\na_bucket{x=\"1\",le=\"+Inf\"} 1\na_bucket{x=\"2\",le=\"+Inf\"} 1",
        "# TYPE a histogram\na_bucket{x=\"1\",le=\"1\"} 1\na_bucket{x=\"2\",le=\"+Inf\"} 1" => NoInfinityBucket;
    every_time_has_an_infinite_bucket:
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1 1\na_bucket{le=\"+Inf\"} 1 2",
        "# TYPE a histogram\na_bucket{le=\"1\"} 1 1\na_bucket{le=\"+Inf\"} 1 2" => NoInfinityBucket;
    the_count_is_the_last_bucket:
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 1",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 1\na_sum 1" => HistogramParts;
    a_sum_has_a_count:
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 2",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1" => HistogramParts;
    a_count_has_a_sum:
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 0",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 2" => HistogramParts;
    negative_bounds_have_no_sum:
        "# TYPE a histogram\na_bucket{le=\"-1\"} 0\na_bucket{le=\"+Inf\"} 2",
        "# TYPE a histogram\na_bucket{le=\"-1\"} 0\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 0" => HistogramParts;
    a_gauge_histogram_s_sum_may_be_negative_with_negative_bounds:
        "# TYPE a gaugehistogram\na_bucket{le=\"-1\"} 0\na_bucket{le=\"+Inf\"} 2\na_gcount 2\na_gsum -3",
        "# TYPE a gaugehistogram\na_bucket{le=\"1\"} 0\na_bucket{le=\"+Inf\"} 2\na_gcount 2\na_gsum -3" => HistogramParts;
    a_gauge_histogram_s_sum_is_a_number:
        "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 2\na_gcount 2\na_gsum 3",
        "# TYPE a gaugehistogram\na_bucket{le=\"+Inf\"} 2\na_gcount 2\na_gsum NaN" => TypeValue;
    only_a_native_histogram_has_no_suffix: "# TYPE a histogram\na {count:1,sum:1,schema:0}", "# TYPE a histogram\na 1" => TypeValue;
    a_native_histogram_is_a_histogram: "# TYPE a histogram\na{b=\"c\"} {count:1,sum:1,schema:0}", "# TYPE a gauge\na {count:1,sum:1,schema:0}" => TypeValue;
}

// Exemplars.
rules! {
    a_counter_may_have_an_exemplar: "# TYPE a counter\na_total 1 # {b=\"c\"} 1", "# TYPE a gauge\na 1 # {b=\"c\"} 1" => MisplacedExemplar;
    a_bucket_may_have_an_exemplar:
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1 # {b=\"c\"} 1 1.5",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1 # {b=\"c\"} 1\na_sum 1" => MisplacedExemplar;
    an_exemplar_has_braces: "# TYPE a counter\na_total 1 # {} 1", "# TYPE a counter\na_total 1 # 1" => Exemplar;
    an_exemplar_has_a_value: "# TYPE a counter\na_total 1 # {} 1", "# TYPE a counter\na_total 1 # {} " => Exemplar;
    an_exemplar_has_a_space_before_its_value: "# TYPE a counter\na_total 1 # {} 1", "# TYPE a counter\na_total 1 # {}1" => Exemplar;
    an_exemplar_has_labels: "# TYPE a counter\na_total 1 # {b=\"c\"} 1", "# TYPE a counter\na_total 1 # {b} 1" => Labels;
    an_exemplar_s_time_is_finite: "# TYPE a counter\na_total 1 # {} 1 1", "# TYPE a counter\na_total 1 # {} 1 NaN" => Exemplar;
    nothing_is_behind_an_exemplar: "# TYPE a counter\na_total 1 # {} 1 1", "# TYPE a counter\na_total 1 # {} 1 1 1" => Timestamp;
}

#[test]
fn an_exemplar_has_128_characters_and_not_more() {
    let page = |length: usize| format!("# TYPE a counter\na_total 1 # {{b=\"{}\"}} 1", "é".repeat(length));
    assert_rule("128 characters", &page(127), &page(128), LongExemplar);
}

#[test]
fn no_label_is_there_twice_among_many() {
    let page = |last: usize| {
        let labels: String = (0..20).chain([last]).map(|n| format!(",l{n}=\"\"")).collect();
        format!("a{{x=\"\"{labels}}} 1")
    };
    assert_rule("many labels", &page(20), &page(3), RepeatedLabel);
}

#[test]
fn a_page_ends_with_eof_and_perhaps_a_line_feed() {
    for (page, expected) in [
        ("# EOF\n", Ok(())),
        ("# EOF", Ok(())),
        ("", Err(LineError { line: 0, problem: Eof })),
        ("a 1\n", Err(LineError { line: 1, problem: Eof })),
        ("a 1\n# EOF\n\n", Err(LineError { line: 3, problem: NotOpenMetrics })),
        ("a 1\n# EOF \n", Err(LineError { line: 2, problem: NotOpenMetrics })),
    ] {
        assert_eq!(read(page), expected, "{page:?}");
    }
}

#[test]
fn lines_can_be_read_by_themselves() {
    let read = |page| {
        let lines = Parser::of_lines(page, Options::new(Format::OpenMetrics));
        lines.map(|entry| entry.map(drop).map_err(|error| error.problem)).collect::<Vec<_>>()
    };
    assert_eq!(read("# TYPE a counter\na_total -1\na_total 1 # {} 1"), [Ok(()); 3]);
    assert_eq!(read("a  1\n"), [Err(Value)]);
}

#[test]
fn the_first_error_is_the_last_item() {
    let mut parser = Parser::new("a 1\na\nb 1\n# EOF\n", Options::new(Format::OpenMetrics));
    assert!(parser.next().unwrap().is_ok());
    assert_eq!(parser.next().unwrap(), Err(LineError { line: 2, problem: Value }));
    assert_eq!(parser.next(), None);
}
