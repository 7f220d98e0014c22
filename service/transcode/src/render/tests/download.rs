//! Claims about `google.api.HttpBody` in answers.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;

use super::*;

fn chunk(content_type: &str, data: &str) -> Piece {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(data);
    Piece::Data(message("google.api.HttpBody", &format!(r#"{{"contentType":"{content_type}","data":"{data}"}}"#)))
}

#[tokio::test]
async fn a_body_goes_down_as_it_is_with_its_headers() {
    let script = Script::new([chunk("image/svg+xml", "<svg/>"), good()])
        .with("etag", "\"7\"")
        .with("content-disposition", "attachment; filename=x.svg")
        .with("cache-control", "max-age=60")
        .with("content-encoding", "identity")
        .with("content-length", "9999");
    let answer = ask(&script, get("/file", &[("accept", "application/json")])).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "<svg/>"));
    for (name, value) in [
        ("content-type", "image/svg+xml"),
        ("etag", "\"7\""),
        ("content-disposition", "attachment; filename=x.svg"),
        ("cache-control", "max-age=60"),
        ("content-encoding", "identity"),
        ("content-length", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_part_of_a_body_is_answered_as_a_part() {
    for path in ["/file", "/files"] {
        let script = Script::new([chunk("text/plain", "bcd"), good()]).with("content-range", "bytes 1-3/9");
        let answer = ask(&script, get(path, &[("range", "bytes=1-3")])).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-range")), (206, "bytes 1-3/9"), "{path}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_said_to_be_one() {
    for path in ["/file", "/files"] {
        let end = |metadata| Piece::End(Box::new(Status::out_of_range("beyond")), metadata);
        let answer = ask(&Script::new([end(vec![("content-range", "bytes */9")])]), get(path, &[])).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-range")), (416, "bytes */9"), "{path}");
        assert_eq!(answer.json()["status"], "OUT_OF_RANGE");
        assert_eq!(ask(&Script::new([end(vec![])]), get(path, &[])).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_field_can_be_the_body_that_goes_down() {
    let one = r#"{"text":"not this","file":{"contentType":"text/csv","data":"YSxi"}}"#;
    for path in ["/one/file", "/watch/file"] {
        let answer = ask(&Script::new([item(one), good()]), get(path, &[])).await;
        assert_eq!((answer.header("content-type"), &*answer.body), ("text/csv", "a,b"), "{path}");
        let answer = ask(&Script::new([item("{}"), good()]), get(path, &[])).await;
        assert_eq!((answer.header("content-type"), &*answer.body), ("application/octet-stream", ""), "{path}: unset");
    }
}

#[tokio::test]
async fn a_media_type_that_no_header_can_hold_is_left_out() {
    let answer = ask(&Script::new([chunk("text/plain\\r\\nx-evil: 1", "x"), good()]), get("/file", &[])).await;
    assert_eq!((answer.header("content-type"), &*answer.body), ("application/octet-stream", "x"));
    assert!(!answer.headers.contains_key("x-evil"));
}

#[tokio::test]
async fn streamed_bytes_follow_one_another_under_the_first_media_type() {
    let joined = {
        let Piece::Data(one) = chunk("", "e") else { unreachable!() };
        let Piece::Data(two) = chunk("", "\n") else { unreachable!() };
        Piece::Data([one, two].concat().into())
    };
    let script = Script::new([chunk("text/x", "ab"), chunk("text/y", ""), chunk("", "cd"), joined, good()])
        .with("etag", "\"1\"");
    let answer = ask(&script, get("/files", &[("accept", "application/x-ndjson")])).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type"), &*answer.body), (200, "text/x", "abcde\n"));
    assert_eq!((answer.header("etag"), answer.broken), ("\"1\"", false));
    let answer = ask(&Script::new([good()]), get("/files", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/octet-stream"));
}

#[tokio::test]
async fn bytes_are_passed_on_and_not_copied() {
    let Piece::Data(frame) = chunk("text/plain", &"x".repeat(10_000)) else { unreachable!() };
    let within = frame.as_ptr_range();
    for path in ["/file", "/files"] {
        let script = Script::new([Piece::Data(frame.clone()), good()]);
        let response = transcoder().serve(script).oneshot(get(path, &[])).await.unwrap();
        let data = response.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data.len(), 10_000);
        assert!(within.contains(&data.as_ptr()), "{path}");
    }
}

#[tokio::test]
async fn an_early_error_of_a_download_has_its_own_status() {
    for (path, pieces) in [
        ("/file", vec![bad()]),
        ("/files", vec![bad()]),
        ("/files", vec![Piece::Broken]),
        ("/files", vec![]),
        ("/files", vec![Piece::Data(Bytes::from_static(&[0, 0])), good()]),
    ] {
        let answer = ask(&Script::new(pieces), get(path, &[])).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (503, "application/json"), "{path}");
    }
}

/// Serves the script over a connection of its own, and reads the answer of `/files` as a client of this HTTP version sees it.
async fn over_a_connection(script: Script, http2: bool) -> Result<Bytes, hyper::Error> {
    let (client, server) = tokio::io::duplex(1 << 16);
    let service = TowerToHyperService::new(transcoder().serve(script));
    tokio::spawn(async move {
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let served = builder.serve_connection(TokioIo::new(server), service).await;
        // The server itself fails with the download, over HTTP/1.1.
        drop(served);
    });
    let request = Request::get("http://localhost/files").header("host", "localhost");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let response = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    assert_eq!(response.status(), 200);
    Ok(response.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn a_download_that_was_cut_breaks_the_connection() {
    let data = || chunk("text/plain", "half");
    for http2 in [false, true] {
        let whole = over_a_connection(Script::new([data(), data(), good()]), http2).await.unwrap();
        assert_eq!(whole, "halfhalf", "HTTP/2: {http2}");
        for end in [vec![bad()], vec![Piece::Broken], vec![], vec![Piece::Data(Bytes::from_static(&[0])), good()]] {
            let pieces = [vec![data()], end.clone()].concat();
            let cut = over_a_connection(Script::new(pieces), http2).await;
            assert!(cut.is_err(), "HTTP/2: {http2}, {end:?}: {cut:?}");
        }
    }
}
