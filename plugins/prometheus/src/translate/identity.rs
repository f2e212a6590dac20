//! Attributes as one text: what series are told apart by, and remembered as.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use std::rc::Rc;

/// Keys and values, sorted by key: each text behind its length, which is four ASCII characters of seven bits, little end
/// first.
///
/// A copy costs nothing: what is remembered of a series and what is sent of it share one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity(Rc<str>);

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Ord for Identity {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Identity {}

/// Compares as slices compare, eight bytes at a time: WebAssembly's `memcmp` takes them one by one, and series are alike
/// but for a few bytes far behind.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    for (word, other) in words.iter().zip(other_words) {
        let (word, other) = (u64::from_be_bytes(*word), u64::from_be_bytes(*other));
        if word != other {
            return word.cmp(&other);
        }
    }
    match words.len().cmp(&other_words.len()) {
        Ordering::Equal => rest.cmp(other_rest),
        // What is behind the words both have.
        Ordering::Less => rest.cmp(other.get(one.len() - rest.len()..).unwrap_or(&[])),
        Ordering::Greater => one.get(other.len() - other_rest.len()..).unwrap_or(&[]).cmp(other_rest),
    }
}

impl Identity {
    pub(crate) fn new<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        pairs.sort_unstable();
        pairs.dedup_by_key(|(key, _)| *key);
        let mut text = String::with_capacity(pairs.iter().map(|(key, value)| 8 + key.len() + value.len()).sum());
        for part in pairs.into_iter().flat_map(|(key, value)| [key, value]) {
            text.extend([0, 7, 14, 21].map(|shift| char::from((part.len() >> shift) as u8 & 0x7f)));
            text.push_str(part);
        }
        Self(text.into())
    }

    pub(crate) fn pairs(&self) -> Pairs<'_> {
        Pairs { rest: &self.0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Iterator over keys and values.
pub(crate) struct Pairs<'i> {
    rest: &'i str,
}

impl<'i> Iterator for Pairs<'i> {
    type Item = (&'i str, &'i str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.text()?, self.text()?))
    }
}

impl<'i> Pairs<'i> {
    fn text(&mut self) -> Option<&'i str> {
        let (length, rest) = self.rest.split_at_checked(4)?;
        let length = length.bytes().rev().fold(0, |length, digit| length << 7 | usize::from(digit));
        let (text, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(text)
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
        fn identities_are_in_the_order_of_their_bytes(
            one in "[ab]{0,40}",
            other in "[ab]{0,40}",
            alike in 0_usize..40,
        ) {
            let like_one = format!("{}{}", &one[..alike.min(one.len())], &other[alike.min(other.len())..]);
            for other in [&one, &other, &like_one] {
                prop_assert_eq!(compare(one.as_bytes(), other.as_bytes()), one.cmp(other));
                prop_assert_eq!(Identity(one.as_str().into()) == Identity(other.as_str().into()), &one == other);
            }
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
