//! The cloud Kiln runs in: `cloud.*`, `host.id` and `host.type`, without its metadata service.
//!
//! Clouds put their name into the firmware of their machines. Region and zone are in what cloud-init was told and wrote
//! down for everybody to read, and in variables of serverless and container platforms.

use kiln_plugin::env::Env;
use kiln_plugin::files::Files;
use serde::Deserialize;

use crate::findings::Findings;

const FIRMWARE: &str = "/sys/class/dmi/id/";
const CLOUD_INIT: &str = "/run/cloud-init/instance-data.json";

/// What Azure's machines have had as their asset tag since the first.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// A cloud, as the semantic conventions call it and its machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cloud {
    provider: &'static str,
    platform: &'static str,
}

const AWS: Cloud = Cloud { provider: "aws", platform: "aws_ec2" };
const AZURE: Cloud = Cloud { provider: "azure", platform: "azure.vm" };
const GOOGLE: Cloud = Cloud { provider: "gcp", platform: "gcp_compute_engine" };
const ALIBABA: Cloud = Cloud { provider: "alibaba_cloud", platform: "alibaba_cloud_ecs" };
const ORACLE: Cloud = Cloud { provider: "oracle_cloud", platform: "oracle_cloud_compute" };

/// What the firmware says.
#[derive(Debug, Default)]
struct Firmware {
    vendor: String,
    product: String,
    chassis_tag: String,
    board_tag: String,
    bios: String,
}

impl Firmware {
    fn read(files: Files<'_>, findings: &mut Findings) -> Self {
        let mut field = |name| {
            let text = findings.text(files, &[FIRMWARE, name].concat());
            text.map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        Self {
            vendor: field("sys_vendor"),
            product: field("product_name"),
            chassis_tag: field("chassis_asset_tag"),
            board_tag: field("board_asset_tag"),
            bios: field("bios_vendor"),
        }
    }

    /// Whose machine it is. Microsoft's name alone is on every virtual machine of Hyper-V.
    fn cloud(&self) -> Option<Cloud> {
        match self.vendor.as_str() {
            "Amazon EC2" => Some(AWS),
            "Xen" if self.bios == "Amazon EC2" => Some(AWS),
            "Google" if self.product == "Google Compute Engine" => Some(GOOGLE),
            "Alibaba Cloud" => Some(ALIBABA),
            _ if self.chassis_tag == AZURE_TAG => Some(AZURE),
            _ if self.chassis_tag == "OracleCloud.com" => Some(ORACLE),
            _ => None,
        }
    }
}

/// What cloud-init was told, as far as it is the same for all clouds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InstanceData {
    v1: Standard,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Standard {
    cloud_name: Option<String>,
    region: Option<String>,
    availability_zone: Option<String>,
    instance_id: Option<String>,
}

impl Standard {
    fn cloud(&self) -> Option<Cloud> {
        match self.cloud_name.as_deref()? {
            "aws" => Some(AWS),
            "azure" => Some(AZURE),
            "gce" => Some(GOOGLE),
            "aliyun" => Some(ALIBABA),
            "oracle" => Some(ORACLE),
            _ => None,
        }
    }
}

pub(crate) fn detect(env: Env<'_>, files: Files<'_>, findings: &mut Findings) {
    let firmware = Firmware::read(files, findings);
    let told = match findings.text(files, CLOUD_INIT).map(|text| serde_json::from_slice(text.as_bytes())) {
        Some(Ok(InstanceData { v1 })) => v1,
        Some(Err(error)) => {
            findings.complain(format!("{CLOUD_INIT} makes no sense: {error}; it is left out"));
            Standard::default()
        }
        None => Standard::default(),
    };
    let from_firmware = firmware.cloud();
    let Some(cloud) = from_firmware.or_else(|| told.cloud()) else { return };
    let source = if from_firmware.is_some() { FIRMWARE } else { CLOUD_INIT };
    findings.add("cloud.provider", cloud.provider, source);
    findings.add("cloud.platform", cloud.platform, source);
    if cloud == AWS && from_firmware.is_some() {
        // On machines of the Nitro system; older ones have something else there.
        if firmware.board_tag.starts_with("i-") {
            findings.add("host.id", firmware.board_tag.as_str(), FIRMWARE);
        }
        if firmware.product.contains('.') && !firmware.product.contains(' ') {
            findings.add("host.type", firmware.product.as_str(), FIRMWARE);
        }
    }
    findings.add_if_there("host.id", told.instance_id, CLOUD_INIT);
    findings.add_if_there("cloud.availability_zone", told.availability_zone, CLOUD_INIT);
    findings.add_if_there("cloud.region", told.region, CLOUD_INIT);
    match cloud {
        AWS => {
            findings.add_if_there("cloud.region", env.get("AWS_REGION"), "AWS_REGION");
            findings.add_if_there("cloud.region", env.get("AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION");
        }
        GOOGLE => {
            findings.add_if_there("cloud.region", env.get("GOOGLE_CLOUD_REGION"), "GOOGLE_CLOUD_REGION");
            findings.add_if_there("cloud.account.id", env.get("GOOGLE_CLOUD_PROJECT"), "GOOGLE_CLOUD_PROJECT");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_apart_by_their_firmware() {
        let firmware = |vendor: &str, product: &str, chassis: &str| Firmware {
            vendor: vendor.to_owned(),
            product: product.to_owned(),
            chassis_tag: chassis.to_owned(),
            ..Firmware::default()
        };
        let hyper_v = "Microsoft Corporation";
        for (found, expected) in [
            (firmware("Amazon EC2", "m5.large", "Amazon EC2"), Some(AWS)),
            (Firmware { bios: "Amazon EC2".to_owned(), ..firmware("Xen", "HVM domU", "") }, Some(AWS)),
            (firmware("Xen", "HVM domU", ""), None),
            (firmware(hyper_v, "Virtual Machine", AZURE_TAG), Some(AZURE)),
            (firmware(hyper_v, "Virtual Machine", "1234"), None),
            (firmware("Google", "Google Compute Engine", ""), Some(GOOGLE)),
            (firmware("Google", "Pixelbook", ""), None),
            (firmware("Alibaba Cloud", "Alibaba Cloud ECS", ""), Some(ALIBABA)),
            (firmware("QEMU", "Standard PC", "OracleCloud.com"), Some(ORACLE)),
            (firmware("Dell Inc.", "PowerEdge R740", ""), None),
        ] {
            assert_eq!(found.cloud(), expected, "{found:?}");
        }
    }
}
