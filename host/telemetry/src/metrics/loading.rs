//! How plugins come to run: compiled or taken from the cache, and what the cache takes.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::declare::{Declarations, Labelled, slow_durations};

/// Where a compiled plugin came from, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileOutcome {
    /// It was compiled before it came here.
    Precompiled,
    /// It was in the cache.
    Cached,
    /// It was compiled.
    Compiled,
    /// The compiler refused it, or broke.
    Error,
    /// The compiler was stopped at a limit.
    Limit,
}

#[derive(Debug)]
pub(super) struct Families {
    compilations: Labelled<Counter, 1>,
    duration: Histogram,
    limit_hits: Labelled<Counter, 1>,
    cache_bytes: Gauge,
    cache_limit: Gauge,
    evictions: Counter,
}

impl Families {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self {
            compilations: declare.counter(
                "kiln_compilations_total",
                "Plugins that were to be compiled, by outcome: precompiled, cached, compiled, error or limit",
                ["outcome"],
            ),
            duration: declare.single_histogram(
                "kiln_compilation_duration_seconds",
                "How long the compiler took, whatever came of it; what was in the cache is not counted",
                slow_durations(),
            ),
            limit_hits: declare.counter(
                "kiln_loading_limit_hits_total",
                "Limits of loading that were hit: keys of `service.limits`",
                ["limit"],
            ),
            cache_bytes: declare
                .single_gauge("kiln_cache_bytes", "What compiled plugins take in the cache under `service.data_dir`"),
            cache_limit: declare.single_gauge(
                "kiln_cache_limit_bytes",
                "What compiled plugins may take in the cache: `service.limits.cache_bytes`",
            ),
            evictions: declare.single_counter(
                "kiln_cache_evictions_total",
                "Compiled plugins that left the cache to make room, the least recently used first",
            ),
        }
    }

    pub(super) fn handles(&self) -> LoadingMetrics {
        LoadingMetrics {
            precompiled: self.compilations.with(["precompiled"]),
            cached: self.compilations.with(["cached"]),
            compiled: self.compilations.with(["compiled"]),
            error: self.compilations.with(["error"]),
            limit: self.compilations.with(["limit"]),
            duration: self.duration.clone(),
            limit_hits: self.limit_hits.clone(),
            cache_bytes: self.cache_bytes.clone(),
            cache_limit: self.cache_limit.clone(),
            evictions: self.evictions.clone(),
        }
    }
}

/// The metrics of loading.
#[derive(Clone, Debug)]
pub struct LoadingMetrics {
    precompiled: Counter,
    cached: Counter,
    compiled: Counter,
    error: Counter,
    limit: Counter,
    duration: Histogram,
    limit_hits: Labelled<Counter, 1>,
    cache_bytes: Gauge,
    cache_limit: Gauge,
    evictions: Counter,
}

impl LoadingMetrics {
    /// A plugin was to be compiled.
    pub fn asked(&self, outcome: CompileOutcome) {
        let counter = match outcome {
            CompileOutcome::Precompiled => &self.precompiled,
            CompileOutcome::Cached => &self.cached,
            CompileOutcome::Compiled => &self.compiled,
            CompileOutcome::Error => &self.error,
            CompileOutcome::Limit => &self.limit,
        };
        counter.inc();
    }

    /// The compiler was at work for so long.
    pub fn compiled_for(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }

    /// A limit was hit: a key of `service.limits`.
    pub fn limit_hit(&self, limit: &'static str) {
        self.limit_hits.with([limit]).inc();
    }

    /// The cache takes `bytes` of at most `limit`.
    pub fn cache(&self, bytes: u64, limit: u64) {
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.cache_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// A compiled plugin left the cache to make room.
    pub fn evicted(&self) {
        self.evictions.inc();
    }
}
