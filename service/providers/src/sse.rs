//! Server-sent events: body bytes in, complete events out.
//!
//! Follows the event stream format of the WHATWG HTML standard, section 9.2
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), with two differences: an event has a largest
//! size, and text that is not UTF-8 is an error instead of being repaired. It knows nothing of what the events mean.

mod fields;
mod scanner;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use self::fields::Fields;
use self::scanner::Scanner;
use crate::error::{UpstreamError, UpstreamErrorKind};

/// The largest event that is read unless told otherwise, in bytes: 8 MiB.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// One event, borrowed from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// What kind of event it is; `message` unless the event says otherwise.
    pub event_type: &'a str,
    /// The payload, its lines joined by line feeds.
    pub data: &'a str,
}

/// Why a stream of events cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event is larger than the decoder was told to accept.
    #[error("an event is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An event is not UTF-8, which is the only encoding that the format has.
    #[error("an event is not valid UTF-8")]
    NotUtf8,
}

/// Decodes a stream of events that arrives in pieces of any size.
///
/// An event that lies within one piece is handed out as a slice of it; only one that spans pieces is copied. UTF-8 is
/// looked at per complete event, so a character may be split between pieces. After an error the decoder is of no use.
#[derive(Debug)]
pub struct SseDecoder {
    scanner: Scanner,
    /// The latest piece, and how much of it has been read.
    piece: Bytes,
    read: usize,
    /// The beginning of an event that the latest piece did not begin.
    carried: Vec<u8>,
    /// Whether `carried` holds a whole event that has been handed out.
    carried_is_spent: bool,
    /// The payload of an event with more than one data line.
    joined: Vec<u8>,
    /// Whether no event has been completed yet: only then may a byte order mark stand in front.
    at_start: bool,
    last_event_id: String,
    retry: Option<Duration>,
    max_event_bytes: usize,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_EVENT_BYTES)
    }
}

impl SseDecoder {
    /// A decoder at the start of a stream that accepts events of up to `max_event_bytes`, field names included.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            scanner: Scanner::default(),
            piece: Bytes::new(),
            read: 0,
            carried: Vec::new(),
            carried_is_spent: false,
            joined: Vec::new(),
            at_start: true,
            last_event_id: String::new(),
            retry: None,
            max_event_bytes,
        }
    }

    /// Takes the next piece of the body. Events of the piece before that were not asked for are lost, so ask
    /// [`next_event`](Self::next_event) until it has none first.
    pub fn push(&mut self, piece: Bytes) {
        self.piece = piece;
        self.read = 0;
    }

    /// The next complete event; `None` when another piece is needed. Events without data are passed over, as the
    /// standard says.
    ///
    /// # Errors
    /// An event that is too large or not UTF-8.
    pub fn next_event(&mut self) -> Result<Option<SseEvent<'_>>, SseError> {
        let (range, fields) = loop {
            let Some(range) = self.next_complete()? else {
                return Ok(None);
            };
            let bytes = if self.carried_is_spent { &self.carried[..] } else { &self.piece[range.clone()] };
            let fields = Fields::parse(bytes, self.at_start, &mut self.joined);
            self.at_start = false;
            if let Some(id) = &fields.id {
                self.last_event_id.clear();
                self.last_event_id.push_str(text(&bytes[id.clone()])?);
            }
            self.retry = fields.retry.or(self.retry);
            if fields.has_data() {
                break (range, fields);
            }
        };
        let bytes = if self.carried_is_spent { &self.carried[..] } else { &self.piece[range] };
        let data = if fields.data_lines == 1 { &bytes[fields.data] } else { &self.joined[..] };
        let event_type = if fields.event_type.is_empty() { "message" } else { text(&bytes[fields.event_type])? };
        Ok(Some(SseEvent { event_type, data: text(data)? }))
    }

    /// What has arrived of an event that is not complete. At the end of the body the standard discards it.
    pub fn incomplete(&self) -> &[u8] {
        if self.carried_is_spent { &[] } else { &self.carried }
    }

    /// The id of the last event that had one.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long the server asks to wait before reconnecting, if it ever did.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Finds the next whole event: a range of the piece, or all of `carried`, which is then marked as spent.
    fn next_complete(&mut self) -> Result<Option<Range<usize>>, SseError> {
        if self.carried_is_spent {
            self.carried.clear();
            self.carried_is_spent = false;
        }
        let rest = self.scanner.skip_line_feed(&self.piece[self.read..]);
        let start = self.piece.len() - rest.len();
        let found = self.scanner.find_end(rest);
        let length = found.unwrap_or(rest.len());
        if self.carried.len() + length > self.max_event_bytes {
            return Err(SseError::TooLarge { limit: self.max_event_bytes });
        }
        self.read = start + length;
        if found.is_some() && self.carried.is_empty() {
            return Ok(Some(start..self.read));
        }
        self.carried.extend_from_slice(&rest[..length]);
        self.carried_is_spent = found.is_some();
        Ok(found.map(|_| 0..0))
    }
}

fn text(bytes: &[u8]) -> Result<&str, SseError> {
    std::str::from_utf8(bytes).map_err(|_| SseError::NotUtf8)
}

impl From<SseError> for UpstreamError {
    fn from(error: SseError) -> Self {
        let kind = match error {
            SseError::TooLarge { .. } => UpstreamErrorKind::TooLarge,
            SseError::NotUtf8 => UpstreamErrorKind::Protocol,
        };
        Self::new(kind, format!("the upstream's stream cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests;
