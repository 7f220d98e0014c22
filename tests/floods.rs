//! Claims about connections that misbehave below the level of requests: they are ended or bounded, and everybody else is
//! served meanwhile.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Call, Protocol, Server, Upstream, soon, world};

// The types of frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// How much memory a flood may cost.
const BOUND: u64 = 16 << 20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `POST /v1/chat/completions` with a body of JSON to come, in HPACK (RFC 7541) without compression.
fn head() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(4, "/v1/chat/completions"), (1, "localhost")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    // content-type is number 31: 15 in the first byte, the rest in the second.
    block.extend([0x0f, 0x10, 16]);
    block.extend(b"application/json");
    block
}

/// A connection whose first words are those of HTTP/2.
async fn connect(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

/// Writes the frames again and again, without reading, until so many bytes are written, the server does not read any
/// more, or has had enough.
async fn flood(stream: &mut TcpStream, frames: &[u8], bytes: usize) {
    let block = frames.repeat((64 << 10) / frames.len() + 1);
    for _ in 0..bytes / block.len() {
        match tokio::time::timeout(Duration::from_secs(1), stream.write_all(&block)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// What the server says last: the error of its GOAWAY (RFC 9113, section 7), if it sends one before the end.
async fn goaway(stream: &mut TcpStream) -> Option<u32> {
    let read = async {
        let mut found = None;
        let mut head = [0; 9];
        while stream.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if stream.read_exact(&mut payload).await.is_err() {
                break;
            }
            if head[3] == GOAWAY {
                found = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        found
    };
    soon("the end of the connection", read).await
}

/// Bytes of memory that the server's process has.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn everybody_else_is_served(server: &Server) {
    for protocol in Protocol::ALL {
        let began = Instant::now();
        let answer = protocol.unary(server.address(), &Call::say("scripted/echo", "Hi")).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hi"), "{protocol:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{protocol:?}: {:?}", began.elapsed());
    }
}

/// CVE-2023-44487.
#[tokio::test]
async fn streams_that_are_reset_as_they_are_opened_end_the_connection() {
    let (upstream, server) = world().await;
    let mut stream = connect(&server).await;
    let mut frames = Vec::new();
    for id in (1..20_000).step_by(2) {
        frames.extend(frame(HEADERS, 4, id, &head()));
        frames.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    // The connection may be closed before everything is written.
    let _ = stream.write_all(&frames).await;
    if let Some(error) = goaway(&mut stream).await {
        assert_eq!(error, 11, "ENHANCE_YOUR_CALM");
    }
    everybody_else_is_served(&server).await;
    assert_eq!(upstream.requests().len(), Protocol::ALL.len(), "nothing of the flood came through");
}

/// CVE-2019-9515 and CVE-2019-9512: each of these frames wants an answer, which the client never reads.
#[tokio::test]
async fn frames_that_want_answers_nobody_reads_cost_no_memory() {
    let (_upstream, server) = world().await;
    everybody_else_is_served(&server).await;
    for frames in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[7; 8])] {
        let before = memory(&server);
        let mut stream = connect(&server).await;
        flood(&mut stream, &frames, 64 << 20).await;
        let grown = memory(&server).saturating_sub(before);
        assert!(grown < BOUND, "{grown} bytes");
        everybody_else_is_served(&server).await;
    }
}

/// CVE-2024-27316: headers without an end.
#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let (_upstream, server) = world().await;
    everybody_else_is_served(&server).await;
    let before = memory(&server);
    let mut stream = connect(&server).await;
    stream.write_all(&frame(HEADERS, 0, 1, &head())).await.unwrap();
    // A header that is not indexed: name `x`, a value of 1000 bytes (127 and 873 more).
    let mut header = vec![0, 1, b'x', 0x7f, 0xe9, 0x06];
    header.extend([b'y'; 1000]);
    flood(&mut stream, &frame(CONTINUATION, 0, 1, &header), 64 << 20).await;
    goaway(&mut stream).await;
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < BOUND, "{grown} bytes");
    everybody_else_is_served(&server).await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_ends_the_connection() {
    let upstream = Upstream::start();
    let config = format!("{}[server]\nheader_timeout = \"400ms\"\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let began = Instant::now();
    let trickle = async {
        for byte in b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-long: ".iter().chain([&b'y'; 10_000]) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the connection to end", trickle).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    everybody_else_is_served(&server).await;
}
