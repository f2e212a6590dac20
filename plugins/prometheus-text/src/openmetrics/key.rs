//! Label sets that can be compared whatever their order.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::labels::Labels;

/// Stands in no text that is UTF-8.
const SEPARATOR: u8 = 0xff;

/// A label set without one of its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(labels: Labels<'_>, without: Option<&str>) -> Self {
        let mut labels: Vec<(&str, Cow<'_, str>)> = labels.iter().filter(|(name, _)| Some(*name) != without).collect();
        labels.sort_unstable();
        let mut key = Vec::new();
        for (name, value) in labels {
            key.extend_from_slice(name.as_bytes());
            key.push(SEPARATOR);
            key.extend_from_slice(value.as_bytes());
            key.push(SEPARATOR);
        }
        Self(key)
    }
}
