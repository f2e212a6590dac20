//! What a store carries: everything the imports of one instance work on.

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kiln_egress::Egress;
use kiln_telemetry::metrics::InstanceMetrics;
use kiln_telemetry::{DenialRecorder, Denied, DeniedCapability};

use crate::clock::Clock;
use crate::cpu_meter::CpuMeter;
use crate::emitted::Emitted;
use crate::host_calls::HostCalls;
use crate::limiter::Limiter;
use crate::log_gate::LogGate;
use crate::open_bodies::OpenBodies;
use crate::state::Overlay;
use crate::wasi::Wasi;

/// Data of a store, behind every import.
pub(crate) struct StoreData {
    pub(crate) metrics: InstanceMetrics,
    pub(crate) denials: DenialRecorder,
    pub(crate) limiter: Limiter,
    pub(crate) host_calls: HostCalls,
    /// The longest name, key or text, in bytes.
    pub(crate) string_bytes: usize,
    pub(crate) emitted: Emitted,
    pub(crate) overlay: Overlay,
    pub(crate) egress: Option<Arc<Egress>>,
    pub(crate) open_bodies: OpenBodies,
    /// Shared with the guest's standard output.
    pub(crate) logs: Arc<Mutex<LogGate>>,
    pub(crate) cpu: CpuMeter,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
    pub(crate) wasi: Wasi,
}

impl StoreData {
    /// Records that the plugin asked for what it may not have.
    pub(crate) fn denied(&self, capability: DeniedCapability, target: &str, reason: &'static str, text: &str) {
        self.denials.record(&Denied { capability, target, reason, rule: None, text });
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
