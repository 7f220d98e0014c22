//! Claims about sending.

use std::pin::pin;
use std::time::Instant;

use super::*;
use crate::scripted::{Act, Scripted, answer};

const LONG: Duration = Duration::from_secs(20);

fn outgoing(url: &str) -> Outgoing<'static> {
    let headers = Cow::Owned(HeaderMap::new());
    Outgoing { method: Method::POST, uri: url.parse().unwrap(), headers, body: Bytes::from_static(b"{}"), trace: None }
}

async fn send(transport: &Transport, url: &str) -> Result<Bytes, UpstreamError> {
    let mut watchdog = pin!(Watchdog::new(transport.config().header_timeout, None));
    let answer = transport.send(&outgoing(url), watchdog.as_mut()).await?;
    read_whole(answer.into_body(), transport.config().max_body_bytes, watchdog).await
}

fn transport() -> Transport {
    Transport::new(TransportConfig { header_timeout: LONG, ..TransportConfig::default() })
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Scripted::start(|_| vec![answer("200 OK", "", "hello")]).await;
    let transport = transport();
    for _ in 0..5 {
        assert_eq!(send(&transport, &server.url()).await.unwrap(), "hello");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    // The server takes the second request of a connection as the moment to close it.
    let server = Scripted::start(|number| match number {
        0 | 2 => vec![answer("200 OK", "", "hello")],
        _ => vec![Act::Close],
    });
    let (server, transport) = (server.await, transport());
    send(&transport, &server.url()).await.unwrap();
    assert_eq!(send(&transport, &server.url()).await.unwrap(), "hello");
    assert_eq!((server.connections(), server.requests().len()), (2, 3));
    // The next is stale again, and so is its replacement: that is no accident any more.
    let error = send(&transport, &server.url()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_not_noticed_by_the_caller() {
    let server = Scripted::start(|_| vec![answer("200 OK", "", "hello"), Act::Close]).await;
    let transport = transport();
    for _ in 0..20 {
        assert_eq!(send(&transport, &server.url()).await.unwrap(), "hello");
    }
    assert_eq!(server.connections(), 20);
}

#[tokio::test]
async fn a_call_that_a_new_connection_lost_is_not_repeated() {
    let server = Scripted::start(|_| vec![Act::Close]).await;
    let error = send(&transport(), &server.url()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_unavailable() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = send(&transport(), &format!("http://{free}/")).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
    assert!(error.message.contains(&free.to_string()) && error.message.contains("refused"), "{error}");
    let error = send(&transport(), "http://no-such-host.invalid/").await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
}

#[tokio::test]
async fn silence_before_the_answer_is_a_timeout() {
    let server = Scripted::start(|_| vec![Act::AwaitClose]).await;
    let header_timeout = Duration::from_millis(50);
    let transport = Transport::new(TransportConfig { header_timeout, ..TransportConfig::default() });
    let start = Instant::now();
    let error = send(&transport, &server.url()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Timeout);
    assert!(start.elapsed() >= header_timeout && start.elapsed() < LONG);
    server.closed().await;
}

#[tokio::test]
async fn dropping_the_call_closes_the_connection() {
    let server = Scripted::start(|_| vec![Act::AwaitClose]).await;
    let transport = transport();
    let url = server.url();
    let call = send(&transport, &url);
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    let dropped = Instant::now();
    server.closed().await;
    assert!(dropped.elapsed() < Duration::from_secs(1), "{:?}", dropped.elapsed());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_truncated() {
    for head in ["content-length: 100\r\n\r\nhal", "transfer-encoding: chunked\r\n\r\n64\r\nhal"] {
        let head = format!("HTTP/1.1 200 OK\r\n{head}");
        let server = Scripted::start(move |_| vec![Act::Send(head.clone()), Act::Close]).await;
        let error = send(&transport(), &server.url()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Truncated, "{error}");
        assert_eq!(server.requests().len(), 1, "an answer that has begun must not be asked for again");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n";
    for act in [answer("200 OK", "", "0123456789a"), Act::Send(chunked.to_owned())] {
        let server = Scripted::start(move |_| vec![act.clone()]).await;
        let transport = Transport::new(TransportConfig { max_body_bytes: 10, ..TransportConfig::default() });
        let error = send(&transport, &server.url()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::TooLarge);
    }
}

#[tokio::test]
async fn an_answer_in_pieces_is_read_whole() {
    let head = Act::Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234".to_owned());
    let pause = Act::Wait(Duration::from_millis(20));
    let server = Scripted::start(move |_| vec![head.clone(), pause.clone(), Act::Send("56789".to_owned())]).await;
    assert_eq!(send(&transport(), &server.url()).await.unwrap(), "0123456789");
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    let server = Scripted::start(|_| vec![Act::Send("SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned()), Act::Close]).await;
    let error = send(&transport(), &server.url()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_tls_handshake_that_fails_is_unavailable() {
    // The server hangs up on whatever comes. Without CA certificates on the machine the call fails before that.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = send(&transport(), &format!("https://{address}/")).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Unavailable);
}
