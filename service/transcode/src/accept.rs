//! What a client wants to be answered in: `Accept` (RFC 9110, section 12.5.1) and `TE` (section 10.1.4).
//!
//! Knows media types; knows nothing of messages. A client that accepts nothing of what there is gets what it would get
//! without the header, which the RFC allows: an answer that can be looked at is worth more than 406.

use http::HeaderMap;
use http::header::{ACCEPT, TE};

use crate::route::Method;

/// How the messages of a stream follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events: `text/event-stream`.
    Events,
    /// One JSON text a line, under the media type that was asked for: `application/x-ndjson` and its other names.
    Lines(&'static str),
    /// One JSON array: `application/json`.
    Array,
}

/// What the headers of a request say of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) framing: Framing,
    /// Whether trailers are understood: `TE: trailers`.
    pub(crate) trailers: bool,
    /// Whether only the headers of the answer are wanted: HEAD.
    pub(crate) head: bool,
}

/// Reads the headers of a request of `method`. `twin` tells whether a member of the body may still choose a streaming
/// method in its place.
pub(crate) fn wanted(headers: &HeaderMap, method: &Method, twin: bool) -> Wanted {
    let framing = if method.server_streaming || twin { framing(headers, method, twin) } else { Framing::Events };
    Wanted { framing, trailers: trailers(headers), head: false }
}

/// The names of newline-delimited JSON, of which none is registered; the most usual one first.
const LINES: [&str; 4] = ["application/x-ndjson", "application/jsonl", "application/ndjson", "application/x-jsonlines"];

/// The framing of a streamed answer.
///
/// A streaming twin is answered as events also where `application/json` is accepted: the clients of such APIs send that
/// with every request, whether it streams or not.
pub(crate) fn framing(headers: &HeaderMap, method: &Method, twin: bool) -> Framing {
    const OFFERS: [&str; 6] = ["text/event-stream", LINES[0], LINES[1], LINES[2], LINES[3], "application/json"];
    let offers = if twin || !method.server_streaming { &OFFERS[..OFFERS.len() - 1] } else { &OFFERS };
    match preferred(headers, offers) {
        None | Some(0) => Framing::Events,
        Some(offer) if offers[offer] == "application/json" => Framing::Array,
        Some(offer) => Framing::Lines(offers[offer]),
    }
}

/// Whether the client says that it reads trailers.
fn trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let name = coding.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("trailers")
    })
}

/// No more media ranges than these are read.
const MAX_RANGES: usize = 64;

/// How well an offer is matched: the quality in thousandths, then how exactly it was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    quality: u16,
    exactness: u8,
}

/// Which of the media types in `offers` (lower case, without parameters) the client likes best.
///
/// The quality of an offer is that of the most exact range that matches it; of equal qualities the one that was named
/// wins over the one that a wildcard allows, and then the earlier offer. Without an `Accept` it is the first. `None`
/// where every offer is refused or unmentioned.
pub(crate) fn preferred(headers: &HeaderMap, offers: &[&str]) -> Option<usize> {
    let mut matches = vec![None::<Match>; offers.len()];
    let mut any = false;
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| unquoted(value, ',')).take(MAX_RANGES) {
        let Some((range, quality)) = parse(range) else { continue };
        any = true;
        for (offer, found) in offers.iter().zip(&mut matches) {
            let Some(exactness) = exactness(range, offer) else { continue };
            if found.is_none_or(|found| exactness > found.exactness) {
                *found = Some(Match { quality, exactness });
            }
        }
    }
    if !any {
        return (!offers.is_empty()).then_some(0);
    }
    let acceptable = matches.iter().enumerate().filter_map(|(index, found)| Some((index, (*found)?)));
    let best = acceptable
        .filter(|(_, found)| found.quality > 0)
        .max_by_key(|&(index, found)| (found, std::cmp::Reverse(index)));
    best.map(|(index, _)| index)
}

/// How exactly a range names a media type: 2 by its full name, 1 by its main type, 0 as anything.
fn exactness(range: &str, offer: &str) -> Option<u8> {
    if range.eq_ignore_ascii_case(offer) {
        return Some(2);
    }
    if range == "*/*" {
        return Some(0);
    }
    let main = range.strip_suffix("/*")?;
    offer.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(main)).then_some(1)
}

/// A media range without its parameters, and its quality in thousandths. A range that is not well-formed is none.
fn parse(range: &str) -> Option<(&str, u16)> {
    let mut parts = unquoted(range, ';');
    let name = parts.next()?.trim();
    name.split_once('/').filter(|(main, sub)| !main.is_empty() && !sub.is_empty())?;
    let mut quality = 1000;
    for part in parts {
        let Some((key, value)) = part.split_once('=') else { continue };
        if key.trim().eq_ignore_ascii_case("q") {
            quality = thousandths(value.trim())?;
        }
    }
    Some((name, quality))
}

/// A weight: `0` or `1`, with at most three digits behind the point (RFC 9110, section 12.4.2).
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

/// The parts of a header value between separators that do not stand within a quoted string.
fn unquoted(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |character| {
        let ends = character == separator && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OFFERS: [&str; 3] = ["text/event-stream", "application/x-ndjson", "application/json"];

    fn chosen(accept: &str) -> Option<usize> {
        preferred(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]), &OFFERS)
    }

    #[test]
    fn the_best_quality_wins_then_the_named_one_then_the_first_offer() {
        for (accept, offer) in [
            ("*/*", Some(0)),
            ("", Some(0)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(0)),
            ("application/json", Some(2)),
            ("APPLICATION/Json; charset=utf-8", Some(2)),
            ("application/json, text/event-stream", Some(0)),
            ("application/json, text/plain, */*", Some(2)),
            ("application/json;q=0.5, text/event-stream;q=0.4", Some(2)),
            ("application/*", Some(1)),
            ("application/*;q=0.9, application/x-ndjson;q=0.1", Some(2)),
            ("*/*, text/event-stream;q=0", Some(1)),
            ("application/json;q=0", None),
            ("image/png", None),
            (r#"text/x;a="b,application/x-ndjson";q=1, application/json;q=0.1"#, Some(2)),
            (r#"text/x;a="b\",c", application/json"#, Some(2)),
            ("application/json;q=2, application/x-ndjson;q=0.001", Some(1)),
            ("application/json;q=0.1234, */*;q=0.1", Some(0)),
            ("nonsense", Some(0)),
        ] {
            assert_eq!(chosen(accept), offer, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list_and_no_more_than_a_bounded_part_of_it_is_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(preferred(&headers, &OFFERS), Some(0));
        headers.append(ACCEPT, HeaderValue::from_static("application/json;q=0.2"));
        headers.append(ACCEPT, HeaderValue::from_static("application/x-ndjson;q=0.3"));
        assert_eq!(preferred(&headers, &OFFERS), Some(1));
        let long = format!("{}application/json", "image/png,".repeat(MAX_RANGES));
        assert_eq!(chosen(&long), None);
    }

    #[test]
    fn trailers_are_a_coding_of_te() {
        for (te, expected) in [("trailers", true), ("deflate, Trailers;q=0.5", true), ("gzip", false), ("", false)] {
            let headers = HeaderMap::from_iter([(TE, HeaderValue::from_static(te))]);
            assert_eq!(trailers(&headers), expected, "{te}");
        }
    }
}
