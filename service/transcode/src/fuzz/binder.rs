//! A whole request over HTTP, up to the message that the service gets: path, query and body, as JSON or as a form.
//!
//! An input is lines: the number of the route, the query, and the body.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::mutate::Random;
use super::{kind, run};
use crate::generate::{Entropy, Shape, descriptors, message, source};
use crate::json::Plans;
use crate::{Transcoder, frame};

/// How many schemas.
const SCHEMAS: usize = 8;

/// The verb, the path and the content type that reach each RPC of the generated service.
const ROUTES: [(&str, &str, &str, &str); 5] = [
    ("GET", "/q", "", "g.M0"),
    ("GET", "/q1", "", "g.M1"),
    ("POST", "/b", "application/json", "g.M0"),
    ("POST", "/b", "application/x-www-form-urlencoded", "g.M0"),
    ("PATCH", "/f/x%2Fy", "application/json", "g.P"),
];

const SERVICE: &str = r#"
import "google/api/annotations.proto";
message P { M1 thing = 1; google.protobuf.FieldMask update_mask = 2; string name = 3; repeated M2 others = 4; }
service S {
  rpc Query(M0) returns (M0) { option (google.api.http) = { get: "/q" }; }
  rpc Other(M1) returns (M0) { option (google.api.http) = { get: "/q1" }; }
  rpc Body(M0) returns (M0) { option (google.api.http) = { post: "/b" body: "*" }; }
  rpc Field(P) returns (M0) { option (google.api.http) = { patch: "/f/{name}" body: "thing" }; }
}
"#;

/// Checks each message that comes, and answers that it came.
#[derive(Clone)]
struct Sink {
    plans: std::sync::Arc<Plans>,
    descriptor: MessageDescriptor,
}

impl tower_service::Service<Request<Body>> for Sink {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { plans, descriptor } = self.clone();
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let wire = &body[frame::HEADER..];
            let id = plans.message(descriptor.full_name()).unwrap();
            plans.check(id, wire).unwrap();
            DynamicMessage::decode(descriptor, wire).unwrap();
            // A time out of range cannot have been said in a query, and so on: what was bound can be written. Only the mask
            // of a PATCH may hold names that are not to be told from others in camel case.
            if let Err(error) = plans.write(id, wire, &mut Vec::new()) {
                assert_eq!(error.to_string(), "a field path has no JSON form");
            }
            Ok(Status::already_exists("it came").into_http())
        })
    }
}

#[test]
#[ignore = "runs for as long as FUZZ_SECONDS says"]
fn what_is_bound_is_a_message() {
    let mut random = Random::new(13);
    let mut pieces: Vec<Vec<u8>> = PIECES.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    let (mut transcoders, mut seeds) = (Vec::new(), Vec::new());
    for index in 0..SCHEMAS {
        let text = source(&mut Entropy::new(&random.bytes(300)), Shape::Canonical) + SERVICE;
        let transcoder = Transcoder::new(&descriptors(&text)).unwrap();
        for (at, (.., name)) in ROUTES.iter().enumerate() {
            let descriptor = transcoder.shared.pool.get_message_by_name(name).unwrap();
            let mut names = Vec::new();
            paths(&descriptor, "", 0, &mut names);
            let start = [index as u8, at as u8];
            for _ in 0..30 {
                let pairs: Vec<String> = (0..random.below(4))
                    .filter(|_| !names.is_empty())
                    .map(|_| format!("{}={}", names[random.below(names.len())], VALUES[random.below(VALUES.len())]))
                    .collect();
                let (query, mut body) = (pairs.join("&"), Vec::new());
                if at == 3 {
                    seeds.push([&start, &b"\n"[..], query.as_bytes()].concat());
                } else if at == 2 || at == 4 {
                    let of = if at == 4 { "g.M1" } else { name };
                    let of = transcoder.shared.pool.get_message_by_name(of).unwrap();
                    let wire = message(&mut Entropy::new(&random.bytes(100)), &of).encode_to_vec();
                    let plans = transcoder.plans();
                    plans.write(plans.message(of.full_name()).unwrap(), &wire, &mut body).unwrap();
                }
                seeds.push([&start, query.as_bytes(), b"\n", &body].concat());
            }
            pieces.extend(names.into_iter().map(|name| format!("&{name}=").into_bytes()));
        }
        transcoders.push(transcoder);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    run("binder", seeds, &pieces, |input| {
        let [which, at, rest @ ..] = input else { return 0 };
        let transcoder = &transcoders[usize::from(*which) % transcoders.len()];
        let (verb, path, content_type, name) = ROUTES[usize::from(*at) % ROUTES.len()];
        let (query, body) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &b""[..]),
        };
        let Ok(query) = std::str::from_utf8(query) else { return 0 };
        let Ok(uri) = format!("http://h{path}?{query}").parse::<http::Uri>() else { return 0 };
        let mut request = Request::new(Body::new(Full::new(Bytes::copy_from_slice(body))));
        *request.method_mut() = verb.parse().unwrap();
        *request.uri_mut() = uri;
        if !content_type.is_empty() {
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        let descriptor = transcoder.shared.pool.get_message_by_name(name).unwrap();
        let service = transcoder.serve(Sink { plans: transcoder.plans(), descriptor });
        let answer = runtime.block_on(async {
            let response = service.oneshot(request).await.unwrap();
            (response.status(), response.into_body().collect().await.unwrap().to_bytes())
        });
        let error: serde_json::Value = serde_json::from_slice(&answer.1).unwrap();
        let said = error["message"].as_str().unwrap();
        assert!([400, 404, 409, 413, 414, 415].contains(&answer.0.as_u16()), "{}: {said}", answer.0);
        kind(answer.0.as_str(), Some(said.rsplit(": ").next().unwrap_or_default()))
    });
}

const VALUES: [&str; 16] = [
    "1",
    "-1",
    "true",
    "a",
    "",
    "E_ONE",
    "AAH_",
    "1.5",
    "NaN",
    "1.5s",
    "2026-01-31T12:00:00Z",
    "fooBar,a",
    "%7B%22a%22:1%7D",
    "%5B1%5D",
    "1e3",
    "%22x%22",
];

const PIECES: [&str; 24] = [
    "&",
    "=",
    "%",
    "+",
    "%2F",
    "%00",
    "%ff",
    ".",
    "[",
    "]",
    "[a]",
    "%5Ba%5D",
    "1",
    "-1",
    "true",
    "1e400",
    "null",
    "E_ONE",
    "\n",
    "{",
    "}",
    "\"a\":",
    "%7B",
    "18446744073709551616",
];

/// The names of the fields down to a few levels, as a query spells them.
fn paths(descriptor: &MessageDescriptor, before: &str, depth: usize, out: &mut Vec<String>) {
    for field in descriptor.fields().take(12) {
        let name = if out.len().is_multiple_of(2) { field.name().to_owned() } else { field.json_name().to_owned() };
        let name: String = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC).collect();
        let path = format!("{before}{}", name.replace("%5F", "_"));
        if field.is_map() {
            out.push(format!("{path}[1]"));
        }
        if let Kind::Message(inner) = field.kind()
            && depth < 2
            && !field.is_list()
            && !field.is_map()
        {
            paths(&inner, &format!("{path}."), depth + 1, out);
        }
        out.push(path);
    }
}
