//! Claims about the event decoder.

use super::*;

type Seen = Vec<(String, String)>;

/// Decodes `pieces` and returns every event as (type, data).
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Seen, SseError> {
    let mut decoder = SseDecoder::default();
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(event) = decoder.next_event()? {
            seen.push((event.event_type.to_owned(), event.data.to_owned()));
        }
    }
    Ok(seen)
}

fn messages(data: &[&str]) -> Seen {
    data.iter().map(|data| ("message".to_owned(), (*data).to_owned())).collect()
}

/// A stream with everything in it that has bitten a decoder before.
const FIXTURE: &str = "\u{FEFF}: hello\r\n\r\ndata: {\"a\":\"ä€😀\"}\n\nevent: ping\ndata: 1\n\n\
    data:two\r\ndata: lines\r\n\r\ndata: cr\r\rid: 7\nretry: 250\ndata\n\n\n\n\
    :comment\ndata:  spaced \nignored: x\n\ndata: [DONE]\n\n";

fn fixture_events() -> Seen {
    let mut events = messages(&["{\"a\":\"ä€😀\"}", "1", "two\nlines", "cr", "", " spaced ", "[DONE]"]);
    events[1].0 = "ping".to_owned();
    events
}

#[test]
fn every_split_point_gives_the_same_events() {
    let bytes = FIXTURE.as_bytes();
    for split in 0..=bytes.len() {
        assert_eq!(decode([&bytes[..split], &bytes[split..]]).unwrap(), fixture_events(), "split at {split}");
    }
}

#[test]
fn any_size_of_pieces_gives_the_same_events() {
    for size in 1..=FIXTURE.len() {
        assert_eq!(decode(FIXTURE.as_bytes().chunks(size)).unwrap(), fixture_events(), "pieces of {size}");
    }
}

#[test]
fn random_pieces_and_line_ends_give_the_same_events() {
    // A fixed linear congruential generator keeps failures repeatable.
    let mut state: u64 = 42;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..500 {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for number in 0..1 + random(6) {
            let mut lines = Vec::new();
            for line in 0..1 + random(3) {
                lines.push(format!("é{number}.{line}"));
            }
            for line in &lines {
                let end = ["\n", "\r", "\r\n"][random(3)];
                if random(3) == 0 {
                    bytes.extend_from_slice(format!(": note{end}").as_bytes());
                }
                bytes.extend_from_slice(format!("data: {line}{end}").as_bytes());
            }
            // After a lone CR a lone LF would belong to it, so the empty line ends in CRLF or CR.
            bytes.extend_from_slice(["\r\n", "\r"][random(2)].as_bytes());
            if bytes.ends_with(b"\r\r\n") || !bytes.ends_with(b"\n") {
                bytes.extend_from_slice(b"\r");
            }
            expected.push(lines.join("\n"));
        }
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random(rest.len().min(9)));
            pieces.push(piece);
            rest = after;
        }
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_eq!(decode(pieces).unwrap(), messages(&expected), "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn an_event_is_handed_out_without_waiting_for_the_line_feed_of_its_last_line_end() {
    assert_eq!(decode([&b"data: 1\r\n\r"[..]]).unwrap(), messages(&["1"]));
}

#[test]
fn an_incomplete_event_is_kept_back_and_can_be_looked_at() {
    let mut decoder = SseDecoder::default();
    decoder.push(Bytes::from_static(b"data: 1\n\ndata: 2\n"));
    assert_eq!(decoder.next_event().unwrap().unwrap().data, "1");
    assert_eq!(decoder.next_event().unwrap(), None);
    assert_eq!(decoder.incomplete(), b"data: 2\n");
}

#[test]
fn an_oversized_event_is_an_error_whole_or_in_pieces() {
    let event = b"data: 0123456789\n\n";
    let decode = |limit: usize, size: usize| {
        let mut decoder = SseDecoder::new(limit);
        for piece in event.chunks(size) {
            decoder.push(Bytes::copy_from_slice(piece));
            if let Some(event) = decoder.next_event()? {
                return Ok(event.data.len());
            }
        }
        Ok(0)
    };
    for size in [1, 7, event.len()] {
        assert_eq!(decode(event.len(), size), Ok(10));
        assert_eq!(decode(event.len() - 1, size), Err(SseError::TooLarge { limit: event.len() - 1 }));
    }
}

#[test]
fn an_endless_line_is_an_error_and_does_not_fill_the_memory() {
    let mut decoder = SseDecoder::new(1024);
    let mut refused = false;
    for _ in 0..64 {
        decoder.push(Bytes::from_static(&[b'x'; 100]));
        refused |= decoder.next_event().is_err();
        assert!(decoder.incomplete().len() <= 1024);
    }
    assert!(refused);
}

#[test]
fn text_that_is_not_utf8_is_an_error() {
    assert_eq!(decode([&b"data: \xFF\n\n"[..]]), Err(SseError::NotUtf8));
    assert_eq!(decode([&b"event: \xFF\ndata: 1\n\n"[..]]), Err(SseError::NotUtf8));
    // A byte order mark counts only at the very start.
    assert_eq!(decode([&b"data: 1\n\n\xEF\xBB\xBFdata: 2\n\n"[..]]).unwrap(), messages(&["1"]));
}

#[test]
fn the_id_lasts_and_the_retry_time_must_be_digits() {
    let mut decoder = SseDecoder::default();
    decoder.push(Bytes::from_static(b"id: a\nretry: 3000\ndata: 1\n\nid: b\0\nretry: +5\ndata: 2\n\nid\n\n"));
    while decoder.next_event().unwrap().is_some() {
        assert_eq!(decoder.last_event_id(), "a");
        assert_eq!(decoder.retry(), Some(Duration::from_secs(3)));
    }
    assert_eq!(decoder.last_event_id(), "");
}
