//! For tests: whatever bytes an upstream sends, its dialect's parsers come to an end without a panic, and read the same
//! however the bytes are cut into pieces.
//!
//! The bytes are the recorded ones of the golden files, spoilt. They are the same in every run: `SABIR_FUZZ_SEED` draws others,
//! `SABIR_FUZZ_SECONDS` says how long each parser of streams is tried, which is a fraction of a second by default, and
//! `SABIR_FUZZ_DIALECTS` which of them:
//!
//! ```console
//! $ SABIR_FUZZ_SECONDS=60 SABIR_FUZZ_DIALECTS=gemini,ollama cargo test --locked -p sabir-providers fuzz
//! ```

mod mutation;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::ChatCompletionChunk;
use serde::de::IgnoredAny;

use self::mutation::Random;
use crate::anthropic::Anthropic;
use crate::bedrock::Bedrock;
use crate::cohere::Cohere;
use crate::dialect::DIALECTS;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::gemini::Gemini;
use crate::golden::{self, PLANS};
use crate::ollama::Ollama;
use crate::openai::{OpenAi, Quirks};
use crate::protocol::{Protocol, StreamDecoder};
use crate::responses::Responses;
use crate::upstream::OnUnsupported;

/// How long each parser is tried unless told otherwise.
const USUAL_TIME: Duration = Duration::from_millis(200);

/// How long one input may take. It is far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many bytes without an end a decoder may take before it gives up, in MiB. Each has a limit of 8.
const MOST_CARRIED: usize = 16;

/// How much a decoder that reads on and on may add to the memory of the process, in
/// which other tests run, in KiB.
const MOST_GROWTH: u64 = 256 * 1024;

/// What is asked of each protocol.
const QUESTION: &str = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#;

/// Streams of OpenAI's protocol, which has no golden files.
const OPENAI_STREAMS: [&str; 2] = [
    concat!(
        ": hello\n\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1790000000,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x":{"b":[1,2.50]}}"#,
        "\n\nevent: message\r\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1790000000,"model":"m","choices":[{"index":0,"delta":{"content":"Grüße 😀 \u4e16","reasoning_content":"y"},"finish_reason":null}]}"#,
        "\r\n\r\n",
        r#"data: {"id":"c1","object":"chat.completion.chunk","created":1790000000,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"q\":"}}]},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"c1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#,
        "\n\ndata: [DONE]\n\n",
    ),
    concat!(
        r#"data: {"id":"c2","choices":[{"index":1,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":-0.5,"bytes":[120],"top_logprobs":[]}]}}]}"#,
        "\n\n",
        r#"data: {"error":{"message":"overloaded","type":"server_error","code":null,"param":null}}"#,
        "\n\n",
    ),
];

/// Answers of OpenAI's protocol.
const OPENAI_BODIES: [&str; 4] = [
    r#"{"id":"c1","object":"chat.completion","created":1790000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Grüße","refusal":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12},"x":[1,{}]}"#,
    r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1e-3]},{"object":"embedding","index":1,"embedding":"AAAAPw=="}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#,
    r#"{"object":"list","data":[{"id":"m","object":"model","created":1790000000,"owned_by":"x"}]}"#,
    r#"{"error":{"message":"no such model","type":"invalid_request_error","code":"model_not_found","param":"model"}}"#,
];

/// What is made of a stream: its chunks, and how it ended.
type Outcome = (Vec<ChatCompletionChunk>, Option<UpstreamError>);

type Reader = dyn Fn(&[u8]) + Send + Sync;

/// A dialect's parsers.
#[derive(Clone)]
struct Target {
    name: &'static str,
    decoder: Arc<dyn Fn() -> Box<dyn StreamDecoder> + Send + Sync>,
    /// Reads a body as everything that a body can be.
    read: Arc<Reader>,
    streams: Vec<Vec<u8>>,
    bodies: Vec<Vec<u8>>,
    /// Whether each event says its length, so that whatever follows half of one is the rest of it.
    framed: bool,
}

/// Every dialect's, in the order of [`DIALECTS`].
fn targets() -> Vec<Target> {
    let mut openai = target("openai", OpenAi::new(Arc::clone(&PLANS), Quirks::NONE).unwrap());
    openai.streams = OPENAI_STREAMS.map(|stream| stream.as_bytes().to_vec()).into();
    openai.bodies = OPENAI_BODIES.map(|body| body.as_bytes().to_vec()).into();
    vec![
        openai,
        target("responses", Responses::new(Arc::clone(&PLANS)).unwrap()),
        target("anthropic", Anthropic::new(Arc::clone(&PLANS)).unwrap()),
        target("gemini", Gemini::DEVELOPER),
        target("vertex", Gemini::VERTEX),
        target("ollama", Ollama),
        target("cohere", Cohere),
        Target { framed: true, ..target("bedrock", Bedrock) },
    ]
}

fn target<P: Protocol>(name: &'static str, protocol: P) -> Target {
    let protocol = Arc::new(protocol);
    let reading = |protocol: &P| {
        let call = golden::call(QUESTION, OnUnsupported::Refuse);
        protocol.chat_request(call, true).unwrap().reading
    };
    let decoding = Arc::clone(&protocol);
    let read = move |body: &[u8]| {
        if let Ok(completion) = protocol.read_completion(reading(&protocol), body) {
            is_json(&golden::to_json("ChatCompletion", &completion));
        }
        if let Ok(vectors) = protocol.read_embeddings(body) {
            is_json(&golden::to_json("CreateEmbeddingResponse", &vectors));
        }
        drop(protocol.read_models(body));
        drop(protocol.read_error(400, body));
    };
    Target {
        name,
        decoder: Arc::new(move || Box::new(decoding.stream_decoder(reading(&decoding)))),
        read: Arc::new(read),
        streams: recorded(name, &["stream.sse", "stream.ndjson", "stream.bin", "stream.events.jsonl"]),
        bodies: recorded(name, &["response.json", "vectors.json"]),
        framed: false,
    }
}

/// The golden files of a dialect that end so, in the order of their names.
fn recorded(name: &str, ends: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name);
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| ends.iter().any(|end| path.to_str().unwrap().ends_with(end)));
    paths.sort();
    paths.iter().map(|path| golden::bytes(path)).collect()
}

fn is_json(text: &str) {
    serde_json::from_str::<IgnoredAny>(text).unwrap_or_else(|error| panic!("we make no JSON of it: {error}: {text}"));
}

/// Takes what a decoder has. No chunk is much larger than the bytes that it is made of, and there are no more of them than bytes.
fn take(decoder: &mut dyn StreamDecoder, given: usize, outcome: &mut Outcome) {
    while outcome.1.is_none() {
        match decoder.next_chunk() {
            Ok(Some(chunk)) => {
                assert!(chunk.encoded_len() <= 4096 + 16 * given, "a chunk is far larger than the stream");
                outcome.0.push(chunk);
                assert!(outcome.0.len() <= 16 + given, "there are more chunks than bytes");
            }
            Ok(None) => break,
            Err(error) => outcome.1 = Some(error),
        }
    }
}

/// What a decoder makes of a stream in these pieces.
fn decode<'a>(target: &Target, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = (target.decoder)();
    let mut outcome = Outcome::default();
    let mut given = 0;
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        given += piece.len();
        take(&mut *decoder, given, &mut outcome);
        if outcome.1.is_some() || decoder.ended() {
            return outcome;
        }
    }
    outcome.1 = decoder.finish().err();
    outcome
}

/// How long each parser is tried.
fn time() -> Duration {
    let seconds = std::env::var("SABIR_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    seconds.map_or(USUAL_TIME, Duration::from_secs_f64)
}

/// Tries inputs until the time is up. One that makes `trial` panic or lets it run for ever is shown.
fn run(target: &Target, recorded: Vec<Vec<u8>>, trial: impl Fn(&[u8], &mut Random) + Send + 'static) -> u64 {
    let time = time();
    let seed = std::env::var("SABIR_FUZZ_SEED").map_or(0x5AB1_2000, |text| text.parse().unwrap());
    assert!(!recorded.is_empty(), "{} has nothing recorded", target.name);

    let current = Arc::new(Mutex::new(Vec::new()));
    let latest = Arc::clone(&current);
    let (alive, signs_of_life) = sync_channel(1);
    let worker = thread::spawn(move || {
        let mut random = Random::new(seed);
        let (started, mut tried) = (Instant::now(), 0);
        while started.elapsed() < time {
            let input = random.spoilt(&recorded);
            latest.lock().unwrap().clone_from(&input);
            trial(&input, &mut random);
            tried += 1;
            if alive.try_send(()) == Err(TrySendError::Disconnected(())) {
                break;
            }
        }
        tried
    });
    let show = || current.lock().unwrap().escape_ascii().to_string();
    loop {
        match signs_of_life.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => panic!("{} does not come to an end with b\"{}\"", target.name, show()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    worker.join().unwrap_or_else(|_| panic!("{} fails with b\"{}\"", target.name, show()))
}

#[test]
fn every_dialect_is_tried() {
    let tried: Vec<&str> = targets().iter().map(|target| target.name).collect();
    let all: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
    assert_eq!(tried, all, "a dialect is a line in `targets`");
}

#[test]
fn spoilt_streams_are_read_the_same_however_they_are_cut() {
    let chosen = std::env::var("SABIR_FUZZ_DIALECTS").ok();
    let is_chosen = |name: &str| chosen.as_ref().is_none_or(|names| names.split(',').any(|one| one == name));
    for target in targets().into_iter().filter(|target| is_chosen(target.name)) {
        let under_trial = target.clone();
        let trial = move |input: &[u8], random: &mut Random| {
            let whole = decode(&under_trial, [input]);
            assert_eq!(decode(&under_trial, input.chunks(1)), whole, "byte by byte");
            let pieces = random.pieces(input);
            assert_eq!(decode(&under_trial, pieces.iter().copied()), whole, "in pieces {pieces:?}");
            whole.0.iter().for_each(|chunk| is_json(&golden::to_json("ChatCompletionChunk", chunk)));
        };
        let tried = run(&target, target.streams.clone(), trial);
        println!("{}: {tried} streams", target.name);
    }
}

#[test]
fn spoilt_bodies_are_read_or_refused() {
    for target in targets() {
        let read = Arc::clone(&target.read);
        let tried = run(&target, target.bodies.clone(), move |input, _| read(input));
        println!("{}: {tried} bodies", target.name);
    }
}

#[test]
fn deep_nesting_is_read_or_refused() {
    // Deeper than a stack is.
    const DEPTH: usize = 30_000;
    for target in targets() {
        for (open, close) in [("[", "]"), (r#"{"a":["#, "]}"), (r#"{"delta":{"message":"#, "}}")] {
            let (open, close) = (open.repeat(DEPTH), close.repeat(DEPTH));
            for json in [format!("{open}0{close}"), format!(r#"{{"type":"x","x":{open}0{close}}}"#), open.clone()] {
                (target.read)(json.as_bytes());
                decode(&target, [json.as_bytes(), b"\n\n"]);
                decode(&target, [b"data: ", json.as_bytes(), b"\n\n"]);
            }
        }
    }
}

#[test]
fn what_never_ends_is_too_large() {
    const MEBIBYTE: usize = 1024 * 1024;
    for target in targets() {
        let stream = &target.streams[0];
        let half = if target.framed { &[] } else { &stream[..stream.len() / 2] };
        for begun in [&[][..], half] {
            let mut decoder = (target.decoder)();
            decoder.push(Bytes::copy_from_slice(begun));
            let mut outcome = Outcome::default();
            take(&mut *decoder, begun.len(), &mut outcome);
            let piece = Bytes::from(vec![b'x'; MEBIBYTE]);
            for _ in 0..MOST_CARRIED {
                decoder.push(piece.clone());
                take(&mut *decoder, MEBIBYTE, &mut outcome);
            }
            assert_eq!(outcome.1.map(|error| error.kind), Some(UpstreamErrorKind::TooLarge), "{}", target.name);
        }
    }
}

#[test]
fn a_stream_that_goes_on_and_on_does_not_fill_the_memory() {
    for target in targets() {
        let repeatable = target.streams.iter().find_map(|stream| repeatable(&target, stream));
        let begun = repeatable.unwrap_or_else(|| panic!("{} has no stream that goes on", target.name));
        let piece = Bytes::from(begun);
        let mut decoder = (target.decoder)();
        let (before, started, mut chunks) = (resident(), Instant::now(), 0);
        while started.elapsed() < time() {
            decoder.push(piece.clone());
            let mut outcome = Outcome::default();
            take(&mut *decoder, piece.len(), &mut outcome);
            assert_eq!(outcome.1, None, "{}", target.name);
            chunks += outcome.0.len();
        }
        let growth = resident().saturating_sub(before);
        assert!(growth <= MOST_GROWTH, "{} has {growth} KiB more after {chunks} chunks", target.name);
        println!("{}: {chunks} chunks, {growth} KiB", target.name);
    }
}

/// The beginning of a stream that may follow itself, again and again.
fn repeatable(target: &Target, stream: &[u8]) -> Option<Vec<u8>> {
    let goes_on = |outcome: &Outcome| matches!(&outcome.1, Some(error) if error.kind == UpstreamErrorKind::Truncated);
    (1..stream.len()).rev().map(|length| &stream[..length]).find_map(|begun| {
        let (once, thrice) = (decode(target, [begun]), decode(target, [begun; 3]));
        let more = thrice.0.len() > once.0.len() + 1;
        (goes_on(&once) && goes_on(&thrice) && more).then(|| begun.to_vec())
    })
}

/// The memory of the process, in KiB; zero where the system does not tell.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")).map_or(0, |number| number.parse().unwrap())
}
