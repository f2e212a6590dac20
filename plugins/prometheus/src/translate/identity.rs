//! Attributes as one run of bytes: what series are told apart by, and remembered as.

/// Keys and values, sorted by key: each text behind its length of four bytes, little end first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity(Box<[u8]>);

impl Identity {
    pub(crate) fn new<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        pairs.sort_unstable();
        pairs.dedup_by_key(|(key, _)| *key);
        let mut bytes = Vec::with_capacity(pairs.iter().map(|(key, value)| 8 + key.len() + value.len()).sum());
        for text in pairs.into_iter().flat_map(|(key, value)| [key, value]) {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Self(bytes.into_boxed_slice())
    }

    pub(crate) const fn pairs(&self) -> Pairs<'_> {
        Pairs { rest: &self.0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Iterator over keys and values.
pub(crate) struct Pairs<'i> {
    rest: &'i [u8],
}

impl<'i> Iterator for Pairs<'i> {
    type Item = (&'i str, &'i str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.text()?, self.text()?))
    }
}

impl<'i> Pairs<'i> {
    fn text(&mut self) -> Option<&'i str> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        self.rest = rest;
        core::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_sorted(pairs in prop::collection::btree_map(".{0,5}", ".{0,5}", 0..5)) {
            let identity = Identity::new(pairs.iter().rev().map(|(key, value)| (key.as_str(), value.as_str())));
            let found: Vec<_> = identity.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(found, pairs.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn different_attributes_are_different_identities(
            one in prop::collection::btree_map("[ab\\x00]{0,2}", "[ab\\x00]{0,2}", 0..3),
            other in prop::collection::btree_map("[ab\\x00]{0,2}", "[ab\\x00]{0,2}", 0..3),
        ) {
            let identity = |pairs: &BTreeMap<String, String>| {
                Identity::new(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            };
            prop_assert_eq!(identity(&one) == identity(&other), one == other);
        }
    }
}
