//! Claims about errors, each on a body as some server sends it.

use super::*;
use crate::error::UpstreamErrorKind::*;

fn kind_of(status: u16, body: &str) -> UpstreamErrorKind {
    read(Some(status), body.as_bytes()).kind
}

#[test]
fn openais_own_errors_keep_every_member() {
    let body = concat!(
        r#"{"error":{"message":"Unsupported value","type":"invalid_request_error","#,
        r#""param":"temperature","code":"unsupported_value"}}"#
    );
    let error = read(Some(400), body.as_bytes());
    assert_eq!(error.kind, InvalidRequest);
    assert_eq!(error.status, Some(400));
    assert_eq!(error.message, "Unsupported value");
    assert_eq!(error.param.as_deref(), Some("temperature"));
    assert_eq!(error.code.as_deref(), Some("unsupported_value"));
}

#[test]
fn codes_tell_more_than_the_status() {
    let body = |code: &str| format!(r#"{{"error":{{"message":"m","type":"t","param":null,"code":"{code}"}}}}"#);
    assert_eq!(kind_of(400, &body("context_length_exceeded")), ContextLength);
    assert_eq!(kind_of(400, &body("content_filter")), ContentFilter);
    assert_eq!(kind_of(403, &body("model_not_found")), NotFound);
    assert_eq!(kind_of(429, &body("insufficient_quota")), RateLimited);
    assert_eq!(kind_of(400, &body("invalid_api_key")), Authentication);
    assert_eq!(kind_of(404, r#"{"error":{"code":"DeploymentNotFound","message":"m"}}"#), NotFound);
}

#[test]
fn a_prompt_that_is_too_long_is_known_by_its_message() {
    for message in [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "Prompt contains 33000 tokens, too large for model with 32768 Maximum Context Length",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        "the request exceeds the available context size, try increasing it",
    ] {
        let body = format!(r#"{{"object":"error","message":"{message}","type":"BadRequestError","code":400}}"#);
        assert_eq!(kind_of(400, &body), ContextLength, "{message}");
        assert_eq!(kind_of(500, &body), Internal, "{message}");
    }
    assert_eq!(
        kind_of(400, r#"{"error":{"code":400,"message":"m","type":"exceed_context_size_error"}}"#),
        ContextLength
    );
}

#[test]
fn every_status_has_a_kind() {
    let expected = [
        (400, InvalidRequest),
        (401, Authentication),
        (402, RateLimited),
        (403, PermissionDenied),
        (404, NotFound),
        (408, Timeout),
        (413, TooLarge),
        (422, InvalidRequest),
        (429, RateLimited),
        (498, Overloaded),
        (500, Internal),
        (502, Unavailable),
        (503, Overloaded),
        (504, Timeout),
        (524, Timeout),
        (529, Overloaded),
        (302, Protocol),
    ];
    for (status, kind) in expected {
        assert_eq!(kind_of(status, ""), kind, "{status}");
        assert_eq!(kind_of(status, "{}"), kind, "{status}");
    }
}

#[test]
fn the_message_is_found_wherever_it_is() {
    for (body, message) in [
        (r#"{"error":"model is loading"}"#, "model is loading"),
        (r#"{"error":{"message":"nested"}}"#, "nested"),
        (r#"{"message":"flat"}"#, "flat"),
        (r#"{"detail":"Not Found"}"#, "Not Found"),
        (r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"bad role"}]}"#, "body.messages.0.role: bad role"),
        (
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"no"}]}}"#,
            "body.x: no",
        ),
        (r#"[{"error":{"code":400,"message":"listed","status":"INVALID_ARGUMENT"}}]"#, "listed"),
        ("upstream connect error", "upstream connect error"),
        (
            "<html><head><title>502 Bad Gateway</title></head><body>long</body></html>",
            "the upstream answered with a page: 502 Bad Gateway",
        ),
        ("<html></html>", "the upstream answered with status 502 and no reason"),
        ("", "the upstream answered with status 502 and no reason"),
        ("null", "the upstream answered with status 502 and no reason"),
        ("\u{0}\u{1}", "\u{0}\u{1}"),
    ] {
        assert_eq!(read(Some(502), body.as_bytes()).message, message, "{body}");
    }
}

#[test]
fn an_error_within_a_stream_is_classified_without_a_status() {
    let in_band = |body: &str| {
        let error = read(None, body.as_bytes());
        assert_eq!(error.status, None);
        error.kind
    };
    assert_eq!(in_band(r#"{"error":{"code":429,"message":"slow down"}}"#), RateLimited);
    assert_eq!(in_band(r#"{"error":{"code":"502","message":"Provider disconnected"}}"#), Unavailable);
    assert_eq!(in_band(r#"{"error":{"message":"m","type":"invalid_request_error"}}"#), InvalidRequest);
    assert_eq!(in_band(r#"{"error":"Input validation error","error_type":"validation"}"#), InvalidRequest);
    assert_eq!(in_band(r#"{"error":{"message":"The server had an error","type":"server_error"}}"#), Internal);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let body = format!(r#"{{"error":{{"message":"{}"}}}}"#, "ä".repeat(10_000));
    let message = read(Some(400), body.as_bytes()).message;
    assert!(message.len() <= failure::LONGEST_MESSAGE + '…'.len_utf8() && message.ends_with("ä…"));
}

#[test]
fn an_answer_is_an_error_only_if_it_says_so() {
    let members = |text: &str| BTreeMap::from([("error".to_owned(), text.to_owned())]);
    assert!(is_error("error", &BTreeMap::new()));
    assert!(is_error("", &members("{\"message\":\"m\"}")));
    assert!(!is_error("chat.completion", &BTreeMap::new()));
    assert!(!is_error("chat.completion", &members("null")));
}
