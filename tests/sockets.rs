//! Claims about chats over WebSocket, on the path that OpenAI clients post to.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sabir_store::Outcome;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::support::{Call, Ending, Server, Upstream, script, soon, world};

/// A socket whose call has been sent.
pub(crate) struct Socket(WebSocketStream<TokioIo<Upgraded>>);

impl Socket {
    pub(crate) async fn open(server: &Server, call: &Call) -> Self {
        let request = Request::get("/v1/chat/completions")
            .header("host", server.address().to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let stream = TokioIo::new(TcpStream::connect(server.address()).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let response = soon("the handshake", sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 101);
        let connection = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(connection, Role::Client, None).await;
        socket.send(Message::text(call.json.to_string())).await.unwrap();
        Self(socket)
    }

    /// The next text as JSON, or the code of the close frame.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            match soon("a frame", self.0.next()).await.unwrap().unwrap() {
                Message::Text(text) => return Ok(serde_json::from_str(text.as_str()).unwrap()),
                Message::Close(frame) => return Err(frame.unwrap().code.into()),
                _ => {}
            }
        }
    }

    /// Every text up to the close frame, and its code.
    pub(crate) async fn rest(mut self) -> (Vec<Value>, u16) {
        let mut texts = Vec::new();
        loop {
            match self.next().await {
                Ok(text) => texts.push(text),
                Err(code) => return (texts, code),
            }
        }
    }
}

#[tokio::test]
async fn a_chat_streams_over_a_socket_and_says_how_it_ended() {
    let (_upstream, server) = world().await;
    let (mut texts, code) = Socket::open(&server, &Call::say("scripted/echo", "Hi there")).await.rest().await;
    assert_eq!((texts.pop(), code), (Some(serde_json::json!({"@end": {}})), 1000));
    let said: String = texts.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "Hi there", "{texts:#?}");
    let (texts, code) =
        Socket::open(&server, &Call::say("scripted/echo", "Hi").with(|_| {}, serde_json::json!({"n": "x"})))
            .await
            .rest()
            .await;
    assert_eq!((texts.len(), code), (1, 1007));
    assert_eq!(texts[0]["@error"]["param"], "n", "{texts:?}");
    assert_eq!(server.usage_rows(1).await[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn the_bounds_in_the_contract_are_held_over_a_socket_too() {
    let (upstream, server) = world().await;
    let call = Call::say("scripted/echo", "Hi").with(|_| {}, serde_json::json!({"temperature": 2.5}));
    let (texts, code) = Socket::open(&server, &call).await.rest().await;
    assert_eq!((texts.len(), code), (1, 1007), "{texts:?}");
    assert_eq!(texts[0]["@error"]["param"], "temperature", "{texts:?}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_caller_that_leaves_its_socket_ends_the_upstream_call() {
    let (upstream, server) = world().await;
    upstream.script("long", script::paced(400, Duration::from_millis(5)));
    let mut socket = Socket::open(&server, &Call::say("scripted/long", "count")).await;
    for _ in 0..3 {
        assert!(socket.next().await.unwrap()["choices"].is_array());
    }
    let gone = Instant::now();
    drop(socket);
    let delay = upstream.request(0).await.dropped_after(gone).await;
    assert!(delay < Duration::from_secs(1), "{delay:?}");
    assert_eq!(server.usage_rows(1).await[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_stopping_server_lets_sockets_finish_within_the_drain_limit_and_ends_the_rest() {
    let upstream = Upstream::start();
    upstream.script("paced", script::paced(20, Duration::from_millis(50)));
    upstream.script("silent-midway", script::silent_midway());
    let config = format!("{}[server]\ndrain_timeout = \"3s\"\n", Server::config_for(&upstream.base_url()));
    let mut server = Server::start(&config).await;
    let mut finishing = Socket::open(&server, &Call::say("scripted/paced", "count")).await;
    finishing.next().await.unwrap();
    let mut endless = Socket::open(&server, &Call::say("scripted/silent-midway", "Hi")).await;
    endless.next().await.unwrap();
    server.ask_to_stop();
    let (finished, ended) = tokio::join!(finishing.rest(), endless.rest());
    assert_eq!((finished.0.last(), finished.1), (Some(&serde_json::json!({"@end": {}})), 1000));
    assert_eq!(ended.1, 1001, "{:?}", ended.0);
    assert!(ended.0.last().unwrap()["@error"]["message"].as_str().unwrap().contains("shutting down"));
    assert_eq!(server.ended().await.code(), Some(1), "a call was lost");
    let mut outcomes: Vec<_> = server.usage_rows(2).await.iter().map(|row| row.outcome).collect();
    outcomes.sort_by_key(|outcome| *outcome != Outcome::Complete);
    assert_eq!(outcomes, [Outcome::Complete, Outcome::Cancelled]);
    assert!(upstream.requests().iter().any(|request| request.ending() == Some(Ending::Finished)));
}
