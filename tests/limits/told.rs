//! What a caller is told of its limits: the head of an answer as it is on the wire of each protocol, read by hand.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};
use prost::Message;
use tonic::Code;

use crate::support::http::{Exchange, http1, http2};
use crate::support::{Call, Protocol};

/// The outcome of a call, and its headers and trailers together.
#[derive(Debug)]
pub(super) struct Told {
    /// `OK`, or the name of the code.
    pub(super) code: String,
    headers: HeaderMap,
}

impl Told {
    /// A header or trailer, all of its values.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// A header that is a number.
    pub(super) fn number(&self, name: &str) -> u64 {
        let text = self.header(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        text.parse().unwrap_or_else(|_| panic!("{name}: {text}"))
    }
}

/// Asks for a whole answer of at most so many tokens.
pub(super) async fn ask(
    server: SocketAddr,
    protocol: Protocol,
    key: &str,
    model: &str,
    text: &str,
    most: Option<i32>,
) -> Told {
    let mut call = Call::say(model, text);
    if let Some(most) = most {
        let members = serde_json::json!({"max_completion_tokens": most});
        call = call.with(|request| request.max_completion_tokens = Some(most), members);
    }
    let path = match protocol {
        Protocol::Rest => "/v1/chat/completions",
        Protocol::Grpc | Protocol::GrpcWeb => "/sabir.v1.Chat/CreateChatCompletion",
    };
    let request = Request::post(path).header("authorization", format!("Bearer {key}"));
    let framed = || {
        let message = call.message.encode_to_vec();
        let mut framed = vec![0];
        framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend(message);
        Bytes::from(framed)
    };
    match protocol {
        Protocol::Rest => {
            let request = request.header("content-type", "application/json");
            let exchange = http1(server, request.body(Bytes::from(call.json.to_string())).unwrap()).await;
            let code = match exchange.status() {
                200 => "OK".to_owned(),
                429 => "RESOURCE_EXHAUSTED".to_owned(),
                503 => "UNAVAILABLE".to_owned(),
                other => panic!("{other}: {}", String::from_utf8_lossy(&exchange.body().await)),
            };
            let headers = exchange.head.headers.clone();
            drop(exchange.body().await);
            Told { code, headers }
        }
        Protocol::Grpc => {
            let request = request.header("content-type", "application/grpc").header("te", "trailers");
            let exchange = http2(server, request.body(framed()).unwrap()).await;
            let headers = exchange.head.headers.clone();
            let (_, trailers) = exchange.body_and_trailers().await;
            with_status(headers, trailers.unwrap_or_default())
        }
        Protocol::GrpcWeb => {
            let request = request.header("content-type", "application/grpc-web+proto");
            let exchange = http1(server, request.body(framed()).unwrap()).await;
            let headers = exchange.head.headers.clone();
            let trailers = trailers_in(exchange).await;
            with_status(headers, trailers)
        }
    }
}

/// The trailers that gRPC-Web has as the last frame of the body.
/// Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>
async fn trailers_in(exchange: Exchange) -> HeaderMap {
    let body = exchange.body().await;
    let mut rest = body.as_slice();
    let mut trailers = HeaderMap::new();
    while let [flag, a, b, c, d, payload @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if flag & 0x80 != 0 {
            for line in std::str::from_utf8(&payload[..length]).unwrap().lines() {
                let (name, value) = line.split_once(':').unwrap();
                trailers.append(http::HeaderName::try_from(name).unwrap(), value.trim().parse().unwrap());
            }
        }
        rest = &payload[length..];
    }
    trailers
}

fn with_status(mut headers: HeaderMap, trailers: HeaderMap) -> Told {
    for (name, value) in &trailers {
        headers.append(name, value.clone());
    }
    let status = headers.get("grpc-status").map_or("0", |status| status.to_str().unwrap()).parse().unwrap();
    let code = match Code::from_i32(status) {
        Code::Ok => "OK",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Unavailable => "UNAVAILABLE",
        other => panic!("{other:?}: {headers:?}"),
    };
    Told { code: code.to_owned(), headers }
}
