//! A guest's memory as the canonical ABI lays it out, so that a test can point wherever it likes.

use std::fmt::Write as _;

/// Where data begins; below are the zeros that functions return as their results.
pub(crate) const BASE: u32 = 1024;

/// Data at known addresses.
#[derive(Default)]
pub(crate) struct MemoryImage {
    bytes: Vec<u8>,
}

/// A pointer and a length.
pub(crate) type List = (u32, u32);

impl MemoryImage {
    /// The first address that is free and aligned.
    pub(crate) fn end(&self) -> u32 {
        BASE + u32::try_from(self.bytes.len()).unwrap()
    }

    fn put(&mut self, bytes: &[u8]) -> u32 {
        let address = self.end();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        address
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> List {
        (self.put(bytes), u32::try_from(bytes.len()).unwrap())
    }

    pub(crate) fn text(&mut self, text: &str) -> List {
        self.raw(text.as_bytes())
    }

    /// A list of items that are given as 32-bit words.
    pub(crate) fn list<const N: usize>(&mut self, items: &[[u32; N]]) -> List {
        let bytes: Vec<u8> = items.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        (self.put(&bytes), u32::try_from(items.len()).unwrap())
    }

    /// An attribute whose value is the case of this number, a pointer and a length.
    pub(crate) fn attribute(key: List, case: u32, value: List) -> [u32; 6] {
        [key.0, key.1, case, 0, value.0, value.1]
    }

    /// A number point of the integer 7.
    pub(crate) fn point(attributes: List) -> [u32; 14] {
        [attributes.0, attributes.1, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0]
    }

    pub(crate) fn gauge(name: List, points: List) -> [u32; 12] {
        [name.0, name.1, 0, 0, 0, 0, 0, 0, 0, points.0, points.1, 0]
    }

    pub(crate) fn resource_metrics(attributes: List, metrics: List) -> [u32; 10] {
        [attributes.0, attributes.1, 0, 0, 0, 0, 0, 0, metrics.0, metrics.1]
    }

    /// One gauge called `kiln.test.value` with these points, as the argument of `emit.metrics`.
    pub(crate) fn batch(&mut self, points: List) -> List {
        let name = self.text("kiln.test.value");
        let metrics = self.list(&[Self::gauge(name, points)]);
        self.list(&[Self::resource_metrics((0, 0), metrics)])
    }

    /// The data segment.
    pub(crate) fn segment(&self) -> String {
        let mut text = format!("(data (i32.const {BASE}) \"");
        for byte in &self.bytes {
            write!(text, "\\{byte:02x}").unwrap();
        }
        text.push_str("\")");
        text
    }
}
