//! Claims about the harness itself: the scripted upstream does what its scripts say, and sees what a client does. If
//! these fail, no other claim means anything.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Ending, Upstream, http::Exchange, http::http1, script, upstream::closed_port};

async fn ask(upstream: &Upstream, document: Value) -> Exchange {
    let address: SocketAddr = upstream.base_url()["http://".len()..].trim_end_matches("/v1").parse().unwrap();
    let request = Request::post("/v1/chat/completions").body(Bytes::from(document.to_string())).unwrap();
    http1(address, request).await
}

fn stream(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": true})
}

async fn text(mut exchange: Exchange) -> (String, bool) {
    let mut bytes = Vec::new();
    let mut cut = false;
    while let Some(piece) = exchange.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(_) => cut = true,
        }
    }
    (String::from_utf8_lossy(&bytes).into_owned(), cut)
}

#[tokio::test]
async fn the_upstream_refuses_what_the_real_one_refuses() {
    let upstream = Upstream::start();
    let message = json!([{"role": "user", "content": "Hi"}]);
    let wrong = [
        json!([]),
        json!({"messages": message}),
        json!({"model": "echo"}),
        json!({"model": "echo", "messages": []}),
        json!({"model": "echo", "messages": [{"role": "nobody", "content": "Hi"}]}),
        json!({"model": "echo", "messages": [{"role": "user", "content": 1}]}),
        json!({"model": "echo", "messages": message, "stream": "yes"}),
        json!({"model": "echo", "messages": message, "stream_options": {"include_usage": true}}),
    ];
    for document in wrong {
        assert_eq!(ask(&upstream, document.clone()).await.status(), 400, "{document}");
    }
    assert_eq!(ask(&upstream, stream("nothing")).await.status(), 404);
    assert_eq!(ask(&upstream, stream("echo")).await.status(), 200);
}

#[tokio::test]
async fn the_upstream_reports_usage_only_when_asked() {
    let upstream = Upstream::start();
    let (unasked, _) = text(ask(&upstream, stream("echo")).await).await;
    assert!(unasked.ends_with("data: [DONE]\n\n") && !unasked.contains("usage"), "{unasked}");
    let mut document = stream("echo");
    document["stream_options"] = json!({"include_usage": true});
    let (asked, _) = text(ask(&upstream, document).await).await;
    assert!(asked.contains(r#""prompt_tokens":11"#) && asked.contains(r#""usage":null"#), "{asked}");
}

#[tokio::test]
async fn the_upstream_sees_how_its_answers_end() {
    let upstream = Upstream::start();
    upstream.script("paced", script::paced(100, Duration::from_millis(20)));
    upstream.script("cut", script::cut_mid_character());
    upstream.script("silent", script::silent());
    upstream.script("open", script::without_terminator());

    drop(text(ask(&upstream, stream("echo")).await).await);
    assert_eq!(upstream.request(0).await.ended().await.0, Ending::Finished);

    let (bytes, cut) = text(ask(&upstream, stream("cut")).await).await;
    assert!(cut && bytes.ends_with('\u{fffd}'), "{bytes}");
    assert_eq!(upstream.request(1).await.ended().await.0, Ending::Cut);

    let (bytes, cut) = text(ask(&upstream, stream("open")).await).await;
    assert!(!cut && !bytes.contains("[DONE]") && bytes.contains("two"), "{bytes}");
    assert_eq!(upstream.request(2).await.ended().await.0, Ending::Finished);

    let mut paced = ask(&upstream, stream("paced")).await;
    paced.next().await.unwrap().unwrap();
    let before = Instant::now();
    assert_eq!(upstream.open_answers(), 1);
    drop(paced);
    let noticed = upstream.request(3).await.dropped_after(before).await;
    assert!(noticed < Duration::from_secs(1), "{noticed:?}");

    let waiting = tokio::time::timeout(Duration::from_millis(200), ask(&upstream, stream("silent"))).await;
    assert!(waiting.is_err());
    assert_eq!(upstream.request(4).await.ended().await.0, Ending::Dropped);
}

#[tokio::test]
async fn nobody_listens_on_a_closed_port() {
    assert!(tokio::net::TcpStream::connect(closed_port()).await.is_err());
}
