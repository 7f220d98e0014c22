//! Claims about unary answers.

use super::*;

#[tokio::test]
async fn any_field_can_be_the_body_of_an_answer() {
    let full = r#"{"text":"t","kind":"KIND_MADE","inner":{"id":"i"},"many":[{"id":"1"},{}],"counts":{"a":1},"number":"9","words":["x","y"],"flag":false,
        "when":"2026-01-31T12:00:00Z","maybe":"m","list":[1,null],"object":{"o":1}}"#;
    for (field, value, unset) in [
        ("text", r#""t""#, r#""""#),
        ("kind", r#""KIND_MADE""#, r#""KIND_UNSPECIFIED""#),
        ("inner", r#"{"id":"i"}"#, "{}"),
        ("many", r#"[{"id":"1"},{}]"#, "[]"),
        ("counts", r#"{"a":1}"#, "{}"),
        ("words", r#"["x","y"]"#, "[]"),
        ("number", r#""9""#, r#""0""#),
        ("flag", "false", "false"),
        ("when", r#""2026-01-31T12:00:00Z""#, "null"),
        ("maybe", r#""m""#, "null"),
        ("list", "[1,null]", "[]"),
        ("object", r#"{"o":1}"#, "{}"),
    ] {
        for (json, expected) in [(full, value), ("{}", unset)] {
            let answer = ask(&Script::new([item(json), good()]), get(&format!("/one/{field}"), &[])).await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, expected), "{field} of {json}");
            assert_eq!(answer.header("content-type"), "application/json");
        }
    }
}

#[tokio::test]
async fn a_unary_answer_is_one_whole_message() {
    let one = || item("{}");
    for pieces in [
        vec![good()],
        vec![one(), one(), good()],
        vec![one()],
        vec![one(), Piece::Data(Bytes::from_static(&[0, 0])), good()],
        vec![one(), Piece::Broken],
    ] {
        let answer = ask(&Script::new(pieces.clone()), get("/one", &[])).await;
        assert!(answer.status.is_server_error(), "{pieces:?}: {}", answer.status);
        assert!(answer.json()["message"].is_string());
    }
}

#[tokio::test]
async fn an_error_behind_a_message_is_the_answer() {
    let answer = ask(&Script::new([item("{}"), bad()]), get("/one", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.json()["status"].as_str()), (503, Some("UNAVAILABLE")));
}

#[tokio::test]
async fn a_head_tells_how_long_the_body_would_be() {
    let script = Script::new([item(r#"{"text":"a"}"#), good()]);
    let mut request = get("/one", &[]);
    *request.method_mut() = http::Method::HEAD;
    let answer = ask(&script, request).await;
    let length = r#"{"text":"a"}"#.len().to_string();
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), &*answer.body), (200, &*length, ""));
}
