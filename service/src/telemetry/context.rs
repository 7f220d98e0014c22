//! Which trace a request belongs to: W3C Trace Context in and out. Baggage is neither read nor passed on.
//!
//! Source: <https://www.w3.org/TR/trace-context/>.

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanId, TraceId};

/// The longest `tracestate` that is passed on, in bytes: what the standard asks of everybody.
const LONGEST_STATE: usize = 512;

/// A trace and a span of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The trace.
    pub(crate) trace: [u8; 16],
    /// The span.
    pub(crate) span: [u8; 8],
    /// Whether the trace is recorded.
    pub(crate) sampled: bool,
}

impl Ids {
    /// The trace, in the library's words.
    pub(crate) fn trace_id(&self) -> TraceId {
        TraceId::from_bytes(self.trace)
    }

    /// The span, in the library's words.
    pub(crate) fn span_id(&self) -> SpanId {
        SpanId::from_bytes(self.span)
    }

    /// What `traceparent` says of the caller's span.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all("traceparent").iter();
        let text = all.next().filter(|_| all.next().is_none())?.as_bytes();
        // version "-" trace "-" span "-" flags; later versions may go on after another "-".
        let version = byte(text.get(..2)?)?;
        let separated = [2, 35, 52].iter().all(|index| text.get(*index) == Some(&b'-'));
        let ended = match version {
            0xff => return None,
            0 => text.len() == 55,
            _ => text.len() == 55 || text.get(55) == Some(&b'-'),
        };
        let mut ids = Self { trace: [0; 16], span: [0; 8], sampled: byte(text.get(53..55)?)? & 1 == 1 };
        hexadecimal(text.get(3..35)?, &mut ids.trace)?;
        hexadecimal(text.get(36..52)?, &mut ids.span)?;
        (separated && ended && ids.trace != [0; 16] && ids.span != [0; 8]).then_some(ids)
    }

    /// The header that says so to others.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let places = (3..35).step_by(2).chain((36..52).step_by(2));
        for (place, byte) in places.zip(self.trace.iter().chain(&self.span)) {
            if let Some([high, low]) = text.get_mut(place..place + 2) {
                *high = digit(byte >> 4);
                *low = digit(byte & 15);
            }
        }
        if let Some(flags) = text.last_mut() {
            *flags = digit(self.sampled.into());
        }
        HeaderValue::from_bytes(&text).ok()
    }
}

/// What `tracestate` says, if it can be passed on.
pub(crate) fn state_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all("tracestate").iter();
    let first = all.next()?;
    let mut rest = all.peekable();
    let joined = if rest.peek().is_none() {
        first.clone()
    } else {
        let parts: Vec<&[u8]> = std::iter::once(first).chain(rest).map(HeaderValue::as_bytes).collect();
        HeaderValue::from_bytes(&parts.join(&b","[..])).ok()?
    };
    (!joined.is_empty() && joined.len() <= LONGEST_STATE && joined.to_str().is_ok()).then_some(joined)
}

fn hexadecimal(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    for (pair, place) in text.chunks_exact(2).zip(bytes) {
        *place = byte(pair)?;
    }
    Some(())
}

fn digit(half: u8) -> u8 {
    if half < 10 { b'0' + half } else { b'a' + half - 10 }
}

/// Two hexadecimal digits, in lower case as the standard has them.
fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(text: &str) -> Option<Ids> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text.parse().unwrap());
        Ids::of(&headers)
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        let ids = read(PARENT).unwrap();
        assert_eq!(ids.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(ids.span_id().to_string(), "b7ad6b7169203331");
        assert_eq!(ids.header().unwrap(), PARENT);
        let unsampled = Ids { sampled: false, ..ids };
        assert_eq!(read(unsampled.header().unwrap().to_str().unwrap()), Some(unsampled));
    }

    #[test]
    fn what_is_no_trace_context_begins_a_new_trace() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later").is_some());
    }

    #[test]
    fn states_are_joined_and_bounded() {
        let mut headers = HeaderMap::new();
        assert_eq!(state_of(&headers), None);
        headers.append("tracestate", "a=1".parse().unwrap());
        headers.append("tracestate", "b=2".parse().unwrap());
        assert_eq!(state_of(&headers).unwrap(), "a=1,b=2");
        headers.append("tracestate", "c".repeat(600).parse().unwrap());
        assert_eq!(state_of(&headers), None);
    }
}
