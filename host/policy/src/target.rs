//! The origins a request stands for, once the configuration is known.

use url::Url;

use crate::config_line::ConfigLine;
use crate::origin::{Origin, OriginError};
use crate::policy_error::PolicyError;
use crate::request::{ConfigField, HttpRequest, OriginRequest};
use crate::setting::{Element, Setting};

/// So many origins one request may stand for: each gets a client of its own.
const MAX_TARGETS: usize = 256;

/// One thing a request wants to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// One origin; or, for `host:port` without a scheme, that of `http` and that of `https`. One granted is enough.
    pub origins: Vec<Origin>,
    /// The field the operator typed it into; `None` if the manifest says it, be it as the default of a field.
    pub typed_into: Option<ConfigField>,
    /// Where it is typed, if that is known.
    pub written: Option<ConfigLine>,
}

impl HttpRequest {
    /// What the request wants to reach, each target once; nothing if its field has no value.
    ///
    /// # Errors
    /// A value is no origin, or there are too many.
    pub fn targets<'a>(&self, setting: impl Fn(&str) -> Option<Setting<'a>>) -> Result<Vec<Target>, PolicyError> {
        let field = match &self.origin {
            OriginRequest::Literal(origin) => {
                return Ok(vec![Target { origins: vec![origin.clone()], typed_into: None, written: None }]);
            }
            OriginRequest::Config(field) => field,
        };
        let Some(Setting { text, elements, written, has_default, .. }) = setting(field.path()) else {
            return Ok(Vec::new());
        };
        let mut targets = Vec::new();
        let texts = text.map(|text| (field.path().to_owned(), text, written, false));
        let elements = elements.into_iter().map(|Element { place, text, written }| (place, text, written, true));
        for (path, text, written, in_list) in texts.into_iter().chain(elements) {
            if let Some(named) = self.names.get(text) {
                let literal =
                    |origin: &Origin| Target { origins: vec![origin.clone()], typed_into: None, written: None };
                targets.extend(named.iter().map(literal));
                continue;
            }
            let origins =
                if in_list && !text.contains("://") { either_scheme(text) } else { origin(text).map(|it| vec![it]) };
            let origins = origins.map_err(|error| PolicyError::InvalidOrigin { path, error })?;
            let is_typed = !has_default || written.is_some();
            targets.push(Target { origins, typed_into: is_typed.then(|| field.clone()), written });
        }
        let mut distinct: Vec<Target> = Vec::new();
        for target in targets {
            let is_known = |known: &Target| known.origins == target.origins && known.typed_into == target.typed_into;
            if !distinct.iter().any(is_known) {
                distinct.push(target);
            }
            if distinct.len() > MAX_TARGETS {
                return Err(PolicyError::TooManyOrigins { field: field.clone(), limit: MAX_TARGETS });
            }
        }
        Ok(distinct)
    }
}

fn origin(text: &str) -> Result<Origin, OriginError> {
    let url = Url::parse(text).map_err(|error| OriginError::NotAUrl(text.to_owned(), error))?;
    Origin::of(&url)
}

/// `host:port`, as Prometheus writes it.
fn either_scheme(text: &str) -> Result<Vec<Origin>, OriginError> {
    let is_host = !text.is_empty() && !text.contains(['/', '\\', '?', '#', '@']) && !text.contains(char::is_whitespace);
    if !is_host {
        return Err(OriginError::NotAHost(text.to_owned()));
    }
    ["http", "https"].iter().map(|scheme| origin(&format!("{scheme}://{text}"))).collect()
}
