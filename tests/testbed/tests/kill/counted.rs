//! What was counted, what should have been, and what a backend must never see on the way there.

use std::collections::{BTreeMap, BTreeSet};

use kiln_testbed::databricks::Workspace;
use kiln_testbed::databricks::world::{Sum, Truth, UnixMillis};
use kiln_testbed::sink::{Point, Sink, Telemetry, Value};

/// How much had arrived at a time in the workspace.
pub(crate) struct Checkpoint {
    points: usize,
    at: UnixMillis,
}

impl Checkpoint {
    pub(crate) fn now(workspace: &Workspace, sink: &Sink) -> Self {
        let points = sink.telemetry().points.len();
        Self { points, at: workspace.now() }
    }
}

/// Name of the job or run, type, result.
type Series = (String, String, String);

/// Runs, and for each duration how many were told and their sum in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    runs: u64,
    durations: BTreeMap<&'static str, (u64, i64)>,
}

/// What was counted, by series.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counted(BTreeMap<Series, Tally>);

const COUNT: &str = "databricks.job_runs.count";
const DURATIONS: [&str; 5] = [
    "databricks.job.duration.run",
    "databricks.job.duration.queue",
    "databricks.job.duration.setup",
    "databricks.job.duration.execution",
    "databricks.job.duration.cleanup",
];

impl Counted {
    /// What should have been. Runs of no job have no job in common, but their name.
    pub(crate) fn of(truth: &Truth) -> Self {
        let mut counted = Self::default();
        for group in &truth.runs {
            let series = (group.run_name.clone(), group.run_type.clone(), group.result_state.clone());
            let tally = counted.0.entry(series).or_default();
            tally.runs += group.count;
            let told = &group.durations;
            let sums = [told.run, told.queue, told.setup, told.execution, told.cleanup];
            for (name, Sum { count, ms }) in DURATIONS.into_iter().zip(sums).filter(|(_, sum)| sum.count > 0) {
                let known = tally.durations.entry(name).or_default();
                *known = (known.0 + count, known.1 + ms);
            }
        }
        counted
    }

    /// What arrived last of each series.
    pub(crate) fn latest(telemetry: &Telemetry) -> Self {
        let mut counted = Self::default();
        for point in &telemetry.points {
            counted.note(point);
        }
        counted
    }

    fn note(&mut self, point: &Point) {
        let Some(series) = series_of(point) else { return };
        let name = DURATIONS.into_iter().find(|name| *name == point.metric);
        match (name, &point.value) {
            (None, Value::Int(runs)) => self.0.entry(series).or_default().runs = u64::try_from(*runs).unwrap(),
            (Some(name), Value::Histogram { count: count @ 1.., sum: Some(sum), .. }) => {
                self.0.entry(series).or_default().durations.insert(name, (*count, in_millis(*sum)));
            }
            _ => {}
        }
    }
}

fn series_of(point: &Point) -> Option<Series> {
    if point.metric != COUNT && !DURATIONS.contains(&point.metric.as_str()) {
        return None;
    }
    let text = |key| point.text(key).unwrap_or_else(|| panic!("{} has no {key}", point.metric)).to_owned();
    Some((text("job_name"), text("run_type"), text("result_state")))
}

#[allow(clippy::cast_possible_truncation, reason = "hours, in milliseconds")]
fn in_millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

pub(crate) fn starts(telemetry: &Telemetry) -> BTreeSet<UnixMillis> {
    let counted = telemetry.points.iter().filter(|point| series_of(point).is_some());
    counted.map(|point| UnixMillis(i64::try_from(point.start_nanos / 1_000_000).unwrap())).collect()
}

pub(crate) fn start_of(telemetry: &Telemetry) -> UnixMillis {
    starts(telemetry).first().copied().expect("something that was counted")
}

pub(crate) fn assert_nothing_fell(telemetry: &Telemetry) {
    let mut known: BTreeMap<(&str, Series), (f64, f64)> = BTreeMap::new();
    for point in &telemetry.points {
        let Some(series) = series_of(point) else { continue };
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let value = match &point.value {
            Value::Histogram { count, sum, .. } => (*count as f64, sum.unwrap_or_default()),
            _ => (point.number().unwrap(), 0.0),
        };
        let before = known.insert((&point.metric, series.clone()), value).unwrap_or_default();
        assert!(value.0 >= before.0 && value.1 >= before.1, "{} {series:?}: {value:?} after {before:?}", point.metric);
    }
}

/// What had arrived by a time is not more than what had ended by then.
pub(crate) fn assert_never_too_much(
    telemetry: &Telemetry,
    checkpoints: &[Checkpoint],
    workspace: &Workspace,
    start: UnixMillis,
) {
    let mut from = 0;
    for checkpoint in checkpoints {
        let points = &telemetry.points[from.min(telemetry.points.len())..checkpoint.points.min(telemetry.points.len())];
        let most = Counted::of(&workspace.truth(start, checkpoint.at));
        for point in points {
            let mut counted = Counted::default();
            counted.note(point);
            for (series, tally) in counted.0 {
                let most = most.0.get(&series).cloned().unwrap_or_default();
                assert!(tally.runs <= most.runs, "{series:?}: {tally:?} when there were {most:?}");
                for (name, (count, ms)) in &tally.durations {
                    let most = most.durations.get(name).copied().unwrap_or_default();
                    assert!(*count <= most.0 && *ms <= most.1, "{name} {series:?}: {count}, {ms} ms of {most:?}");
                }
            }
        }
        from = checkpoint.points;
    }
}

pub(crate) fn assert_one_trace_per_run(telemetry: &Telemetry) {
    let mut traces: BTreeMap<i64, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for root in telemetry.spans.iter().filter(|span| span.parent_span_id.is_empty()) {
        let run_id = root.attributes["databricks.run.id"].as_i64().unwrap();
        traces.entry(run_id).or_default().insert((&root.trace_id, &root.span_id));
    }
    assert!(traces.len() >= 200, "{} runs have a trace", traces.len());
    assert!(traces.values().all(|ids| ids.len() == 1), "a run has several traces: {traces:#?}");
    let all: BTreeSet<_> = traces.values().flatten().collect();
    assert_eq!(all.len(), traces.len(), "runs share a trace");
}
