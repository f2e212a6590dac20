//! The container Kiln runs in: `container.id`.
//!
//! Version 1 of control groups has the id in the group's path; with version 2 the group is hidden from the container,
//! and what is left are the files a runtime mounts from its own directory of that id.

use kiln_plugin::files::Files;

use crate::findings::Findings;

const CGROUP: &str = "/proc/self/cgroup";
const MOUNTS: &str = "/proc/self/mountinfo";

/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 64;

pub(crate) fn detect(files: Files<'_>, findings: &mut Findings) {
    let found = findings.text(files, CGROUP).and_then(|page| from_cgroup(&page).map(str::to_owned));
    if found.is_some() {
        findings.add_if_there("container.id", found, CGROUP);
        return;
    }
    let found = findings.text(files, MOUNTS).and_then(|page| from_mounts(&page).map(str::to_owned));
    findings.add_if_there("container.id", found, MOUNTS);
}

/// From lines such as `4:cpu:/kubepods/burstable/pod…/cri-containerd-ID.scope`.
fn from_cgroup(page: &str) -> Option<&str> {
    page.lines().filter_map(|line| line.splitn(3, ':').nth(2)).find_map(|path| path.rsplit('/').find_map(id_in))
}

/// From the source of the mounted `/etc/hostname`, `/etc/hosts` or `/etc/resolv.conf`, such as
/// `/var/lib/docker/containers/ID/hostname`.
fn from_mounts(page: &str) -> Option<&str> {
    page.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (root, mounted_at) = (fields.nth(3)?, fields.next()?);
        let is_from_runtime = matches!(mounted_at, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf");
        if is_from_runtime { root.split('/').find_map(id_in) } else { None }
    })
}

/// The id in a name, which may have a prefix such as `docker-` and a suffix such as `.scope`.
fn id_in(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let id = name.rsplit(['-', ':']).next()?;
    (id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4b1e0c9d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c";

    #[test]
    fn every_runtime_is_understood() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/burstable/pod2e1f/{ID}"),
            format!("/kubepods.slice/kubepods-burstable-pod2e1f.slice/cri-containerd-{ID}.scope"),
            format!("/kubepods-besteffort-pod1.slice:cri-containerd:{ID}"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
        ] {
            assert_eq!(from_cgroup(&format!("0::/init\n4:cpu,cpuacct:{path}\n")), Some(ID), "{path}");
        }
    }

    #[test]
    fn a_machine_is_no_container() {
        assert_eq!(from_cgroup("0::/user.slice/user-1000.slice/session-2.scope\n"), None);
        assert_eq!(from_cgroup("0::/\n"), None);
        assert_eq!(from_cgroup(""), None);
        assert_eq!(from_mounts(&format!("1 2 8:1 /x/{ID}/data /data rw - ext4 /dev/sda1 rw")), None);
        assert_eq!(from_mounts("garbage"), None);
    }

    #[test]
    fn mounts_tell_what_the_second_version_hides() {
        let mounts = format!(
            "600 590 0:52 / / rw - overlay overlay rw\n\
             612 600 254:1 /docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n"
        );
        assert_eq!(from_mounts(&mounts), Some(ID));
    }
}
