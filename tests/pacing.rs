//! Claims about the timing of streams: nothing holds a piece back, and silence is bridged.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message;
use serde_json::json;

use crate::support::{Call, PATIENCE, Protocol, Server, Upstream, http::http1, script, soon, world};

/// How far apart the upstream says its pieces, and how many.
const PACE: Duration = Duration::from_millis(10);
const PIECES: usize = 20;

/// How many streams are looked at.
const STREAMS: usize = 5;

/// Nagle's algorithm and delayed acknowledgements together hold a small packet back for 40 ms.
const STEP: Duration = Duration::from_millis(30);

/// A machine that is busy with something else may spoil a measurement, but not all of these.
const MEASUREMENTS: usize = 3;

/// A request for a paced stream.
fn request(protocol: Protocol, server: &Server) -> Request<Full<Bytes>> {
    let call = Call::say("scripted/paced", "count");
    let message = call.message.encode_to_vec();
    let framed = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let mut document = call.json;
    document["stream"] = json!(true);
    let grpc = "/sabir.v1.Chat/StreamChatCompletion";
    let (path, content_type, body) = match protocol {
        Protocol::Grpc => (grpc, "application/grpc", framed),
        Protocol::GrpcWeb => (grpc, "application/grpc-web+proto", framed),
        Protocol::Rest => ("/v1/chat/completions", "application/json", document.to_string().into_bytes()),
    };
    let request = Request::post(format!("http://{}{path}", server.address())).header(CONTENT_TYPE, content_type);
    request.header("te", "trailers").body(Full::from(body)).unwrap()
}

/// The longest time between two pieces of a stream; of several streams the median.
///
/// A system acknowledges late only on connections that have gone back and forth, and for a while only: so no stream is
/// the first thing that is asked for on its connection, and a single late piece counts.
async fn longest_gap(protocol: Protocol, server: &Server) -> Duration {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).http2_only(protocol == Protocol::Grpc).build(connector);
    let mut longest = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        for _ in 0..5 {
            let probe = Request::get(format!("http://{}/livez", server.address())).body(Full::default()).unwrap();
            let answer = soon("a probe", client.request(probe)).await.unwrap();
            soon("a probe", answer.into_body().collect()).await.unwrap();
            // Time for the connection to get back into its pool.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let answer = soon("a stream to begin", client.request(request(protocol, server))).await.unwrap();
        assert_eq!(answer.status(), 200, "{protocol:?}");
        let mut body = answer.into_body();
        let mut arrivals = Vec::with_capacity(PIECES);
        while let Some(frame) = soon("a piece of a stream", body.frame()).await {
            drop(frame.unwrap());
            arrivals.push(Instant::now());
        }
        assert!(arrivals.len() > PIECES / 2, "{protocol:?}: pieces come by themselves, not {} in all", arrivals.len());
        longest.push(arrivals.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap());
    }
    longest.sort_unstable();
    longest[STREAMS / 2]
}

#[tokio::test]
async fn no_piece_of_a_stream_is_held_back_for_another() {
    let (upstream, server) = world().await;
    upstream.script("paced", script::paced(PIECES, PACE));
    for protocol in Protocol::ALL {
        let mut measured = Vec::new();
        while measured.len() < MEASUREMENTS && measured.iter().all(|gap| *gap >= STEP) {
            measured.push(longest_gap(protocol, &server).await);
        }
        assert!(measured.iter().any(|gap| *gap < STEP), "{protocol:?}: the longest gaps are {measured:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_silent_is_kept_alive_by_comments() {
    let upstream = Upstream::start();
    upstream.script("silent-midway", script::silent_midway());
    let config = format!("{}[server]\nstream_keep_alive = \"50ms\"\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    let call = Call::say("scripted/silent-midway", "Hi").within(Duration::from_millis(1500));
    let mut document = call.json.clone();
    document["stream"] = json!(true);
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("x-server-timeout", "1.5")
        .body(Bytes::from(document.to_string()))
        .unwrap();
    let began = Instant::now();
    let stream = http1(server.address(), request).await.body().await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let text = String::from_utf8(stream).unwrap();
    let events: Vec<&str> = text.split_terminator("\n\n").collect();
    let comments = events.iter().filter(|event| **event == ": keep-alive").count();
    // 1.5 s have room for 30.
    assert!((5..=30).contains(&comments), "{comments} comments: {text}");
    let data: Vec<&str> = events.iter().filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(data.len() + comments, events.len(), "there are data and comments, and nothing else: {text}");
    assert!(data[0].contains("one ") && data[1].contains("two ") && data[2].contains("\"error\""), "{text}");
    // What reads events does not see comments.
    let streamed = Protocol::Rest.stream_all(server.address(), &call).await;
    assert_eq!(streamed.text(), "one two ");
    streamed.assert_failed("silent");
}
