//! Claims about partial updates: the field mask of a PATCH request.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;

use super::support::{Echo, descriptors};
use crate::{Config, Transcoder};

const SCHEMA: &str = r#"
syntax = "proto3"; package u; import "google/api/annotations.proto"; import "transcode/v1/options.proto";
import "google/protobuf/field_mask.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto";
import "google/protobuf/timestamp.proto";
message Part { string first_name = 1; int32 size = 2; Part part = 3; }
message Content { oneof content { option (transcode.v1.oneof).by_json_type = true; string plain = 1; Part rich = 2; } }
message Book {
  string display_name = 1; Part main_part = 2; repeated Part parts = 3; map<string, string> labels = 4;
  google.protobuf.Struct meta = 5; google.protobuf.StringValue note = 6; google.protobuf.Timestamp due_time = 7;
  google.protobuf.Value any_value = 8; oneof one { string a = 9; Part b_part = 10; } Content content = 11; bool on = 12;
}
message Update { Book book = 1; google.protobuf.FieldMask update_mask = 2; string name = 3; string text = 4; }
message Two { Book book = 1; google.protobuf.FieldMask update_mask = 2; google.protobuf.FieldMask read_mask = 3; }
service Books {
  rpc Patch(Update) returns (Update) { option (google.api.http) = { patch: "/books/{name}" body: "book"
    additional_bindings { put: "/books/{name}" body: "book" }
    additional_bindings { patch: "/text" body: "text" }
    additional_bindings { patch: "/whole" body: "*" } }; }
  rpc PatchTwo(Two) returns (Two) { option (google.api.http) = { patch: "/two" body: "book" }; }
}
"#;

async fn send(config: Config, verb: &str, path: &str, body: &str) -> serde_json::Value {
    let transcoder = Transcoder::with_config(&descriptors(SCHEMA), config).unwrap();
    let request = Request::builder().method(verb).uri(path).header("content-type", "application/json");
    let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
    let body = transcoder.serve(Echo).oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

async fn patch(path: &str, body: &str) -> serde_json::Value {
    send(Config::default(), "PATCH", path, body).await
}

/// JSON writes the paths of a mask in lowerCamelCase; on the wire they are proto names, or the writer could not turn them.
#[tokio::test]
async fn a_patch_updates_what_its_body_names() {
    for (body, mask) in [
        (r#"{"displayName":"x"}"#, "displayName"),
        (r#"{"display_name":"x","on":false}"#, "displayName,on"),
        (r#"{"mainPart":{"firstName":"x","part":{"part":{"size":0}}}}"#, "mainPart.firstName,mainPart.part.part.size"),
        (r#"{"mainPart":{}}"#, "mainPart"),
        (r#"{"mainPart":null}"#, "mainPart"),
        (r#"{"mainPart":{"part":null,"size":null}}"#, "mainPart.part,mainPart.size"),
        (r#"{"displayName":null}"#, "displayName"),
        (r#"{"parts":[{"size":1}]}"#, "parts"),
        (r#"{"parts":[]}"#, "parts"),
        (r#"{"labels":{"a":"b"}}"#, "labels"),
        (r#"{"meta":{"a":{"b":1}}}"#, "meta"),
        (r#"{"anyValue":{"a":1},"note":"x","dueTime":"1970-01-01T00:00:01Z"}"#, "anyValue,note,dueTime"),
        (r#"{"anyValue":null}"#, "anyValue"),
        (r#"{"a":"x"}"#, "a"),
        (r#"{"bPart":{"size":1}}"#, "bPart.size"),
        (r#"{"content":{"content":"x"}}"#, "content.plain,content.rich"),
        (r#"{"main\u0050art":{"size":1}}"#, "mainPart.size"),
    ] {
        let answer = patch("/books/x", body).await;
        assert_eq!(answer["updateMask"], mask, "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_mask_is_inferred_only_where_it_is_missing_and_meant() {
    let body = r#"{"displayName":"x"}"#;
    for (answer, mask) in [
        (patch("/books/x?updateMask=on,mainPart.size", body).await, Some("on,mainPart.size")),
        (patch("/books/x?update_mask=", body).await, Some("")),
        (send(Config::default(), "PUT", "/books/x", body).await, None),
        (patch("/whole", r#"{"book":{"displayName":"x"}}"#).await, None),
        (patch("/text", r#""x""#).await, None),
        (patch("/two", body).await, None),
        (patch("/books/x", "").await, None),
        (patch("/books/x", "{}").await, None),
        (patch("/books/x", "null").await, None),
        (send(Config { infer_update_mask: false, ..Config::default() }, "PATCH", "/books/x", body).await, None),
    ] {
        assert!(answer["code"].is_null(), "{answer}");
        assert_eq!(answer.get("updateMask").and_then(|mask| mask.as_str()), mask, "{answer}");
    }
}

#[test]
fn paths_are_in_proto_names_and_bounded() {
    let plans = Transcoder::new(&descriptors(SCHEMA)).unwrap().plans();
    let book = plans.message("u.Book").unwrap();
    assert_eq!(plans.paths(book, br#"{"mainPart":{"firstName":"x"}}"#).unwrap(), ["main_part.first_name"]);
    // A document may not name a member twice, but nothing here relies on that.
    let many = format!("{{{}}}", vec![r#""on":true"#; 1001].join(","));
    assert!(plans.paths(book, many.as_bytes()).unwrap_err().to_string().contains("more than 1000"));
}
