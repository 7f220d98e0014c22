//! Keys: which are let in, and that those that are not learn nothing.

use bytes::Bytes;
use http::Request;
use sabir_store::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::World;
use crate::support::http::http1;
use crate::support::identity::{SECRET, make, now_micros};
use crate::support::{Call, Protocol, Server, Upstream, soon};

#[tokio::test]
async fn a_key_lets_in_wherever_clients_put_it_and_its_name_is_in_the_usage() {
    let world = World::new().await;
    let (key, row) = world.registrar.key(|_| {}).await;
    let headers = [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {key}")),
        ("x-api-key", key.clone()),
        ("api-key", key.clone()),
    ];
    for protocol in Protocol::ALL {
        assert_eq!(world.code(protocol, &[]).await, "UNAUTHENTICATED", "{protocol:?}");
        for header in &headers {
            assert_eq!(world.code(protocol, std::slice::from_ref(header)).await, "OK", "{protocol:?}: {header:?}");
        }
        let in_the_url = Request::get(format!("/v1/models?key={key}&api_key={key}")).body(Bytes::new()).unwrap();
        assert_eq!(http1(world.server.address(), in_the_url).await.status(), 401);
    }
    // Those who were refused asked nobody and left no row.
    let rows = world.server.usage_rows(Protocol::ALL.len() * headers.len() * 2).await;
    let name = format!("key {}", row.id);
    assert!(rows.iter().all(|row| row.principal.as_deref() == Some(&name) && row.outcome == Outcome::Complete));
    assert_eq!(world.upstream.requests().len(), rows.len());
}

#[tokio::test]
async fn keys_that_are_no_longer_good_are_refused() {
    let world = World::new().await;
    let past = Some(now_micros() - 1);
    let registrar = &world.registrar;
    let gone = registrar.user("gone", |user| user.disabled_at_micros = past).await;
    let closed = registrar.team("closed", |team| team.disabled_at_micros = past).await;
    let member = registrar.user("member", |user| user.team_id = Some(closed.id)).await;
    let (expired, _) = registrar.key(|key| key.expires_at_micros = past).await;
    let refused = [
        ("expired", expired),
        ("revoked", registrar.key(|key| key.revoked_at_micros = past).await.0),
        ("of a user who is gone", registrar.key(|key| key.user_id = Some(gone.id)).await.0),
        ("of a team that is closed", registrar.key(|key| key.team_id = Some(closed.id)).await.0),
        ("of a member of it", registrar.key(|key| key.user_id = Some(member.id)).await.0),
        ("never added", make(SECRET)),
        ("of another server", make("another secret that has 32 letters")),
    ];
    let later = Some(now_micros() + 3_600_000_000);
    let rotated = registrar.key(|key| key.revoked_at_micros = later).await.0;
    for protocol in Protocol::ALL {
        for (what, key) in &refused {
            assert_eq!(world.code_with(protocol, key).await, "UNAUTHENTICATED", "{protocol:?}: {what}");
        }
        assert_eq!(world.code_with(protocol, &rotated).await, "OK", "{protocol:?}: revoked later");
    }
    let says = async |key: &str| {
        let exchange = world.get("/v1/models", Some(key)).await;
        assert_eq!(exchange.status(), 401);
        let challenge = exchange.header("www-authenticate").unwrap().to_owned();
        (challenge, String::from_utf8(exchange.body().await).unwrap())
    };
    let unknown = says(&refused[5].1).await;
    assert!(unknown.0.starts_with("Bearer realm=\"sabir\", error=\"invalid_token\""), "{unknown:?}");
    for (what, key) in &refused[1..] {
        assert_eq!(says(key).await, unknown, "the answer must not tell {what} from unknown");
    }
    let missing = world.get("/v1/models", None).await;
    assert_eq!((missing.status(), missing.header("www-authenticate")), (401, Some("Bearer realm=\"sabir\"")));
}

#[tokio::test]
async fn texts_that_are_no_keys_are_refused() {
    let world = World::new().await;
    let (key, _) = world.registrar.key(|_| {}).await;
    let mut wrong: Vec<String> = [
        "",
        "sk-sabir-",
        "sk-sabir-' OR '1'='1' --",
        "sk-sabir-\"; DROP TABLE api_key; --",
        "sk-sabir-%00",
        "sk-sabir-$1",
        "a.b.c",
        "..",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInNjb3BlIjoiYWRtaW4ifQ.",
        "sk-other-0123456789",
        "null",
    ]
    .map(str::to_owned)
    .into();
    wrong.extend((1..key.len()).step_by(7).map(|length| key[..length].to_owned()));
    wrong.extend([format!("{key}0"), format!("{key}{key}"), key.to_uppercase(), key.replace("sabir", "Sabir")]);
    wrong.push(format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { 'y' } else { 'x' }));
    wrong.push(format!("{key}, {key}"));
    wrong.push("sk-sabir-".repeat(1_000));
    for protocol in Protocol::ALL {
        for text in &wrong {
            assert_eq!(world.code_with(protocol, text).await, "UNAUTHENTICATED", "{protocol:?}: {text:.100}");
        }
        assert_eq!(world.code_with(protocol, &key).await, "OK");
        let two = ["authorization", "authorization"].map(|name| (name, format!("Bearer {key}")));
        // The gRPC clients keep one of the two.
        if protocol == Protocol::Rest {
            assert_eq!(world.code(protocol, &two).await, "UNAUTHENTICATED");
        }
    }
    assert_eq!(world.upstream.requests().len(), 6);
}

/// The first line of the answer to bytes that no HTTP library would send; empty if there is none.
async fn answer_to(server: &Server, head: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // The server may close before it has read all of it.
    let _ = stream.write_all(head).await;
    let mut answer = vec![0; 64];
    let length = soon("an answer", stream.read(&mut answer)).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn keys_with_nul_other_scripts_or_a_megabyte_are_refused_and_hurt_nobody() {
    let world = World::new().await;
    let (key, _) = world.registrar.key(|_| {}).await;
    let whole =
        |value: &[u8]| [b"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ", value, b"\r\n\r\n"].concat();
    let nul = [&key.as_bytes()[..20], b"\0", &key.as_bytes()[20..]].concat();
    assert_eq!(answer_to(&world.server, &whole(&nul)).await, "HTTP/1.1 400 Bad Request");
    for text in ["sk-sabir-é", "sk-sabir-日本", &format!("{key}é")] {
        assert_eq!(answer_to(&world.server, &whole(text.as_bytes())).await, "HTTP/1.1 401 Unauthorized", "{text}");
    }
    assert_eq!(answer_to(&world.server, &whole(b"sk-sabir-\xff\xfe")).await, "HTTP/1.1 401 Unauthorized");
    let megabyte = format!("sk-sabir-{}", "a".repeat(1 << 20));
    let said = answer_to(&world.server, &whole(megabyte.as_bytes())).await;
    assert!(said.is_empty() || said.contains(" 431 "), "{said}");
    // gRPC-Web is such an HTTP request too.
    let call = Call { headers: vec![("x-api-key", megabyte)], ..Call::say("scripted/echo", "Hi") };
    Protocol::Grpc.unary(world.server.address(), &call).await.unwrap_err();
    for protocol in Protocol::ALL {
        assert_eq!(world.code_with(protocol, &key).await, "OK");
    }
}

#[tokio::test]
async fn in_open_mode_a_key_is_held_to_what_it_is() {
    let upstream = Upstream::start();
    let config = format!("{}[auth]\nsecret = \"{SECRET}\"\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    let registrar = crate::support::identity::Registrar::of(&server).await;
    let world = World { upstream, server, registrar };
    let (good, row) = world.registrar.key(|_| {}).await;
    let reader = world.registrar.key_for(&["models.read"]).await;
    let revoked = world.registrar.key(|key| key.revoked_at_micros = Some(0)).await.0;
    for protocol in Protocol::ALL {
        assert_eq!(world.code(protocol, &[]).await, "OK");
        // What clients send that were told of no key, or of one of another server.
        for other in ["unused", "sk-proj-0123", "a.b.c"] {
            assert_eq!(world.code_with(protocol, other).await, "OK", "{protocol:?}: {other}");
        }
        assert_eq!(world.code_with(protocol, &good).await, "OK");
        assert_eq!(world.code_with(protocol, &reader).await, "PERMISSION_DENIED");
        assert_eq!(world.code_with(protocol, &revoked).await, "UNAUTHENTICATED");
    }
    let rows = world.server.usage_rows(3 * 5 * 2).await;
    let named = rows.iter().filter_map(|row| row.principal.as_deref()).collect::<Vec<_>>();
    assert_eq!(named, vec![format!("key {}", row.id); 6]);
}

#[tokio::test]
async fn no_key_is_in_the_log() {
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let auth = crate::support::identity::required();
    let server = Server::start(&format!("{config}{auth}[log]\nfilter = \"trace\"\n")).await;
    let registrar = crate::support::identity::Registrar::of(&server).await;
    let world = World { upstream, server, registrar };
    let (good, _) = world.registrar.key(|_| {}).await;
    let bad = make("another secret that has 32 letters");
    for protocol in Protocol::ALL {
        assert_eq!(world.code_with(protocol, &good).await, "OK");
        assert_eq!(world.code_with(protocol, &bad).await, "UNAUTHENTICATED");
    }
    let log = world.server.log();
    assert!(log.contains("call refused"), "the log has all there is");
    for secret in [good.as_str(), &bad, SECRET] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
