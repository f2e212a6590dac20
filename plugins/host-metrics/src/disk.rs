//! `/proc/diskstats`, of whole disks: those `/sys/block` names.

use std::collections::BTreeSet;

use kiln_plugin::UnixNanos;

use crate::config::Names;
use crate::source::Source;
use crate::telemetry::{
    Metrics, SystemDiskIo, SystemDiskIoTime, SystemDiskMerged, SystemDiskOperationTime, SystemDiskOperations,
};
use crate::{fields, whole};

/// What the kernel counts in, whatever the disk does.
const SECTOR_BYTES: u64 = 512;

/// Where the columns of a direction begin: operations, merged, sectors, milliseconds.
const DIRECTIONS: [(&str, usize); 2] = [("read", 3), ("write", 7)];
/// Milliseconds in which the disk was busy.
const BUSY: usize = 12;

pub(crate) fn emit(source: &mut Source<'_>, metrics: &mut Metrics, boot: UnixNanos, exclude: &Names) {
    let Some(page) = source.text_if_there("/proc/diskstats") else { return };
    let Some(disks) = source.list("/sys/block") else { return };
    // A name cannot hold a slash there, and can here.
    let disks: BTreeSet<_> = disks.into_iter().map(|name| name.replace('!', "/")).collect();
    for line in page.lines() {
        let fields = fields::of(line);
        let Some(name) = fields.get(2).filter(|name| disks.contains(**name) && !exclude.contain(name)) else {
            continue;
        };
        emit_disk(metrics, boot, name, &fields);
    }
}

fn emit_disk(metrics: &mut Metrics, boot: UnixNanos, system_device_name: &str, fields: &[&str]) {
    let number = |place| fields::number(fields, place);
    for (disk_io_direction, first) in DIRECTIONS {
        if let Some(operations) = number(first) {
            let attributes = SystemDiskOperations { disk_io_direction, system_device_name };
            metrics.system_disk_operations(boot, &attributes, whole(operations));
        }
        if let Some(merged) = number(first + 1) {
            let attributes = SystemDiskMerged { disk_io_direction, system_device_name };
            metrics.system_disk_merged(boot, &attributes, whole(merged));
        }
        if let Some(sectors) = number(first + 2) {
            let attributes = SystemDiskIo { disk_io_direction, system_device_name };
            metrics.system_disk_io(boot, &attributes, whole(sectors.saturating_mul(SECTOR_BYTES)));
        }
        if let Some(milliseconds) = number(first + 3) {
            let attributes = SystemDiskOperationTime { disk_io_direction, system_device_name };
            metrics.system_disk_operation_time(boot, &attributes, thousandths(milliseconds));
        }
    }
    if let Some(milliseconds) = number(BUSY) {
        metrics.system_disk_io_time(boot, &SystemDiskIoTime { system_device_name }, thousandths(milliseconds));
    }
}

#[allow(clippy::cast_precision_loss, reason = "exact for the next three hundred thousand years")]
fn thousandths(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
