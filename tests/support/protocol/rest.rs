//! JSON over HTTP/1.1 with server-sent events, as an OpenAI client speaks it. The event reader is this file's own.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use serde_json::{Value, json};

use super::{Answer, Call, Chunk, Event, Events, Failure};
use crate::support::http::{Exchange, http1};

pub(super) async fn unary(server: SocketAddr, call: &Call) -> Result<Answer, Failure> {
    let exchange = post(server, call, call.json.clone()).await?;
    assert_eq!(content_type(&exchange), "application/json");
    let body = exchange.body().await;
    Ok(Answer::from_json(&serde_json::from_slice(&body).unwrap()))
}

pub(super) async fn stream(server: SocketAddr, call: &Call) -> Result<Events, Failure> {
    let mut document = call.json.clone();
    document["stream"] = json!(true);
    let exchange = post(server, call, document).await?;
    assert_eq!(content_type(&exchange), "text/event-stream");
    let reader = Reader { exchange, buffer: Vec::new(), over: false };
    let events = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
    Ok(Box::pin(events))
}

async fn post(server: SocketAddr, call: &Call, document: Value) -> Result<Exchange, Failure> {
    let mut request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    if let Some(timeout) = call.timeout {
        request = request.header("x-server-timeout", timeout.as_secs_f64().to_string());
    }
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    let exchange = http1(server, request.body(Bytes::from(document.to_string())).unwrap()).await;
    match exchange.status() {
        200 => Ok(exchange),
        status => {
            assert_eq!(content_type(&exchange), "application/json", "an error is JSON too");
            let headers = exchange.head.headers.clone();
            Err(Failure::from_http(status, &headers, &exchange.body().await))
        }
    }
}

fn content_type(exchange: &Exchange) -> &str {
    exchange.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

struct Reader {
    exchange: Exchange,
    buffer: Vec<u8>,
    over: bool,
}

impl Reader {
    /// The next event. The bytes end with `[DONE]`, or they were cut; an error event is the last but has no `[DONE]`.
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(data) = data_of(std::str::from_utf8(&event).unwrap()) {
                    return Some(self.read(&data));
                }
            }
            match self.exchange.next().await {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(error)) => return Some(self.last(Event::Cut(error))),
                None => return Some(self.last(Event::Cut("the body ended without [DONE]".to_owned()))),
            }
        }
    }

    fn read(&mut self, data: &str) -> Event {
        if data == "[DONE]" {
            assert!(self.buffer.is_empty(), "nothing follows [DONE]");
            return self.last(Event::End);
        }
        let document: Value = serde_json::from_str(data).unwrap_or_else(|_| panic!("an event is JSON, not {data:?}"));
        match document.get("error") {
            Some(error) => Event::Failed(Failure::from_error(error)),
            None => Event::Chunk(Box::new(Chunk::from_json(&document))),
        }
    }

    fn last(&mut self, event: Event) -> Event {
        self.over = true;
        event
    }
}

/// The data of an event; `None` for one without, such as a comment that keeps the connection alive.
fn data_of(event: &str) -> Option<String> {
    let line = |line: &str| line.strip_prefix("data:").map(|data| data.strip_prefix(' ').unwrap_or(data).to_owned());
    let lines: Vec<String> = event.lines().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
