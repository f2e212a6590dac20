//! The executors' page: one line for every metric of every executor that is alive, the driver among them.
//!
//! Memory behind the names of `peakMemoryMetrics` is the greatest there was, not what there is. Before its first
//! heartbeat an executor does not have them, and an executor that is gone is gone from the page: its series end.

mod departed;
mod figures;
mod roster;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use departed::{Kept, Totals};
use figures::Together;
use kiln_plugin::UnixNanos;
use kiln_plugin::metrics::{Instrument, Undeclared};
use kiln_plugin::telemetry::{Attribute, Number};
use kiln_prometheus_text::Value;
use roster::DRIVER;
pub(crate) use roster::Roster;

use crate::config::{Executors, PerExecutor};
use crate::driver::dotted;
use crate::tally::Tally;
use crate::telemetry as t;

/// The id of all executors but the driver, when they are not told apart.
const TOGETHER: &str = "executors";

/// So many executors go to the host at once: their points take up more memory than their numbers do.
const BATCH: usize = 500;

impl Executors {
    /// Whether so many executors have series of their own.
    const fn tells_apart(self, count: usize) -> bool {
        match self.per_executor {
            PerExecutor::Auto => count <= self.limit,
            PerExecutor::Always => true,
            PerExecutor::Never => false,
        }
    }
}

impl Roster {
    /// Adds the executors to batches of metrics, of which `metrics` is the first and `next` makes more; each one that is
    /// full goes to `emit`. What is cumulative counts from `start`. Returns whether they were told apart.
    pub(crate) fn add<E>(
        &self,
        executors: Executors,
        start: UnixNanos,
        totals: &mut Totals,
        tally: &mut Tally,
        metrics: &mut t::Metrics,
        mut emit: impl FnMut(&mut t::Metrics) -> Result<(), E>,
    ) -> Result<bool, E> {
        metrics.spark_executor_count(i64::try_from(self.count()).unwrap_or(i64::MAX));
        let apart = executors.tells_apart(self.count());
        let mut out = Out { metrics, names: Names::default(), tally, start };
        let mut in_batch = 0;
        for (id, numbers) in self.executors().filter(|(id, _)| apart || *id == DRIVER) {
            if in_batch == BATCH {
                emit(out.metrics)?;
                in_batch = 0;
            }
            in_batch += 1;
            out.executor(id, self.numbers(numbers));
        }
        // Also while they are told apart, so that nothing is missing if there are more of them later.
        let together = self.together(totals);
        if !apart {
            out.executor(TOGETHER, together.iter().map(|(name, value)| (*name, *value)));
        }
        Ok(apart)
    }

    /// The numbers of all executors but the driver, put together.
    fn together(&self, totals: &mut Totals) -> BTreeMap<&str, Value> {
        let mut together: BTreeMap<&str, Value> = BTreeMap::new();
        let others = || self.executors().filter(|(id, _)| *id != DRIVER);
        for (name, value) in others().flat_map(|(_, numbers)| self.numbers(numbers)) {
            let entry = together.entry(name).or_insert(Value::Integer(0));
            *entry = match Together::of(name) {
                Together::Sum | Together::Total => plus(*entry, value),
                Together::Greatest if value.as_f64() > entry.as_f64() => value,
                Together::Greatest => *entry,
            };
        }
        let counters: Vec<&str> =
            together.keys().copied().filter(|name| Together::of(name) == Together::Total).collect();
        let alive = others().map(|(id, numbers)| {
            let mut counted = vec![0.0; counters.len()];
            for (name, value) in self.numbers(numbers) {
                if let Some(place) =
                    counters.iter().position(|counter| *counter == name).and_then(|at| counted.get_mut(at))
                {
                    *place = value.as_f64();
                }
            }
            (id.to_owned(), counted)
        });
        let sums = totals.settle(&counters, alive.collect());
        for (name, sum) in counters.into_iter().zip(sums) {
            if let Some(value) = together.get_mut(name) {
                *value = match value {
                    Value::Integer(_) => Value::Integer(sum as i64),
                    Value::Float(_) => Value::Float(sum),
                };
            }
        }
        together
    }
}

const fn plus(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => Value::Integer(a.saturating_add(b)),
        (a, b) => Value::Float(a.as_f64() + b.as_f64()),
    }
}

/// Storage memory, of which Spark says what there is and what is used.
#[derive(Debug, Default)]
struct Place {
    used: Option<i64>,
    total: Option<i64>,
}

/// The names unknown numbers are sent under, so that two names that become one are not one series twice.
#[derive(Debug, Default)]
struct Names {
    /// By the name on the page; nothing for one that cannot be sent.
    sent: BTreeMap<String, Option<String>>,
    taken: BTreeSet<String>,
}

/// Where points go.
struct Out<'m> {
    metrics: &'m mut t::Metrics,
    names: Names,
    tally: &'m mut Tally,
    start: UnixNanos,
}

impl Out<'_> {
    fn executor<'a>(&mut self, id: &str, numbers: impl Iterator<Item = (&'a str, Value)>) {
        let (mut on_heap, mut off_heap) = (Place::default(), Place::default());
        for (name, value) in numbers {
            match name {
                "usedOnHeapStorageMemory_bytes" => on_heap.used = Some(value.as_i64()),
                "totalOnHeapStorageMemory_bytes" => on_heap.total = Some(value.as_i64()),
                "usedOffHeapStorageMemory_bytes" => off_heap.used = Some(value.as_i64()),
                "totalOffHeapStorageMemory_bytes" => off_heap.total = Some(value.as_i64()),
                _ if figures::index(name).is_some() => figures::add(name, id, value, self.start, self.metrics),
                _ => self.pass_through(name, id, value),
            }
        }
        self.storage(id, "on_heap", &on_heap);
        self.storage(id, "off_heap", &off_heap);
    }

    fn storage(&mut self, executor: &str, location: &str, place: &Place) {
        let mut add = |state, bytes| {
            let attributes = t::SparkExecutorStorageMemoryUsage { spark_executor_id: executor, location, state };
            self.metrics.spark_executor_storage_memory_usage(&attributes, bytes);
        };
        if let Some(used) = place.used {
            add("used", used);
        }
        if let (Some(used), Some(total)) = (place.used, place.total) {
            add("free", total.saturating_sub(used).max(0));
        }
    }

    /// Names here say unit and kind.
    fn pass_through(&mut self, name: &str, executor: &str, value: Value) {
        let (bare, counter) = match name.strip_suffix("_total") {
            Some(bare) => (bare, true),
            None => (name, false),
        };
        let (bare, unit) = match (bare.strip_suffix("_bytes"), bare.strip_suffix("_seconds")) {
            (Some(bare), _) => (bare, "By"),
            (None, Some(bare)) => (bare, "s"),
            (None, None) => (bare, ""),
        };
        let Some(sent) = self.names.of(name, bare, self.tally) else { return };
        let number = match (value, unit) {
            (Value::Integer(value), "s") => Number::Float(value as f64),
            (Value::Integer(value), _) => Number::Integer(value),
            (Value::Float(value), _) => Number::Float(value),
        };
        let instrument = if counter { Instrument::Counter { start: self.start } } else { Instrument::Gauge };
        let metric = Undeclared { name: &sent, unit, description: "", instrument };
        let attributes = vec![Attribute::new("spark.executor.id", executor)];
        if let Err(error) = self.metrics.undeclared(&metric, attributes, number) {
            self.tally.skip(error);
        }
    }
}

impl Names {
    fn of(&mut self, name: &str, bare: &str, tally: &mut Tally) -> Option<String> {
        if let Some(sent) = self.sent.get(name) {
            return sent.clone();
        }
        let sent = dotted("spark.executor.", bare);
        let sent = match sent {
            Some(sent) if self.taken.insert(sent.clone()) => Some(sent),
            Some(_) => {
                tally.skip(format_args!(
                    "`{name}` has the same name as another metric, but for case, unit and underscores"
                ));
                None
            }
            None => {
                tally.skip(format_args!("`{name}` makes no name for a metric"));
                None
            }
        };
        self.sent.insert(name.to_owned(), sent.clone());
        sent
    }
}
