//! Where the UI of a Spark driver may be on its machine, and what it looks like.
//!
//! Databricks gives the UI a port of its own and says which when it starts the driver, which is after init scripts have
//! run: in `/tmp/driver-env.sh`. That file is in a directory everybody can write to, so it is read for a number and an
//! address and never run. Invariant: reading it takes no longer than a disk does and no more than [`MOST`] bytes, whatever
//! bears its name.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::OFlags;

/// The paths by which a UI is known, in the order they are asked for.
pub const QUESTIONS: &[&str] = &["/api/v1/version", "/api/v1/applications"];

/// Where the driver's environment is, unless `KILN_DRIVER_ENV` says otherwise.
const DRIVER_ENV: &str = "/tmp/driver-env.sh";

/// Bytes of it that are read.
const MOST: u64 = 64 * 1024;

/// The ports that are tried beside the one that is announced, unless `KILN_SPARK_UI_PORTS` says otherwise: Databricks'
/// and Spark's own.
const PORTS: &str = "40001,4040-4049";

/// Ports that may be tried at most.
const MOST_PORTS: usize = 50;

/// What is known of a driver before it has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparkUi {
    driver_env: PathBuf,
    driver: Option<IpAddr>,
    ports: Vec<u16>,
}

/// `KILN_SPARK_UI_PORTS` is not a list of ports.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "KILN_SPARK_UI_PORTS is `{0}`: write ports and ranges of them with commas between, such as 40001,4040-4049, and no \
     more than {MOST_PORTS} ports in all"
)]
pub struct InvalidPorts(String);

impl SparkUi {
    /// Reads `DB_DRIVER_IP`, `KILN_DRIVER_ENV` and `KILN_SPARK_UI_PORTS`.
    ///
    /// # Errors
    /// The ports are no list of ports.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidPorts> {
        let ports = variable("KILN_SPARK_UI_PORTS").unwrap_or_else(|| PORTS.to_owned());
        Ok(Self {
            driver_env: variable("KILN_DRIVER_ENV").unwrap_or_else(|| DRIVER_ENV.to_owned()).into(),
            driver: variable("DB_DRIVER_IP").and_then(|address| address.trim().parse().ok()),
            ports: read_ports(&ports).ok_or(InvalidPorts(ports))?,
        })
    }

    /// Where the UI may be now, best first: the port that is announced, then the ports that are tried, each on the driver's
    /// own address and on loopback.
    #[must_use]
    pub fn candidates(&self) -> Vec<SocketAddr> {
        let announced = Announced::read(&self.read_driver_env());
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let hosts: Vec<IpAddr> = [announced.host, self.driver, Some(loopback)].into_iter().flatten().collect();
        let mut candidates = Vec::new();
        for port in announced.port.iter().chain(&self.ports) {
            for host in &hosts {
                let candidate = SocketAddr::new(*host, *port);
                if !candidates.contains(&candidate) {
                    candidates.push(candidate);
                }
            }
        }
        candidates
    }

    /// Nothing if it is not there, or is no file.
    fn read_driver_env(&self) -> String {
        let open = || {
            // Opening a pipe would wait for somebody to write to it.
            let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
            let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.driver_env).ok()?;
            let mut bytes = Vec::new();
            file.metadata().ok().filter(std::fs::Metadata::is_file)?;
            file.take(MOST).read_to_end(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        open().unwrap_or_default()
    }
}

/// Whether an answer to one of the [`QUESTIONS`] is Spark's. A Spark that is starting answers 200 with a web page on every
/// path, so a status alone says nothing.
#[must_use]
pub fn is_spark(path: &str, status: u16, content_type: &str, body: &[u8]) -> bool {
    if status != 200 || !content_type.to_ascii_lowercase().starts_with("application/json") {
        return false;
    }
    let text = String::from_utf8_lossy(body);
    let mut text = text.trim_start().chars().filter(|c| !c.is_whitespace());
    match path {
        "/api/v1/version" => text.by_ref().take(9).eq("{\"spark\":".chars()),
        "/api/v1/applications" => {
            let start: String = text.collect();
            start.starts_with("[{") && start.contains("\"attempts\":")
        }
        _ => false,
    }
}

/// What Databricks says in the driver's environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Announced {
    host: Option<IpAddr>,
    port: Option<u16>,
}

impl Announced {
    fn read(text: &str) -> Self {
        let mut announced = Self::default();
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("export ").map_or(line, str::trim_start);
            let Some((name, value)) = line.split_once('=') else { continue };
            let value = value.trim_matches(['"', '\'']);
            match name {
                "CONF_UI_PORT" => announced.port = value.parse().ok().filter(|port| *port > 0).or(announced.port),
                "CONF_PUBLIC_DNS" => announced.host = value.parse().ok().or(announced.host),
                _ => {}
            }
        }
        announced
    }
}

fn read_ports(text: &str) -> Option<Vec<u16>> {
    let mut ports = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let range = match part.split_once('-') {
            Some((first, last)) => read_port(first)?..=read_port(last)?,
            None => RangeInclusive::new(read_port(part)?, read_port(part)?),
        };
        if range.is_empty() || ports.len() + range.len() > MOST_PORTS {
            return None;
        }
        ports.extend(range);
    }
    Some(ports)
}

fn read_port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn on_a_driver(variables: &[(&str, &str)]) -> Result<SparkUi, InvalidPorts> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        SparkUi::from_environment(&variable)
    }

    fn candidates(env: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("driver-env.sh");
        std::fs::write(&file, env).unwrap();
        let mut variables = variables.to_vec();
        variables.push(("KILN_DRIVER_ENV", file.to_str().unwrap()));
        on_a_driver(&variables).unwrap().candidates().iter().map(ToString::to_string).collect()
    }

    /// Scenario: what Databricks announces, with the address it gives the driver.
    /// Guarantees: the announced port comes first, then Databricks' own, then Spark's; the port of ipywidgets is not among
    /// them.
    #[test]
    fn the_announced_port_comes_first() {
        let env = "CONF_PUBLIC_DNS=\"10.0.0.7\"\nexport CONF_UI_PORT=\"44321\"\n";
        let found = candidates(env, &[("DB_DRIVER_IP", "10.0.0.8")]);
        assert_eq!(
            found[..6],
            [
                "10.0.0.7:44321",
                "10.0.0.8:44321",
                "127.0.0.1:44321",
                "10.0.0.7:40001",
                "10.0.0.8:40001",
                "127.0.0.1:40001"
            ]
        );
        assert!(found.contains(&"127.0.0.1:4040".to_owned()) && found.contains(&"127.0.0.1:4049".to_owned()));
        assert!(!found.iter().any(|candidate| candidate.ends_with(":6062")));
        assert_eq!(found.len(), 36);
    }

    #[test]
    fn without_an_announcement_the_usual_ports_are_tried() {
        let found = candidates("", &[]);
        assert_eq!(found.len(), 11);
        assert_eq!(found[..2], ["127.0.0.1:40001", "127.0.0.1:4040"]);
        assert!(on_a_driver(&[("KILN_DRIVER_ENV", "/nonexistent")]).unwrap().candidates().len() == 11);
    }

    /// Guarantees: of a file that anybody may have written, nothing but a port and an address is taken.
    #[test]
    fn a_hostile_announcement_is_only_a_number() {
        for env in [
            "CONF_UI_PORT=$(reboot)",
            "CONF_UI_PORT=0",
            "CONF_UI_PORT=65536",
            "CONF_UI_PORT=40 40",
            "XCONF_UI_PORT=1",
            "CONF_PUBLIC_DNS=evil.example",
            "# CONF_UI_PORT=1",
        ] {
            assert_eq!(candidates(env, &[("KILN_SPARK_UI_PORTS", "")]), [""; 0], "{env}");
        }
        assert_eq!(candidates("export  CONF_UI_PORT='1'\r\n", &[("KILN_SPARK_UI_PORTS", "")]), ["127.0.0.1:1"]);
        assert_eq!(
            candidates("CONF_UI_PORT=1", &[("DB_DRIVER_IP", "$(x)"), ("KILN_SPARK_UI_PORTS", "")]),
            ["127.0.0.1:1"]
        );
    }

    /// Scenario: in place of the file there is a pipe, to which nobody writes, or a directory, or an endless device.
    /// Guarantees: nobody waits, and the usual ports are tried.
    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for path in [pipe.to_str().unwrap(), folder.path().to_str().unwrap(), "/dev/zero"] {
            assert_eq!(on_a_driver(&[("KILN_DRIVER_ENV", path)]).unwrap().candidates().len(), 11, "{path}");
        }
    }

    #[test]
    fn ports_can_be_given() {
        assert_eq!(
            candidates("", &[("KILN_SPARK_UI_PORTS", "4045-4046, 1")]),
            ["127.0.0.1:4045", "127.0.0.1:4046", "127.0.0.1:1"]
        );
        for wrong in ["x", "0", "65536", "2-1", "1-", "1-51", "1-50,60"] {
            let error = on_a_driver(&[("KILN_SPARK_UI_PORTS", wrong)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("KILN_SPARK_UI_PORTS is `{wrong}`: write")), "{error}");
        }
    }

    #[test]
    fn spark_is_known_by_its_content() {
        let spark = |path, content_type, body: &str| is_spark(path, 200, content_type, body.as_bytes());
        assert!(spark("/api/v1/version", "application/json", "{\n  \"spark\" : \"3.5.9\"\n}"));
        assert!(spark(
            "/api/v1/applications",
            "application/json; charset=utf-8",
            "[ {\n \"id\" : \"a\", \"attempts\" : [ {} ]} ]"
        ));
        assert!(!spark(
            "/api/v1/version",
            "text/html;charset=utf-8",
            "Spark is starting up. Please wait a while until it's ready."
        ));
        assert!(!spark("/api/v1/version", "text/html", "{ \"spark\": \"3.5.9\" }"));
        assert!(!spark("/api/v1/version", "application/json", "{ \"status\": \"ok\", \"spark\": \"1\" }"));
        assert!(!spark("/api/v1/applications", "application/json", "[]"));
        assert!(!spark("/api/v1/applications", "application/json", "{ \"attempts\": [] }"));
        assert!(!is_spark("/api/v1/version", 302, "application/json", b"{\"spark\":\"1\"}"));
    }

    proptest! {
        /// Guarantees: any bytes can be judged and any file read.
        #[test]
        fn anything_can_be_judged(env in "[\\s\\S]{0,200}", body in any::<Vec<u8>>(), ports in "[0-9,\\- ]{0,20}") {
            let announced = Announced::read(&env);
            prop_assert!(announced.port != Some(0));
            for question in QUESTIONS {
                let _ = is_spark(question, 200, "application/json", &body);
            }
            if let Some(ports) = read_ports(&ports) {
                prop_assert!(ports.len() <= MOST_PORTS && !ports.contains(&0));
            }
        }
    }
}
