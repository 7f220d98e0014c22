//! gRPC's length-prefixed messages: one flag byte, four bytes of length, the message.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use bytes::{Buf as _, Bytes, BytesMut};

/// The flag and the length.
pub(crate) const HEADER: usize = 5;

/// Five bytes to be filled in by [`seal`] once the message stands behind them.
pub(crate) fn start(capacity: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER + capacity);
    buffer.extend_from_slice(&[0; HEADER]);
    buffer
}

/// Writes the length of the message that follows the header kept by [`start`]; `None` where it exceeds 4 GiB.
pub(crate) fn seal(mut buffer: Vec<u8>) -> Option<Bytes> {
    let length = u32::try_from(buffer.len() - HEADER).ok()?;
    buffer[1..HEADER].copy_from_slice(&length.to_be_bytes());
    Some(buffer.into())
}

/// Begins a message at the end of `out` and says where: five bytes to be filled in by [`close`].
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; HEADER]);
    at
}

/// Writes the length of the last message, which began at `at`; `None` where it exceeds 4 GiB.
pub(crate) fn close(out: &mut [u8], at: usize) -> Option<()> {
    let length = u32::try_from(out.len() - at - HEADER).ok()?;
    out[at + 1..at + HEADER].copy_from_slice(&length.to_be_bytes());
    Some(())
}

/// Takes messages out of the chunks of a body.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    /// A chunk that has not been cut up yet: the usual case, without copying.
    whole: Bytes,
    /// The beginning of a message that goes on in the next chunk.
    partial: BytesMut,
}

/// A message is compressed, although no compression was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is compressed")]
pub(crate) struct Compressed;

impl Deframer {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.partial.is_empty() && self.whole.is_empty() {
            self.whole = chunk;
        } else {
            self.partial.extend_from_slice(&std::mem::take(&mut self.whole));
            self.partial.extend_from_slice(&chunk);
        }
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Compressed> {
        let available: &[u8] = if self.partial.is_empty() { &self.whole } else { &self.partial };
        let Some(header) = available.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        if header[0] != 0 {
            return Err(Compressed);
        }
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if available.len() < HEADER + length {
            return Ok(None);
        }
        if self.partial.is_empty() {
            self.whole.advance(HEADER);
            return Ok(Some(self.whole.split_to(length)));
        }
        self.partial.advance(HEADER);
        Ok(Some(self.partial.split_to(length).freeze()))
    }

    /// Whether nothing is left over.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.partial.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_however_the_chunks_are_cut() {
        let mut stream = Vec::new();
        for text in ["", "one", "a longer message"] {
            let mut buffer = start(text.len());
            buffer.extend_from_slice(text.as_bytes());
            stream.extend_from_slice(&seal(buffer).unwrap());
        }
        for size in 1..=stream.len() {
            let mut deframer = Deframer::default();
            let mut messages = Vec::new();
            for chunk in stream.chunks(size) {
                deframer.push(Bytes::copy_from_slice(chunk));
                while let Some(message) = deframer.next().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, ["", "one", "a longer message"], "chunks of {size}");
            assert!(deframer.is_empty());
        }
    }
}
