//! The connection under the messages: pings, silence, loss, and who waits for whom.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call_at_once() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open(TALK).await;
    client.say(r#"{"text":"stall"}"#).await;
    server.until(|counts| &counts.read, 1).await;
    assert_eq!(server.counts.open.load(Ordering::SeqCst), 1);
    drop(client);
    server.until(|counts| &counts.open, 0).await;
    assert_eq!(server.counts.ended.load(Ordering::SeqCst), 0, "that was no end of the requests");
}

#[tokio::test]
async fn a_client_that_closes_cancels_its_call_and_is_answered() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open(TALK).await;
    client.say(r#"{"text":"stall"}"#).await;
    server.until(|counts| &counts.read, 1).await;
    let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
    client.0.send(Message::Close(Some(frame))).await.unwrap();
    let Some(Message::Close(Some(frame))) = client.next().await else { panic!("the close frame is answered") };
    assert_eq!(frame.code, CloseCode::Away);
    assert!(client.next().await.is_none());
    server.until(|counts| &counts.open, 0).await;
    assert_eq!(server.counts.ended.load(Ordering::SeqCst), 0, "that was no end of the requests");
}

#[tokio::test]
async fn pings_are_answered_and_sent() {
    let server = Server::start(Config { keep_alive: Duration::from_millis(50), ..Config::default() }).await;
    let mut client = server.open(TALK).await;
    client.0.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    let (mut pongs, mut pings) = (0, 0);
    while pongs < 1 || pings < 3 {
        match tokio::time::timeout(PATIENCE, client.0.next()).await.unwrap().unwrap().unwrap() {
            Message::Pong(data) => {
                assert_eq!(&data[..], b"there?");
                pongs += 1;
            }
            Message::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    client.say("{}").await;
    assert_eq!(client.hear().await, r#"{"room":"r"}"#, "a client that answers pings stays");
}

#[tokio::test]
async fn a_client_that_does_not_answer_pings_is_dropped() {
    let server = Server::start(Config { keep_alive: Duration::from_millis(50), ..Config::default() }).await;
    let mut client = server.open(TALK).await;
    client.say("{}").await;
    server.until(|counts| &counts.open, 1).await;
    // The client answers pings only while it reads.
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn a_socket_without_messages_ends_although_pings_are_answered() {
    let config = Config {
        keep_alive: Duration::from_millis(100),
        socket_idle_timeout: Duration::from_millis(500),
        ..Config::default()
    };
    let server = Server::start(config).await;
    let mut client = server.open(TALK).await;
    for _ in 0..4 {
        let pause = tokio::time::timeout(Duration::from_millis(150), client.0.next()).await;
        assert!(matches!(pause, Err(_) | Ok(Some(Ok(Message::Ping(_))))), "{pause:?}");
        client.say("{}").await;
        client.hear().await;
    }
    let (status, says, code) = client.failure().await;
    assert_eq!((status.as_str(), code), ("DEADLINE_EXCEEDED", 3008), "{says}");
    assert_eq!(says, "no message went either way for 0.5 s");
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn a_handler_is_not_run_ahead_of_a_client_that_does_not_read() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open("/v1/rooms/endless/look").await;
    client.say(&format!("{{\"text\":\"{}\"}}", "x".repeat(10_000))).await;
    let answered = || server.counts.answered.load(Ordering::SeqCst);
    // Until what the connection itself holds is full.
    let mut before = usize::MAX;
    while answered() != before {
        before = answered();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(before > 0);
    // What the kernel holds for one connection over loopback is a few MiB.
    assert!(before < 2000, "{before} messages of 10 kB were made for a client that does not read");
    for _ in 0..before + 100 {
        assert!(client.hear().await.len() > 10_000);
    }
    assert!(answered() > before, "the handler goes on once the client reads");
    drop(client);
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn a_socket_is_not_read_ahead_of_its_handler() {
    let server = Server::start(Config::default()).await;
    let mut client = server.open(TALK).await;
    client.say(r#"{"text":"stall"}"#).await;
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(100_000));
    let mut sent = 0;
    while sent < 1000 && tokio::time::timeout(Duration::from_millis(300), client.say(&text)).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 200, "{sent} messages of 100 kB were taken for a handler that does not read");
    assert_eq!(server.counts.read.load(Ordering::SeqCst), 1);
    drop(client);
    // Nobody reads the socket; the next ping finds that it is gone.
    assert_eq!(server.counts.open.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_is_gone_is_noticed_although_its_socket_is_not_read() {
    let server = Server::start(Config { keep_alive: Duration::from_millis(50), ..Config::default() }).await;
    let mut client = server.open(TALK).await;
    client.say(r#"{"text":"stall"}"#).await;
    for _ in 0..5 {
        client.say("{}").await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.counts.open.load(Ordering::SeqCst), 1, "a client whose pongs cannot be read is not dropped");
    drop(client);
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn what_is_no_websocket_frame_is_a_protocol_error() {
    let server = Server::start(Config::default()).await;
    for (bytes, code) in [
        // A text that is not masked; a text that is not UTF-8; a frame of an unknown kind.
        (&[0x81, 2, b'{', b'}'][..], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff][..], 1007),
        (&[0x83, 0x80, 0, 0, 0, 0][..], 1002),
    ] {
        let (response, _) = server.ask(Request::get(TALK)).await;
        let mut connection = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        connection.write_all(bytes).await.unwrap();
        let mut said = Vec::new();
        tokio::time::timeout(PATIENCE, connection.read_to_end(&mut said)).await.unwrap().unwrap();
        let length = usize::from(said[1]);
        let (length, start) =
            if length < 126 { (length, 2) } else { (usize::from(said[2]) << 8 | usize::from(said[3]), 4) };
        let text = std::str::from_utf8(&said[start..start + length]).unwrap();
        assert!(text.starts_with(r#"{"@error":"#) && text.contains("INVALID_ARGUMENT"), "{text}");
        let close = &said[start + length..];
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, code));
    }
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn a_server_that_shuts_down_ends_its_sockets_and_waits_for_them() {
    let server = Server::start(Config::default()).await;
    let mut silent = server.open(TALK).await;
    silent.say(r#"{"text":"stall"}"#).await;
    let mut busy = server.open("/v1/rooms/endless/watch").await;
    server.until(|counts| &counts.open, 2).await;
    assert_eq!(server.sockets.count(), 2);
    let sockets = server.sockets.clone();
    let closed = tokio::spawn(async move { sockets.close().await });
    let (status, says, code) = silent.failure().await;
    assert_eq!((status.as_str(), says.as_str(), code), ("UNAVAILABLE", "the server is shutting down", 1001));
    assert!(!closed.is_finished(), "the other client has not heard it yet");
    loop {
        let text = busy.hear().await;
        if text.starts_with(r#"{"@error""#) {
            break;
        }
    }
    assert!(matches!(busy.next().await, Some(Message::Close(Some(frame))) if frame.code == CloseCode::Away));
    assert!(busy.next().await.is_none());
    tokio::time::timeout(PATIENCE, closed).await.unwrap().unwrap();
    assert_eq!((server.sockets.count(), server.counts.open.load(Ordering::SeqCst)), (0, 0));
    let mut late = server.open(TALK).await;
    assert_eq!(late.failure().await.2, 1001, "a socket that comes later ends at once");
}
