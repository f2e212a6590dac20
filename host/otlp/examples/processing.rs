//! What looking at a batch and changing it costs, by level and by the number of points.
//!
//! `cargo run --release -p kiln-otlp --example processing`. Each figure is the median of several runs.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, missing_docs)]

use std::time::{Duration, Instant};

use kiln_otlp::*;

const UNLIMITED: Amount = Amount { bytes: usize::MAX, items: usize::MAX };

/// One resource, ten metrics, so many points with six attributes, the last of which is one of a hundred.
fn batch(points: usize) -> Batch {
    let mut payload = MetricsPayload::new(1, UNLIMITED, Amount::default());
    let none = |_: &mut Attributes<'_>| Ok(());
    payload
        .group::<Invalid>(
            |attributes| attributes.value("service.name", ListItem::Text("shop")),
            Scope { name: "bench", version: "1" },
            none,
            |items| {
                (0..10).try_for_each(|metric| {
                    let name = format!("metric.{metric}");
                    items.metric(Metric { name: &name, description: "what it is", unit: "By" }, none, |body| {
                        body.sum(Temporality::Cumulative, true, |list| {
                            (0..points / 10).try_for_each(|index| {
                                let value = Some(Number::Integer(1));
                                list.point(NumberPoint { start_time: 1, time: 2, value }, |body| {
                                    body.attributes(|attributes| {
                                        attributes.value("http.request.method", ListItem::Text("GET"))?;
                                        attributes.value("server.address", ListItem::Text("shop.example.com"))?;
                                        attributes.value("server.port", ListItem::Integer(443))?;
                                        attributes.value("region", ListItem::Text("eu-central-1"))?;
                                        attributes.value("user.id", ListItem::Text(&format!("user-{index}")))?;
                                        attributes
                                            .value("http.route", ListItem::Text(&format!("/page/{}", index % 100)))
                                    })
                                })
                            })
                        })
                    })
                })
            },
        )
        .unwrap();
    payload.finish().unwrap()
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..9)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.into_iter().nth(4).unwrap()
}

fn look(batch: &Batch, level: Level, reads: &str) -> Duration {
    let sight = Sight::new(level, &[reads.to_owned()]);
    median(|| assert!(sight.views(batch).all(|part| part.is_ok())))
}

fn change(batch: &Batch, level: Level, wants: impl Fn(&View) -> Vec<Edit>) -> Duration {
    let mut edits = Edits::new(UNLIMITED);
    for part in Sight::new(level, &["*".to_owned()]).views(batch) {
        let (view, extent) = part.unwrap();
        edits.add(&extent, wants(&view)).unwrap();
    }
    median(|| assert!(edits.apply(batch.clone()).is_ok()))
}

/// The same of a batch nobody else holds, which has grown a little by every change before.
fn change_in_place(batch: &Batch, wants: impl Fn(&View) -> Vec<Edit>) -> Duration {
    let mut edits = Edits::new(UNLIMITED);
    for part in Sight::new(Level::Resource, &["*".to_owned()]).views(batch) {
        let (view, extent) = part.unwrap();
        edits.add(&extent, wants(&view)).unwrap();
    }
    let mut own = Batch { payload: batch.payload.to_vec().into(), ..batch.clone() };
    median(|| {
        let payload = std::mem::take(&mut own.payload);
        own = edits.apply(Batch { payload, ..own }).unwrap();
    })
}

fn main() {
    let text = || AttributeValue::Text("prod".into());
    let set = |resource| Edit::SetResourceAttribute { resource, key: "env".into(), value: text() };
    let rename = |metric| Edit::RenameMetric { metric, name: format!("renamed.{metric}") };
    let tag = |point| Edit::SetPointAttribute { point, key: "env".into(), value: text() };
    let aggregate =
        |metric| Edit::Aggregate { metric, without: vec!["user.id".into()], gauges: GaugeAggregation::Last };
    println!(
        "points      bytes | look: resource  metric    point     one key | change: resource  in place  metric    point     aggregate"
    );
    for points in [1_000, 10_000, 100_000, 1_000_000] {
        let batch = batch(points);
        println!(
            "{points:<9} {:>7}K | {:>14.1?} {:>9.1?} {:>9.1?} {:>9.1?} | {:>16.1?} {:>9.1?} {:>9.1?} {:>9.1?} {:>9.1?}",
            batch.payload.len() / 1000,
            look(&batch, Level::Resource, "*"),
            look(&batch, Level::Metric, "*"),
            look(&batch, Level::Point, "*"),
            look(&batch, Level::Point, "http.route"),
            change(&batch, Level::Resource, |view| (0..view.resources.len()).map(set).collect()),
            change_in_place(&batch, |view| (0..view.resources.len()).map(set).collect()),
            change(&batch, Level::Metric, |view| (0..view.metrics.len()).map(rename).collect()),
            change(&batch, Level::Point, |view| (0..view.points.len()).map(tag).collect()),
            change(&batch, Level::Metric, |view| (0..view.metrics.len()).map(aggregate).collect()),
        );
    }
}
