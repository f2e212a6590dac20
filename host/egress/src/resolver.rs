//! Name resolution that yields only addresses the rule may reach.
//!
//! It is the resolver of the client that dials, so between checking an address and connecting to it there is no second
//! look-up an attacker could answer differently.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kiln_policy::{AddressScope, Denial, Origin};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::ambient::Lookup;
use crate::found::Discovery;

pub(crate) struct CheckedResolver {
    pub(crate) origin: Origin,
    pub(crate) scope: AddressScope,
    pub(crate) lookup: Lookup,
    pub(crate) discovery: Option<Arc<Discovery>>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        if self.scope.is_found_by_host() {
            return Box::pin(found(self.origin.clone(), self.scope.clone(), self.discovery.clone()));
        }
        let addresses = (self.lookup)(name.as_str().to_owned());
        let origin = self.origin.clone();
        let scope = self.scope.clone();
        Box::pin(async move {
            let permitted = permitted(&origin, &scope, addresses.await?)?;
            if permitted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses").into());
            }
            // Port 0 stands for the port of the URL.
            let addresses: Addrs = Box::new(permitted.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// What the host finds, in place of what the name resolves to. Its port takes the place of the one that is not written.
async fn found(
    origin: Origin,
    scope: AddressScope,
    discovery: Option<Arc<Discovery>>,
) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let Some(discovery) = discovery else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "nothing is looked for here").into());
    };
    let address = discovery.find().await?;
    if !scope.permits_found(address.ip()) {
        return Err(Denial::Origin(origin).into());
    }
    Ok(Box::new(std::iter::once(address)))
}

/// The addresses of `origin` that `scope` permits.
///
/// # Errors
/// There are addresses and none is permitted: why the first is not.
pub(crate) fn permitted(origin: &Origin, scope: &AddressScope, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Denial> {
    let mut permitted = Vec::with_capacity(addresses.len());
    let mut denied = None;
    for address in addresses {
        match scope.permits(address) {
            // The form that was classified is the form that is dialled.
            Ok(()) => permitted.push(address.to_canonical()),
            Err(reason) => denied = denied.or(Some(reason)),
        }
    }
    match denied {
        Some(denied) if permitted.is_empty() => Err(Denial::Address { origin: origin.clone(), denied }),
        Some(_) | None => Ok(permitted),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_policy::AddressRule;

    use super::*;

    fn resolve(rules: &[&str], addresses: &[&str]) -> Result<Vec<String>, String> {
        let origin = Origin::parse("https://example.com").unwrap();
        let scope = rules.iter().map(|rule| AddressRule::try_from((*rule).to_owned()).unwrap()).collect();
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let permitted = permitted(&origin, &scope, addresses).map_err(|denial| denial.to_string())?;
        Ok(permitted.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_a_mixed_answer_only_what_is_permitted_remains() {
        let mixed = ["127.0.0.1", "93.184.216.34", "::ffff:169.254.169.254", "10.0.0.1", "2606:4700::1111"];
        assert_eq!(resolve(&["public"], &mixed).unwrap(), ["93.184.216.34", "2606:4700::1111"]);
        assert_eq!(resolve(&["10.0.0.0/8"], &mixed).unwrap(), ["10.0.0.1"]);
    }

    #[test]
    fn an_answer_of_nothing_permitted_is_a_denial_that_says_what_is_missing() {
        let error = resolve(&["public"], &["10.0.0.1", "127.0.0.1"]).unwrap_err();
        assert_eq!(error, "https://example.com: 10.0.0.1 needs `addresses: [private]` in the grant");
        let error = resolve(&["public", "private"], &["64:ff9b::a9fe:a9fe"]).unwrap_err();
        assert_eq!(
            error,
            "https://example.com: 64:ff9b::a9fe:a9fe is an IPv4 address behind NAT64, which no plugin may reach"
        );
    }

    #[test]
    fn a_mapped_address_is_judged_and_dialled_as_the_address_it_maps() {
        assert_eq!(resolve(&["loopback"], &["::ffff:127.0.0.1"]).unwrap(), ["127.0.0.1"]);
        assert!(resolve(&["public"], &["::ffff:127.0.0.1"]).is_err());
    }

    #[test]
    fn an_empty_answer_is_no_denial() {
        assert!(resolve(&["public"], &[]).unwrap().is_empty());
    }
}
