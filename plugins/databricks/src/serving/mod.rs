//! Model serving endpoints: how many are ready, and which.
//!
//! `GET /api/2.0/serving-endpoints` (databricks-sdk, `ServingEndpointsAPI.list`): one answer, no pages. What an
//! endpoint's own metrics say is read by option, in [`pages`].

mod page;
mod pages;

use std::collections::BTreeSet;

use kiln_plugin::{CollectError, Host};
use serde::Deserialize;

use crate::api::{Api, ApiError, lenient};
use crate::config;
use crate::errors::Errors;
use crate::part::Part;
use crate::telemetry;
use crate::watch::Watch;
use pages::Pages;

pub(crate) const PART: Part =
    Part { name: "serving", permission: "Can view on the serving endpoints, or to be a workspace admin" };

const PATH: &str = "/api/2.0/serving-endpoints";

const READY: &str = "READY";
const NOT_READY: &str = "NOT_READY";

/// The collector.
#[derive(Debug)]
pub(crate) struct Serving {
    endpoints: Watch<Endpoints>,
    pages: Option<Pages>,
}

impl Serving {
    pub(crate) fn new(config: &config::Serving) -> Self {
        let endpoints = Watch::new(PART, config.enabled, config.interval);
        let with_pages = config.enabled && config.endpoint_metrics;
        Self { endpoints, pages: with_pages.then(|| Pages::new(config.interval)) }
    }

    /// Reads the endpoints.
    pub(crate) fn read(&mut self, api: &mut Api<'_>, errors: &mut Errors) {
        self.endpoints.read(api, errors, |api, _| Endpoints::read(api));
    }

    /// Reads what metrics of the endpoints can be spared a request.
    pub(crate) fn read_pages(
        &mut self,
        host: &Host,
        api: &mut Api<'_>,
        errors: &mut Errors,
    ) -> Result<(), CollectError> {
        let Some(pages) = &mut self.pages else { return Ok(()) };
        let endpoints = self.endpoints.last().map(|endpoints| endpoints.0.as_slice()).unwrap_or_default();
        pages.read(host, api, errors, endpoints.iter().filter_map(|endpoint| endpoint.name.as_deref()))
    }

    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics) {
        if let Some(endpoints) = self.endpoints.last() {
            endpoints.add_to(metrics);
        }
        if let Some(pages) = &self.pages {
            pages.add_to(metrics);
        }
    }
}

/// The endpoints.
#[derive(Debug)]
struct Endpoints(Vec<Endpoint>);

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    endpoints: lenient::Items<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    state: Option<State>,
}

#[derive(Debug, Deserialize)]
struct State {
    #[serde(default, deserialize_with = "lenient::text")]
    ready: Option<String>,
}

impl Endpoint {
    /// Ready is only what says so.
    fn is_ready(&self) -> bool {
        self.state.as_ref().and_then(|state| state.ready.as_deref()) == Some(READY)
    }
}

impl Endpoints {
    fn read(api: &mut Api<'_>) -> Result<Self, ApiError> {
        let answer: Answer = api.get_json(PATH)?;
        api.pass_over(PATH, answer.endpoints.odd);
        let mut endpoints = answer.endpoints.items;
        let mut seen = BTreeSet::new();
        endpoints.retain(|endpoint| endpoint.name.as_ref().is_none_or(|name| seen.insert(name.clone())));
        Ok(Self(endpoints))
    }

    fn add_to(&self, metrics: &mut telemetry::Metrics) {
        let (mut ready, mut not_ready) = (0_i64, 0_i64);
        for endpoint in &self.0 {
            let count = if endpoint.is_ready() { &mut ready } else { &mut not_ready };
            *count = count.saturating_add(1);
            if let Some(databricks_serving_endpoint_name) = endpoint.name.as_deref() {
                let attributes = telemetry::DatabricksServingEndpointReady { databricks_serving_endpoint_name };
                metrics.databricks_serving_endpoint_ready(&attributes, i64::from(endpoint.is_ready()));
            }
        }
        for (ready_state, count) in [(READY, ready), (NOT_READY, not_ready)] {
            let attributes = telemetry::DatabricksServingEndpointsCount { ready_state };
            metrics.databricks_serving_endpoints_count(&attributes, count);
        }
    }
}
