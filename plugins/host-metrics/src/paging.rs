//! `/proc/swaps` and `/proc/vmstat`. Kernels without swap space, and some sandboxes, lack them.

use kiln_plugin::UnixNanos;

use crate::memory::share;
use crate::source::Source;
use crate::telemetry::{
    Metrics, SystemPagingFaults, SystemPagingOperations, SystemPagingUsage, SystemPagingUtilization,
};
use crate::{fields, whole};

pub(crate) fn emit(source: &mut Source<'_>, metrics: &mut Metrics, boot: UnixNanos) {
    if let Some(page) = source.text_if_there("/proc/swaps") {
        page.lines().skip(1).for_each(|line| emit_space(metrics, line));
    }
    let Some(page) = source.text_if_there("/proc/vmstat") else { return };
    let major = fields::value(&page, "pgmajfault");
    // The kernel's first number is that of all.
    let minor = fields::value(&page, "pgfault").map(|all| all.saturating_sub(major.unwrap_or_default()));
    for (system_paging_fault_type, faults) in [("major", major), ("minor", minor)] {
        if let Some(faults) = faults {
            metrics.system_paging_faults(boot, &SystemPagingFaults { system_paging_fault_type }, whole(faults));
        }
    }
    for (system_paging_direction, key) in [("in", "pswpin"), ("out", "pswpout")] {
        if let Some(pages) = fields::value(&page, key) {
            let attributes = SystemPagingOperations { system_paging_direction, system_paging_fault_type: "major" };
            metrics.system_paging_operations(boot, &attributes, whole(pages));
        }
    }
}

/// A line such as `/swapfile  file  2097148  0  -2`; a path may hold blanks, as `\040`.
fn emit_space(metrics: &mut Metrics, line: &str) {
    let fields = fields::of(line);
    let (Some(device), Some(size), Some(used)) =
        (fields.first(), fields::number(&fields, 2), fields::number(&fields, 3))
    else {
        return;
    };
    let device = device.replace("\\040", " ");
    let (size, used) = (size.saturating_mul(1024), used.saturating_mul(1024));
    for (system_paging_state, bytes) in [("used", used), ("free", size.saturating_sub(used))] {
        let attributes = SystemPagingUsage { system_device_name: &device, system_paging_state };
        metrics.system_paging_usage(&attributes, whole(bytes));
        if let Some(share) = share(bytes, size) {
            let attributes = SystemPagingUtilization { system_device_name: &device, system_paging_state };
            metrics.system_paging_utilization(&attributes, share);
        }
    }
}
