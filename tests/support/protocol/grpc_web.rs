//! gRPC-Web over HTTP/1.1, framed by hand.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, Request};
use prost::Message;
use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk};
use tonic::{Code, Status};

use super::{Answer, Call, Chunk, Event, Events, Failure};
use crate::support::http::{Exchange, http1};

/// The bit of a frame's first byte that marks the trailers.
const TRAILERS: u8 = 0x80;

enum Frame {
    Message(Vec<u8>),
    Trailers(HeaderMap),
    /// The body ended, or broke off, without trailers.
    Cut(String),
}

struct Frames {
    exchange: Exchange,
    buffer: Vec<u8>,
}

pub(super) async fn unary(server: SocketAddr, call: &Call) -> Result<Answer, Failure> {
    let mut frames = chat(server, "CreateChatCompletion", call).await?;
    let mut answer = None;
    loop {
        match frames.next().await {
            Frame::Message(message) => {
                assert!(answer.is_none(), "a unary call has one answer");
                answer = Some(Answer::from_message(&ChatCompletion::decode(message.as_slice()).unwrap()));
            }
            Frame::Trailers(trailers) => {
                failure_in(&trailers).map_or(Ok(()), Err)?;
                return Ok(answer.expect("status OK without an answer"));
            }
            Frame::Cut(how) => panic!("the answer was cut: {how}"),
        }
    }
}

pub(super) async fn stream(server: SocketAddr, call: &Call) -> Result<Events, Failure> {
    let mut frames = chat(server, "StreamChatCompletion", call).await?;
    // A body of trailers alone is a status that came before anything else.
    let first = match frames.next().await {
        Frame::Trailers(trailers) => {
            failure_in(&trailers).map_or(Ok(()), Err)?;
            Frame::Trailers(trailers)
        }
        first => first,
    };
    let events = stream::unfold(Some((Some(first), frames)), |open| async move {
        let (first, mut frames) = open?;
        let frame = match first {
            Some(frame) => frame,
            None => frames.next().await,
        };
        match frame {
            Frame::Message(message) => {
                let chunk = ChatCompletionChunk::decode(message.as_slice()).unwrap();
                Some((Event::Chunk(Box::new(Chunk::from_message(&chunk))), Some((None, frames))))
            }
            Frame::Trailers(trailers) => match failure_in(&trailers) {
                None => Some((Event::End, None)),
                Some(failure) => Some((Event::Failed(failure), None)),
            },
            Frame::Cut(how) => Some((Event::Cut(how), None)),
        }
    });
    Ok(Box::pin(events))
}

/// The messages that any method answers, such as `sabir.v1.Usage/QueryUsage`.
pub(crate) async fn messages<T: Message + Default>(
    server: SocketAddr,
    method: &str,
    message: &impl Message,
    headers: &[(&'static str, String)],
) -> Result<Vec<T>, Failure> {
    let mut frames = open(server, method, message, headers).await?;
    let mut messages = Vec::new();
    loop {
        match frames.next().await {
            Frame::Message(message) => messages.push(T::decode(message.as_slice()).unwrap()),
            Frame::Trailers(trailers) => return failure_in(&trailers).map_or(Ok(messages), Err),
            Frame::Cut(how) => panic!("the answer was cut: {how}"),
        }
    }
}

async fn chat(server: SocketAddr, method: &str, call: &Call) -> Result<Frames, Failure> {
    let timeout = call.grpc_timeout().map(|timeout| ("grpc-timeout", timeout));
    let headers: Vec<_> = timeout.into_iter().chain(call.headers.clone()).collect();
    open(server, &format!("sabir.v1.Chat/{method}"), &call.message, &headers).await
}

async fn open(
    server: SocketAddr,
    method: &str,
    message: &impl Message,
    headers: &[(&'static str, String)],
) -> Result<Frames, Failure> {
    let message = message.encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&message);
    let mut request = Request::post(format!("/{method}"))
        .header("content-type", "application/grpc-web+proto")
        .header("accept", "application/grpc-web+proto")
        .header("x-grpc-web", "1");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let exchange = http1(server, request.body(Bytes::from(body)).unwrap()).await;
    if exchange.header("server") == Some("envoy") && exchange.status() != 200 {
        return Err(Failure::from_proxy(exchange.status(), &exchange.body().await));
    }
    assert_eq!(exchange.status(), 200, "gRPC-Web says its status in trailers");
    let content_type = exchange.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("application/grpc-web"), "content-type: {content_type}");
    if exchange.head.headers.contains_key("grpc-status") {
        failure_in(&exchange.head.headers).map_or(Ok(()), Err)?;
    }
    Ok(Frames { exchange, buffer: Vec::new() })
}

impl Frames {
    async fn next(&mut self) -> Frame {
        loop {
            if let Some(head) = self.buffer.first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if let Some(payload) = self.buffer.get(5..5 + length) {
                    let (flags, payload) = (head[0], payload.to_vec());
                    self.buffer.drain(..5 + length);
                    return if flags & TRAILERS == 0 {
                        Frame::Message(payload)
                    } else {
                        Frame::Trailers(trailers(&payload))
                    };
                }
            }
            match self.exchange.next().await {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(error)) => return Frame::Cut(error),
                None => return Frame::Cut("the body ended without trailers".to_owned()),
            }
        }
    }
}

/// Trailers are header lines in the body.
fn trailers(payload: &[u8]) -> HeaderMap {
    let text = std::str::from_utf8(payload).unwrap();
    let line = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.parse::<HeaderName>().unwrap(), value.trim().parse().unwrap())
    };
    text.split("\r\n").filter(|text| !text.is_empty()).map(line).collect()
}

/// What went wrong, unless the status is OK.
fn failure_in(trailers: &HeaderMap) -> Option<Failure> {
    let status = Status::from_header_map(trailers).expect("trailers have a status");
    (status.code() != Code::Ok).then(|| Failure::from_status(&status))
}
