//! Origins that differ in their port only, written as one: what an operator grants, and how many are told of at once.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::origin::{Origin, OriginError};

/// So many ports one range may have: a grant that can be read through, not a scan.
pub(crate) const MAX_PORTS: u16 = 100;

/// An origin, or `http://localhost:4040-4049`, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct OriginRange {
    first: Origin,
    last_port: u16,
}

impl OriginRange {
    /// Whether the origin is of the range.
    #[must_use]
    pub fn contains(&self, origin: &Origin) -> bool {
        self.first.with_port(origin.port()) == *origin && (self.first.port()..=self.last_port).contains(&origin.port())
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.first.is_https()
    }

    /// Whether it is one plain origin by a name, on the port that is not written.
    pub(crate) fn is_name_without_port(&self) -> bool {
        let has_port = self.first.port() != 80 || self.last_port != 80;
        !has_port && !self.is_https() && self.first.is_name()
    }

    /// The origins, in as few ranges as they make.
    #[must_use]
    pub fn covering<'o>(origins: impl IntoIterator<Item = &'o Origin>) -> Vec<Self> {
        let mut sorted: Vec<&Origin> = origins.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut ranges: Vec<Self> = Vec::new();
        for origin in sorted {
            match ranges.last_mut() {
                Some(range) if range.precedes(origin) => range.last_port = origin.port(),
                Some(_) | None => ranges.push(origin.clone().into()),
            }
        }
        ranges
    }

    fn precedes(&self, origin: &Origin) -> bool {
        let is_room = origin.port().saturating_sub(self.first.port()) < MAX_PORTS;
        is_room
            && self.last_port.checked_add(1) == Some(origin.port())
            && self.first.with_port(origin.port()) == *origin
    }
}

impl From<Origin> for OriginRange {
    fn from(origin: Origin) -> Self {
        Self { last_port: origin.port(), first: origin }
    }
}

impl TryFrom<String> for OriginRange {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bare = text.strip_suffix('/').unwrap_or(&text);
        let range = bare.rsplit_once(':').and_then(|(rest, ports)| Some((rest, ports.split_once('-')?)));
        let Some((rest, (first, last))) = range.filter(|(_, (first, last))| is_number(first) && is_number(last)) else {
            return Origin::parse(&text).map(Into::into);
        };
        let invalid = || OriginError::PortRange(text.clone());
        let first_port: u16 = first.parse().map_err(|_| invalid())?;
        let last_port: u16 = last.parse().map_err(|_| invalid())?;
        let is_range = last_port.checked_sub(first_port).is_some_and(|more| more < MAX_PORTS);
        let first = Origin::parse(&format!("{rest}:{first_port}"))?;
        if is_range && first_port > 0 { Ok(Self { first, last_port }) } else { Err(invalid()) }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for OriginRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first.port(), self.last_port);
        if first == last { self.first.fmt(f) } else { write!(f, "{}:{first}-{last}", self.first.without_port()) }
    }
}

impl Serialize for OriginRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> Result<OriginRange, OriginError> {
        OriginRange::try_from(text.to_owned())
    }

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    #[test]
    fn a_range_has_its_ports_and_no_others() {
        let granted = range("http://localhost:4040-4049").unwrap();
        for inside in ["http://localhost:4040", "http://localhost:4045", "http://LOCALHOST:4049/"] {
            assert!(granted.contains(&origin(inside)), "{inside}");
        }
        for outside in ["http://localhost:4039", "http://localhost:4050", "https://localhost:4045", "http://other:4045"]
        {
            assert!(!granted.contains(&origin(outside)), "{outside}");
        }
    }

    #[test]
    fn a_range_is_written_with_two_ports_in_order_and_not_too_far_apart() {
        for fits in
            ["http://a:1-1", "http://a:1-100", "https://[::1]:65436-65535", "http://my-host:80-81", "http://a-b"]
        {
            assert!(range(fits).is_ok(), "{fits}");
        }
        let of_ports = ["http://a:1-101", "http://a:2-1", "http://a:0-5", "http://a:1-65536", "http://a:99999-100000"];
        for refused in of_ports {
            assert!(matches!(range(refused), Err(OriginError::PortRange(_))), "{refused}");
        }
        for refused in
            ["http://a:1-", "http://a:-1", "http://a:1-2-3", "http://a:1-2/x", "ftp://a:1-2", "http://u:p@a:1-2"]
        {
            assert!(range(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn neighbours_are_told_of_together() {
        let origins =
            ["http://b:4041", "http://a:80", "http://b:4040", "https://b:4042", "http://b:4042", "http://b:4044"];
        let origins = origins.map(origin);
        let ranges: Vec<_> = OriginRange::covering(&origins).iter().map(ToString::to_string).collect();
        assert_eq!(ranges, ["http://a", "http://b:4040-4042", "http://b:4044", "https://b:4042"]);
    }

    proptest! {
        #[test]
        fn ranges_cover_what_they_were_made_of_and_read_back(ports in proptest::collection::vec(1..400_u16, 0..300)) {
            let origins: Vec<_> = ports.iter().map(|port| origin(&format!("http://localhost:{port}"))).collect();
            let ranges = OriginRange::covering(&origins);
            for port in 1..400 {
                let candidate = origin(&format!("http://localhost:{port}"));
                let covered = ranges.iter().filter(|range| range.contains(&candidate)).count();
                prop_assert_eq!(covered, usize::from(ports.contains(&port)));
            }
            for covering in ranges {
                prop_assert_eq!(range(&covering.to_string()), Ok(covering));
            }
        }

        #[test]
        fn arbitrary_texts_are_a_range_or_an_error(text in "(http://[a-z:0-9-]{0,12}|\\PC{0,20})") {
            let _ = range(&text);
        }
    }
}
