//! A property of every framing: whatever messages a service sends, however its body is cut into frames and however it ends, a
//! client that knows nothing but the framing's own rules reads the messages that were sent, and is right about the end.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Error,
    Cut,
}

/// What a client reads: the messages, and whether it was told the end.
fn read_events(body: &str) -> (Vec<Value>, Option<End>) {
    let mut messages = Vec::new();
    for event in body.split_terminator("\n\n") {
        let (name, data) = match event.strip_prefix("event: ").and_then(|event| event.split_once('\n')) {
            Some((name, data)) => (name, data),
            None => ("message", event),
        };
        let value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        match name {
            "end" => return (messages, Some(End::Good)),
            "error" => return (messages, Some(End::Error)),
            _ => messages.push(value),
        }
    }
    (messages, None)
}

fn read_lines(body: &str) -> (Vec<Value>, Option<End>) {
    let mut messages: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = messages.pop().unwrap();
    let end = match (last.get("@end"), last.get("@error")) {
        (Some(_), None) => Some(End::Good),
        (None, Some(_)) => Some(End::Error),
        _ => None,
    };
    (messages, end)
}

fn read_array(body: &str) -> (Vec<Value>, Option<End>) {
    match serde_json::from_str(body) {
        Ok(messages) => (messages, Some(End::Good)),
        Err(_) => {
            let mut messages: Vec<Value> = serde_json::from_str(&format!("{body}]")).unwrap();
            let error = messages.pop().is_some_and(|last| last.get("@error").is_some());
            (messages, error.then_some(End::Error))
        }
    }
}

/// Sends the messages in frames cut at these places.
fn pieces(texts: &[String], cuts: &[prop::sample::Index], end: End) -> Vec<Piece> {
    let messages = texts.iter().map(|text| message("r.Item", &serde_json::json!({ "text": text }).to_string()));
    let bytes: Bytes = messages.collect::<Vec<_>>().concat().into();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    let frames = cuts.windows(2).map(|pair| Piece::Data(bytes.slice(pair[0]..pair[1])));
    let end = match end {
        End::Good => Some(good()),
        End::Error => Some(bad()),
        End::Cut => None,
    };
    frames.chain(end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_client_reads_what_was_sent_and_is_right_about_the_end(
        texts in prop::collection::vec(any::<String>(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        end in prop::sample::select(vec![End::Good, End::Error, End::Cut]),
    ) {
        let script = Script::new(pieces(&texts, &cuts, end));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sent: Vec<Value> = texts.iter().map(|text| match &**text {
            "" => serde_json::json!({}),
            text => serde_json::json!({ "text": text }),
        }).collect();
        for (accept, read) in [
            ("text/event-stream", read_events as fn(&str) -> _),
            ("application/x-ndjson", read_lines),
            ("application/json", read_array),
        ] {
            let answer = runtime.block_on(ask(&script, get("/watch", &[("accept", accept)])));
            prop_assert!(!answer.broken);
            if end != End::Good && texts.is_empty() {
                prop_assert_eq!(answer.status, 503);
                continue;
            }
            let (messages, told) = read(&answer.body);
            prop_assert_eq!(&messages, &sent, "{}: {}", accept, &answer.body);
            // A cut between the service and here is an error to the client.
            prop_assert_eq!(told, Some(if end == End::Good { End::Good } else { End::Error }));
        }
    }

    #[test]
    fn no_accept_header_is_too_strange(value in "[ -~\\t]{0,200}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(ask(&Script::new([good()]), get("/watch", &[("accept", &value)])));
        prop_assert_eq!(answer.status, 200);
    }
}
