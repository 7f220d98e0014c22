//! Claims about the metadata of answers: headers, trailers, and what a service has no say in.

use super::*;

const SENT: [(&str, &str); 4] = [("x-cost", "7"), ("x-cost", "8"), ("x-data-bin", "AAE"), ("connection", "close")];

fn end() -> Piece {
    Piece::End(Box::new(Status::ok("")), SENT.to_vec())
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn trailers_go_to_those_who_read_them() {
    for (path, pieces) in
        [("/one", vec![item("{}"), end()]), ("/watch", vec![item("{}"), end()]), ("/files", vec![end()])]
    {
        let script = Script::new(pieces).with("trailer", "x-cost, x-data-bin");
        let answer = ask(&script, get(path, &[("te", "trailers")])).await;
        assert_eq!(values(&answer.trailers, "x-cost"), ["7", "8"], "{path}");
        assert_eq!(values(&answer.trailers, "x-data-bin"), ["AAE"], "{path}: as it stands");
        assert_eq!(answer.trailers.len(), 3, "{path}: {:?}", answer.trailers);
        assert_eq!(answer.header("trailer"), "x-cost, x-data-bin", "{path}");
        let answer = ask(&script, get(path, &[])).await;
        assert!(answer.trailers.is_empty() && !answer.headers.contains_key("trailer"), "{path}");
        assert!(answer.headers.keys().all(|name| !name.as_str().contains("x-cost")), "{path}");
    }
}

#[tokio::test]
async fn trailers_of_a_unary_answer_become_headers_on_demand() {
    let config = Config { trailers_as_headers: true, ..Config::default() };
    let answer = ask_with(transcoder_with(config), &Script::new([item("{}"), end()]), get("/one", &[])).await;
    assert_eq!(values(&answer.headers, "trailer-x-cost"), ["7", "8"]);
    assert_eq!(values(&answer.headers, "trailer-x-data-bin"), ["AAE"]);
    assert!(answer.trailers.is_empty() && !answer.headers.contains_key("trailer-connection"));
}

#[tokio::test]
async fn http_1_carries_the_trailers_that_were_announced() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    for (path, te, expected) in [("/one", "trailers", true), ("/watch", "trailers", true), ("/one", "gzip", false)] {
        let script = Script::new([item("{}"), end()]).with("trailer", "x-cost");
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let service = hyper_util::service::TowerToHyperService::new(transcoder().serve(script));
        let server = tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(server), service),
        );
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nte: {te}\r\nconnection: te, close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        server.await.unwrap().unwrap();
        let announced = "\r\n0\r\nx-cost: 7\r\nx-cost: 8\r\n";
        assert_eq!(text.contains(announced), expected, "{path} {te}: {text}");
    }
}

#[tokio::test]
async fn a_service_has_no_say_in_what_belongs_to_the_connection_or_to_grpc() {
    let script = Script::new([item("{}"), good()])
        .with("x-mine", "a")
        .with("x-mine", "b")
        .with("x-data-bin", "AAE=")
        .with("set-cookie", "k=v")
        .with("connection", "close")
        .with("keep-alive", "timeout=5")
        .with("proxy-authenticate", "Basic")
        .with("transfer-encoding", "chunked")
        .with("upgrade", "h2c")
        .with("te", "x")
        .with("content-length", "5")
        .with("content-encoding", "gzip")
        .with("grpc-encoding", "identity")
        .with("grpc-accept-encoding", "gzip");
    for path in ["/one", "/watch"] {
        let answer = ask(&script, get(path, &[])).await;
        assert_eq!(values(&answer.headers, "x-mine"), ["a", "b"], "{path}");
        assert_eq!(values(&answer.headers, "x-data-bin"), ["AAE="], "{path}");
        let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
        names.retain(|name| !["cache-control", "x-accel-buffering", "vary"].contains(name));
        names.sort_unstable();
        assert_eq!(names, ["content-type", "set-cookie", "x-data-bin", "x-mine"], "{path}");
    }
}

#[tokio::test]
async fn what_a_service_says_about_caching_counts() {
    let script = Script::new([item("{}"), good()]).with("cache-control", "no-store");
    let answer = ask(&script, get("/watch", &[])).await;
    assert_eq!(values(&answer.headers, "cache-control"), ["no-store"]);
}
