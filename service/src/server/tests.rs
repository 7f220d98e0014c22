//! The accept loop, over real sockets.

use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower::service_fn;

use super::*;
use crate::config::Config as Whole;

/// A server whose answers take this long, with the usual limits changed by `change`.
fn start(pause: Duration, change: impl FnOnce(&mut Config)) -> (SocketAddr, Shutdown, JoinHandle<Ending>) {
    let mut config = Whole::from_parts(None, []).unwrap().server;
    config.listen.set_port(0);
    change(&mut config);
    let server = Server::bind(&config).unwrap().served_on(Cores::start(&config).unwrap());
    let (address, shutdown) = (server.address(), Shutdown::new());
    let service = service_fn(move |_: Request<Incoming>| async move {
        sleep(pause).await;
        Ok(Response::new(Full::new(Bytes::from_static(b"done"))))
    });
    (address, shutdown.clone(), tokio::spawn(server.serve(service, shutdown)))
}

/// Sends a request and returns the connection.
async fn ask(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    // So that the server has seen the request before the test goes on.
    sleep(Duration::from_millis(50)).await;
    stream
}

async fn rest_of(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A reset is an end too.
    let _ = stream.read_to_string(&mut text).await;
    text
}

/// Each kind of runtime.
fn runtimes() -> [impl Fn(&mut Config); 2] {
    [Runtime::Shared, Runtime::PerCore].map(|runtime| {
        move |config: &mut Config| {
            config.runtime = runtime;
            config.workers = Some(2);
        }
    })
}

#[tokio::test]
async fn open_calls_finish_and_idle_connections_close_when_the_server_stops() {
    for runtime in runtimes() {
        let (address, shutdown, ending) = start(Duration::from_millis(300), runtime);
        let idle = TcpStream::connect(address).await.unwrap();
        let (open, another) = tokio::join!(ask(address), ask(address));
        shutdown.stop();
        for open in [open, another] {
            assert!(rest_of(open).await.ends_with("done"));
        }
        assert_eq!(rest_of(idle).await, "");
        assert_eq!(ending.await.unwrap(), Ending::Drained);
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn with_a_runtime_for_each_core_connections_are_spread_and_stay_where_they_are() {
    let mut config = Whole::from_parts(None, []).unwrap().server;
    config.listen.set_port(0);
    (config.runtime, config.workers) = (Runtime::PerCore, Some(2));
    let server = Server::bind(&config).unwrap().served_on(Cores::start(&config).unwrap());
    let address = server.address();
    let service = service_fn(|_: Request<Incoming>| async {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        Ok(Response::new(Full::new(Bytes::from(thread))))
    });
    let _serving = tokio::spawn(server.serve(service, Shutdown::new()));
    let asked = async |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.windows(5).any(|part| part == b"core-") || answer.last() == Some(&b'-') {
            stream.read_buf(&mut answer).await.unwrap();
        }
        answer.last().copied().unwrap()
    };
    let (mut one, mut other) = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let cores = (asked(&mut one).await, asked(&mut other).await);
    assert_ne!(cores.0, cores.1);
    for _ in 0..3 {
        assert_eq!((asked(&mut one).await, asked(&mut other).await), cores);
    }
}

#[tokio::test]
async fn calls_that_outlast_the_drain_limit_are_cut_and_counted() {
    for runtime in runtimes() {
        let (address, shutdown, ending) = start(Duration::from_secs(60), |config| {
            runtime(config);
            config.drain_timeout = Duration::from_millis(50);
        });
        let open = ask(address).await;
        shutdown.stop();
        assert_eq!(ending.await.unwrap(), Ending::Cut(1));
        assert_eq!(rest_of(open).await, "");
    }
}

#[tokio::test]
async fn a_second_order_to_stop_does_not_wait() {
    let (address, shutdown, ending) = start(Duration::from_secs(60), |_| {});
    let _open = ask(address).await;
    shutdown.stop();
    shutdown.stop();
    assert_eq!(ending.await.unwrap(), Ending::Cut(1));
}

#[tokio::test]
async fn a_connection_that_was_taken_over_keeps_its_slot_until_it_is_closed() {
    let mut config = Whole::from_parts(None, []).unwrap().server;
    config.listen.set_port(0);
    config.max_connections = 1;
    let server = Server::bind(&config).unwrap();
    let address = server.address();
    let service = service_fn(|request: Request<Incoming>| async move {
        tokio::spawn(async move {
            let taken = hyper::upgrade::on(request).await.unwrap();
            let (mut read, mut write) = tokio::io::split(hyper_util::rt::TokioIo::new(taken));
            tokio::io::copy(&mut read, &mut write).await
        });
        let answer = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
        Ok(answer.body(Full::<Bytes>::default()).unwrap())
    });
    let _serving = tokio::spawn(server.serve(service, Shutdown::new()));
    let open = || async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await.unwrap();
        stream
    };
    let mut first = open().await;
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    let mut second = open().await;
    let waiting = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut head)).await;
    assert!(waiting.is_err(), "the second is not served while the first is open");
    drop(first);
    second.read_exact(&mut head).await.unwrap();
}

#[tokio::test]
async fn small_answers_are_not_held_back() {
    let mut config = Whole::from_parts(None, []).unwrap().server;
    config.listen.set_port(0);
    let server = Server::bind(&config).unwrap();
    let (_client, accepted) = tokio::join!(TcpStream::connect(server.address()), server.accept());
    assert!(accepted.0.nodelay().unwrap(), "Nagle's algorithm is switched off");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let (address, _shutdown, _ending) = start(Duration::ZERO, |config| {
        config.handshake_timeout = Duration::from_millis(50);
    });
    assert_eq!(rest_of(TcpStream::connect(address).await.unwrap()).await, "");
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let (address, _shutdown, _ending) = start(Duration::ZERO, |config| config.max_connections = 1);
    let mut first = ask(address).await;
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();

    let mut second = ask(address).await;
    let waiting = tokio::time::timeout(Duration::from_millis(100), second.read_exact(&mut byte)).await;
    assert!(waiting.is_err(), "the second is not served while the first is open");
    drop(first);
    second.read_exact(&mut byte).await.unwrap();
}
