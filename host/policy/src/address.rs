//! Which addresses a granted name may resolve to.
//!
//! A name is not an address: whoever controls the name decides where it points. So every address is classified, some
//! classes are never reachable whatever is granted, and private and loopback addresses need a grant that says so.
//! Ranges are those of the IANA special-purpose registries; metadata services are listed one by one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};

/// One entry of a grant's `addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AddressRule {
    /// Globally reachable addresses.
    Public,
    /// RFC 1918, shared address space and unique local addresses.
    Private,
    /// This machine.
    Loopback,
    /// A CIDR block, for example `10.20.0.0/16`.
    Network(IpNet),
    /// Wherever the host finds the UI of the Spark driver on this machine. It stands alone: what is found is no answer of a
    /// name server, and names nobody's address but this machine's.
    SparkUi,
}

impl TryFrom<String> for AddressRule {
    type Error = InvalidAddressRule;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            "loopback" => Ok(Self::Loopback),
            "spark_ui" => Ok(Self::SparkUi),
            _ => text.parse().map(Self::Network).map_err(|_| InvalidAddressRule(text)),
        }
    }
}

impl fmt::Display for AddressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Private => f.write_str("private"),
            Self::Loopback => f.write_str("loopback"),
            Self::Network(network) => network.fmt(f),
            Self::SparkUi => f.write_str("spark_ui"),
        }
    }
}

impl Serialize for AddressRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Not something `addresses` may hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address rule: use public, private, loopback, spark_ui or a CIDR block such as 10.0.0.0/8")]
pub struct InvalidAddressRule(String);

/// The addresses one grant reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressScope(Vec<AddressRule>);

impl AddressScope {
    /// The scope of a grant that does not mention addresses.
    #[must_use]
    pub fn public() -> Self {
        Self(vec![AddressRule::Public])
    }

    /// Whether the address is to be found by the host, and names are of no meaning.
    #[must_use]
    pub fn is_found_by_host(&self) -> bool {
        self.0.contains(&AddressRule::SparkUi)
    }

    /// Whether it is that and nothing else.
    pub(crate) fn is_nothing_but_found(&self) -> bool {
        self.0 == [AddressRule::SparkUi]
    }

    /// Whether `address`, which the host has found on this machine, may be dialled under a scope that leaves it to the
    /// host. What no grant can reach cannot be reached so either.
    #[must_use]
    pub fn permits_found(&self, address: IpAddr) -> bool {
        self.is_found_by_host() && !matches!(class(address.to_canonical()), Class::Never(_))
    }

    /// Whether `address` may be dialled.
    ///
    /// # Errors
    /// Why not, and what would have to be granted, if anything can be.
    pub fn permits(&self, address: IpAddr) -> Result<(), AddressDenied> {
        let address = address.to_canonical();
        let class = class(address);
        if let Class::Never(reason) = class {
            return Err(AddressDenied::Never { address, reason });
        }
        let permitted = self.0.iter().any(|rule| match rule {
            AddressRule::Public => class == Class::Public,
            AddressRule::Private => class == Class::Private,
            AddressRule::Loopback => class == Class::Loopback,
            AddressRule::Network(network) => network.contains(&address),
            AddressRule::SparkUi => false,
        });
        if permitted {
            return Ok(());
        }
        let needs = match class {
            Class::Loopback => AddressRule::Loopback,
            Class::Private => AddressRule::Private,
            Class::Public | Class::Never(_) => AddressRule::Public,
        };
        Err(AddressDenied::NotGranted { address, needs })
    }
}

impl Default for AddressScope {
    fn default() -> Self {
        Self::public()
    }
}

impl FromIterator<AddressRule> for AddressScope {
    fn from_iter<I: IntoIterator<Item = AddressRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// Whatever one of the scopes permits.
impl FromIterator<AddressScope> for AddressScope {
    fn from_iter<I: IntoIterator<Item = AddressScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().flat_map(|scope| scope.0).collect())
    }
}

impl fmt::Display for AddressScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", rules.join(", "))
    }
}

/// Why an address may not be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressDenied {
    /// No grant can reach it.
    #[error("{address} is {reason}, which no plugin may reach")]
    Never {
        /// The address in question.
        address: IpAddr,
        /// What kind of address it is.
        reason: &'static str,
    },
    /// A grant could reach it, but this one does not.
    #[error("{address} needs `addresses: [{needs}]` in the grant")]
    NotGranted {
        /// The address in question.
        address: IpAddr,
        /// The rule that would permit it.
        needs: AddressRule,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Private,
    Loopback,
    Never(&'static str),
}

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

/// Services that hand credentials to whoever asks from inside the network, and are not link-local already.
const METADATA_V4: [Ipv4Addr; 4] = [
    // Nearly everybody's, and named apart from the other link-local ones.
    Ipv4Addr::new(169, 254, 169, 254),
    // Azure's WireServer.
    Ipv4Addr::new(168, 63, 129, 16),
    // Alibaba's.
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle's, of old.
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Google's.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0x0ce, 0, 0, 0, 0, 0, 0x254);

fn class_v4(address: Ipv4Addr) -> Class {
    if METADATA_V4.contains(&address) {
        return Class::Never("a cloud metadata service");
    }
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Class::Never("an address of this network"),
        (127, ..) => Class::Loopback,
        (10, ..) | (192, 168, _) => Class::Private,
        (172, 16..=31, _) | (100, 64..=127, _) => Class::Private,
        (169, 254, _) => Class::Never("a link-local address"),
        (192, 0, 0) | (192, 88, 99) => Class::Never("a protocol assignment"),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Class::Never("a documentation address"),
        (198, 18..=19, _) => Class::Never("a benchmarking address"),
        (224..=239, ..) => Class::Never("a multicast address"),
        (240..=255, ..) => Class::Never("a reserved address"),
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if address == METADATA_V6 {
        return Class::Never("a cloud metadata service");
    }
    if address == Ipv6Addr::LOCALHOST {
        return Class::Loopback;
    }
    let [a, b, c, ..] = address.segments();
    match (a, b, c) {
        // Amazon's services on the link: instance metadata at ::254, credentials of pods at ::23.
        (0xfd00, 0x0ec2, _) => Class::Never("a cloud metadata service"),
        (0x0064, 0xff9b, _) => Class::Never("an IPv4 address behind NAT64"),
        (0x2002, ..) => Class::Never("an IPv4 address behind 6to4"),
        (0x2001, 0x0000, _) => Class::Never("an IPv4 address behind Teredo"),
        (0x2001, 0x0001..=0x01ff, _) => Class::Never("a protocol assignment"),
        (0x2001, 0x0db8, _) | (0x3fff, 0x0000..=0x0fff, _) => Class::Never("a documentation address"),
        (0xfc00..=0xfdff, ..) => Class::Private,
        (0xfe80..=0xfebf, ..) => Class::Never("a link-local address"),
        (0xff00..=0xffff, ..) => Class::Never("a multicast address"),
        (0x2000..=0x3fff, ..) => Class::Public,
        _ => Class::Never("a reserved address"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn scope(rules: &[&str]) -> AddressScope {
        rules.iter().map(|rule| AddressRule::try_from((*rule).to_owned()).unwrap()).collect()
    }

    fn permits(scope: &AddressScope, address: &str) -> bool {
        scope.permits(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn each_class_needs_its_own_rule() {
        let cases = [
            ("public", "93.184.216.34"),
            ("private", "10.1.2.3"),
            ("private", "fd12::1"),
            ("loopback", "127.0.0.1"),
            ("loopback", "::1"),
            ("public", "2606:4700::1111"),
        ];
        for (needed, address) in cases {
            for granted in ["public", "private", "loopback"] {
                assert_eq!(permits(&scope(&[granted]), address), granted == needed, "{granted} for {address}");
            }
        }
    }

    #[test]
    fn a_network_reaches_its_addresses_and_no_others() {
        let scope = scope(&["10.20.0.0/16"]);
        assert!(permits(&scope, "10.20.255.1"));
        assert!(permits(&scope, "::ffff:10.20.0.1"));
        assert!(!permits(&scope, "10.21.0.1"));
        assert!(!permits(&scope, "8.8.8.8"));
    }

    /// Guarantees: no answer of a name server passes under `spark_ui`; what the host has found does, and does under no
    /// other rule; what must never be reached is not, whoever found it.
    #[test]
    fn what_the_host_finds_is_apart_from_what_names_resolve_to() {
        let found = scope(&["spark_ui"]);
        for address in ["127.0.0.1", "10.1.2.3", "93.184.216.34"] {
            let address: IpAddr = address.parse().unwrap();
            assert!(found.permits(address).is_err());
            assert!(found.permits_found(address));
            assert!(!scope(&["public", "private", "loopback"]).permits_found(address));
        }
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "224.0.0.1", "0.0.0.0"] {
            assert!(!found.permits_found(address.parse().unwrap()), "{address}");
        }
    }

    /// Everything a grant can say, and for good measure each address by itself.
    fn with_every_rule(address: &str) -> bool {
        let network = if address.contains(':') { format!("{address}/128") } else { format!("{address}/32") };
        permits(&scope(&["public", "private", "loopback", "0.0.0.0/0", "::/0", &network]), address)
    }

    #[test]
    fn what_must_never_be_reached_is_not_even_with_every_rule() {
        let never = [
            // Metadata services: of most clouds, of Azure, Alibaba, Oracle, Amazon (also for containers and pods), Google.
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "169.254.170.2",
            "169.254.170.23",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            // The same in the clothes of IPv6: mapped, compatible, translated, NAT64 (well-known and local), 6to4, Teredo.
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:ffff:ffff::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:0:a9fe:a9fe::1",
            // So in their clothes is what a grant can reach otherwise.
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "64:ff9b::808:808",
            // Nobody in particular, everybody, the link, the future, the books.
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "239.255.255.255",
            "ff02::1",
            "fe80::1",
            "febf::1",
            "fe80::a9fe:a9fe",
            "fec0::1",
            "169.254.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.1",
            "192.0.0.170",
            "192.88.99.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "100::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ];
        for address in never {
            assert!(!with_every_rule(address), "{address}");
        }
    }

    #[test]
    fn what_lies_beside_a_special_range_is_as_reachable_as_ever() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2003::1",
            "2400:cb00::1",
        ] {
            assert!(permits(&AddressScope::public(), address), "{address}");
        }
        for address in
            ["100.64.0.0", "100.100.100.199", "172.16.0.0", "172.31.255.255", "fd00:ec1::254", "fd20:ce::253"]
        {
            assert!(permits(&scope(&["private"]), address) && !permits(&AddressScope::public(), address), "{address}");
        }
    }
}
