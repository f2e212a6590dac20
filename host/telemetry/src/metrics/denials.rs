//! How often plugins reached for what they are not given.

use prometheus_client::metrics::counter::Counter;

use super::declare::{Declarations, Labelled};
use crate::denials::DeniedCapability;

/// Counts denials.
#[derive(Clone, Debug)]
pub(crate) struct DenialMetrics(Labelled<Counter, 3>);

impl DenialMetrics {
    pub(super) fn declare(declare: &mut Declarations) -> Self {
        Self(declare.counter(
            "kiln_denials_total",
            "What the plugin reached for and was denied, by capability (http, state, files, env, sockets, import or \
             load) and reason",
            ["instance", "capability", "reason"],
        ))
    }

    /// Looks the series up, since denials are rare.
    pub(crate) fn denied(&self, instance: &str, capability: DeniedCapability, reason: &'static str) {
        self.0.with([instance, capability.name(), reason]).inc();
    }
}
