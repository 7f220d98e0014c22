//! Claims about sockets, through a real server and a real client, in front of tonic's own server.

mod calls;
mod connection;
mod handshake;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tonic::body::Body;
use tower_service::Service;

use crate::tests::notes::{Board, Counts, transcoder};
use crate::{Config, Sockets};

const TALK: &str = "/v1/rooms/r/talk";

/// Nothing here should take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of the board, which lives as long as the test.
struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    sockets: Sockets,
}

impl Server {
    async fn start(config: Config) -> Self {
        let board = Board::default();
        let counts = board.counts.clone();
        let transcoder = transcoder(config);
        Self { address: listen(transcoder.serve(board)).await, counts, sockets: transcoder.sockets() }
    }

    /// A socket that is open.
    async fn open(&self, path: &str) -> Client {
        let (response, _) = self.ask(Request::get(path)).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        Client::of(response).await
    }

    /// The answer to a handshake; the header fields that are missing are added.
    async fn ask(&self, request: http::request::Builder) -> (Response<hyper::body::Incoming>, SocketAddr) {
        let mut request = request.body(Empty::<Bytes>::new()).unwrap();
        let own = [
            ("host", self.address.to_string()),
            ("connection", "keep-alive, Upgrade".to_owned()),
            ("upgrade", "WebSocket".to_owned()),
            ("sec-websocket-version", "13".to_owned()),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
        ];
        for (name, value) in own {
            request.headers_mut().entry(name).or_insert(value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let own = stream.local_addr().unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        (answer.expect("the handshake is answered").unwrap(), own)
    }

    /// Waits until a count of the board is as expected.
    async fn until(&self, count: impl Fn(&Counts) -> &AtomicUsize, expected: usize) {
        let reached = async {
            while count(&self.counts).load(Ordering::SeqCst) != expected {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{} instead of {expected}", count(&self.counts).load(Ordering::SeqCst));
        }
    }
}

/// Serves connections, HTTP/1.1 and HTTP/2, with upgrades.
async fn listen<S>(service: S) -> SocketAddr
where
    S: Service<Request<hyper::body::Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let mut protocol = auto::Builder::new(TokioExecutor::new());
                protocol.http2().enable_connect_protocol();
                drop(protocol.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
            });
        }
    });
    address
}

/// The client's end of a socket.
struct Client(WebSocketStream<TokioIo<Upgraded>>);

impl Client {
    async fn of(response: Response<hyper::body::Incoming>) -> Self {
        let connection = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        Self(WebSocketStream::from_raw_socket(connection, Role::Client, None).await)
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text; pings are passed over.
    async fn hear(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.as_str().to_owned(),
            other => panic!("expected a text: {other:?}"),
        }
    }

    async fn next(&mut self) -> Option<Message> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the server says something") {
                Some(Ok(Message::Ping(_))) => {}
                other => return other.transpose().unwrap_or(None),
            }
        }
    }

    /// The last text and the close frame.
    async fn end(&mut self) -> (serde_json::Value, u16, String) {
        let last = self.hear().await;
        let Some(Message::Close(Some(frame))) = self.next().await else {
            panic!("expected a close frame after {last}")
        };
        assert!(self.next().await.is_none(), "nothing follows the close frame");
        (serde_json::from_str(&last).unwrap(), frame.code.into(), frame.reason.as_str().to_owned())
    }

    /// The end of a call that failed: the name of the status, its message, the close code.
    async fn failure(&mut self) -> (String, String, u16) {
        let (last, code, reason) = self.end().await;
        assert_eq!(last["@error"]["status"], reason.as_str(), "{last}");
        (reason, last["@error"]["message"].as_str().unwrap().to_owned(), code)
    }
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
