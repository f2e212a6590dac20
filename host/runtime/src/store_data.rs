//! What a store carries: everything the imports of one instance work on.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kiln_egress::Egress;
use kiln_telemetry::metrics::InstanceMetrics;

use crate::cpu_meter::CpuMeter;
use crate::emitted::Emitted;
use crate::limiter::Limiter;
use crate::log_gate::LogGate;
use crate::open_bodies::OpenBodies;
use crate::state::Overlay;

/// Data of a store, behind every import.
pub(crate) struct StoreData {
    pub(crate) metrics: InstanceMetrics,
    pub(crate) limiter: Limiter,
    pub(crate) emitted: Emitted,
    pub(crate) overlay: Overlay,
    pub(crate) egress: Option<Arc<Egress>>,
    pub(crate) open_bodies: OpenBodies,
    pub(crate) logs: LogGate,
    pub(crate) cpu: CpuMeter,
    pub(crate) started: Instant,
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
