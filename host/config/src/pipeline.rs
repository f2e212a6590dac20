//! `service.pipelines`: who hands what to whom.
//!
//! What leaves here is closed: every id in a pipeline names something that is defined.

use std::collections::BTreeSet;
use std::str::FromStr;

use kiln_otlp::Signal;

use crate::component_id::ComponentId;
use crate::document::Entry;
use crate::error::{Location, Problem};
use crate::reader::{Section, Value};
use crate::suggestion::Nearest;

/// The way of one signal from receivers through processors to exporters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// What it carries.
    pub signal: Signal,
    /// What tells pipelines of one signal apart: the part after `/` in the key.
    pub name: Option<String>,
    /// Where it comes from; at least one, none twice.
    pub receivers: Vec<ComponentId>,
    /// What happens to it, in this order; none twice.
    pub processors: Vec<ComponentId>,
    /// Where it goes; at least one, none twice.
    pub exporters: Vec<ComponentId>,
    /// Where it is configured.
    pub at: Location,
}

/// What is defined, by section; a definition with errors counts, so that it is not reported twice.
#[derive(Debug, Default)]
pub(crate) struct Defined {
    pub(crate) receivers: BTreeSet<ComponentId>,
    pub(crate) processors: BTreeSet<ComponentId>,
    pub(crate) exporters: BTreeSet<ComponentId>,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Receivers,
    Processors,
    Exporters,
}

impl Part {
    const ALL: [Self; 3] = [Self::Receivers, Self::Processors, Self::Exporters];

    fn singular(self) -> &'static str {
        match self {
            Self::Receivers => "receiver",
            Self::Processors => "processor",
            Self::Exporters => "exporter",
        }
    }

    fn with_article(self) -> &'static str {
        match self {
            Self::Receivers => "a receiver",
            Self::Processors => "a processor",
            Self::Exporters => "an exporter",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Receivers => "receivers",
            Self::Processors => "processors",
            Self::Exporters => "exporters",
        }
    }

    fn defined(self, defined: &Defined) -> &BTreeSet<ComponentId> {
        match self {
            Self::Receivers => &defined.receivers,
            Self::Processors => &defined.processors,
            Self::Exporters => &defined.exporters,
        }
    }
}

/// Which `batch` processor a pipeline lists, and the exporters that are to join batches for it.
#[derive(Clone, Debug)]
pub(crate) struct Batched {
    pub(crate) processor: ComponentId,
    pub(crate) exporters: Vec<ComponentId>,
}

/// Whether this is the Collector's batch processor, which becomes a setting of exporters here.
pub(crate) fn is_batch(id: &ComponentId) -> bool {
    id.kind() == "batch"
}

/// Reads `service.pipelines`; `batched` gets those that list a `batch` processor.
pub(crate) fn read(section: &Section<'_>, defined: &Defined, batched: &mut Vec<Batched>) -> Vec<Pipeline> {
    let pipelines: Vec<_> = section.entries().map(|(entry, value)| read_one(entry, &value, defined, batched)).collect();
    if pipelines.is_empty() && section.sound {
        section.report.error(section.at, &section.path, Problem::NoPipelines);
    }
    pipelines.into_iter().flatten().collect()
}

fn read_one(entry: &Entry, value: &Value<'_>, defined: &Defined, batched: &mut Vec<Batched>) -> Option<Pipeline> {
    let mut parts = value.section();
    let mut part = |part: Part| references(part, &mut parts, entry.key_at, defined);
    let (receivers, mut processors, exporters) = (part(Part::Receivers), part(Part::Processors), part(Part::Exporters));
    parts.finish();
    for processor in processors.extract_if(.., |id| is_batch(id) && defined.processors.contains(&*id)) {
        batched.push(Batched { processor, exporters: exporters.clone() });
    }
    match signal_and_name(&entry.key) {
        Ok((signal, name)) => Some(Pipeline { signal, name, receivers, processors, exporters, at: entry.key_at }),
        Err(problem) => {
            value.report.error(entry.key_at, &value.path, problem);
            None
        }
    }
}

/// Splits `metrics/name`; the rule for the name is that of component ids.
fn signal_and_name(key: &str) -> Result<(Signal, Option<String>), Problem> {
    let word = key.split_once('/').map_or(key, |(word, _)| word).trim();
    let unknown = |_| Problem::UnknownSignal(Nearest::find(word, Signal::ALL.map(Signal::name)));
    let signal = Signal::from_str(word).map_err(unknown)?;
    let id: ComponentId = key.parse().map_err(Problem::ComponentId)?;
    Ok((signal, id.name().map(str::to_owned)))
}

fn references(part: Part, parts: &mut Section<'_>, at: Location, defined: &Defined) -> Vec<ComponentId> {
    let mut references = Vec::new();
    let Some(value) = parts.get(part.plural()) else {
        if part != Part::Processors && parts.sound {
            parts.report.error(at, &parts.path, Problem::EmptyPipeline(part.singular()));
        }
        return references;
    };
    let Some(items) = value.list() else { return references };
    if items.is_empty() && part != Part::Processors {
        value.error(Problem::EmptyPipeline(part.singular()));
    }
    for item in items {
        let Some(id) = item.component_id() else { continue };
        if references.contains(&id) {
            item.error(Problem::ListedTwice);
            continue;
        }
        if !part.defined(defined).contains(&id) {
            item.error(undefined(part, &id, defined));
        }
        references.push(id);
    }
    references
}

fn undefined(part: Part, id: &ComponentId, defined: &Defined) -> Problem {
    if let Some(other) = Part::ALL.into_iter().find(|other| other.defined(defined).contains(id)) {
        return Problem::OtherRole { actual: other.with_article(), expected: part.plural() };
    }
    let known: Vec<String> = part.defined(defined).iter().map(ToString::to_string).collect();
    let nearest = Nearest::find(&id.to_string(), known.iter().map(String::as_str));
    Problem::Undefined { role: part.singular(), nearest }
}
