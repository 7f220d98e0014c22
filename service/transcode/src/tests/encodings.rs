//! Claims about requests that come compressed.

use http::Request;
use http_body_util::Full;
use tonic::{Code, Status};

use super::support::{Answer, framed, send};
use crate::bind::coding::tests::{ALL, encode};

const NAMES: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

async fn post(encoding: &str, body: Vec<u8>) -> Answer {
    let request =
        Request::post("/v1/ask").header("content-type", "application/json").header("content-encoding", encoding);
    send(request.body(Full::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_json_body_may_be_compressed() {
    for (coding, name) in ALL.into_iter().zip(NAMES) {
        for name in [name.to_owned(), name.to_uppercase()] {
            let answer = post(&name, encode(coding, br#"{"name":"x"}"#)).await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, r#"{"name":"x"}"#), "{name}");
        }
    }
    let answer = post("identity", br#"{"name":"x"}"#.to_vec()).await;
    assert_eq!(answer.body, r#"{"name":"x"}"#);
}

#[tokio::test]
async fn a_body_is_measured_by_what_it_inflates_to() {
    for (coding, name) in ALL.into_iter().zip(NAMES) {
        let bomb = encode(coding, format!(r#"{{"name":"{}"}}"#, "x".repeat(100_000)).as_bytes());
        assert!(bomb.len() < 900, "smaller than the limit as it comes: {}", bomb.len());
        let answer = post(name, bomb).await;
        assert_eq!(answer.status, 413, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_encoding_that_is_not_known_or_not_true_is_refused() {
    for name in ["compress", "gzip, gzip", "", "gzip;q=1"] {
        let answer = post(name, b"{}".to_vec()).await;
        assert_eq!(answer.status, 415, "{name}: {}", answer.body);
        assert_eq!(answer.headers["accept-encoding"], "gzip, deflate, br, zstd");
    }
    for (coding, name) in ALL.into_iter().zip(NAMES) {
        let whole = encode(coding, br#"{"name":"x"}"#);
        for body in [b"{}".to_vec(), whole[..whole.len() - 1].to_vec()] {
            let answer = post(name, body).await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.body);
            assert!(answer.body.contains(&format!("not valid {name}")), "{}", answer.body);
        }
    }
}

async fn grpc(encoding: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = Request::post("/e.Echo/Unary").version(http::Version::HTTP_2);
    request = request.header("content-type", "application/grpc");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    send(request.body(Full::from(body)).unwrap()).await
}

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut frame = framed(message);
    frame[0] = 1;
    frame
}

#[tokio::test]
async fn a_compressed_grpc_message_is_checked_and_handed_on_plain() {
    for (coding, name) in ALL.into_iter().zip(NAMES).filter(|(_, name)| *name != "br") {
        let answer = grpc(Some(name), compressed(&encode(coding, b"\x0a\x01x"))).await;
        assert_eq!(answer.body.as_bytes(), framed(b"\x0a\x01x"), "{name}");
        let answer = grpc(Some(name), framed(b"\x0a\x01x")).await;
        assert_eq!(answer.body.as_bytes(), framed(b"\x0a\x01x"), "{name}, not used");
        for (body, code) in [
            (compressed(&encode(coding, b"\x0a\x01\xff")), Code::InvalidArgument),
            (compressed(&encode(coding, &vec![0; 100_000])), Code::ResourceExhausted),
            (compressed(b"\x0a\x01x"), Code::InvalidArgument),
        ] {
            let status = Status::from_header_map(&grpc(Some(name), body).await.headers).unwrap();
            assert_eq!(status.code(), code, "{name}: {status:?}");
        }
    }
}

#[tokio::test]
async fn a_grpc_compression_that_is_not_known_is_unimplemented_and_the_known_ones_are_named() {
    for name in ["snappy", "br"] {
        let answer = grpc(Some(name), compressed(b"x")).await;
        assert_eq!(Status::from_header_map(&answer.headers).unwrap().code(), Code::Unimplemented, "{name}");
        assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip,deflate,zstd");
    }
    for encoding in [None, Some("identity")] {
        let status = Status::from_header_map(&grpc(encoding, compressed(b"x")).await.headers).unwrap();
        assert_eq!(status.code(), Code::Internal, "a flag without a compression: {status:?}");
    }
}
