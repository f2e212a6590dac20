//! `/proc/1/net/dev`: what the first process has for network is what the machine has, or the container.

use kiln_plugin::UnixNanos;

use crate::config::Names;
use crate::source::Source;
use crate::telemetry::{
    Metrics, SystemNetworkErrors, SystemNetworkIo, SystemNetworkPacketCount, SystemNetworkPacketDropped,
};
use crate::{fields, whole};

/// Where the columns of a direction begin: bytes, packets, errors, dropped.
const DIRECTIONS: [(&str, usize); 2] = [("receive", 0), ("transmit", 8)];

pub(crate) fn emit(source: &mut Source<'_>, metrics: &mut Metrics, boot: UnixNanos, exclude: &Names) {
    // Where processes of others are hidden, Kiln's own will have to do.
    let page = source.text_of_process("/proc/1/net/dev").or_else(|| source.text("/proc/self/net/dev"));
    for line in page.unwrap_or_default().lines() {
        // The two lines of the header have no colon; a name may have one.
        let Some((name, counts)) = line.rsplit_once(':') else { continue };
        let name = name.trim();
        if !exclude.contain(name) {
            emit_interface(metrics, boot, name, &fields::of(counts));
        }
    }
}

fn emit_interface(metrics: &mut Metrics, boot: UnixNanos, name: &str, fields: &[&str]) {
    for (network_io_direction, first) in DIRECTIONS {
        let number = |place| fields::number(fields, first + place).map(whole);
        if let Some(bytes) = number(0) {
            let attributes = SystemNetworkIo { network_interface_name: name, network_io_direction };
            metrics.system_network_io(boot, &attributes, bytes);
        }
        if let Some(packets) = number(1) {
            let attributes = SystemNetworkPacketCount { network_io_direction, system_device_name: name };
            metrics.system_network_packet_count(boot, &attributes, packets);
        }
        if let Some(errors) = number(2) {
            let attributes = SystemNetworkErrors { network_interface_name: name, network_io_direction };
            metrics.system_network_errors(boot, &attributes, errors);
        }
        if let Some(dropped) = number(3) {
            let attributes = SystemNetworkPacketDropped { network_interface_name: name, network_io_direction };
            metrics.system_network_packet_dropped(boot, &attributes, dropped);
        }
    }
}
