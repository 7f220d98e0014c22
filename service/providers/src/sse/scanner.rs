//! Finds where an event ends: at the first empty line. Lines end in LF, CR or CRLF, in any mixture.

/// Where in a line the stream is. Survives from one piece of the body to the next.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Nothing of the current line has been seen yet.
    line_is_empty: bool,
    /// The byte before was a CR: a line feed now belongs to it.
    after_carriage_return: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { line_is_empty: true, after_carriage_return: false }
    }
}

impl Scanner {
    /// Drops the line feed of a CRLF whose CR ended the event before. The event was not held back for it, because the
    /// line feed may be late or never come.
    pub(super) fn skip_line_feed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes {
            [b'\n', rest @ ..] if self.after_carriage_return && self.line_is_empty => {
                self.after_carriage_return = false;
                rest
            }
            _ => bytes,
        }
    }

    /// Reads on until an empty line, and says how many bytes that took, the line's end included. `None` if the bytes
    /// do not reach that far; the next bytes then continue where these ended.
    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'\n' && self.after_carriage_return {
                self.after_carriage_return = false;
                at += 1;
                continue;
            }
            let Some(length) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.line_is_empty = false;
                self.after_carriage_return = false;
                return None;
            };
            let event_ends = length == 0 && self.line_is_empty;
            at += length + 1;
            self.line_is_empty = true;
            self.after_carriage_return = bytes[at - 1] == b'\r';
            if event_ends {
                return Some(at);
            }
        }
        None
    }
}
