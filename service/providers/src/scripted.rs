//! For tests: a server on a socket of its own that does exactly what a script says, faults included.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One step of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Writes bytes.
    Send(String),
    /// Writes bytes that are no text.
    SendBytes(Vec<u8>),
    /// Does nothing for a while.
    Wait(Duration),
    /// Closes the connection.
    Close,
    /// Reads until the client closes the connection.
    AwaitClose,
}

/// A server that answers the n-th request, counted over all connections, as its script says.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

type Script = Arc<dyn Fn(usize) -> Vec<Act> + Send + Sync>;

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    closed: Notify,
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let script: Script = Arc::new(script);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&shared), Arc::clone(&script)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Heads and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Waits until a connection in [`Act::AwaitClose`] was closed by the client.
    pub(crate) async fn closed(&self) {
        tokio::time::timeout(Duration::from_secs(5), self.state.closed.notified()).await.unwrap();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>, script: Script) {
    stream.set_nodelay(true).unwrap();
    while let Some(request) = receive(&mut stream).await {
        let number = {
            let mut requests = state.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        for act in script(number) {
            match act {
                Act::Send(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Act::SendBytes(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Close => return,
                Act::AwaitClose => {
                    while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {}
                    state.closed.notify_one();
                    return;
                }
            }
        }
    }
}

/// Reads one request with a body of known length; `None` at the end of the connection.
async fn receive(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
            if bytes.len() >= head + 4 + length.map_or(0, |length| length.parse().unwrap()) {
                return Some(String::from_utf8(bytes).unwrap());
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(length @ 1..) => bytes.extend_from_slice(&piece[..length]),
            _ => return None,
        }
    }
}

/// A whole answer.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Send(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// The head of an answer that streams events.
pub(crate) fn stream_head() -> Act {
    Act::Send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned())
}

/// One piece of such an answer.
pub(crate) fn piece(text: &str) -> Act {
    Act::Send(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// The end of such an answer.
pub(crate) fn stream_end() -> Act {
    Act::Send("0\r\n\r\n".to_owned())
}
