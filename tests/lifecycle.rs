//! Claims about the life of a server: what it refuses to start with, and how it stops.

use std::time::{Duration, Instant};

use sabir_store::Outcome;

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::get,
    protocol::{Streamed, next},
    script, world,
};

#[tokio::test]
async fn a_configuration_with_an_unknown_key_is_refused_by_name() {
    let upstream = Upstream::start();
    let config = format!("{}[server]\nlissten = \"127.0.0.1:1\"\n", Server::config_for(&upstream.base_url()));
    let (status, log) = Server::refuse(&config);
    assert!(!status.success(), "{log}");
    assert!(log.contains("server.lissten"), "{log}");
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let (_upstream, mut server) = world().await;
    // A connection that is kept for later must not hold the server up.
    Protocol::Grpc.unary(server.address(), &Call::say("scripted/echo", "Hi")).await.unwrap();
    let before = Instant::now();
    assert_eq!(server.terminate().await.code(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    assert_eq!(server.usage_rows(1).await[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_stopping_server_finishes_its_streams_and_writes_every_row() {
    let (upstream, mut server) = world().await;
    upstream.script("paced", script::paced(40, Duration::from_millis(50)));
    let mut streams = Vec::new();
    for number in 0..20 {
        let protocol = Protocol::ALL[number % 3];
        let call = Call::say("scripted/paced", "count");
        let mut events = protocol.stream(server.address(), &call).await.unwrap();
        next(&mut events).await;
        streams.push((protocol, tokio::spawn(Streamed::read(events))));
    }
    server.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!is_ready(&server).await, "a stopping server is not ready");
    for (protocol, stream) in streams {
        let streamed = stream.await.unwrap();
        streamed.assert_complete(protocol);
        assert!(streamed.text().ends_with("39 "), "{protocol:?}: {streamed:?}");
    }
    assert_eq!(server.ended().await.code(), Some(0));
    let rows = server.usage_rows(20).await;
    assert!(rows.iter().all(|row| row.outcome == Outcome::Complete), "{rows:#?}");
}

/// Whether new calls would be sent here. A server that takes no connections any more is not ready either.
async fn is_ready(server: &Server) -> bool {
    if tokio::net::TcpStream::connect(server.address()).await.is_err() {
        return false;
    }
    get(server.address(), "/readyz").await.0 == 200
}
