//! Exemplars: which request a number came from.

use crate::labels::Labels;
use crate::translate::identity::Identity;

/// As many as a point of the contract may have.
const MAX_EXEMPLARS: usize = 128;

/// An exemplar as a page has it.
#[derive(Clone, Debug)]
pub(crate) struct Exposed<'a> {
    pub(crate) labels: Labels<'a>,
    pub(crate) value: f64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) timestamp: Option<u64>,
}

/// An exemplar as OTLP has it.
#[derive(Debug)]
pub(crate) struct Exemplar {
    pub(crate) labels: Identity,
    pub(crate) value: f64,
    /// Nanoseconds since the Unix epoch; 0 if the page does not say.
    pub(crate) time: u64,
    /// 16 bytes, or none.
    pub(crate) trace_id: Vec<u8>,
    /// 8 bytes, or none.
    pub(crate) span_id: Vec<u8>,
}

impl Exposed<'_> {
    /// `trace_id` and `span_id` become ids if they are ids, and stay labels if they are not.
    fn translate(&self) -> Exemplar {
        let mut labels = self.labels.clone();
        let mut id = |label: &str, bytes| {
            let id = labels.get(label).and_then(|text| identifier(text, bytes))?;
            labels.remove(label);
            Some(id)
        };
        let (trace_id, span_id) = (id("trace_id", 16).unwrap_or_default(), id("span_id", 8).unwrap_or_default());
        let (value, time) = (self.value, self.timestamp.unwrap_or(0));
        Exemplar { labels: Identity::new(labels.iter()), value, time, trace_id, span_id }
    }
}

pub(crate) fn translate(exemplars: &[Exposed<'_>]) -> Vec<Exemplar> {
    exemplars.iter().take(MAX_EXEMPLARS).map(Exposed::translate).collect()
}

/// The bytes of an id in hexadecimal digits, not all zero.
fn identifier(text: &str, bytes: usize) -> Option<Vec<u8>> {
    if text.len() != bytes * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let digits = |at: usize| text.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let id: Vec<u8> = (0..bytes).map_while(digits).collect();
    (id.len() == bytes && id.iter().any(|byte| *byte != 0)).then_some(id)
}
