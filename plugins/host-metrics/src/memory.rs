//! `/proc/meminfo`.

use crate::source::Source;
use crate::telemetry::{Metrics, SystemMemoryLinuxSlabUsage, SystemMemoryUsage, SystemMemoryUtilization};
use crate::{fields, whole};

pub(crate) fn emit(source: &mut Source<'_>, metrics: &mut Metrics) {
    let Some(page) = source.text("/proc/meminfo") else { return };
    let of = |key| fields::bytes(&page, key);
    let [free, buffers, cached] = [of("MemFree"), of("Buffers"), of("Cached")];
    // Before 3.14 there is no estimate; then it is what could be given up.
    let guess = || Some(free?.saturating_add(buffers?).saturating_add(cached?));
    let available = of("MemAvailable").or_else(guess);
    let total = of("MemTotal");
    let used = total.zip(available).map(|(total, available)| total.saturating_sub(available));
    let states = [("used", used), ("available", available), ("free", free), ("buffers", buffers), ("cached", cached)];
    for (system_memory_state, bytes) in states {
        let Some(bytes) = bytes else { continue };
        metrics.system_memory_usage(&SystemMemoryUsage { system_memory_state }, whole(bytes));
        if let Some(share) = total.and_then(|total| share(bytes, total)) {
            metrics.system_memory_utilization(&SystemMemoryUtilization { system_memory_state }, share);
        }
    }
    if let Some(total) = total {
        metrics.system_memory_limit(whole(total));
    }
    if let Some(available) = available {
        metrics.system_memory_linux_available(whole(available));
    }
    if let Some(shared) = of("Shmem") {
        metrics.system_memory_linux_shared(whole(shared));
    }
    for (system_memory_linux_slab_state, key) in [("reclaimable", "SReclaimable"), ("unreclaimable", "SUnreclaim")] {
        if let Some(bytes) = of(key) {
            let attributes = SystemMemoryLinuxSlabUsage { system_memory_linux_slab_state };
            metrics.system_memory_linux_slab_usage(&attributes, whole(bytes));
        }
    }
}

/// One number as a part of another, if there is a whole.
#[allow(clippy::cast_precision_loss, reason = "a share is not exact anyway")]
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
