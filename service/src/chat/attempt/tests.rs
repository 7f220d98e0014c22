//! Routes, asked through the front door of the chat: who answers, after how many attempts, and what is left behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_completion_chunk::Choice as ChunkChoice;
use sabir_proto::v1::{
    ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest, CreateEmbeddingResponse, FinishReason,
};
use sabir_providers::{
    ChatCall, ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, Upstream, UpstreamError, UpstreamErrorKind,
};
use sabir_store::{Outcome, UsageRow};
use tonic::{Code, Status};

use super::super::run::tests::{Bench, caller, request};
use super::super::{ATTEMPT, Answer, MODEL_USED};
use crate::upstream::tests::routes;
use crate::upstream::{Provider, Registry};

/// Fails as its models are called, and counts how often each was asked.
#[derive(Default)]
struct Flaky {
    asked: AtomicUsize,
}

impl Flaky {
    fn outcome<T>(&self, model: &str, good: T) -> Option<Result<T, UpstreamError>> {
        let error = |kind| Some(Err(UpstreamError::new(kind, "scripted")));
        if model != "good" {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        match model {
            "silent" => None,
            "away" => error(UpstreamErrorKind::Unavailable),
            "busy" => Some(Err(UpstreamError {
                retry_after: Some(Duration::from_secs(3600)),
                ..UpstreamError::new(UpstreamErrorKind::RateLimited, "scripted")
            })),
            "short" => error(UpstreamErrorKind::ContextLength),
            "strict" => error(UpstreamErrorKind::InvalidRequest),
            "once" if self.asked.load(Ordering::Relaxed) == 1 => error(UpstreamErrorKind::Overloaded),
            _ => Some(Ok(good)),
        }
    }
}

fn pinned<T: Send + 'static>(outcome: Option<Result<T, UpstreamError>>) -> ChatFuture<Reply<T>> {
    match outcome {
        None => Box::pin(std::future::pending()),
        Some(outcome) => Box::pin(std::future::ready(outcome.map(Reply::whole))),
    }
}

impl Upstream for Flaky {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        let choice = Choice { finish_reason: FinishReason::Stop.into(), ..Default::default() };
        let answer = ChatCompletion { model: call.model.clone(), choices: vec![choice], ..Default::default() };
        pinned(self.outcome(&call.model, answer))
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        let choice = ChunkChoice { finish_reason: FinishReason::Stop.into(), ..Default::default() };
        let chunk = ChatCompletionChunk { model: call.model.clone(), choices: vec![choice], ..Default::default() };
        let chunks: ChunkStream = stream::iter([Ok(chunk)]).boxed();
        pinned(self.outcome(&call.model, chunks))
    }

    fn embed(&self, call: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        pinned(self.outcome(&call.model, CreateEmbeddingResponse::default()))
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

struct World {
    bench: Bench,
    flaky: Arc<Flaky>,
}

/// A world with one route, `smart`, configured like this.
fn world(route: &str) -> World {
    let flaky = Arc::new(Flaky::default());
    let provider = Provider::open("script", Arc::clone(&flaky) as Arc<dyn Upstream>, "");
    let registry = Registry::new(vec![provider], BTreeMap::new(), None).with_routes(&routes(route)).with_attempts(3);
    World { bench: Bench::of(registry), flaky }
}

impl World {
    async fn ask(&self, model: &str) -> Result<Answer<ChatCompletion>, Status> {
        self.bench.chat.complete(caller(None), request(model)).await
    }

    fn asked(&self) -> usize {
        self.flaky.asked.load(Ordering::Relaxed)
    }
}

fn served<T>(answer: &Answer<T>) -> (String, String) {
    let text = |name| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    (text(MODEL_USED), text(ATTEMPT))
}

fn owned(model: &str, attempt: &str) -> (String, String) {
    (model.to_owned(), attempt.to_owned())
}

#[tokio::test]
async fn the_next_target_answers_when_one_fails() {
    for failing in ["away", "busy", "short"] {
        let world = world(&format!(r#"targets = ["script/{failing}", "script/good"]"#));
        let answer = world.ask("smart").await.unwrap();
        assert_eq!(served(&answer), owned("script/good", "2"), "{failing}");
        let rows = world.bench.rows().await;
        assert_eq!(rows.len(), 1, "one row for the call, however many attempts: {rows:?}");
        let UsageRow { outcome, model_asked, model_used, .. } = &rows[0];
        assert_eq!((*outcome, &**model_asked, model_used.as_deref()), (Outcome::Complete, "smart", Some("good")));
    }
}

#[tokio::test]
async fn streams_and_vectors_fall_back_too() {
    let world = world(r#"targets = ["script/away", "script/good"]"#);
    let streamed = world.bench.chat.stream(caller(None), request("smart")).await.unwrap();
    assert_eq!(served(&streamed), owned("script/good", "2"));
    let chunks: Vec<_> = streamed.body.collect().await;
    assert!(chunks.iter().all(Result::is_ok) && chunks.len() == 1);
    let vectors = sabir_proto::v1::CreateEmbeddingRequest { model: "smart".to_owned(), ..Default::default() };
    let answer = world.bench.chat.embed(caller(None), Box::new(vectors)).await.unwrap();
    assert_eq!(served(&answer), owned("script/good", "2"));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_asked_again() {
    let world = world(r#"targets = ["script/strict", "script/good"]"#);
    assert_eq!(world.ask("smart").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn when_all_fail_the_last_failure_is_told() {
    let world = world(r#"targets = ["script/busy", "script/away"]"#);
    assert_eq!(world.ask("smart").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(world.asked(), 2);
    assert_eq!(world.bench.rows().await.len(), 1);
}

#[tokio::test]
async fn a_single_model_is_asked_again_after_a_pause_if_that_can_help() {
    let world = world(r#"targets = ["script/good"]"#);
    let answer = world.ask("script/once").await.unwrap();
    assert_eq!((served(&answer), world.asked()), (owned("script/once", "2"), 2));
    for (model, expected) in [("script/strict", 1), ("script/short", 1), ("script/busy", 1), ("script/away", 3)] {
        let before = world.asked();
        world.ask(model).await.unwrap_err();
        assert_eq!(world.asked() - before, expected, "{model}");
    }
}

#[tokio::test]
async fn a_target_that_keeps_failing_is_left_alone() {
    let world = world(r#"targets = ["script/away", "script/good"]"#);
    for _ in 0..20 {
        world.ask("smart").await.unwrap();
    }
    assert_eq!(world.asked(), 3, "three failures open the breaker");
}

#[tokio::test]
async fn a_target_that_is_silent_is_given_up_in_time() {
    let world = world("targets = [\"script/silent\", \"script/good\"]\ntimeout = \"30ms\"");
    let answer = world.ask("smart").await.unwrap();
    assert_eq!(served(&answer), owned("script/good", "2"));
}

#[tokio::test]
async fn a_hedge_overtakes_a_slow_target() {
    let world = world("targets = [\"script/silent\", \"script/good\"]\nhedge_after = \"20ms\"");
    let began = Instant::now();
    let answer = world.ask("smart").await.unwrap();
    assert_eq!(served(&answer), owned("script/good", "2"));
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert_eq!(world.bench.rows().await[0].model_used.as_deref(), Some("good"));
}

#[tokio::test]
async fn the_deadline_of_the_call_holds_over_all_attempts() {
    let world = world("targets = [\"script/silent\", \"script/silent\"]\ntimeout = \"10s\"");
    let limit = Some(Duration::from_millis(40));
    let status = world.bench.chat.complete(caller(limit), request("smart")).await.map(|_| ()).unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn calls_with_a_header_go_elsewhere() {
    let world = world(
        "targets = [\"script/away\"]\n[routes.smart.when.gold]\nheader = \"X-Tier: gold\"\ntargets = [\"script/good\"]",
    );
    let mut headers = tonic::metadata::MetadataMap::new();
    headers.insert("x-tier", "gold".parse().unwrap());
    let gold = super::super::Caller { headers: Some(Arc::new(headers)), ..caller(None) };
    assert!(world.bench.chat.reads_headers());
    let request = |model: &str| -> Box<CreateChatCompletionRequest> { request(model) };
    assert_eq!(served(&world.bench.chat.complete(gold, request("smart")).await.unwrap()).0, "script/good");
    assert!(world.ask("smart").await.is_err());
}
