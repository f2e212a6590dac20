//! `service.watch` and `service.reload_endpoint`: what, besides SIGHUP, makes a running Kiln read everything again.

use crate::error::Problem;
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
    /// `has_endpoint`: whether there is a telemetry endpoint at all.
    pub(crate) fn read(service: &mut Section<'_>, has_endpoint: bool) -> Self {
        let watch = service.get("watch").and_then(|value| value.boolean()).unwrap_or(false);
        let value = service.get("reload_endpoint");
        let endpoint = value.as_ref().and_then(|value| value.boolean()).unwrap_or(false);
        if let Some(value) = value.filter(|_| endpoint && !has_endpoint) {
            value.error(Problem::Unsupported("there is no endpoint to ask at; set `service.telemetry.endpoint`"));
        }
        Self { watch, endpoint }
    }
}
