//! Claims about remote servers: a real socket, and a server that is told to misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tonic::Code;

use super::*;

/// What the server got: the head of a request, or that a call was dropped.
#[derive(Debug)]
enum Seen {
    Head(Box<http::request::Parts>),
    Dropped,
}

struct TellsWhenDropped(mpsc::Sender<Seen>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        self.0.try_send(Seen::Dropped).unwrap();
    }
}

/// A gRPC server on a socket. The path of a call tells what it does.
struct Upstream {
    address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    accepting: AbortHandle,
}

impl Upstream {
    async fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::channel(100);
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let open = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tell = tell.clone();
                let service = hyper::service::service_fn(move |request| answer(request, tell.clone()));
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let connection = tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
                open.lock().unwrap().push(connection.abort_handle());
            }
        });
        Self { address, seen, connections, accepting: accepting.abort_handle() }
    }

    async fn anywhere() -> Self {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    fn remote(&self) -> Remote {
        Remote::connect(format!("http://{}", self.address).parse().unwrap()).unwrap()
    }

    fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(Duration::from_secs(5), self.seen.recv()).await.unwrap().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    tell: mpsc::Sender<Seen>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    tell.try_send(Seen::Head(Box::new(head))).unwrap();
    let call = TellsWhenDropped(tell);
    let grpc = Response::builder().header("content-type", "application/grpc");
    let mut trailers = HeaderMap::new();
    Status::ok("").add_header(&mut trailers).unwrap();
    Ok(match path.as_str() {
        "/echo" => {
            let bytes = body.collect().await.unwrap().to_bytes();
            let body = StreamBody::new(futures_util::stream::iter([
                Ok::<_, Status>(Frame::data(bytes)),
                Ok(Frame::trailers(trailers)),
            ]));
            grpc.body(Body::new(body)).unwrap()
        }
        "/silent" => {
            let _call = call;
            std::future::pending().await
        }
        "/endless" => {
            let first = futures_util::stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(b"\0\0\0\0\0")))]);
            let rest = futures_util::stream::once(async move {
                let _call = call;
                std::future::pending().await
            });
            grpc.body(Body::new(StreamBody::new(futures_util::StreamExt::chain(first, rest)))).unwrap()
        }
        page => {
            let status = page.trim_start_matches('/').parse::<StatusCode>().unwrap();
            let page = Body::new(Full::from("<html>who is there?</html>"));
            Response::builder().status(status).header("content-type", "text/html").body(page).unwrap()
        }
    })
}

fn request(path: &str) -> Request<Body> {
    Request::post(path).header("content-type", "application/grpc").body(Body::empty()).unwrap()
}

fn status(response: &Response<Body>) -> Status {
    Status::from_header_map(response.headers()).unwrap()
}

async fn trailers(mut body: Body) -> Status {
    while let Some(frame) = body.frame().await {
        if let Ok(trailers) = frame.unwrap().into_trailers() {
            return Status::from_header_map(&trailers).unwrap();
        }
    }
    panic!("the answer ended without trailers");
}

#[tokio::test]
async fn a_call_goes_to_the_server_and_back_with_its_metadata() {
    let mut upstream = Upstream::anywhere().await;
    let mut call = request("/echo");
    *call.body_mut() = Body::new(Full::from("\0\0\0\0\u{2}hi"));
    for (name, value) in [
        ("x-tenant", "blue"),
        ("trace-bin", "AAEC"),
        ("host", "front.example"),
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("proxy-authorization", "Basic eDp5"),
        ("upgrade", "h2c"),
    ] {
        call.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = upstream.remote().call(call).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "\0\0\0\0\u{2}hi");
    let Seen::Head(head) = upstream.next().await else { panic!("no request came") };
    assert_eq!(head.uri.authority().unwrap().as_str(), upstream.address.to_string());
    for (name, value) in [("x-tenant", "blue"), ("trace-bin", "AAEC"), ("te", "trailers")] {
        assert_eq!(head.headers[name], value);
    }
    for name in ["host", "connection", "x-hop", "proxy-authorization", "upgrade", "grpc-timeout"] {
        assert!(!head.headers.contains_key(name), "{name} is for the first hop only");
    }
}

#[tokio::test]
async fn a_deadline_is_forwarded_as_what_is_left_of_it() {
    let mut upstream = Upstream::anywhere().await;
    let mut call = request("/echo");
    call.headers_mut().insert("grpc-timeout", "10S".parse().unwrap());
    call.headers_mut().insert("x-server-timeout", "2".parse().unwrap());
    call.extensions_mut().insert(Deadline(Instant::now() + Duration::from_secs(2)));
    upstream.remote().call(call).await.unwrap();
    let Seen::Head(head) = upstream.next().await else { panic!("no request came") };
    let left = deadline::of(&head.headers, None).unwrap().unwrap().0 - Instant::now();
    assert!(left <= Duration::from_secs(2) && left > Duration::from_millis(500), "{left:?}");
    assert!(!head.headers.contains_key("x-server-timeout"), "{:?}", head.headers);
}

#[tokio::test]
async fn a_call_whose_deadline_passes_fails_as_such() {
    let upstream = Upstream::anywhere().await;
    let mut late = request("/echo");
    late.extensions_mut().insert(Deadline(Instant::now()));
    assert_eq!(status(&upstream.remote().call(late).await.unwrap()).code(), Code::DeadlineExceeded);
    let mut slow = request("/silent");
    slow.extensions_mut().insert(Deadline(Instant::now() + Duration::from_millis(50)));
    assert_eq!(status(&upstream.remote().call(slow).await.unwrap()).code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_call() {
    let mut upstream = Upstream::anywhere().await;
    let mut remote = upstream.remote();
    let waiting = tokio::spawn(remote.call(request("/silent")));
    assert!(matches!(upstream.next().await, Seen::Head(_)));
    waiting.abort();
    assert!(matches!(upstream.next().await, Seen::Dropped), "before the answer");

    let mut answer = remote.call(request("/endless")).await.unwrap();
    assert!(matches!(upstream.next().await, Seen::Head(_)));
    assert!(answer.body_mut().frame().await.unwrap().unwrap().is_data());
    drop(answer);
    assert!(matches!(upstream.next().await, Seen::Dropped), "in the middle of the answer");
}

#[tokio::test]
async fn a_connection_that_breaks_ends_the_stream_with_unavailable() {
    let upstream = Upstream::anywhere().await;
    let mut answer = upstream.remote().call(request("/endless")).await.unwrap();
    assert!(answer.body_mut().frame().await.unwrap().unwrap().is_data());
    upstream.cut();
    let status = trailers(answer.into_body()).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_comes_back() {
    let upstream = Upstream::anywhere().await;
    let address = upstream.address;
    let mut remote = upstream.remote();
    let ok = remote.call(request("/echo")).await.unwrap();
    assert_eq!(trailers(ok.into_body()).await.code(), Code::Ok);
    drop(upstream);
    // The first call may still find the broken connection, the next ones find nobody.
    remote.call(request("/echo")).await.unwrap();
    let gone = status(&remote.call(request("/echo")).await.unwrap());
    assert_eq!(gone.code(), Code::Unavailable);
    assert_eq!(gone.message(), "the gRPC server behind this one cannot be reached: connection refused");

    let _again = Upstream::start(address).await;
    let ok = remote.call(request("/echo")).await.unwrap();
    assert_eq!(trailers(ok.into_body()).await.code(), Code::Ok);
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_a_status() {
    let upstream = Upstream::anywhere().await;
    for (http, code) in [
        (200, Code::Unknown),
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (429, Code::Unavailable),
        (500, Code::Unknown),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
    ] {
        let status = status(&upstream.remote().call(request(&format!("/{http}"))).await.unwrap());
        assert_eq!(status.code(), code, "{http}");
        assert_eq!(status.message(), format!("the server behind this one answered HTTP {http}, and not gRPC"));
    }
}

#[test]
fn an_address_has_a_scheme_and_a_host() {
    for address in ["https://127.0.0.1:1", "127.0.0.1:1", "/path"] {
        let error = Remote::connect(address.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("expected http://HOST:PORT"), "{error}");
    }
}
