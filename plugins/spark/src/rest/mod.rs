//! The REST API of Spark's UI: what the pages of metrics do not say.

use kiln_plugin::{CollectError, Host, PartialFailure};

use crate::application::Application;
use crate::config::Config;

/// Everything that is read from `/api/v1`, and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Rest {}

impl Rest {
    pub(crate) const fn new(_config: &Config) -> Self {
        Self {}
    }

    /// Reads and emits what is due for these applications, whose names the operator wants. `endpoint` is scheme, host
    /// and port. What fails by itself is added to `failures`.
    pub(crate) fn collect(
        &mut self,
        _host: &Host,
        _endpoint: &str,
        _applications: &[Application],
        _failures: &mut Vec<PartialFailure>,
    ) -> Result<(), CollectError> {
        Ok(())
    }
}
