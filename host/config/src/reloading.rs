//! `service.watch` and `service.reload_endpoint`: what, besides SIGHUP, makes a running Kiln read everything again.

use crate::reader::Section;

/// What makes the configuration and the plugins be read again. Neither is on unless it is switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloading {
    /// A change of the files.
    pub watch: bool,
    /// `POST /-/reload` at the telemetry endpoint, from this machine.
    pub endpoint: bool,
}

impl Reloading {
    pub(crate) fn read(service: &mut Section<'_>) -> Self {
        let mut switch = |key| service.get(key).and_then(|value| value.boolean()).unwrap_or(false);
        Self { watch: switch("watch"), endpoint: switch("reload_endpoint") }
    }
}
