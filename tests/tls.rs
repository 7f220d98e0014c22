//! Claims about TLS: every protocol over it, certificates that change while the server runs, callers who are known by theirs,
//! and connections that are too old.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;

use crate::clients::process::Client;
use crate::support::{
    Call, PATIENCE, Protocol, Server, Upstream,
    identity::required,
    server::binary,
    soon,
    tls::{Authority, Shown, Tunnel},
};

/// A server that speaks TLS, with further lines of its configuration; those of `[server.tls]` come first.
async fn encrypted(lines: &str) -> (Upstream, Server, Arc<Authority>) {
    let authority = Arc::new(Authority::new());
    authority.sign_server();
    let upstream = Upstream::start();
    let config = format!("{}{}{lines}", Server::config_for(&upstream.base_url()), authority.lines());
    let server = Server::start(&config).await;
    (upstream, server, authority)
}

#[tokio::test]
async fn every_protocol_is_spoken_over_tls() {
    let (_upstream, server, authority) = encrypted("").await;
    let tunnel = Tunnel::start(&authority, server.address(), None).await;
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/echo", "over TLS");
        let answer = protocol.unary(tunnel.address(), &call).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("over TLS"), "{protocol:?}");
        let streamed = protocol.stream_all(tunnel.address(), &call).await;
        streamed.assert_complete(protocol);
    }
}

#[tokio::test]
async fn curl_and_grpcurl_come_in_by_tls() {
    let (_upstream, server, authority) = encrypted("").await;
    let root = authority.root().display().to_string();
    let port = server.address().port();
    let url = format!("https://localhost:{port}/v1/models");
    for version in ["--http1.1", "--http2"] {
        let told = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--max-time", "60", version, "--cacert", &root, &url])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success() && text.contains("scripted/echo"), "{version}: {told:?}");
    }
    let list = Client::grpcurl().args(["-cacert", &root, "-max-time", "60", &format!("localhost:{port}"), "list"]);
    assert!(list.succeeds().await.contains("sabir.v1.Chat"));
}

#[tokio::test]
async fn a_browser_comes_in_by_tls() {
    let (_upstream, server, _authority) = encrypted("").await;
    let url = format!("https://localhost:{}", server.address().port());
    assert!(server.log().contains("listening on https://"));
    Client::browser("tls.mjs").env("SERVER", url).succeeds().await;
}

#[tokio::test]
async fn new_certificates_are_used_without_a_restart_and_broken_ones_are_not() {
    let (_upstream, server, authority) = encrypted("").await;
    let shown = async || {
        let stream = authority.connect(server.address(), b"h2", None).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let first = shown().await;
    std::fs::write(authority.file("server.pem"), "no certificate").unwrap();
    let deadline = Instant::now() + PATIENCE * 2;
    while !server.log().contains("the new certificates cannot be used") {
        assert!(Instant::now() < deadline, "broken certificates are not told of");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(shown().await, first);
    authority.sign_server();
    while shown().await == first {
        assert!(Instant::now() < deadline, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_caller_is_known_by_the_certificate_of_the_connection() {
    let authority = Arc::new(Authority::new());
    authority.sign_server();
    let upstream = Upstream::start();
    let lines = format!(
        "{}client_ca_file = \"{}\"\n{}[auth.certificates.prod]\nname = \"spiffe://example.org/prod/*\"\n",
        authority.lines(),
        authority.root().display(),
        required(),
    );
    let server = Server::start(&format!("{}{lines}", Server::config_for(&upstream.base_url()))).await;
    let through = async |shown: Option<Shown>| Tunnel::start(&authority, server.address(), shown).await;
    let known = through(Some(authority.sign_client("spiffe://example.org/prod/shop"))).await;
    let unknown = through(Some(authority.sign_client("spiffe://example.org/dev/shop"))).await;
    let other = Authority::new();
    let stranger = through(Some(other.sign_client("spiffe://example.org/prod/shop"))).await;
    let call = Call::say("scripted/echo", "Hi");
    for protocol in Protocol::ALL {
        assert_eq!(protocol.unary(known.address(), &call).await.unwrap().text.as_deref(), Some("Hi"), "{protocol:?}");
        let refused = protocol.unary(unknown.address(), &call).await.unwrap_err();
        assert_eq!(refused.code, "UNAUTHENTICATED", "{protocol:?}: {refused:?}");
    }
    for row in server.usage_rows(Protocol::ALL.len()).await {
        assert_eq!(row.principal.as_deref(), Some("external certificate#spiffe://example.org/prod/shop"));
    }
    // Who shows none, or one of somebody else's, does not come in at all.
    for address in [stranger.address(), through(None).await.address()] {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = soon("the end of the connection", socket.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_the_handshake_loses_its_connection() {
    let authority = Authority::new();
    authority.sign_server();
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let server =
        Server::start(&format!("{config}[server]\nhandshake_timeout = \"300ms\"\n{}", authority.lines())).await;
    let mut socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let mut nothing = Vec::new();
    let read = soon("the server to close the connection", socket.read_to_end(&mut nothing)).await;
    assert!(read.is_err() || nothing.is_empty());
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_at_the_start() {
    let authority = Authority::new();
    authority.sign_server();
    let (pem, key) = (authority.file("server.pem"), authority.file("server.key"));
    let (pem, key, ca) = (pem.display(), key.display(), authority.root());
    for (lines, key) in [
        (format!("cert_file = \"{pem}\"\n"), "server.tls.key_file"),
        (format!("key_file = \"{key}\"\n"), "server.tls.cert_file"),
        (format!("cert_file = \"/nowhere\"\nkey_file = \"{key}\"\n"), "server.tls.cert_file"),
        (format!("cert_file = \"{key}\"\nkey_file = \"{key}\"\n"), "server.tls.cert_file"),
        (format!("cert_file = \"{}\"\nkey_file = \"{key}\"\n", ca.display()), "server.tls.key_file"),
        (format!("client_ca_file = \"{pem}\"\n"), "server.tls.client_ca_file"),
        (
            format!("cert_file = \"{pem}\"\nkey_file = \"{key}\"\nclient_auth = \"optional\"\n"),
            "server.tls.client_auth",
        ),
    ] {
        let (status, told) = Server::refuse(&format!("[server.tls]\n{lines}"));
        assert!(!status.success() && told.contains(key), "{lines}: {told}");
    }
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_ended_gently() {
    let upstream = Upstream::start();
    upstream.script("slow", crate::support::script::paced(20, Duration::from_millis(50)));
    let config = Server::config_for(&upstream.base_url());
    let server = Server::start(&format!("{config}[server]\nmax_connection_age = \"400ms\"\n")).await;
    // A stream that lasts longer than its connection may is heard to its end.
    for protocol in Protocol::ALL {
        let streamed = protocol.stream_all(server.address(), &Call::say("scripted/slow", "Hi")).await;
        streamed.assert_complete(protocol);
    }
    let get = || Request::get("/livez").header("host", "x").body(Empty::<Bytes>::new()).unwrap();
    let socket = || tokio::net::TcpStream::connect(server.address());
    let (mut http_1, connection) = conn::http1::handshake(TokioIo::new(socket().await.unwrap())).await.unwrap();
    let ended = tokio::spawn(connection);
    assert_eq!(http_1.send_request(get()).await.unwrap().into_body().collect().await.unwrap().to_bytes().len(), 3);
    soon("the old HTTP/1.1 connection to be closed", ended).await.unwrap().unwrap();
    let handshake = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket().await.unwrap()));
    let (mut http_2, connection) = handshake.await.unwrap();
    let ended = tokio::spawn(connection);
    assert_eq!(http_2.send_request(get()).await.unwrap().status(), StatusCode::OK);
    soon("the old HTTP/2 connection to be closed", ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn commands_come_in_by_tls_where_they_know_who_signs() {
    let (_upstream, server, authority) = encrypted("").await;
    let url = format!("https://localhost:{}", server.address().port());
    let root = authority.root().display().to_string();
    let models = |more: &[&str]| {
        let output =
            Command::new(binary("sabir")).env_clear().args(["models", "--url", &url]).args(more).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (succeeded, said) = models(&["--ca-file", &root]);
    assert!(succeeded && said.contains("scripted/echo"), "{said}");
    let (succeeded, said) = models(&[]);
    assert!(!succeeded && said.contains("certificate"), "{said}");
    let (succeeded, said) = models(&["--ca-file", "nowhere.pem"]);
    assert!(!succeeded && said.contains("--ca-file nowhere.pem"), "{said}");
}
