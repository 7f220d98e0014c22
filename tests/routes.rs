//! Claims about what is where: each path and verb has its answer, and web pages may call if they come from here.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use prost::Message;
use serde_json::{Value, json};

use crate::support::{
    Call, Server, Upstream,
    http::{Exchange, http1},
    world,
};

const CHAT: &str = "/v1/chat/completions";
const GRPC_CHAT: &str = "/sabir.v1.Chat/CreateChatCompletion";
const HERE: &str = "http://localhost:3000";
const ELSEWHERE: &str = "https://evil.example";

async fn ask(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Exchange {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http1(server, request.body(Bytes::copy_from_slice(body)).unwrap()).await
}

/// The names in a header that is a list.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().flat_map(|line| line.to_str().unwrap().split(','));
    let mut names: Vec<String> = lines.map(|name| name.trim().to_ascii_lowercase()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_path_and_verb_has_its_answer() {
    const VERBS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let (_upstream, server) = world().await;
    // A path, what it allows, and the status of each verb in the order above.
    let reads: &[&str] = &["get", "head", "options"];
    let table: [(&str, &[&str], [u16; 7]); 12] = [
        (CHAT, &["options", "post"], [405, 405, 200, 405, 405, 405, 204]),
        ("/v1/models", reads, [200, 200, 405, 405, 405, 405, 204]),
        ("/v1/models/scripted/echo", reads, [200, 200, 405, 405, 405, 405, 204]),
        ("/v1/models/scripted%2Fecho", reads, [200, 200, 405, 405, 405, 405, 204]),
        ("/v1/models/nobody/nothing", reads, [404, 404, 405, 405, 405, 405, 204]),
        ("/docs/nothing", &[], [404; 7]),
        ("/v1", &[], [404; 7]),
        ("/v1/chat", &[], [404; 7]),
        ("/v1/chat/completions/", &[], [404; 7]),
        ("/v1/chat/completions/more", &[], [404; 7]),
        ("/V1/Models", &[], [404; 7]),
        ("//v1/models", &[], [404; 7]),
    ];
    for (path, allowed, statuses) in table {
        for (verb, status) in VERBS.into_iter().zip(statuses) {
            let document = Call::say("scripted/echo", "Hi").json.to_string();
            let (headers, body): (&[_], _) = match verb {
                "POST" | "PUT" | "PATCH" => (&[("content-type", "application/json")], document.as_bytes()),
                _ => (&[], &b""[..]),
            };
            let exchange = ask(server.address(), verb, path, headers, body).await;
            let about = format!("{verb} {path}");
            assert_eq!(exchange.status(), status, "{about}");
            let expected = if matches!(status, 405 | 204) { allowed } else { &[] };
            assert_eq!(list(&exchange.head.headers, "allow"), expected, "{about}");
            let body = exchange.body().await;
            if verb == "HEAD" || status == 204 {
                assert_eq!(body, b"", "{about}");
                continue;
            }
            let answer: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{about}: {error}"));
            if status >= 400 {
                assert_eq!(answer["error"]["type"], "invalid_request_error", "{about}: {answer}");
                assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{about}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn pages_about_the_api_are_read_and_nothing_else() {
    let (_upstream, server) = world().await;
    for path in ["/", "/docs", "/redoc", "/openapi.json", "/openapi-3.2.json"] {
        for (verb, status) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("DELETE", 405)] {
            let exchange = ask(server.address(), verb, path, &[], b"").await;
            assert_eq!(exchange.status(), status, "{verb} {path}");
            if matches!(status, 204 | 405) {
                assert_eq!(list(&exchange.head.headers, "allow"), ["get", "head", "options"], "{verb} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_pages_are_there_elsewhere_or_not_at_all_as_configured() {
    const PAGES: [&str; 5] = ["/", "/docs", "/redoc", "/openapi.json", "/openapi-3.2.json"];
    let upstream = Upstream::start();
    let usual = Server::config_for(&upstream.base_url());
    let moved = format!("{usual}[pages]\nprefix = \"/help\"\n");
    let without = format!("{usual}[pages]\nenabled = false\n");
    for (config, prefix) in [(&usual, Some("")), (&moved, Some("/help")), (&without, None)] {
        let server = Server::start(config).await;
        for page in PAGES {
            let there = [("", prefix == Some("")), ("/help", prefix == Some("/help"))];
            for (before, there) in there {
                let path = format!("{before}{}", if before.is_empty() { page } else { page.trim_end_matches('/') });
                let exchange = ask(server.address(), "GET", &path, &[], b"").await;
                assert_eq!(exchange.status(), if there { 200 } else { 404 }, "{path} under {prefix:?}");
                assert_eq!(exchange.header("content-security-policy").is_some(), there, "{path} under {prefix:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_prefix_that_is_no_path_is_refused_at_the_start() {
    let (status, said) = Server::refuse("[pages]\nprefix = \"help/\"\n");
    assert!(!status.success() && said.contains("pages.prefix") && said.contains("/help"), "{said}");
}

/// What a browser asks before it lets a page call.
async fn preflight(server: &Server, path: &str, origin: &str) -> HeaderMap {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,grpc-timeout,x-grpc-web"),
    ];
    let exchange = ask(server.address(), "OPTIONS", path, &headers, b"").await;
    assert!((200..300).contains(&exchange.status()), "{path}: {}", exchange.status());
    exchange.head.headers
}

fn allowed_origin(headers: &HeaderMap) -> Option<&str> {
    headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap())
}

fn assert_permitted(headers: &HeaderMap, origin: &str) {
    assert_eq!(allowed_origin(headers), Some(origin), "{headers:?}");
    assert!(list(headers, "access-control-allow-methods").contains(&"post".to_owned()), "{headers:?}");
    let named = list(headers, "access-control-allow-headers");
    assert_eq!(named, ["content-type", "grpc-timeout", "x-grpc-web"], "{headers:?}");
}

#[tokio::test]
async fn pages_from_here_may_call_and_others_may_not() {
    let (_upstream, server) = world().await;
    for path in [GRPC_CHAT, "/sabir.v1.Chat/StreamChatCompletion", CHAT, "/v1/models"] {
        assert_permitted(&preflight(&server, path, HERE).await, HERE);
        let refused = preflight(&server, path, ELSEWHERE).await;
        assert_eq!(allowed_origin(&refused), None, "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn a_page_can_read_the_status_of_its_call() {
    let (_upstream, server) = world().await;
    let framed = |model: &str| {
        let message = Call::say(model, "Hi").message.encode_to_vec();
        [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
    };
    let (good, bad) = (framed("scripted/echo"), framed("nobody/nothing"));
    let document = json!({"model": "nobody/nothing", "messages": []}).to_string();
    let calls = [
        (Method::POST, GRPC_CHAT, "application/grpc-web+proto", &good[..]),
        (Method::POST, GRPC_CHAT, "application/grpc-web+proto", &bad[..]),
        (Method::POST, CHAT, "application/json", document.as_bytes()),
        (Method::POST, CHAT, "text/plain", document.as_bytes()),
        (Method::DELETE, CHAT, "application/json", b""),
        (Method::GET, "/v1/nothing", "application/json", b""),
        (Method::GET, "/v1/models", "application/json", b""),
    ];
    for (method, path, content_type, body) in calls {
        let headers = |origin| [("content-type", content_type), ("origin", origin)];
        let exchange = ask(server.address(), method.as_str(), path, &headers(HERE), body).await;
        let about = format!("{method} {path} {content_type}: {:?}", exchange.head);
        assert_eq!(allowed_origin(&exchange.head.headers), Some(HERE), "{about}");
        let exposed = list(&exchange.head.headers, "access-control-expose-headers");
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "retry-after", "sabir-request-id"] {
            assert!(exposed.contains(&name.to_owned()), "{name} is not exposed: {about}");
        }
        let exchange = ask(server.address(), method.as_str(), path, &headers(ELSEWHERE), body).await;
        assert_eq!(allowed_origin(&exchange.head.headers), None, "{method} {path}");
    }
}

#[tokio::test]
async fn the_configuration_says_whose_pages_may_call() {
    const APP: &str = "https://app.example.com";
    let upstream = Upstream::start();
    let config = format!("{}[server]\ncors_origins = [\"{APP}\"]\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    assert_permitted(&preflight(&server, GRPC_CHAT, APP).await, APP);
    for origin in [HERE, ELSEWHERE, "http://app.example.com", "https://app.example.com.evil.example"] {
        assert_eq!(allowed_origin(&preflight(&server, GRPC_CHAT, origin).await), None, "{origin}");
    }
}
