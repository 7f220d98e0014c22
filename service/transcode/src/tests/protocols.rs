//! Claims about gRPC and gRPC-Web.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::support::{framed, grpc, send};

#[tokio::test]
async fn the_gate_checks_grpc_messages_too() {
    use tonic::Code;
    let mut two = framed(b"");
    two.extend_from_slice(&framed(b""));
    let mut huge = vec![0];
    huge.extend_from_slice(&u32::MAX.to_be_bytes());
    for (body, code, says) in [
        (Vec::new(), Code::Unimplemented, "no message"),
        (vec![0, 0], Code::InvalidArgument, "cut short"),
        (framed(&[0x0a, 5, b'a'])[..7].to_vec(), Code::InvalidArgument, "cut short"),
        (framed(&[0x0a, 5, b'a']), Code::InvalidArgument, "well-formed"),
        (framed(&[0x0a, 1, 0xff]), Code::InvalidArgument, "name: the string is not UTF-8"),
        (framed(&[0x12, 3, 0x0a, 1, 0xff]), Code::InvalidArgument, "inner.id: "),
        (framed(&[0x08, 1]), Code::InvalidArgument, "name: the wire type is wrong"),
        (two, Code::Unimplemented, "more than one"),
        (huge, Code::ResourceExhausted, "limit"),
        (framed(&[0x0a; 2000]), Code::ResourceExhausted, "limit"),
    ] {
        let (status, _) = grpc(body.clone()).await;
        let status = status.unwrap_or_else(|| panic!("{body:?} was let through"));
        assert_eq!(status.code(), code, "{body:?}: {status:?}");
        assert!(status.message().contains(says), "{status:?}");
    }
    let (status, answer) = grpc(framed(&[0x0a, 1, b'x'])).await;
    assert!(status.is_none(), "{status:?}");
    assert_eq!(answer.headers["x-protocol"], "grpc");
}

#[tokio::test]
async fn grpc_over_http_1_is_told_what_to_do() {
    let request = Request::post("/e.Echo/Unary").header("content-type", "application/grpc");
    let answer = send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("gRPC-Web"), "{}", answer.body);
}

#[tokio::test]
async fn grpc_web_carries_its_status_in_the_body() {
    let request = Request::post("/e.Echo/Stream")
        .header("content-type", "application/grpc-web+proto")
        .body(Full::<Bytes>::from(framed(b"\x0a\x04late")))
        .unwrap();
    let answer = send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-protocol"], "grpc-web");
    assert!(answer.body.contains("grpc-status:14"), "{:?}", answer.body);
}
