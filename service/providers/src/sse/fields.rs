//! Takes one complete event apart into its fields.

use std::ops::Range;
use std::time::Duration;

/// The byte order mark U+FEFF in UTF-8, which may stand once, at the start of the stream.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The fields of an event, as ranges of its bytes.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// How many data lines there are. With more than one, the payload is in the buffer given to [`Fields::parse`].
    pub(super) data_lines: usize,
    /// The last data line.
    pub(super) data: Range<usize>,
    /// The event's type; empty if it names none.
    pub(super) event_type: Range<usize>,
    /// The event's id, if it has one.
    pub(super) id: Option<Range<usize>>,
    /// The reconnection time, if it has one.
    pub(super) retry: Option<Duration>,
}

impl Fields {
    /// Takes the lines of `event` apart. `joined` receives the payload if it spans several lines.
    pub(super) fn parse(event: &[u8], at_start: bool, joined: &mut Vec<u8>) -> Self {
        let mut fields = Self::default();
        let mut at = if at_start && event.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        while at < event.len() {
            let end = memchr::memchr2(b'\n', b'\r', &event[at..]).map_or(event.len(), |length| at + length);
            fields.line(event, at..end, joined);
            at = end + 1;
        }
        fields
    }

    /// Whether there is anything to hand out.
    pub(super) fn has_data(&self) -> bool {
        self.data_lines > 0
    }

    fn line(&mut self, event: &[u8], line: Range<usize>, joined: &mut Vec<u8>) {
        let bytes = &event[line.clone()];
        let (name, value) = match memchr::memchr(b':', bytes) {
            Some(colon) => {
                let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
                (&bytes[..colon], line.start + colon + 1 + space..line.end)
            }
            None => (bytes, line.end..line.end),
        };
        match name {
            b"data" => self.data_line(event, value, joined),
            b"event" => self.event_type = value,
            // The standard ignores an id with a NULL in it.
            b"id" if memchr::memchr(0, &event[value.clone()]).is_none() => self.id = Some(value),
            b"retry" => self.retry = milliseconds(&event[value]).or(self.retry),
            // An empty name is a comment; any other is ignored.
            _ => {}
        }
    }

    fn data_line(&mut self, event: &[u8], value: Range<usize>, joined: &mut Vec<u8>) {
        match self.data_lines {
            0 => {}
            1 => {
                joined.clear();
                joined.extend_from_slice(&event[self.data.clone()]);
                join(joined, &event[value.clone()]);
            }
            _ => join(joined, &event[value.clone()]),
        }
        self.data_lines += 1;
        self.data = value;
    }
}

fn join(joined: &mut Vec<u8>, line: &[u8]) {
    joined.push(b'\n');
    joined.extend_from_slice(line);
}

/// Reads a reconnection time. The standard ignores anything but ASCII digits.
fn milliseconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Duration::from_millis)
}
