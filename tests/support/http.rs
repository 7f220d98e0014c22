//! Plain HTTP exchanges for tests, one connection each. Dropping an exchange closes its connection, as a client that
//! goes away does.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle};

use super::soon;

/// A response whose head has come.
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    body: Incoming,
    _connection: Connection,
}

/// The task that drives a connection; the connection closes with it.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request over a new HTTP/1.1 connection and waits for the head of the response.
pub(crate) async fn http1(address: SocketAddr, request: Request<Bytes>) -> Exchange {
    try_http1(address, request).await.unwrap()
}

/// As [`http1`], of a server that may close the connection without an answer.
pub(crate) async fn try_http1(address: SocketAddr, request: Request<Bytes>) -> hyper::Result<Exchange> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(connect(address).await).await.unwrap();
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    let request = with_host(address, request).map(Full::new);
    let response = soon("the head of a response", sender.send_request(request)).await?;
    let (head, body) = response.into_parts();
    Ok(Exchange { head, body, _connection: connection })
}

/// Sends a request over a new HTTP/2 connection and waits for the head of the response.
pub(crate) async fn http2(address: SocketAddr, request: Request<Bytes>) -> Exchange {
    let io = connect(address).await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
    let (mut head, body) = request.into_parts();
    head.uri = format!("http://{address}{}", head.uri).parse().unwrap();
    let request = Request::from_parts(head, Full::new(body));
    let response = soon("the head of a response", sender.send_request(request)).await.unwrap();
    let (head, body) = response.into_parts();
    Exchange { head, body, _connection: connection }
}

async fn connect(address: SocketAddr) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    TokioIo::new(stream)
}

fn with_host(address: SocketAddr, mut request: Request<Bytes>) -> Request<Bytes> {
    request.headers_mut().entry("host").or_insert_with(|| address.to_string().parse().unwrap());
    request
}

impl Exchange {
    /// The next piece of the body; `None` at its end, an error text if the connection broke off.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        loop {
            match soon("the next piece of a body", self.body.frame()).await? {
                Err(error) => return Some(Err(error.to_string())),
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
            }
        }
    }

    /// The whole body.
    pub(crate) async fn body(mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece.unwrap());
        }
        whole
    }

    /// The trailers, after the body has been read (HTTP/2).
    pub(crate) async fn body_and_trailers(mut self) -> (Vec<u8>, Option<http::HeaderMap>) {
        let (mut whole, mut trailers) = (Vec::new(), None);
        while let Some(frame) = soon("the next frame of a body", self.body.frame()).await {
            match frame.unwrap().into_data() {
                Ok(data) => whole.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        (whole, trailers)
    }

    /// A header of the response, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }
}

/// A whole answer, read as JSON.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) json: Value,
}

impl Told {
    /// A header, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Posts a document with these headers and reads the answer.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &Value, headers: &[(&str, &str)]) -> Told {
    let mut request = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let exchange = http1(address, request.body(body.to_string().into()).unwrap()).await;
    let (status, headers) = (exchange.status(), exchange.head.headers.clone());
    Told { status, headers, json: serde_json::from_slice(&exchange.body().await).unwrap() }
}

/// A GET over HTTP/1.1: status and body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, Vec<u8>) {
    let exchange = http1(address, Request::get(path).body(Bytes::new()).unwrap()).await;
    (exchange.status(), exchange.body().await)
}
