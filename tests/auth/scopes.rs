//! Scopes and models: a key does what it may, whichever way it comes.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use super::World;
use crate::support::http::http1;
use crate::support::{Call, Protocol};

const CHAT: &str = "/sabir.v1.Chat/CreateChatCompletion";
const STREAM: &str = "/sabir.v1.Chat/StreamChatCompletion";
const MODELS: &str = "/sabir.v1.Models/ListModels";
const OK: &str = "0";
const PERMISSION_DENIED: &str = "7";
const UNIMPLEMENTED: &str = "12";
const UNAUTHENTICATED: &str = "16";

#[tokio::test]
async fn a_scope_that_is_missing_is_missing_over_every_protocol() {
    let world = World::new().await;
    let reader = world.registrar.key_for(&["models.read"]).await;
    let talker = world.registrar.key_for(&["chat"]).await;
    let nothing = world.registrar.key_for(&[]).await;
    let admin = world.registrar.key_for(&["admin"]).await;
    for protocol in Protocol::ALL {
        for key in [&reader, &nothing] {
            assert_eq!(world.code_with(protocol, key).await, "PERMISSION_DENIED", "{protocol:?}");
        }
        for key in [&talker, &admin] {
            assert_eq!(world.code_with(protocol, key).await, "OK", "{protocol:?}");
        }
    }
    for (key, allowed) in [(&reader, true), (&admin, true), (&talker, false), (&nothing, false)] {
        let exchange = world.get("/v1/models", Some(key)).await;
        assert_eq!(exchange.status(), if allowed { 200 } else { 403 });
        let challenge = "Bearer realm=\"sabir\", error=\"insufficient_scope\", scope=\"models.read\"";
        assert_eq!(exchange.header("www-authenticate"), (!allowed).then_some(challenge));
        assert_eq!(world.grpc(MODELS, Some(key)).await, if allowed { OK } else { PERMISSION_DENIED });
    }
    // HEAD is GET by another name, and a method that is overridden in a header is still what it was.
    let head = Request::head("/v1/models").header("x-api-key", &talker).body(Bytes::new()).unwrap();
    assert_eq!(http1(world.server.address(), head).await.status(), 403);
    for path in [CHAT, STREAM] {
        assert_eq!(world.grpc(path, Some(&reader)).await, PERMISSION_DENIED, "{path}");
        assert_eq!(world.grpc(path, None).await, UNAUTHENTICATED, "{path}");
    }
    // The streaming twin is chosen by the body, which has not been read when scopes are checked.
    let twin = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {reader}"))
        .body(Bytes::from_static(b"{\"model\": \"scripted/echo\", \"messages\": [], \"stream\": true}"))
        .unwrap();
    assert_eq!(http1(world.server.address(), twin).await.status(), 403);
}

#[tokio::test]
async fn a_key_does_no_more_than_its_user_may() {
    let world = World::new().await;
    let user = world.registrar.user("reader", |user| user.scopes = vec!["models.read".to_owned()]).await;
    let (key, _) = world.registrar.key(|key| key.user_id = Some(user.id)).await;
    for protocol in Protocol::ALL {
        assert_eq!(world.code_with(protocol, &key).await, "PERMISSION_DENIED");
    }
    assert_eq!(world.get("/v1/models", Some(&key)).await.status(), 200);
}

#[tokio::test]
async fn what_is_not_declared_is_closed_and_what_is_for_everybody_is_open() {
    let world = World::new().await;
    let admin = world.registrar.key_for(&["admin"]).await;
    for path in ["/sabir.v1.Chat/Unknown", "/sabir.v1.Unknown/Get", "/", "/grpc.health.v1.HealthX/Check"] {
        assert_eq!(world.grpc(path, None).await, UNAUTHENTICATED, "{path}");
        assert_eq!(world.grpc(path, Some(&admin)).await, UNIMPLEMENTED, "{path}");
    }
    assert_eq!(world.grpc("/grpc.health.v1.Health/Check", None).await, OK);
    assert_eq!(world.grpc("/grpc.health.v1.Health/Check", Some("sk-sabir-wrong")).await, OK);
    for path in ["/livez", "/readyz"] {
        assert_eq!(world.get(path, None).await.status(), 200, "{path}");
    }
    assert_eq!(world.get("/v1/nothing", None).await.status(), 404);
}

const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
const PAGES: [&str; 6] = ["/", "/docs", "/docs/", "/redoc", "/openapi.json", "/openapi-3.2.json"];

#[tokio::test]
async fn reflection_and_pages_are_for_everybody_or_for_those_with_a_key() {
    let public = World::new().await;
    for path in REFLECTION {
        assert_ne!(public.grpc(path, None).await, UNAUTHENTICATED, "{path}");
    }
    for path in PAGES {
        assert_ne!(public.get(path, None).await.status(), 401, "{path}");
    }

    let closed = World::with("reflection = \"authenticated\"\ndocs = \"authenticated\"\n").await;
    // Any key: it may do nothing else.
    let key = closed.registrar.key_for(&[]).await;
    let revoked = closed.registrar.key(|key| key.revoked_at_micros = Some(0)).await.0;
    for path in REFLECTION {
        assert_eq!(closed.grpc(path, None).await, UNAUTHENTICATED, "{path}");
        assert_eq!(closed.grpc(path, Some(&revoked)).await, UNAUTHENTICATED, "{path}");
        assert_ne!(closed.grpc(path, Some(&key)).await, UNAUTHENTICATED, "{path}");
    }
    for path in PAGES {
        for key in [None, Some(revoked.as_str()), Some("sk-sabir-wrong")] {
            let refused = closed.get(path, key).await;
            assert_eq!(refused.status(), 401, "{path}");
            assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm="), "browsers ask for it");
        }
        assert!(closed.get(path, Some(&key)).await.status() < 400, "{path}");
    }
    // As a browser sends what somebody typed: `any:KEY` in base64.
    let typed = base64(format!("any:{key}").as_bytes());
    let request = |path: &str| Request::get(path).header("authorization", format!("Basic {typed}"));
    let page = http1(closed.server.address(), request("/docs").body(Bytes::new()).unwrap()).await;
    assert_eq!(page.status(), 200);
    let call = http1(closed.server.address(), request("/v1/models").body(Bytes::new()).unwrap()).await;
    assert_eq!(call.status(), 401, "calls do not take what a browser sends by itself");
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number =
            chunk.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[tokio::test]
async fn a_key_asks_the_models_that_it_and_its_team_may_ask() {
    let world = World::new().await;
    let team = world.registrar.team("quay", |team| team.models = vec!["scripted/*".to_owned()]).await;
    let narrow = |models: &'static [&'static str]| {
        world.registrar.key(move |key| {
            key.team_id = Some(team.id);
            key.models = models.iter().map(|&model| model.to_owned()).collect();
        })
    };
    let fitting = [narrow(&[]).await.0, narrow(&["scripted/echo"]).await.0, narrow(&["other", "*echo"]).await.0];
    // The name without a provider stands for the same model.
    let unfit = [narrow(&["scripted/fixed"]).await.0, narrow(&["other/*"]).await.0, narrow(&["ech"]).await.0];
    for protocol in Protocol::ALL {
        for key in &fitting {
            for model in ["scripted/echo", "echo"] {
                let call = Call { headers: vec![("x-api-key", key.clone())], ..Call::say(model, "Hi") };
                protocol.unary(world.server.address(), &call).await.unwrap();
            }
        }
        for key in &unfit {
            for model in ["scripted/echo", "echo"] {
                let call = Call { headers: vec![("x-api-key", key.clone())], ..Call::say(model, "Hi") };
                let failure = protocol.unary(world.server.address(), &call).await.unwrap_err();
                assert_eq!((failure.code.as_str(), failure.field.as_deref()), ("PERMISSION_DENIED", Some("model")));
                assert!(failure.message.contains(model), "{failure:?}");
            }
        }
    }
    assert_eq!(world.upstream.requests().len(), 3 * 6);
    let listed = async |key: &str| {
        let body = world.get("/v1/models", Some(key)).await.body().await;
        let models: Value = serde_json::from_slice(&body).unwrap();
        let models = models["data"].as_array().unwrap();
        models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = listed(&fitting[0]).await;
    assert!(all.len() > 1 && all.contains(&"scripted/echo".to_owned()), "{all:?}");
    assert_eq!(listed(&fitting[1]).await, ["scripted/echo"]);
    assert_eq!(listed(&unfit[1]).await, [""; 0]);
    assert_eq!(world.get("/v1/models/scripted/echo", Some(&fitting[1])).await.status(), 200);
    assert_eq!(world.get("/v1/models/scripted/echo", Some(&unfit[0])).await.status(), 403);
}
