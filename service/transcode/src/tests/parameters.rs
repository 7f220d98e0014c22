//! Claims about parameters: every kind of field in path, query, form and body, and what is refused.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::support::{Answer, Echo, descriptors};
use crate::json::wire::Reader;
use crate::{Config, Transcoder, UnknownQuery};

/// Each field of `Kinds` with its type. The ones that are one text have a route that takes it from the path.
const FIELDS: &[(&str, &str)] = &[
    ("double", "double"),
    ("float", "float"),
    ("int32", "int32"),
    ("int64", "int64"),
    ("uint32", "uint32"),
    ("uint64", "uint64"),
    ("sint32", "sint32"),
    ("sint64", "sint64"),
    ("fixed32", "fixed32"),
    ("fixed64", "fixed64"),
    ("sfixed32", "sfixed32"),
    ("sfixed64", "sfixed64"),
    ("bool", "bool"),
    ("string", "string"),
    ("bytes", "bytes"),
    ("color", "Color"),
    ("timestamp", "google.protobuf.Timestamp"),
    ("duration", "google.protobuf.Duration"),
    ("mask", "google.protobuf.FieldMask"),
    ("doublevalue", "google.protobuf.DoubleValue"),
    ("floatvalue", "google.protobuf.FloatValue"),
    ("int64value", "google.protobuf.Int64Value"),
    ("uint64value", "google.protobuf.UInt64Value"),
    ("int32value", "google.protobuf.Int32Value"),
    ("uint32value", "google.protobuf.UInt32Value"),
    ("boolvalue", "google.protobuf.BoolValue"),
    ("stringvalue", "google.protobuf.StringValue"),
    ("bytesvalue", "google.protobuf.BytesValue"),
];

const MORE: &str = r#"
  google.protobuf.Struct struct = 40; google.protobuf.Value value = 41; google.protobuf.ListValue list = 42;
  map<string, int32> counts = 43; map<int32, Color> colors = 44; map<string, Kinds> messages = 45;
  repeated Kinds many = 46; repeated google.protobuf.Timestamp times = 47; repeated Color palette = 48;
  Kinds inner = 49; string long_name = 50;
  oneof one { string a = 51; int32 b = 52; Kinds c = 53; }
  map<bool, google.protobuf.Value> flags = 54; repeated google.protobuf.Struct structs = 55;
"#;

fn schema() -> String {
    let mut fields = String::new();
    let mut routes = String::new();
    for (number, (name, kind)) in (1..).zip(FIELDS) {
        writeln!(fields, "{kind} {name} = {number};").unwrap();
        write!(routes, "additional_bindings {{ get: \"/k/path/{name}/{{{name}}}\" }} ").unwrap();
    }
    format!(
        r#"syntax = "proto3"; package k; import "google/api/annotations.proto";
        import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
        import "google/protobuf/field_mask.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
        enum Color {{ COLOR_UNSPECIFIED = 0; RED = 1; DARK_BLUE = 2; }}
        message Kinds {{ {fields} {MORE} }}
        service All {{
          rpc Get(Kinds) returns (Kinds) {{ option (google.api.http) = {{ get: "/k/query" {routes}
            additional_bindings {{ post: "/k/body" body: "*" }}
            additional_bindings {{ post: "/k/inner" body: "inner" }}
            additional_bindings {{ post: "/k/a" body: "a" }}
            additional_bindings {{ post: "/k/c/{{c.string}}" body: "*" }}
            additional_bindings {{ post: "/k/b/{{b}}" body: "*" }}
            additional_bindings {{ get: "/k/deep/{{inner.inner.string}}" }} }}; }}
        }}"#
    )
}

static KINDS: LazyLock<Transcoder> = LazyLock::new(|| Transcoder::new(&descriptors(&schema())).unwrap());

async fn send(transcoder: &Transcoder, request: Request<Full<Bytes>>) -> Answer {
    let (parts, body) = transcoder.serve(Echo).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

async fn get(path: &str) -> Answer {
    send(&KINDS, Request::get(path).body(Full::default()).unwrap()).await
}

async fn post(path: &str, content_type: &str, body: &str) -> Answer {
    let request = Request::post(path).header("content-type", content_type);
    send(&KINDS, request.body(Full::from(body.to_owned())).unwrap()).await
}

const FORM: &str = "application/x-www-form-urlencoded";

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A field, a text for it, the same in JSON, and what comes of it: JSON, or (where it begins with `!`) part of an error.
const TEXTS: &[(&str, &str, &str, &str)] = &[
    ("double", "1.5", "1.5", "1.5"),
    ("double", "-1e300", "-1e300", "-1e+300"),
    ("double", "NaN", r#""NaN""#, r#""NaN""#),
    ("double", "-Infinity", r#""-Infinity""#, r#""-Infinity""#),
    ("double", "x", r#""x""#, "!a number"),
    ("float", "0.25", "0.25", "0.25"),
    ("float", "1e40", "1e40", "!"),
    ("int32", "-5", "-5", "-5"),
    ("int32", "2147483648", "2147483648", "!"),
    ("int32", "1.5", "1.5", "!"),
    ("int64", "-9223372036854775808", "-9223372036854775808", r#""-9223372036854775808""#),
    ("int64", "9223372036854775808", r#""9223372036854775808""#, "!"),
    ("uint32", "4294967295", "4294967295", "4294967295"),
    ("uint32", "-1", "-1", "!"),
    ("uint64", "18446744073709551615", r#""18446744073709551615""#, r#""18446744073709551615""#),
    ("sint32", "-2147483648", "-2147483648", "-2147483648"),
    ("sint64", "-7", r#""-7""#, r#""-7""#),
    ("fixed32", "7", "7", "7"),
    ("fixed64", "7", "7", r#""7""#),
    ("sfixed32", "-7", "-7", "-7"),
    ("sfixed64", "-7", "-7", r#""-7""#),
    ("bool", "true", "true", "true"),
    ("bool", "1", "1", "!true or false"),
    ("string", "a/b c+d%&=é", r#""a/b c+d%&=é""#, r#""a/b c+d%&=é""#),
    ("bytes", "+/8=", r#""+/8=""#, r#""+/8=""#),
    ("bytes", "-_8", r#""-_8""#, r#""+/8=""#),
    ("bytes", "!", r#""!""#, "!base64"),
    ("color", "RED", r#""RED""#, r#""RED""#),
    ("color", "2", "2", r#""DARK_BLUE""#),
    ("color", "77", "77", "77"),
    ("color", "red", r#""red""#, "!"),
    ("timestamp", "2026-01-31T12:00:00.5+01:00", r#""2026-01-31T12:00:00.5+01:00""#, r#""2026-01-31T11:00:00.500Z""#),
    ("timestamp", "yesterday", r#""yesterday""#, "!time"),
    ("duration", "-1.5s", r#""-1.5s""#, r#""-1.500s""#),
    ("duration", "1h", r#""1h""#, "!seconds"),
    ("mask", "a,fooBar.baz", r#""a,fooBar.baz""#, r#""a,fooBar.baz""#),
    ("doublevalue", "1.5", "1.5", "1.5"),
    ("floatvalue", "1.5", "1.5", "1.5"),
    ("int64value", "0", r#""0""#, r#""0""#),
    ("uint64value", "5", "5", r#""5""#),
    ("int32value", "-5", "-5", "-5"),
    ("int32value", "x", r#""x""#, "!a 32-bit integer"),
    ("uint32value", "5", "5", "5"),
    ("boolvalue", "false", "false", "false"),
    ("stringvalue", "x y", r#""x y""#, r#""x y""#),
    ("bytesvalue", "AQ==", r#""AQ==""#, r#""AQ==""#),
];

#[tokio::test]
async fn every_kind_of_field_means_the_same_in_path_query_form_and_body() {
    for (field, text, json, expected) in TEXTS {
        let places = [
            ("path", get(&format!("/k/path/{field}/{}", escape(text))).await),
            ("query", get(&format!("/k/query?{field}={}", escape(text))).await),
            ("form", post("/k/body", FORM, &format!("{field}={}", escape(text))).await),
            ("body", post("/k/body", "application/json", &format!("{{\"{field}\":{json}}}")).await),
        ];
        for (place, answer) in places {
            let what = format!("{field}={text} in the {place}: {}", answer.body);
            if let Some(problem) = expected.strip_prefix('!') {
                assert_eq!(answer.status, 400, "{what}");
                let error = answer.json();
                assert!(error["message"].as_str().unwrap().contains(problem), "{what}");
                assert_eq!(error["details"][0]["fieldViolations"][0]["field"], *field, "{what}");
            } else {
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(answer.body, format!("{{\"{field}\":{expected}}}"), "{what}");
            }
        }
    }
    let covered = |field: &str| TEXTS.iter().any(|(name, ..)| *name == field);
    assert!(FIELDS.iter().all(|(field, _)| covered(field)));
}

#[tokio::test]
async fn a_query_says_lists_maps_messages_and_json() {
    for (query, expected) in [
        ("palette=RED&palette=2", r#"{"palette":["RED","DARK_BLUE"]}"#),
        (
            "times=1970-01-01T00:00:01Z&times=1970-01-01T00:00:02Z",
            r#"{"times":["1970-01-01T00:00:01Z","1970-01-01T00:00:02Z"]}"#,
        ),
        ("counts[a]=1&counts[b]=2", r#"{"counts":{"a":1,"b":2}}"#),
        ("counts%5Ba%5D=1", r#"{"counts":{"a":1}}"#),
        ("counts%5Ba.b%5D%5D=1", r#"{"counts":{"a.b]":1}}"#),
        ("counts[]=1", r#"{"counts":{"":1}}"#),
        ("counts[%255D]=1", r#"{"counts":{"%5D":1}}"#),
        ("colors[5]=RED", r#"{"colors":{"5":"RED"}}"#),
        ("flags[true]=%7B%22x%22%3A1%7D", r#"{"flags":{"true":{"x":1}}}"#),
        ("inner.counts[x]=1", r#"{"inner":{"counts":{"x":1}}}"#),
        ("struct=%7B%22a%22%3A%5B1%2Cnull%5D%7D", r#"{"struct":{"a":[1,null]}}"#),
        ("structs=%7B%7D&structs=%7B%22a%22%3A1%7D", r#"{"structs":[{},{"a":1}]}"#),
        ("value=null", r#"{"value":null}"#),
        ("value=%22x%22", r#"{"value":"x"}"#),
        ("list=%5B1%5D", r#"{"list":[1]}"#),
        ("long_name=x", r#"{"longName":"x"}"#),
        ("longName=x+y", r#"{"longName":"x y"}"#),
        ("long%5Fname=x", r#"{"longName":"x"}"#),
        ("&string=x&&", r#"{"string":"x"}"#),
        (
            "inner.string=x&int32=1&inner.inner.string=y&inner.bool=true",
            r#"{"int32":1,"inner":{"bool":true,"string":"x","inner":{"string":"y"}}}"#,
        ),
        ("c.a=x", r#"{"c":{"a":"x"}}"#),
        ("a=", r#"{"a":""}"#),
    ] {
        let answer = get(&format!("/k/query?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        assert_eq!(answer.json(), serde_json::from_str::<serde_json::Value>(expected).unwrap(), "{query}");
        let form = post("/k/body", FORM, query).await;
        assert_eq!(form.body, answer.body, "{query} as a form");
    }
}

#[tokio::test]
async fn what_a_query_cannot_say_is_refused_by_name() {
    for (query, field, says) in [
        ("many=x", "many", "holds messages"),
        ("many.string=x", "many.string", "not a query parameter"),
        ("messages[x]=1", "messages", "holds messages"),
        ("messages[x].string=1", "messages[x].string", "`[` without a `]`"),
        ("inner=x", "inner", "is a message"),
        ("counts=1", "counts", "is a map"),
        ("counts[a]=1&counts[a]=2", "counts[\"a\"]", "twice"),
        ("counts[a]=x", "counts[\"a\"]", "32-bit"),
        ("colors[x]=RED", "colors[\"x\"]", "32-bit"),
        ("string[a]=1", "string", "is not a map"),
        ("int32=1&int32=2", "int32", "twice"),
        ("int32=0&int32=0", "int32", "twice"),
        ("longName=a&long_name=b", "long_name", "twice"),
        ("timestamp=1970-01-01T00:00:01Z&timestamp=1970-01-01T00:00:01Z", "timestamp", "twice"),
        ("a=1&b=2", "b", "cannot be set beside `a`"),
        ("b=0&a=", "a", "cannot be set beside `b`"),
        ("c.string=1&a=2", "a", "cannot be set beside `c`"),
        ("a=2&c.string=1", "c.string", "cannot be set beside `a`"),
        ("inner.a=1&inner.b=2", "inner.b", "cannot be set beside `a`"),
        ("struct=%5B%5D", "struct", ""),
        ("value=%7B", "value", "malformed"),
        ("list=1%5D%2C%5B2", "list", ""),
        ("string.x=1", "string.x", "not a query parameter"),
        ("timestamp.seconds=1", "timestamp.seconds", "not a query parameter"),
        ("=1", "\"\"", "not a query parameter"),
        ("bool", "bool", "true or false"),
        (".string=1", ".string", "not a query parameter"),
    ] {
        let answer = get(&format!("/k/query?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        let error = answer.json();
        let violation = &error["details"][0]["fieldViolations"][0];
        assert_eq!(violation["field"], field, "{query}: {error}");
        assert!(violation["description"].as_str().unwrap().contains(says), "{query}: {error}");
    }
    for query in ["string=%", "string=%2", "string=%zz", "string=%ff", "%ff=1"] {
        let answer = get(&format!("/k/query?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert!(answer.body.contains("percent-encoded"), "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn every_violation_of_a_query_is_listed() {
    let answer = get("/k/query?int32=x&what=1&string=a&string=b&bool=maybe").await;
    assert_eq!(answer.status, 400);
    let error = answer.json();
    let violations = error["details"][0]["fieldViolations"].as_array().unwrap();
    let fields: Vec<_> = violations.iter().map(|violation| violation["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["int32", "what", "string", "bool"], "{error}");
    assert!(error["message"].as_str().unwrap().ends_with("(and 3 more)"), "{error}");

    let many: String = (0..100).map(|n| format!("x{n}=1&")).collect();
    let error = get(&format!("/k/query?{many}")).await.json();
    assert_eq!(error["details"][0]["fieldViolations"].as_array().unwrap().len(), 16);
}

#[tokio::test]
async fn a_query_holds_a_bounded_number_of_parameters_and_of_steps() {
    let repeated = |count: usize| format!("/k/query?{}", "palette=RED&".repeat(count));
    assert_eq!(get(&repeated(200)).await.status, 200);
    let answer = get(&repeated(201)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("too many: 200"), "{}", answer.body);
    let deep = |count: usize| format!("/k/query?{}string=x", "inner.".repeat(count));
    assert_eq!(get(&deep(31)).await.status, 200);
    assert_eq!(get(&deep(32)).await.status, 400);
}

#[tokio::test]
async fn nothing_is_set_twice_wherever_it_comes_from() {
    let json = "application/json";
    for (path, content_type, body, field, says) in [
        ("/k/inner?inner.string=x", json, r#"{"string":"y"}"#, "inner.string", "given by the body"),
        ("/k/inner?inner.int32=5", FORM, "string=y", "inner.int32", "given by the body"),
        ("/k/a?b=5", json, r#""x""#, "b", "cannot be set beside `a`"),
        ("/k/a?c.string=5", json, r#""x""#, "c.string", "cannot be set beside `a`"),
        ("/k/b/5", json, r#"{"a":"x"}"#, "b", "cannot be set beside `a`"),
        ("/k/b/5", json, r#"{"b":6}"#, "b", "another value than the path"),
        ("/k/b/5", FORM, "b=6", "b", "another value than the path"),
        ("/k/b/5", FORM, "a=6", "b", "cannot be set beside `a`"),
        ("/k/c/x", json, r#"{"c":{"string":"y"}}"#, "c.string", "another value than the path"),
        ("/k/c/x", json, r#"{"b":1}"#, "c.string", "cannot be set beside `b`"),
        // google/api/http.proto: with `body: "*"` no parameter is left for the query.
        ("/k/body?string=x", json, "{}", "string", "not a query parameter"),
        ("/k/body?string=x", json, "", "string", "not a query parameter"),
    ] {
        let answer = post(path, content_type, body).await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.body);
        let error = answer.json();
        let violation = &error["details"][0]["fieldViolations"][0];
        assert_eq!(violation["field"], field, "{path} {body}: {error}");
        assert!(violation["description"].as_str().unwrap().contains(says), "{path} {body}: {error}");
    }
    for (path, body, expected) in [
        ("/k/b/5", r#"{"b":5}"#, r#"{"b":5}"#),
        ("/k/a?inner.string=y", r#""x""#, r#"{"inner":{"string":"y"},"a":"x"}"#),
        ("/k/a?b=5", "", r#"{"b":5}"#),
        ("/k/a?b=5", "null", r#"{"b":5}"#),
    ] {
        let answer = post(path, json, body).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, expected), "{path} {body}");
    }
}

#[tokio::test]
async fn a_message_from_several_places_stands_on_the_wire_once() {
    for (verb, path, body, fields) in [
        ("POST", "/k/c/x", r#"{"c":{"int32":1},"string":"s"}"#, vec![53, 14]),
        ("GET", "/k/deep/x?inner.int32=1&string=s&inner.inner.int32=2", "", vec![49, 14]),
    ] {
        let (seen, mut numbers) = tokio::sync::mpsc::channel(1);
        let service = tower::service_fn(move |request: Request<Body>| {
            let seen = seen.clone();
            async move {
                let bytes = request.into_body().collect().await.unwrap().to_bytes();
                let mut reader = Reader::new(&bytes[crate::frame::HEADER..]);
                let mut numbers = Vec::new();
                while let Some(field) = reader.next().unwrap() {
                    numbers.push(field.number);
                }
                seen.send(numbers).await.unwrap();
                Ok::<_, Infallible>(Status::unavailable("seen enough").into_http::<Body>())
            }
        });
        let request = Request::builder().method(verb).uri(path).header("content-type", "application/json");
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        assert_eq!(KINDS.serve(service).oneshot(request).await.unwrap().status(), 503);
        assert_eq!(numbers.recv().await.unwrap(), fields, "{path}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_refused_or_ignored_as_configured() {
    for (unknown, query, status) in [
        (UnknownQuery::Reject, "what=1", 400),
        (UnknownQuery::Reject, "alt=json&%24alt=json&key=abc&prettyPrint=false", 200),
        (UnknownQuery::Reject, "Alt=json", 400),
        (UnknownQuery::Ignore, "what=1&what=2&what[=x", 200),
        (UnknownQuery::Ignore, "int32=x", 400),
    ] {
        let config = Config { unknown_query: unknown, ..Config::default() };
        let transcoder = Transcoder::with_config(&descriptors(&schema()), config).unwrap();
        for path in ["/k/query", "/k/body"] {
            let verb = if path == "/k/query" { "GET" } else { "POST" };
            let status = if path == "/k/body" && query == "int32=x" { 200 } else { status };
            let request = Request::builder().method(verb).uri(format!("{path}?{query}"));
            let answer = send(&transcoder, request.body(Full::default()).unwrap()).await;
            assert_eq!(answer.status, status, "{unknown:?} {path}?{query}: {}", answer.body);
        }
    }
    let config = Config { ignored_query: vec!["v".to_owned()], ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(&schema()), config).unwrap();
    for (query, status) in [("v=1", 200), ("key=1", 400)] {
        let request = Request::get(format!("/k/query?{query}")).body(Full::default()).unwrap();
        assert_eq!(send(&transcoder, request).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn a_form_is_a_body_where_the_body_is_a_message() {
    for (path, body, status, expected) in [
        ("/k/body", "int32=1&inner.string=a+b%26", 200, r#"{"int32":1,"inner":{"string":"a b&"}}"#),
        ("/k/inner?int32=2", "int32=1&long_name=x", 200, r#"{"int32":2,"inner":{"int32":1,"longName":"x"}}"#),
        ("/k/body", "", 200, "{}"),
        ("/k/inner", "what=1", 400, "is not a field of this form"),
        ("/k/inner", "inner.string=x", 200, r#"{"inner":{"inner":{"string":"x"}}}"#),
        ("/k/body", "int32=1&int32=2", 400, "twice"),
        ("/k/a", "a=1", 415, "taken are: application/json"),
    ] {
        let answer = post(path, FORM, body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(
            if status == 200 { answer.body == expected } else { answer.body.contains(expected) },
            "{}",
            answer.body
        );
    }
    let answer = post("/k/a", FORM, "a=1").await;
    assert_eq!(answer.headers["accept-post"], "application/json");
    let answer = post("/k/body", "text/csv", "a").await;
    assert_eq!(
        answer.headers["accept-post"],
        "application/json, application/x-www-form-urlencoded, multipart/form-data"
    );
    for (general, own, status) in [(true, "", 200), (false, "", 415), (false, "true", 200), (true, "false", 415)] {
        let mut schema = schema();
        if !own.is_empty() {
            let option =
                format!("rpc Get(Kinds) returns (Kinds) {{ option (transcode.v1.method).accept_forms = {own};");
            schema = schema.replace("rpc Get(Kinds) returns (Kinds) {", &option);
            schema = schema.replace("package k;", "package k; import \"transcode/v1/options.proto\";");
        }
        let config = Config { accept_forms: general, ..Config::default() };
        let transcoder = Transcoder::with_config(&descriptors(&schema), config).unwrap();
        let request = Request::post("/k/body").header("content-type", FORM).body(Full::from("a=1")).unwrap();
        assert_eq!(send(&transcoder, request).await.status, status, "{general} {own}");
    }
}

/// Queries whose parameters fit, or nearly fit, or do not.
fn queries() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "string",
        "int32",
        "counts[a]",
        "counts[%5D.]",
        "flags[true]",
        "colors[1]",
        "palette",
        "times",
        "struct",
        "value",
        "a",
        "b",
        "c.string",
        "c.a",
        "bool",
        "longName",
        "stringvalue",
        "mask",
        "structs",
        "many",
        "nope",
        "counts",
        "",
        ".",
        "a[",
        "%ff",
    ];
    const VALUES: &[&str] = &[
        "1",
        "-1",
        "true",
        "RED",
        "{}",
        "[1]",
        "null",
        "%22x%22",
        "1970-01-01T00:00:01Z",
        "AQ==",
        "+",
        "%C3%A9",
        "é",
        "%",
        "%ff",
        "",
    ];
    let parameter = (0..3usize, proptest::sample::select(NAMES), proptest::sample::select(VALUES))
        .prop_map(|(depth, name, value)| format!("{}{name}={value}", "inner.".repeat(depth)));
    proptest::collection::vec(parameter, 0..6).prop_map(|parameters| parameters.join("&"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_a_query_says_the_message_is_sound_or_the_answer_says_why_not(query in queries()) {
        let shared = &KINDS.shared;
        let crate::route::Found::Route(route) = shared.routes.find(&http::Method::GET, "/k/query") else {
            panic!("no route");
        };
        let Ok(uri) = format!("/k/query?{query}").parse::<http::Uri>() else { return Ok(()) };
        let mut message = Vec::new();
        match shared.bind_uri(route, &uri, &mut message, 0) {
            Ok(()) => {
                prop_assert_eq!(shared.plans.check(route.method.input, &message), Ok(()));
                let mut json = Vec::new();
                prop_assert!(shared.plans.write(route.method.input, &message, &mut json).is_ok());
            }
            Err(status) => prop_assert_eq!(status.code(), tonic::Code::InvalidArgument),
        }
    }
}
