//! Newline-delimited JSON: body bytes in, complete lines out.
//!
//! Follows <https://github.com/ndjson/ndjson-spec>: a line ends in a line feed, before which a carriage return may stand,
//! and empty lines are passed over. A line has a largest size. What stands in a line is not looked at.

use bytes::Bytes;

use crate::error::{UpstreamError, UpstreamErrorKind};

/// The largest line that is read unless told otherwise, in bytes: 8 MiB.
pub(crate) const DEFAULT_MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// A line is larger than the decoder was told to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is larger than {limit} bytes")]
pub(crate) struct LineTooLarge {
    /// The limit, in bytes.
    pub(crate) limit: usize,
}

/// Splits a stream that arrives in pieces of any size into lines.
///
/// A line that lies within one piece is handed out as a slice of it; only one that spans pieces is copied. After an error
/// the decoder is of no use.
#[derive(Debug)]
pub(crate) struct NdjsonDecoder {
    /// The latest piece, and how much of it has been read.
    piece: Bytes,
    read: usize,
    /// The beginning of a line that the latest piece did not begin.
    carried: Vec<u8>,
    /// Whether `carried` holds a whole line that has been handed out.
    carried_is_spent: bool,
    max_line_bytes: usize,
}

impl Default for NdjsonDecoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_LINE_BYTES)
    }
}

impl NdjsonDecoder {
    /// A decoder at the start of a stream that accepts lines of up to `max_line_bytes`, their ends included.
    pub(crate) fn new(max_line_bytes: usize) -> Self {
        Self { piece: Bytes::new(), read: 0, carried: Vec::new(), carried_is_spent: false, max_line_bytes }
    }

    /// Takes the next piece of the body. Lines of the piece before that were not asked for are lost, so ask
    /// [`next_line`](Self::next_line) until it has none first.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.piece = piece;
        self.read = 0;
    }

    /// The next complete line, without its end and the blanks around it; `None` when another piece is needed.
    ///
    /// # Errors
    /// A line that is too large.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLarge> {
        let range = loop {
            if self.carried_is_spent {
                self.carried.clear();
                self.carried_is_spent = false;
            }
            let (start, rest) = (self.read, self.piece.get(self.read..).unwrap_or_default());
            let end = memchr::memchr(b'\n', rest);
            let length = end.map_or(rest.len(), |end| end + 1);
            if self.carried.len() + length > self.max_line_bytes {
                return Err(LineTooLarge { limit: self.max_line_bytes });
            }
            self.read = start + length;
            if end.is_none() || !self.carried.is_empty() {
                self.carried.extend_from_slice(rest.get(..length).unwrap_or_default());
            }
            if end.is_none() {
                return Ok(None);
            }
            self.carried_is_spent = !self.carried.is_empty();
            let range = start..self.read;
            if !self.line(&range).is_empty() {
                break range;
            }
        };
        Ok(Some(self.line(&range)))
    }

    /// What has arrived of a line that is not complete.
    pub(crate) fn incomplete(&self) -> &[u8] {
        if self.carried_is_spent { &[] } else { &self.carried }
    }

    /// The line that was found last.
    fn line(&self, range: &std::ops::Range<usize>) -> &[u8] {
        let line = if self.carried_is_spent { Some(&self.carried[..]) } else { self.piece.get(range.clone()) };
        line.unwrap_or_default().trim_ascii()
    }
}

impl From<LineTooLarge> for UpstreamError {
    fn from(error: LineTooLarge) -> Self {
        Self::new(UpstreamErrorKind::TooLarge, format!("the upstream's stream cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `pieces` and returns every line, and what is left.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, String) {
        let mut decoder = NdjsonDecoder::default();
        let mut seen = Vec::new();
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece));
            while let Some(line) = decoder.next_line().unwrap() {
                seen.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        (seen, String::from_utf8(decoder.incomplete().to_vec()).unwrap())
    }

    #[test]
    fn every_split_gives_the_same_lines() {
        let bytes = "{\"a\":\"ä€😀\"}\n\n \r\n{\"b\":1}\r\n5\n[\"cut".as_bytes();
        let expected: Vec<String> = ["{\"a\":\"ä€😀\"}", "{\"b\":1}", "5"].map(str::to_owned).into();
        for split in 0..=bytes.len() {
            let (lines, left) = decode([&bytes[..split], &bytes[split..]]);
            assert_eq!((&lines, left.as_str()), (&expected, "[\"cut"), "split at {split}");
        }
        for size in 1..=bytes.len() {
            assert_eq!(decode(bytes.chunks(size)).0, expected, "pieces of {size}");
        }
    }

    #[test]
    fn an_oversized_line_is_an_error_whole_or_in_pieces() {
        let line = b"0123456789\n";
        for size in [1, 7, line.len()] {
            for (limit, fits) in [(line.len(), true), (line.len() - 1, false)] {
                let mut decoder = NdjsonDecoder::new(limit);
                let mut last = Ok(false);
                for piece in line.chunks(size) {
                    decoder.push(Bytes::copy_from_slice(piece));
                    last = decoder.next_line().map(|line| line.is_some());
                }
                assert_eq!(last, if fits { Ok(true) } else { Err(LineTooLarge { limit }) }, "pieces of {size}");
            }
        }
    }

    #[test]
    fn an_endless_line_does_not_fill_the_memory() {
        let mut decoder = NdjsonDecoder::new(1024);
        let mut refused = false;
        for _ in 0..64 {
            decoder.push(Bytes::from_static(&[b'x'; 100]));
            refused |= decoder.next_line().is_err();
            assert!(decoder.incomplete().len() <= 1024);
        }
        assert!(refused);
    }
}
