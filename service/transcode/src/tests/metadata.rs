//! Claims about metadata and deadlines.

use std::time::Duration;

use http::Request;
use http_body_util::Full;

use super::support::send;

#[tokio::test]
async fn metadata_travels_both_ways_and_a_deadline_is_noted() {
    let request = Request::get("/v1/things/x").header("x-mine", "v").header("x-server-timeout", "5");
    let answer = send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.headers["x-mine"], "v");
    assert_eq!(answer.headers["x-deadline"], "true");
    assert_eq!(answer.headers["x-protocol"], "rest");
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("grpc-")), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_deadline_ends_the_call_before_and_within_the_answer() {
    for (path, status) in [("/v1/things/never", 504), ("/v1/plain/silent", 200)] {
        let request = Request::get(path).header("x-server-timeout", "0.05").body(Full::default()).unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), send(request)).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains("DEADLINE_EXCEEDED"), "{path}: {}", answer.body);
    }
}
