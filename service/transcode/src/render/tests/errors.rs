//! Claims about error answers: one shape in every phase, every detail, the headers that go with them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

fn failing(status: Status) -> [Script; 3] {
    let end = |metadata: Vec<_>| Piece::End(Box::new(status.clone()), metadata);
    // By headers alone; in trailers without a message; in trailers behind one.
    [
        Script::new([end(vec![])]),
        Script::new([Piece::Data(Bytes::new()), end(vec![])]),
        Script::new([item("{}"), end(vec![])]),
    ]
}

#[tokio::test]
async fn every_code_has_its_http_status_and_one_shape_in_every_phase() {
    for (code, name, http) in [
        (Code::Cancelled, "CANCELLED", 499),
        (Code::Unknown, "UNKNOWN", 500),
        (Code::InvalidArgument, "INVALID_ARGUMENT", 400),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
        (Code::NotFound, "NOT_FOUND", 404),
        (Code::AlreadyExists, "ALREADY_EXISTS", 409),
        (Code::PermissionDenied, "PERMISSION_DENIED", 403),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED", 429),
        (Code::FailedPrecondition, "FAILED_PRECONDITION", 400),
        (Code::Aborted, "ABORTED", 409),
        (Code::OutOfRange, "OUT_OF_RANGE", 400),
        (Code::Unimplemented, "UNIMPLEMENTED", 501),
        (Code::Internal, "INTERNAL", 500),
        (Code::Unavailable, "UNAVAILABLE", 503),
        (Code::DataLoss, "DATA_LOSS", 500),
        (Code::Unauthenticated, "UNAUTHENTICATED", 401),
    ] {
        let expected = serde_json::json!({"code": code as i32, "status": name, "message": "why", "details": []});
        for (phase, script) in failing(Status::new(code, "why")).iter().enumerate() {
            for path in ["/one", "/watch", "/file", "/files"] {
                // Behind a message a stream has said 200 already: the error stands in its body.
                if phase == 2 && path != "/one" && path != "/file" {
                    continue;
                }
                let answer = ask(script, get(path, &[])).await;
                assert_eq!(answer.status, http, "{path} in phase {phase}");
                assert_eq!(answer.header("content-type"), "application/json");
                assert_eq!(answer.json(), expected, "{path} in phase {phase}");
                assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("grpc-")), "{:?}", answer.headers);
            }
        }
        let late = ask(&failing(Status::new(code, "why"))[2], get("/watch", &[])).await;
        assert_eq!(late.body, format!("data: {{}}\n\nevent: error\ndata: {}\n\n", text(&expected)));
    }
}

/// JSON with the members in the order in which they are written.
fn text(error: &serde_json::Value) -> String {
    format!(r#"{{"code":{},"status":{},"message":{},"details":[]}}"#, error["code"], error["status"], error["message"])
}

#[tokio::test]
async fn routing_parsing_limits_and_handlers_speak_alike() {
    let script = Script::new([bad()]);
    let post = |body: &str, content_type: &str| {
        Request::post("/ask").header("content-type", content_type).body(Full::from(body.to_owned())).unwrap()
    };
    let transcoder = transcoder();
    for (request, http) in [
        (get("/nothing", &[]), 404),
        (Request::delete("/one").body(Full::default()).unwrap(), 405),
        (get("/one?nope=1", &[]), 400),
        (get("/one", &[("x-server-timeout", "soon")]), 400),
        (post("{", "application/json"), 400),
        (post("{}", "text/plain"), 415),
        (post(&format!(r#"{{"name":"{}"}}"#, "x".repeat(5 << 20)), "application/json"), 413),
        (get("/one", &[]), 503),
    ] {
        let path = request.uri().path().to_owned();
        let answer = ask_with(transcoder.clone(), &script, request).await;
        assert_eq!(answer.status, http, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
        let json = answer.json();
        let names: BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["code", "details", "message", "status"]), "{path}");
        assert!(json["code"].is_i64() && json["status"].is_string(), "{json}");
        assert!(!json["message"].as_str().unwrap().is_empty() && json["details"].is_array(), "{json}");
    }
}

#[tokio::test]
async fn every_standard_detail_is_rendered() {
    let mut details = ErrorDetails::new();
    details
        .set_retry_info(Some(Duration::from_millis(2500)))
        .set_debug_info(vec!["at a".into(), "at b".into()], "deep")
        .add_quota_failure_violation("user:1", "too many")
        .set_error_info("STOCKOUT", "r.test", HashMap::from([("zone".into(), "a".into())]))
        .add_precondition_failure_violation("TOS", "r.test", "not accepted")
        .add_bad_request_violation("inner.id", "is missing")
        .set_request_info("id-1", "data")
        .set_resource_info("item", "items/1", "user:1", "gone")
        .add_help_link("how", "https://r.test/how")
        .set_localized_message("de", "Nein");
    let status = Status::with_error_details(Code::ResourceExhausted, "no", details);
    let answer = ask(&failing(status)[0], get("/one", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "3"));
    let mut found = answer.json()["details"].as_array().unwrap().clone();
    let mut expected = serde_json::json!([
        {"@type": "RetryInfo", "retryDelay": "2.500s"},
        {"@type": "DebugInfo", "stackEntries": ["at a", "at b"], "detail": "deep"},
        {"@type": "QuotaFailure", "violations": [{"subject": "user:1", "description": "too many"}]},
        {"@type": "ErrorInfo", "reason": "STOCKOUT", "domain": "r.test", "metadata": {"zone": "a"}},
        {"@type": "PreconditionFailure", "violations": [{"type": "TOS", "subject": "r.test", "description": "not accepted"}]},
        {"@type": "BadRequest", "fieldViolations": [{"field": "inner.id", "description": "is missing"}]},
        {"@type": "RequestInfo", "requestId": "id-1", "servingData": "data"},
        {"@type": "ResourceInfo", "resourceType": "item", "resourceName": "items/1", "owner": "user:1", "description": "gone"},
        {"@type": "Help", "links": [{"description": "how", "url": "https://r.test/how"}]},
        {"@type": "LocalizedMessage", "locale": "de", "message": "Nein"},
    ]);
    let expected = expected.as_array_mut().unwrap();
    for detail in &mut *expected {
        let name = format!("type.googleapis.com/google.rpc.{}", detail["@type"].as_str().unwrap());
        detail["@type"] = name.into();
    }
    found.sort_by_key(|detail| detail["@type"].to_string());
    expected.sort_by_key(|detail| detail["@type"].to_string());
    assert_eq!(&found, expected);
}

/// `google.rpc.Status` with these details: type URL and bytes.
fn status_of(details: &[(&str, &[u8])]) -> Bytes {
    let mut wire = Vec::new();
    let put = |out: &mut Vec<u8>, number: u8, bytes: &[u8]| {
        out.push(number << 3 | 2);
        crate::json::wire::put_bytes(out, bytes);
    };
    for (type_url, value) in details {
        let mut any = Vec::new();
        put(&mut any, 1, type_url.as_bytes());
        put(&mut any, 2, value);
        put(&mut wire, 3, &any);
    }
    wire.into()
}

#[tokio::test]
async fn details_of_ones_own_are_rendered_and_unknown_ones_kept() {
    let details = status_of(&[
        ("type.googleapis.com/r.Problem", b"\x0a\x03big\x10\x05"),
        ("type.googleapis.com/google.rpc.BadRequest", b"\x0a\x0d\x0a\x01f\x12\x03why\x1a\x03RID"),
        ("type.googleapis.com/elsewhere.Thing", b"\x00\x01"),
        ("type.googleapis.com/r.Problem", b"\x0a\x09not"),
    ]);
    let status = Status::with_details(Code::Internal, "no", details);
    let expected = serde_json::json!([
        {"@type": "type.googleapis.com/r.Problem", "what": "big", "size": "5"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "f", "description": "why", "reason": "RID"}]},
        {"@type": "type.googleapis.com/elsewhere.Thing", "value": "AAE="},
        {"@type": "type.googleapis.com/r.Problem", "value": "Cglub3Q="},
    ]);
    let found = ask(&failing(status.clone())[0], get("/one", &[])).await.json()["details"].clone();
    assert_eq!(found, expected);
    let late = ask(&failing(status)[2], get("/watch", &[("accept", "application/x-ndjson")])).await.body;
    assert!(late.contains(r#"{"@type":"type.googleapis.com/r.Problem","what":"big","size":"5"}"#), "{late}");
}

#[tokio::test]
async fn details_that_are_no_base64_are_left_out() {
    let script = Script::new([Piece::End(Box::new(Status::not_found("x")), vec![])]);
    for broken in ["%%%", "AAA=A", "é"] {
        let service = script.clone();
        let service = tower::service_fn(move |request| {
            let mut service = service.clone();
            async move {
                let mut response = service.call(request).await?;
                response
                    .headers_mut()
                    .insert("grpc-status-details-bin", http::HeaderValue::from_bytes(broken.as_bytes()).unwrap());
                Ok::<_, Infallible>(response)
            }
        });
        let response = transcoder().serve(service).oneshot(get("/one", &[])).await.unwrap();
        assert_eq!(response.status(), 404, "{broken}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"code":5,"status":"NOT_FOUND","message":"x","details":[]}"#);
    }
}

#[tokio::test]
async fn a_message_is_decoded_once() {
    for message in ["50% off", "a%20b", "naïve — ünïcode\n\"quoted\"", "%zz", ""] {
        for script in failing(Status::aborted(message)) {
            assert_eq!(ask(&script, get("/one", &[])).await.json()["message"], message);
        }
    }
}

#[tokio::test]
async fn metadata_of_an_error_becomes_headers_wherever_it_was_sent() {
    let challenge = ("www-authenticate", "Bearer realm=\"r\"");
    let end = Piece::End(
        Box::new(Status::unauthenticated("who?")),
        vec![challenge, ("x-mine", "1"), ("connection", "close")],
    );
    for pieces in [vec![end.clone()], vec![item("{}"), end.clone()], vec![Piece::Data(Bytes::new()), end]] {
        let answer = ask(&Script::new(pieces).with("x-early", "2"), get("/one", &[])).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header(challenge.0), challenge.1);
        assert_eq!((answer.header("x-mine"), answer.header("x-early")), ("1", "2"));
        assert!(answer.headers.get_all(challenge.0).iter().count() == 1 && !answer.headers.contains_key("connection"));
    }
}

#[tokio::test]
async fn a_service_that_says_itself_when_to_come_back_is_believed() {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
    let status = Status::with_error_details(Code::Unavailable, "later", details);
    let end = Piece::End(Box::new(status), vec![("retry-after", "60")]);
    let answer = ask(&Script::new([end]), get("/one", &[])).await;
    assert_eq!(answer.headers.get_all("retry-after").iter().collect::<Vec<_>>(), ["60"]);
}
