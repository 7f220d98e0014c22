//! Claims about which RPC a verb and a path reach.

use super::support::{ask, descriptors};
use crate::Transcoder;

#[tokio::test]
async fn paths_reach_their_rpc_and_fill_their_fields() {
    for (verb, path, rpc, expected) in [
        ("GET", "/v1/things/a%2Fb", "Get", r#"{"name":"a/b"}"#),
        ("GET", "/v1/things/user:1", "Get", r#"{"name":"user:1"}"#),
        ("GET", "/v1/things/a%20b?number=5&many=1&many=2", "Get", r#"{"name":"a b","number":"5","many":[1,2]}"#),
        (
            "GET",
            "/v1/things/x?inner.id=i&inner.tags=a%2Bb&inner.tags=c+d&inner.on=true",
            "Get",
            r#"{"name":"x","inner":{"id":"i","tags":["a+b","c d"],"on":true}}"#,
        ),
        ("GET", "/v1/inner/7/x", "Get", r#"{"inner":{"id":"7"}}"#),
        ("GET", "/v1/files/a/b%2Fc", "Deep", r#"{"name":"files/a/b%2Fc"}"#),
        ("GET", "/v1/files", "Deep", r#"{"name":"files"}"#),
        ("HEAD", "/v1/things/x", "Get", ""),
        ("LINK", "/v1/any?name=q", "Any", r#"{"name":"q"}"#),
    ] {
        let answer = ask(verb, path, "").await;
        assert_eq!(answer.status, 200, "{verb} {path}: {}", answer.body);
        assert_eq!(answer.headers["x-path"], format!("/e.Echo/{rpc}"), "{path}");
        assert_eq!(answer.body, expected, "{path}");
    }
    let answer = ask("POST", "/v1/things/x:do", r#"{"number":3}"#).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, r#"{"name":"x","number":"3"}"#));
    let answer = ask("PUT", "/v1/things/x?number=9", r#"{"id":"i"}"#).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (200, r#"{"id":"i","tags":[],"on":false}"#.replace(r#","tags":[],"on":false"#, "").as_str())
    );
}

#[tokio::test]
async fn a_wrong_verb_lists_the_right_ones() {
    let answer = ask("POST", "/v1/things/a", "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "GET, PUT, HEAD, OPTIONS");
    let answer = ask("OPTIONS", "/v1/things/a", "").await;
    assert_eq!(answer.status, 204);
}

#[test]
fn clashing_and_broken_rules_are_refused_by_name() {
    for (rule, says) in [
        (r#"get: "/v1/things/{a}""#, "e.Echo/Get"),
        (r#"get: "/v2/{nope}""#, "nope"),
        (r#"get: "/v2/{m}""#, "single scalar"),
        (r#"get: "v2""#, "v2"),
        (r#"post: "/v2" body: "nope""#, "nope"),
        (r#"get: "/v2" response_body: "nope""#, "nope"),
    ] {
        let schema = format!(
            r#"syntax = "proto3"; package x; import "google/api/annotations.proto"; import "e.proto";
            message M {{ string a = 1; M m = 2; }}
            service S {{ rpc R(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }} }}"#
        );
        let error = Transcoder::new(&descriptors(&schema)).unwrap_err().to_string();
        assert!(error.contains("x.S/R") && error.contains(says), "{rule}: {error}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body_and_says_how_long_it_would_be() {
    let get = ask("GET", "/v1/things/x", "").await;
    let head = ask("HEAD", "/v1/things/x", "").await;
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert_eq!(head.headers["content-length"], get.body.len().to_string());
    let stream = ask("HEAD", "/v1/plain/silent", "").await;
    assert_eq!((stream.status.as_u16(), stream.body.as_str()), (200, ""));
    assert_eq!(stream.headers["content-type"], "text/event-stream");
}
