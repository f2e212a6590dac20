//! A processor that does as it is told: each action is one kind of edit, of whatever its configuration names.

use kiln_plugin::processor::{Edit, GaugeAggregation, ProcessError, ShownMetric, ShownPoint, View};
use kiln_plugin::telemetry::Attribute;
use kiln_plugin::{ConfigError, Level, Processor, ProcessorHost};
use serde::Deserialize;

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_processor!(Editor);

/// What the test writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Action {
    action: Kind,
    metric: Option<String>,
    #[serde(default = "tag")]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    gauges: Gauges,
    #[serde(default = "once")]
    times: usize,
}

fn tag() -> String {
    "tag".to_owned()
}

const fn once() -> usize {
    1
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    SetResource,
    RemoveResource,
    DropMetric,
    RenameMetric,
    DropPoint,
    SetPoint,
    RemovePoint,
    Aggregate,
    Tell,
    NameNobody,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Gauges {
    #[default]
    Last,
    Min,
    Max,
    Mean,
    Sum,
}

/// The plugin.
#[derive(Debug)]
pub struct Editor {
    actions: Vec<Action>,
}

impl Processor for Editor {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { actions: config.actions })
    }

    fn process(&mut self, host: &mut ProcessorHost, view: &View) -> Result<Vec<Edit>, ProcessError> {
        let mut edits = Vec::new();
        for action in &self.actions {
            action.edit(host, view, &mut edits);
        }
        Ok(edits)
    }
}

impl Action {
    fn edit(&self, host: &ProcessorHost, view: &View, edits: &mut Vec<Edit>) {
        let key = self.key.as_str();
        let value = || self.value.repeat(self.times);
        let metrics = view.each_metric().filter(|metric| self.is_of(Some(*metric)));
        let points = view.each_point().filter(|point| self.is_of(point.metric()));
        match self.action {
            Kind::SetResource => edits.extend(view.each_resource().map(|resource| resource.set(key, value()))),
            Kind::RemoveResource => edits.extend(view.each_resource().map(|resource| resource.remove(key))),
            Kind::DropMetric => edits.extend(metrics.map(ShownMetric::drop)),
            Kind::RenameMetric => edits.extend(metrics.map(|metric| metric.rename(value()))),
            Kind::DropPoint => {
                edits.extend(points.filter(|point| point.text(key) == Some(&self.value)).map(ShownPoint::drop));
            }
            Kind::SetPoint => edits.extend(points.map(|point| point.set(key, value()))),
            Kind::RemovePoint => edits.extend(points.map(|point| point.remove(key))),
            Kind::Aggregate => {
                let gauges = match self.gauges {
                    Gauges::Last => GaugeAggregation::Last,
                    Gauges::Min => GaugeAggregation::Min,
                    Gauges::Max => GaugeAggregation::Max,
                    Gauges::Mean => GaugeAggregation::Mean,
                    Gauges::Sum => GaugeAggregation::Sum,
                };
                edits.extend(metrics.map(|metric| metric.aggregate([key], gauges)));
            }
            Kind::Tell => tell(host, view),
            Kind::NameNobody => edits.push(Edit::DropPoint(u32::MAX)),
        }
    }

    fn is_of(&self, metric: Option<ShownMetric<'_>>) -> bool {
        self.metric.as_deref().is_none_or(|name| metric.is_some_and(|metric| metric.name() == name))
    }
}

/// Everything the plugin can know of the batch, in one message.
fn tell(host: &ProcessorHost, view: &View) {
    let keys = view.each_resource().flat_map(|resource| resource.attributes().iter().map(|pair| pair.key.as_str()));
    let strings = view.strings.iter().map(String::as_str);
    let seen: Vec<_> = keys.chain(strings).collect();
    host.log(Level::Info, "saw", &[Attribute::new("seen", seen.join(" "))]);
}
