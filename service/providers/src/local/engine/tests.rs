//! Claims about the local model's engine.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use serde::de::IgnoredAny;

use super::super::{
    error::{GenerateError, LoadError},
    fixture::{self, CONTEXT_LENGTH, END_OF_TURN},
    generation::{Event, FinishReason},
    sampler::Sampling,
};
use super::*;

/// Model files live as long as the engine that reads them; reading ends with `open`.
fn engine_with(queue: usize) -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    fs::write(&path, fixture::tiny_gguf(1)).unwrap();
    Engine::open(LocalOptions { queue, ..LocalOptions::new(path) }).unwrap()
}

fn open_with(replaced: &[(&str, &str)]) -> Result<Engine, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    fs::write(&path, fixture::gguf(1, replaced)).unwrap();
    Engine::open(LocalOptions::new(path))
}

fn wild(seed: u64) -> Sampling {
    Sampling { temperature: 1.0, top_p: 1.0, seed: Some(seed), ..Sampling::default() }
}

/// Never ends by itself.
fn endless(seed: u64) -> Sampling {
    Sampling { logit_bias: vec![(END_OF_TURN, -100.0)], ..wild(seed) }
}

fn ask(text: &str) -> Request {
    Request { messages: vec![Message { role: "user", content: text.to_owned() }], ..Request::default() }
}

struct Answer {
    pieces: Vec<String>,
    reason: FinishReason,
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl Answer {
    fn text(&self) -> String {
        self.pieces.concat()
    }
}

async fn finish(mut generation: Generation) -> Answer {
    let mut pieces = Vec::new();
    loop {
        match generation.next().await.unwrap().unwrap() {
            Event::Text(text) => pieces.push(text),
            Event::Done { reason, prompt_tokens, completion_tokens } => {
                assert_eq!(generation.next().await, None, "nothing follows the end");
                return Answer { pieces, reason, prompt_tokens, completion_tokens };
            }
        }
    }
}

async fn answer(engine: &Engine, request: Request) -> Answer {
    finish(engine.generate(request).unwrap()).await
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer_and_another_seed_another() {
    let engine = engine_with(4);
    let with_seed =
        async |seed| answer(&engine, Request { max_tokens: Some(40), sampling: wild(seed), ..ask("hi") }).await.text();
    let first = with_seed(3).await;
    assert_eq!(first, with_seed(3).await);
    assert_ne!(first, with_seed(4).await);
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let greedily =
        async || answer(&engine, Request { max_tokens: Some(40), sampling: greedy.clone(), ..ask("hi") }).await.text();
    assert_eq!(greedily().await, greedily().await);
}

#[tokio::test]
async fn tokens_are_counted_and_limited() {
    let engine = engine_with(4);
    let answer = answer(&engine, Request { max_tokens: Some(25), sampling: endless(1), ..ask("abc") }).await;
    assert_eq!((answer.reason, answer.completion_tokens), (FinishReason::Length, 25));
    // <|im_start|> u s er \n a b c <|im_end|> \n <|im_start|> a s s i s t a n t \n
    assert_eq!(answer.prompt_tokens, 5 + 3 + 2 + 1 + 10);
}

#[tokio::test]
async fn text_never_holds_half_a_character() {
    let engine = engine_with(4);
    let answer = answer(&engine, Request { max_tokens: Some(300), sampling: endless(5), ..ask("x") }).await;
    // Noise has bytes that are no text at all; what counts is that a piece never ends within a character that
    // goes on in the next piece, and that is so exactly if the pieces are what decoding the whole would give.
    assert!(answer.pieces.iter().all(|piece| !piece.is_empty()));
    assert!(answer.pieces.len() > 100);
}

#[tokio::test]
async fn a_stop_string_across_tokens_ends_the_answer_before_it() {
    let engine = engine_with(4);
    let request = |stop| Request { max_tokens: Some(60), sampling: endless(9), stop, ..ask("go") };
    let whole = answer(&engine, request(Vec::new())).await.text();
    let characters: Vec<char> = whole.chars().collect();
    // The fixture's tokens are mostly single bytes, so four characters are several tokens.
    let stop: String = characters[20..24].iter().collect();
    let expected = &whole[..whole.find(&stop).unwrap()];
    let stopped = answer(&engine, request(vec!["never there".to_owned(), stop.clone()])).await;
    assert_eq!(stopped.text(), expected);
    assert_eq!(stopped.reason, FinishReason::Stop);
    assert!(stopped.completion_tokens < 60);
}

#[tokio::test]
async fn json_object_is_always_a_json_object() {
    let engine = engine_with(4);
    let mut complete = 0;
    for seed in 0..12 {
        let request =
            Request { max_tokens: Some(1500), sampling: wild(seed), format: Format::JsonObject, ..ask("json") };
        let answer = answer(&engine, request).await;
        if answer.reason == FinishReason::Stop {
            // Noise writes numbers like 1e99999, which are JSON but no `f64`.
            let object: Result<BTreeMap<String, IgnoredAny>, _> = serde_json::from_str(&answer.text());
            assert!(object.is_ok(), "{object:?}: {}", answer.text());
            complete += 1;
        }
    }
    assert!(complete >= 6, "only {complete} of 12 documents were complete");
}

#[tokio::test]
async fn json_schema_is_always_kept_to() {
    let engine = engine_with(4);
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["zip", "age", "tags"],
        "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "grün"]}, "minItems": 1, "maxItems": 3}}}"#;
    for seed in 0..20 {
        let format = Format::JsonSchema(schema.to_owned());
        let request = Request { max_tokens: Some(300), sampling: wild(seed), format, ..ask("json") };
        let answer = answer(&engine, request).await;
        let text = answer.text();
        assert_eq!(answer.reason, FinishReason::Stop, "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value["zip"].as_str().unwrap().len() == 5 && value["age"].as_u64().unwrap() <= 150, "{text}");
        let tags = value["tags"].as_array().unwrap();
        assert!(
            (1..=3).contains(&tags.len())
                && tags.iter().all(|tag| ["red", "green", "grün"].contains(&tag.as_str().unwrap()))
        );
        assert!(text.starts_with(r#"{"zip":""#), "properties come in the schema's order, without spaces: {text}");
    }
}

#[test]
fn schemas_that_cannot_be_held_to_are_refused_by_name() {
    let engine = engine_with(4);
    let deep = format!("{}{}", r#"{"properties":{"a":"#.repeat(500), "{}".to_owned() + &"}}".repeat(500));
    let strings = (0..12).map(|n| format!(r#"{{"minLength": {n}, "pattern": "a{{{n},200}}b{{{n},200}}"}}"#));
    let any_of = format!(r#"{{"anyOf": [{}]}}"#, strings.collect::<Vec<_>>().join(","));
    let wide = format!(r#"{{"allOf": [{}]}}"#, vec![any_of; 12].join(","));
    let schemas = [
        r#"{"type": "object", "not": {"required": ["a"]}}"#,
        r#"{"type": "array", "uniqueItems": true}"#,
        r#"{"$ref": "https://example.com/schema.json"}"#,
        r#"{"type": "string", "pattern": "("}"#,
        r#"{"type": "nonsense"}"#,
        "[]",
        "{",
        &deep,
        &wide,
        r##"{"$ref": "#"}"##,
        &format!(r#"{{"description": "{}"}}"#, "x".repeat(200_000)),
    ];
    for schema in schemas {
        let started = Instant::now();
        let refused = engine.generate(Request { format: Format::JsonSchema(schema.to_owned()), ..ask("x") });
        let Err(GenerateError::InvalidRequest { param, message }) = refused else {
            panic!("accepted: {}", &schema[..schema.len().min(100)]);
        };
        assert_eq!(param, "response_format.json_schema.schema");
        assert!(message.len() > 20 && message.len() < 600, "{message}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?} for {}",
            started.elapsed(),
            &schema[..schema.len().min(100)]
        );
    }
}

#[tokio::test]
async fn dropping_a_generation_stops_the_model() {
    let engine = engine_with(4);
    let long = || Request { max_tokens: Some(2000), sampling: endless(2), ..ask("x") };
    let started = Instant::now();
    answer(&engine, long()).await;
    let whole = started.elapsed();
    let started = Instant::now();
    for _ in 0..20 {
        let mut generation = engine.generate(long()).unwrap();
        assert!(matches!(generation.next().await, Some(Ok(Event::Text(_)))));
    }
    answer(&engine, Request { max_tokens: Some(1), ..ask("y") }).await;
    assert!(started.elapsed() < whole * 5, "20 dropped answers took {:?}, a whole one {whole:?}", started.elapsed());
}

#[tokio::test]
async fn a_full_queue_says_so_and_places_of_the_departed_are_given_away() {
    let engine = engine_with(2);
    let long = || engine.generate(Request { max_tokens: Some(2000), sampling: endless(2), ..ask("x") });
    let mut running = long().unwrap();
    assert!(matches!(running.next().await, Some(Ok(Event::Text(_)))), "the first one runs, and does not wait");
    let (first, second) = (long().unwrap(), long().unwrap());
    assert_eq!(long().unwrap_err(), GenerateError::Overloaded { waiting: 2 });
    drop(first);
    let third = engine.generate(Request { max_tokens: Some(1), ..ask("z") }).unwrap();
    drop((running, second));
    assert_eq!(finish(third).await.completion_tokens, 1);
}

#[tokio::test]
async fn a_deadline_ends_a_generation_and_a_wait() {
    let engine = engine_with(4);
    let mut blocking = engine.generate(Request { max_tokens: Some(2000), sampling: endless(2), ..ask("x") }).unwrap();
    assert!(blocking.next().await.is_some());
    let deadline = Some(Instant::now() + Duration::from_millis(10));
    let mut waiting = engine.generate(Request { deadline, ..ask("late") }).unwrap();
    assert_eq!(waiting.next().await, Some(Err(GenerateError::DeadlineExceeded)));
    drop(blocking);

    let deadline = Some(Instant::now() + Duration::from_millis(30));
    let mut running =
        engine.generate(Request { max_tokens: Some(2000), sampling: endless(2), deadline, ..ask("x") }).unwrap();
    let end = loop {
        match running.next().await {
            Some(Ok(Event::Text(_))) => {}
            end => break end,
        }
    };
    assert_eq!(end, Some(Err(GenerateError::DeadlineExceeded)));
}

#[tokio::test]
async fn dropping_the_engine_ends_waiting_requests() {
    let engine = engine_with(4);
    let running = engine.generate(Request { max_tokens: Some(2000), sampling: endless(2), ..ask("x") }).unwrap();
    let mut waiting = engine.generate(ask("y")).unwrap();
    drop(engine);
    let event = waiting.next().await;
    assert!(matches!(event, Some(Err(GenerateError::ShutDown))), "{event:?}");
    drop(running);
}

#[test]
fn a_prompt_beyond_the_context_is_refused_with_both_numbers() {
    let engine = engine_with(4);
    let refused = engine.generate(ask(&"x".repeat(CONTEXT_LENGTH))).unwrap_err();
    let GenerateError::ContextLength { prompt_tokens, limit, at_least } = refused.clone() else {
        panic!("{refused:?}")
    };
    assert!(prompt_tokens >= CONTEXT_LENGTH && limit == CONTEXT_LENGTH && !at_least, "{refused:?}");
    assert!(refused.to_string().contains(&prompt_tokens.to_string()) && refused.to_string().contains("2048"));
    let hopeless = engine.generate(ask(&"x".repeat(1_000_000))).unwrap_err();
    assert!(matches!(hopeless, GenerateError::ContextLength { at_least: true, .. }), "{hopeless:?}");
}

#[tokio::test]
async fn an_answer_ends_where_the_context_does() {
    let engine = engine_with(4);
    let text = "x".repeat(CONTEXT_LENGTH - 40);
    let answer = answer(&engine, Request { max_tokens: Some(500), sampling: endless(1), ..ask(&text) }).await;
    assert_eq!(answer.reason, FinishReason::Length);
    assert_eq!((answer.prompt_tokens + answer.completion_tokens) as usize, CONTEXT_LENGTH);
}

#[test]
fn requests_at_fault_are_refused_before_the_queue() {
    let engine = engine_with(4);
    let param = |request: Request| match engine.generate(request) {
        Err(GenerateError::InvalidRequest { param, .. }) => param,
        other => panic!("{other:?}"),
    };
    assert_eq!(param(Request::default()), "messages");
    assert_eq!(param(Request { max_tokens: Some(0), ..ask("x") }), "max_completion_tokens");
    assert_eq!(param(Request { stop: vec![String::new()], ..ask("x") }), "stop");
}

#[test]
fn models_that_would_run_wrongly_are_refused_by_name() {
    for (key, value, accepted) in [
        ("general.architecture", "mamba", "llama, qwen2, qwen3"),
        ("tokenizer.ggml.pre", "tekken", "smollm"),
        ("tokenizer.ggml.model", "llama", "gpt2"),
    ] {
        let error = open_with(&[(key, value)]).err().unwrap();
        assert!(matches!(&error, LoadError::Unsupported { found, .. } if found == value), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(key) && message.contains(value) && message.contains(accepted), "{message}");
    }
}

#[test]
fn a_template_that_refuses_a_conversation_is_the_callers_business() {
    let template = "{{ raise_exception('roles must alternate') }}";
    let engine = open_with(&[("tokenizer.chat_template", template)]).unwrap();
    let Err(GenerateError::InvalidRequest { param, message }) = engine.generate(ask("x")) else { panic!("accepted") };
    assert!(param == "messages" && message.contains("roles must alternate"), "{message}");
}

#[test]
fn files_that_are_cut_or_no_models_are_errors_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gguf");
    let whole = fixture::tiny_gguf(1);
    for length in (0..whole.len()).step_by(whole.len() / 97) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(Engine::open(LocalOptions::new(&path)).is_err(), "{length} of {} bytes", whole.len());
    }
    assert!(matches!(Engine::open(LocalOptions::new(folder.path().join("absent"))), Err(LoadError::Read { .. })));
}

#[test]
fn the_fixture_is_the_same_everywhere() {
    assert_eq!(fixture::tiny_gguf(7), fixture::tiny_gguf(7));
    assert_ne!(fixture::tiny_gguf(7), fixture::tiny_gguf(8));
    assert!((60_000..130_000).contains(&fixture::tiny_gguf(7).len()), "{}", fixture::tiny_gguf(7).len());
    let engine = engine_with(1);
    let Facts { name, title, architecture, context_length, quantisation, .. } = engine.facts();
    assert_eq!((name.as_str(), title.as_str(), architecture.as_str()), ("tiny", "Tiny random model", "llama"));
    assert_eq!((*context_length, quantisation.as_str()), (CONTEXT_LENGTH, "Q4_1"));
}

#[test]
fn names_come_from_file_names() {
    for (file, name) in [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "qwen2.5-0.5b-instruct"),
        ("Llama-3.2-1B-Instruct-IQ3_XS.gguf", "llama-3.2-1b-instruct"),
        ("My Model (final).gguf", "my-model-final"),
        ("model.f16.gguf", "model"),
        ("***.gguf", "local"),
    ] {
        assert_eq!(name_from_path(Path::new(file)), name);
    }
}
