//! Claims about the life of a server: what it refuses to start with, and how it stops.

use std::time::{Duration, Instant};

use sabir_store::{Outcome, TokenSource};

use crate::support::{
    Call, Ending, Protocol, Server, Upstream,
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
    assert!(upstream.requests().iter().all(|request| request.ending() == Some(Ending::Finished)), "all were heard out");
    let rows = server.usage_rows(20).await;
    for row in &rows {
        let told = (row.outcome, row.token_source, row.completion_tokens);
        assert_eq!(told, (Outcome::Complete, TokenSource::Reported, script::COMPLETION_TOKENS), "{row:#?}");
    }
    for protocol in Protocol::ALL {
        assert!(rows.iter().filter(|row| row.protocol == protocol.stored()).count() >= 6, "{protocol:?}: {rows:#?}");
    }
}

#[tokio::test]
async fn streams_that_outlast_the_drain_limit_are_cut_and_never_look_complete() {
    let upstream = Upstream::start();
    upstream.script("silent-midway", script::silent_midway());
    let config = format!("{}[server]\ndrain_timeout = \"300ms\"\n", Server::config_for(&upstream.base_url()));
    let mut server = Server::start(&config).await;
    let mut streams = Vec::new();
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/silent-midway", "Hi");
        let mut events = protocol.stream(server.address(), &call).await.unwrap();
        next(&mut events).await;
        streams.push((protocol, tokio::spawn(Streamed::read(events))));
    }
    assert_eq!(server.terminate().await.code(), Some(1), "calls were lost");
    for (protocol, stream) in streams {
        let streamed = stream.await.unwrap();
        assert!(
            !streamed.ended && (streamed.failure.is_some() || streamed.cut.is_some()),
            "{protocol:?}: {streamed:?}"
        );
    }
    let rows = server.usage_rows(3).await;
    assert!(rows.iter().all(|row| row.outcome == Outcome::Cancelled), "{rows:#?}");
}

/// Whether new calls would be sent here. A server that takes no connections any more is not ready either.
async fn is_ready(server: &Server) -> bool {
    if tokio::net::TcpStream::connect(server.address()).await.is_err() {
        return false;
    }
    get(server.address(), "/readyz").await.0 == 200
}
