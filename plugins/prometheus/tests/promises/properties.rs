//! Whatever a page holds, what is emitted is sound: the harness refuses what is not.

use std::collections::BTreeSet;

use kiln_plugin::telemetry::Attribute;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u32..20).prop_map(|value| value.to_string()),
        Just("NaN".to_owned()),
        Just("+Inf".to_owned()),
        Just("-1.5".to_owned()),
        Just("1e300".to_owned()),
        Just("18446744073709551615".to_owned()),
    ]
}

fn labels() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "le",
        "quantile",
        "job",
        "instance",
        "a",
        "otel_scope_name",
        "otel_scope_x",
        "trace_id",
        "exported_job",
        "x",
    ]);
    let value = prop_oneof![
        "[0-9]\\.?[0-9]?",
        Just("+Inf".to_owned()),
        Just("NaN".to_owned()),
        "[a-z\\\\\"é]{0,3}",
        Just("-0".to_owned())
    ];
    prop::collection::vec((name, value), 0..4).prop_map(|labels| {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        format!("{{{}}}", labels.join(","))
    })
}

fn line() -> impl Strategy<Value = String> {
    let family = prop::sample::select(vec!["f", "g", "up", "target", "scrape_series_added", "otel_scope"]);
    let suffix = prop::sample::select(vec!["", "_total", "_bucket", "_sum", "_count", "_created", "_info", "_gsum"]);
    let kind =
        prop::sample::select(vec!["counter", "gauge", "histogram", "summary", "untyped", "info", "gaugehistogram"]);
    let native = (0_u64..5, -4_i32..9, -3_i32..3, 0_i64..3).prop_map(|(count, schema, offset, delta)| {
        format!("{{count:{count},sum:1,schema:{schema},positive_spans:[{offset}:2],positive_deltas:[{delta},0]}}")
    });
    prop_oneof![
        1 => (family.clone(), kind).prop_map(|(family, kind)| format!("# TYPE {family} {kind}")),
        4 => (family.clone(), suffix, labels(), number(), prop::option::of(-5_i64..1_767_225_700_000)).prop_map(
            |(family, suffix, labels, number, time)| {
                let time = time.map_or_else(String::new, |time| format!(" {time}"));
                format!("{family}{suffix}{labels} {number}{time}")
            }
        ),
        1 => (family, labels(), native).prop_map(|(family, labels, native)| format!("{family}{labels} {native}")),
        1 => ".{0,20}",
    ]
}

/// A line as most are, with a place for its number.
fn plain_line() -> impl Strategy<Value = String> {
    let family = prop::sample::select(vec!["f", "g", "h", "up", "process_start_time_seconds"]);
    let suffix = prop::sample::select(vec!["", "", "", "_total", "_bucket", "_sum", "_count", "_created"]);
    let kind = prop::sample::select(vec!["counter", "gauge", "histogram", "summary", "untyped"]);
    let label =
        prop::sample::select(vec!["", "", "{a=\"1\"}", "{a=\"2\"}", "{le=\"1\"}", "{le=\"+Inf\"}", "{job=\"x\"}"]);
    let rest =
        prop::sample::select(vec!["", "", "", "", "", " 5", " -5", " 1767225700000", " # {x=\"y\"} 1", " ", "\r"]);
    prop_oneof![
        1 => (family.clone(), kind).prop_map(|(family, kind)| format!("# TYPE {family} {kind}")),
        8 => (family, suffix, label, rest).prop_map(|(family, suffix, label, rest)| {
            format!("{family}{suffix}{label} VALUE{rest}")
        }),
        1 => Just("f 5 VALUE".to_owned()),
    ]
}

/// What a metric is, and the attributes of its points.
fn attributes(metric: &Metric) -> (&'static str, Vec<&[Attribute]>) {
    match &metric.data {
        MetricData::Gauge(points) => ("gauge", points.iter().map(|point| &*point.attributes).collect()),
        MetricData::Sum(sum) => {
            (if sum.monotonic { "counter" } else { "sum" }, sum.points.iter().map(|point| &*point.attributes).collect())
        }
        MetricData::Histogram(data) => ("histogram", data.points.iter().map(|point| &*point.attributes).collect()),
        MetricData::ExponentialHistogram(data) => {
            ("exponential", data.points.iter().map(|point| &*point.attributes).collect())
        }
        MetricData::Summary(points) => ("summary", points.iter().map(|point| &*point.attributes).collect()),
    }
}

proptest! {
    /// A page like the one before is not understood again. What is sent is what would be if it were: a comment that is
    /// different on each page makes sure of that on the other side, and nothing else tells the two apart.
    #[test]
    fn a_page_like_the_one_before_says_what_it_would_have_said_alone(
        lines in prop::collection::vec(plain_line(), 1..25),
        numbers in prop::collection::vec(prop::collection::vec(number(), 25), 4),
        changed in prop::option::of((1_usize..4, plain_line())),
        strategy in prop::sample::select(vec!["unset", "process_start_time", "true_reset", "subtract_initial"]),
        honor_timestamps in any::<bool>(),
    ) {
        let page = |scrape: usize, comment: &str| {
            let mut page = format!("# {comment}\n");
            for (line, number) in lines.iter().zip(&numbers[scrape]) {
                page.push_str(&line.replace("VALUE", number));
                page.push('\n');
            }
            if let Some((at, line)) = &changed && *at == scrape {
                page.push_str(&line.replace("VALUE", "1"));
                page.push('\n');
            }
            page
        };
        let scrapes = |comments: [&str; 4]| {
            let [first, second, third, fourth] = [0, 1, 2, 3].map(|scrape| text(&page(scrape, comments[scrape])));
            let host = host(first.then(second).then(third).then(fourth));
            let mut config = job(json!({ "honor_timestamps": honor_timestamps }));
            config["start_time"] = json!(strategy);
            let mut instance = host.configure::<Prometheus>(config).unwrap();
            [0; 4].map(|_| {
                host.advance(core::time::Duration::from_secs(15));
                let collected = instance.collect().unwrap();
                (collected.metrics.records().to_vec(), collected.outcome.failures.len())
            })
        };
        let (alike, different) = (scrapes(["a"; 4]), scrapes(["a", "b", "c", "d"]));
        for (scrape, (alike, different)) in alike.iter().zip(&different).enumerate() {
            prop_assert_eq!(format!("{alike:?}"), format!("{different:?}"), "scrape {}", scrape);
        }
    }

    /// No series has two points in one collection, and nothing is refused by the host's rules.
    #[test]
    fn any_two_pages_in_a_row_give_sound_telemetry(
        pages in prop::collection::vec(prop::collection::vec(line(), 0..25), 2),
        strategy in prop::sample::select(vec!["unset", "process_start_time", "true_reset", "subtract_initial"]),
        honor_labels in any::<bool>(),
        format in prop::sample::select(vec![text as fn(&str) -> Reply, openmetrics]),
    ) {
        let [first, second] = [0, 1].map(|index: usize| format(&(pages[index].join("\n") + "\n# EOF\n")));
        let host = host(first.then(second));
        let mut config = job(json!({ "honor_labels": honor_labels, "extra_scrape_metrics": true }));
        config["start_time"] = json!(strategy);
        let mut instance = host.configure::<Prometheus>(config).unwrap();
        for _ in 0..3 {
            let collected = instance.collect().unwrap();
            for failure in &collected.outcome.failures {
                prop_assert!(!failure.message.contains("refuses the telemetry"), "{}", failure.message);
            }
            let mut seen = BTreeSet::new();
            for record in collected.metrics.records() {
                for metric in &record.metrics {
                    let (kind, points) = attributes(metric);
                    for point in points {
                        let series = (&record.resource, &record.scope, &metric.name, kind, &metric.unit, point);
                        prop_assert!(seen.insert(format!("{series:?}")), "two points of {:?}", series);
                    }
                }
            }
        }
    }
}
