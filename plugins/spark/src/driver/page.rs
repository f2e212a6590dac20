//! Fetching one of the two pages.

use kiln_plugin::Host;

use super::json::Registry;
use crate::endpoint::Address;
use crate::page::{Location, Source, Trouble};

/// A page of the driver as it came.
#[derive(Debug)]
pub(crate) struct DriverPage {
    pub(crate) location: Location,
    pub(crate) content: Content,
}

/// What is on it.
#[derive(Debug)]
pub(crate) enum Content {
    Prometheus(Vec<u8>),
    Json(Registry),
}

impl DriverPage {
    pub(crate) fn prometheus(host: &Host, address: &Address) -> Result<Self, Trouble> {
        let location = Location::new(Source::Prometheus, address);
        let body = location.fetch(host)?;
        // Whatever the namespace is, this stands behind it.
        if !body.windows(DRIVER.len()).any(|part| part == DRIVER) {
            return Err(location.empty());
        }
        Ok(Self { location, content: Content::Prometheus(body) })
    }

    pub(crate) fn json(host: &Host, address: &Address) -> Result<Self, Trouble> {
        let location = Location::new(Source::Json, address);
        let body = location.fetch(host)?;
        match serde_json::from_slice::<Registry>(&body) {
            Ok(registry) if registry.is_a_driver_s() => Ok(Self { location, content: Content::Json(registry) }),
            Ok(_) => Err(location.empty()),
            Err(error) => Err(location.unreadable(&format!("unexpected JSON: {error}"))),
        }
    }
}

const DRIVER: &[u8] = b"_driver_";
