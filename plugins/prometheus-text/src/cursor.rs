//! A place in a line, and the steps a reader takes from it.

use memchr::memchr2;

/// What of a line is still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    pub(crate) fn peek(self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    pub(crate) const fn is_at_end(self) -> bool {
        self.rest.is_empty()
    }

    /// Steps over one ASCII character, if it is there.
    pub(crate) fn eat(&mut self, ascii: u8) -> bool {
        let found = self.peek() == Some(ascii);
        if found {
            self.skip(1);
        }
        found
    }

    /// Steps over what has this length.
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Takes what holds, up to an ASCII character or the end.
    pub(crate) fn take_while(&mut self, holds: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !holds(byte)).unwrap_or(self.rest.len());
        self.skip(end)
    }

    pub(crate) fn skip_blanks(&mut self) {
        if self.peek().is_some_and(is_blank) {
            self.take_while(is_blank);
        }
    }

    /// What stands between blanks.
    pub(crate) fn word(&mut self) -> &'a str {
        self.take_while(|byte| !is_blank(byte))
    }

    /// The longest prefix that is a name; it may be empty.
    pub(crate) fn name(&mut self) -> &'a str {
        if self.peek().is_some_and(|first| first.is_ascii_digit()) {
            return "";
        }
        self.skip(name_length(self.rest.as_bytes()))
    }

    /// A name and the colon behind it.
    pub(crate) fn name_before_colon(&mut self) -> Option<&'a str> {
        let name = self.take_while(|byte| byte.is_ascii_lowercase() || byte == b'_');
        self.eat(b':').then_some(name)
    }

    /// What stands between the quote before this place and the next that no backslash precedes, as it is written.
    pub(crate) fn quoted(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let mut at = 0;
        loop {
            at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
            if bytes.get(at) == Some(&b'"') {
                let text = self.skip(at);
                self.skip(1);
                return Some(text);
            }
            at += 2;
        }
    }
}

pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How many bytes are part of a name before the first that is not.
///
/// Names are most of a page, so sixteen bytes are looked at together. A loop over bytes costs a plugin several times as much:
/// there each turn begins with a look at whether its time is over.
fn name_length(text: &[u8]) -> usize {
    let (vectors, rest) = text.as_chunks();
    let mut length = 0;
    for vector in vectors {
        let leading = leading_parts(vector);
        length += leading;
        if leading < vector.len() {
            return length;
        }
    }
    length + rest.iter().position(|byte| !is_part_of_name(*byte)).unwrap_or(rest.len())
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn leading_parts(vector: &[u8; 16]) -> usize {
    // Without a branch, so that the compiler makes vectors of it.
    if vector.iter().fold(true, |all, byte| all & is_part_of_name(*byte)) {
        return vector.len();
    }
    vector.iter().position(|byte| !is_part_of_name(*byte)).unwrap_or(vector.len())
}

/// The same in a plugin. Most of one is compiled for its size, and then the compiler makes no vectors by itself.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn leading_parts(vector: &[u8; 16]) -> usize {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u8x16_sub, u64x2, v128_or};

    let text = u128::from_le_bytes(*vector);
    let text = u64x2(text as u64, (text >> 64) as u64);
    let within = |text, from: u8, to: u8| u8x16_le(u8x16_sub(text, u8x16_splat(from)), u8x16_splat(to - from));
    let letters = within(v128_or(text, u8x16_splat(b'a' - b'A')), b'a', b'z');
    // The colon follows the last digit.
    let digits = within(text, b'0', b':');
    let parts = v128_or(v128_or(letters, digits), u8x16_eq(text, u8x16_splat(b'_')));
    u8x16_bitmask(parts).trailing_ones() as usize
}

pub(crate) const fn is_part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'_') | (byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: names of every length up to three vectors, followed by every byte there is, and by nothing.
    /// Guarantees: a name ends where its last part does.
    #[test]
    fn a_name_ends_before_the_first_byte_that_is_no_part_of_one() {
        for length in 0..48 {
            let mut text = b"aZ09_:".repeat(9);
            text.truncate(length);
            assert_eq!(name_length(&text), length);
            for byte in 0..=u8::MAX {
                let is_part = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
                text.truncate(length);
                text.extend([byte, b' ', b'a']);
                assert_eq!(name_length(&text), length + usize::from(is_part), "{length} bytes, then {byte}");
            }
        }
    }
}
