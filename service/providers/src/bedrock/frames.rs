//! The messages of an event stream: body bytes in, whole messages out.
//!
//! A message begins with its length, so that its end is known before it is there; one that is too large is refused before it
//! is gathered. Checksums are over the lengths and over all of it.
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>.

use aws_smithy_eventstream::frame::read_message_from;
use bytes::{Bytes, BytesMut};

use super::response::not_one;
use crate::error::{UpstreamError, UpstreamErrorKind};

/// The largest message that is read, in bytes: 16 MiB.
pub(super) const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// The length of a message, that of its headers, and their checksum.
const PRELUDE_BYTES: usize = 12;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// `:message-type` is `event`.
    Event { name: String, payload: Bytes },
    /// It is `exception`: an error that the service's description knows.
    Exception { name: String, payload: Bytes },
    /// It is `error`: any other.
    Error { code: String, message: String },
}

/// Splits a stream that arrives in pieces of any size into messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    carried: BytesMut,
}

impl Frames {
    /// Takes the next piece of the body.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.carried.extend_from_slice(piece);
    }

    /// The next whole message; `None` when another piece is needed.
    ///
    /// # Errors
    /// A message that is too large, or is none.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, UpstreamError> {
        let Some((length, _)) = self.carried.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME_BYTES {
            let message = format!("a message of the upstream's stream is larger than {MAX_FRAME_BYTES} bytes");
            return Err(UpstreamError::new(UpstreamErrorKind::TooLarge, message));
        }
        if self.carried.len() < length.max(PRELUDE_BYTES) {
            return Ok(None);
        }
        let bytes = self.carried.split_to(length.max(PRELUDE_BYTES)).freeze();
        read(bytes).map(Some)
    }

    /// Whether a message has begun to arrive.
    pub(super) fn is_within(&self) -> bool {
        !self.carried.is_empty()
    }
}

fn read(bytes: Bytes) -> Result<Frame, UpstreamError> {
    const WHAT: &str = "a message of an event stream";
    let message = read_message_from(bytes).map_err(|error| not_one(WHAT, &error))?;
    let header = |name: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|text| text.as_str().to_owned())
    };
    let named = |name: &str| header(name).ok_or_else(|| not_one(WHAT, &format_args!("it has no {name}")));
    let payload = || message.payload().clone();
    match named(":message-type")?.as_str() {
        "event" => Ok(Frame::Event { name: named(":event-type")?, payload: payload() }),
        "exception" => Ok(Frame::Exception { name: named(":exception-type")?, payload: payload() }),
        "error" => Ok(Frame::Error {
            code: header(":error-code").unwrap_or_default(),
            message: header(":error-message").unwrap_or_default(),
        }),
        _ => Err(not_one(WHAT, &"it is of no kind that is known")),
    }
}

/// The messages of a text that has one a line, as `{"contentBlockDelta": {...}}`: what ends in `Exception` is one, and
/// `error` is any other.
#[cfg(test)]
pub(crate) fn encode(lines: &str) -> Vec<u8> {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
    use std::collections::BTreeMap;

    let mut bytes = Vec::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let event: BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(line).unwrap();
        let (name, payload) = event.into_iter().next().unwrap();
        let header = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let message = if name == "error" {
            let error: BTreeMap<String, String> = serde_json::from_str(payload.get()).unwrap();
            let headers = [("code", ":error-code"), ("message", ":error-message")];
            let headers = headers.map(|(key, name)| header(name, &error[key]));
            headers
                .into_iter()
                .fold(Message::new(Bytes::new()), Message::add_header)
                .add_header(header(":message-type", "error"))
        } else {
            let kind = if name.ends_with("Exception") { "exception" } else { "event" };
            let kind_name = if kind == "event" { ":event-type" } else { ":exception-type" };
            Message::new(payload.get().as_bytes().to_vec())
                .add_header(header(kind_name, &name))
                .add_header(header(":content-type", "application/json"))
                .add_header(header(":message-type", kind))
        };
        write_message_to(&message, &mut bytes).unwrap();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(bytes: &[u8]) -> UpstreamErrorKind {
        let mut frames = Frames::default();
        frames.push(bytes);
        frames.next_frame().unwrap_err().kind
    }

    #[test]
    fn a_message_written_by_hand_is_read_and_its_checksums_are_held() {
        // The empty message of the format's description.
        let empty = [0x00, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        let mut frames = Frames::default();
        frames.push(&empty);
        let error = frames.next_frame().unwrap_err();
        assert!(error.kind == UpstreamErrorKind::Protocol && error.message.contains(":message-type"), "{error}");
        for place in [4, 8, 9, 12, 15] {
            let mut wrong = empty;
            wrong[place] ^= 1;
            assert_eq!(kind(&wrong), UpstreamErrorKind::Protocol, "byte {place}");
        }
    }

    #[test]
    fn a_wrong_byte_anywhere_is_a_protocol_error() {
        let whole = encode(r#"{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"hello"}}}"#);
        // A wrong length waits for what does not come, or is too large.
        for place in 4..whole.len() {
            let mut wrong = whole.clone();
            wrong[place] ^= 0x20;
            assert_eq!(kind(&wrong), UpstreamErrorKind::Protocol, "byte {place}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_by_its_length_alone() {
        let length = u32::try_from(MAX_FRAME_BYTES).unwrap() + 1;
        assert_eq!(kind(&length.to_be_bytes()), UpstreamErrorKind::TooLarge);
        for short in [0_u32, 1, 12, 15] {
            let mut bytes = short.to_be_bytes().to_vec();
            bytes.resize(32, 0);
            assert_eq!(kind(&bytes), UpstreamErrorKind::Protocol, "{short}");
        }
    }

    #[test]
    fn messages_are_put_together_from_pieces() {
        let lines =
            "{\"a\":{}}\n{\"bException\":{\"message\":\"x\"}}\n{\"error\":{\"code\":\"c\",\"message\":\"m\"}}\n";
        let bytes = encode(lines);
        let expected = [
            Frame::Event { name: "a".to_owned(), payload: Bytes::from_static(b"{}") },
            Frame::Exception { name: "bException".to_owned(), payload: Bytes::from_static(b"{\"message\":\"x\"}") },
            Frame::Error { code: "c".to_owned(), message: "m".to_owned() },
        ];
        for size in 1..bytes.len() {
            let (mut frames, mut read) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.push(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    read.push(frame);
                }
            }
            assert!(read == expected && !frames.is_within(), "{size}");
        }
    }
}
