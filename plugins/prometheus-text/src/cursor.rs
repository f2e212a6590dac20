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
        self.take_while(is_part_of_name)
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

pub(crate) const fn is_part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}
