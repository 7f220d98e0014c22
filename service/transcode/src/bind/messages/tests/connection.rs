//! Request streams over real connections, where the answer can come before the body has ended.

use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

async fn listen(board: Board) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = transcoder(Config::default()).serve(board);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let protocol = auto::Builder::new(TokioExecutor::new());
                drop(protocol.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    address
}

type Piece = Result<Frame<Bytes>, Infallible>;

/// Sends a request whose body comes from `pieces`, and answers with the response as soon as it begins.
async fn begin(
    address: SocketAddr,
    http2: bool,
    path: &str,
    mut pieces: mpsc::Receiver<Bytes>,
) -> http::Response<hyper::body::Incoming> {
    let body = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
    let body = StreamBody::new(body.map(|piece| Piece::Ok(Frame::data(piece))));
    let request = Request::post(format!("http://{address}{path}")).header("content-type", "application/x-ndjson");
    let request = request.header("host", address.to_string()).body(body).unwrap();
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let answer = async {
        if http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.expect("the answer begins").unwrap()
}

#[tokio::test]
async fn answers_come_while_the_body_is_still_being_sent() {
    for http2 in [false, true] {
        let address = listen(Board::default()).await;
        let (pieces, receiver) = mpsc::channel(1);
        pieces.send(Bytes::from_static(b"{\"text\":\"0\"}\n")).await.unwrap();
        let mut answers = begin(address, http2, "/v1/rooms/r/talk", receiver).await.into_body();
        for number in 1..20 {
            let heard = tokio::time::timeout(PATIENCE, answers.frame()).await.unwrap().unwrap().unwrap();
            let heard = String::from_utf8(heard.into_data().unwrap().to_vec()).unwrap();
            assert!(heard.contains(&format!("{{\"text\":\"{}\"", number - 1)), "{heard}");
            pieces.send(format!("{{\"text\":\"{number}\"}}\n").into()).await.unwrap();
        }
        drop(pieces);
        let rest = tokio::time::timeout(PATIENCE, answers.collect()).await.unwrap().unwrap().to_bytes();
        assert!(rest.ends_with(b"event: end\ndata: {}\n\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn an_early_error_reaches_a_client_that_is_still_sending() {
    for http2 in [false, true] {
        for (first, status) in [("{\"text\":\"fail\"}\n", 404), ("{\"number\":\"x\"}\n", 400)] {
            let address = listen(Board::default()).await;
            let (pieces, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                let more = Bytes::from(format!("{{\"text\":\"{}\"}}\n", "x".repeat(100_000)));
                pieces.send(first.into()).await.unwrap();
                while pieces.send(more.clone()).await.is_ok() {}
            });
            let response = begin(address, http2, ROOM, receiver).await;
            assert_eq!(response.status(), status, "HTTP/2: {http2}");
        }
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_far_more_than_it_may() {
    for http2 in [false, true] {
        let address = listen(Board::default()).await;
        let (pieces, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            pieces.send(Bytes::from_static(b"{\"text\":\"")).await.unwrap();
            let more = Bytes::from("x".repeat(100_000));
            while pieces.send(more.clone()).await.is_ok() {}
        });
        let response = begin(address, http2, "/v1/rooms/r/look", receiver).await;
        assert_eq!(response.status(), 415, "refused by its headers; HTTP/2: {http2}");
        let (pieces, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            pieces.send(Bytes::from_static(b"{\"text\":\"")).await.unwrap();
            let more = Bytes::from("x".repeat(100_000));
            while pieces.send(more.clone()).await.is_ok() {}
        });
        let response = begin(address, http2, ROOM, receiver).await;
        assert_eq!(response.status(), 413, "refused by its size; HTTP/2: {http2}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_a_sign_is_not_asked_for_a_body_that_is_refused() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = listen(Board::default()).await;
    for (path, status) in [("/v1/rooms/%zz/notes", "400"), (ROOM, "100")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "host: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(format!("POST {path} HTTP/1.1\r\n{head}").as_bytes()).await.unwrap();
        let mut said = [0; 12];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut said)).await.unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&said).unwrap(), format!("HTTP/1.1 {status}"), "{path}");
    }
}
