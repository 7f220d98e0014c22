//! Every way in which a call can end leaves exactly one usage row.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::task::Poll;

use futures_util::{StreamExt, stream};
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_completion_chunk::{Choice as ChunkChoice, Delta};
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::{
    ChatCompletionChunk, ChatMessage, CompletionUsage, CreateEmbeddingResponse, FinishReason, Role, StreamOptions,
};
use sabir_providers::{
    ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, Upstream, UpstreamError, UpstreamErrorKind,
};
use sabir_store::{BatchConfig, Outcome, Protocol, StoreFuture, TokenSource, UsageFilter, UsageRow, UsageStore};
use tonic::Code;

use super::*;
use crate::upstream::Provider;

/// Keeps rows in memory.
#[derive(Default)]
struct Rows(Mutex<Vec<UsageRow>>);

impl UsageStore for Rows {
    fn insert<'a>(&'a self, rows: &'a [UsageRow]) -> StoreFuture<'a, ()> {
        self.0.lock().unwrap().extend_from_slice(rows);
        Box::pin(std::future::ready(Ok(())))
    }

    fn list<'a>(&'a self, _: &'a UsageFilter, _: u32) -> StoreFuture<'a, Vec<UsageRow>> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().clone())))
    }

    fn count(&self) -> StoreFuture<'_, u64> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().len() as u64)))
    }
}

/// What the upstream does, by the name of the model that is asked for.
struct Script;

fn chunk(text: &str, reason: FinishReason) -> ChatCompletionChunk {
    let delta = Delta { content: Some(text.to_owned()), ..Default::default() };
    let choice = ChunkChoice { delta: Some(delta), finish_reason: reason.into(), ..Default::default() };
    ChatCompletionChunk { model: "real-name".to_owned(), choices: vec![choice], ..Default::default() }
}

fn usage() -> Option<CompletionUsage> {
    Some(CompletionUsage { prompt_tokens: 11, completion_tokens: 22, ..Default::default() })
}

fn reason(model: &str) -> FinishReason {
    match model {
        "length" => FinishReason::Length,
        "tools" => FinishReason::ToolCalls,
        "filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

fn failed(kind: UpstreamErrorKind) -> UpstreamError {
    UpstreamError::new(kind, "scripted")
}

impl Upstream for Script {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        let outcome = match call.model.as_str() {
            "silence" => return Box::pin(std::future::pending()),
            "refuse" => Err(failed(UpstreamErrorKind::RateLimited)),
            "away" => Err(failed(UpstreamErrorKind::Unavailable)),
            model => {
                let choice = Choice { finish_reason: reason(model).into(), ..Default::default() };
                let usage = if model == "uncounted" { None } else { usage() };
                Ok(Reply::whole(ChatCompletion {
                    model: "real-name".to_owned(),
                    choices: vec![choice],
                    usage,
                    ..Default::default()
                }))
            }
        };
        Box::pin(std::future::ready(outcome))
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        let first = chunk("12345678", FinishReason::Unspecified);
        let last = chunk("", reason(&call.model));
        let count = ChatCompletionChunk { usage: usage(), ..Default::default() };
        let chunks: ChunkStream = match call.model.as_str() {
            "refuse" => return Box::pin(std::future::ready(Err(failed(UpstreamErrorKind::RateLimited)))),
            "away" => return Box::pin(std::future::ready(Err(failed(UpstreamErrorKind::Unavailable)))),
            "silence" => return Box::pin(std::future::pending()),
            "cut" => stream::iter([Ok(first), Err(failed(UpstreamErrorKind::Truncated))]).boxed(),
            "stall" => stream::iter([Ok(first)]).chain(stream::pending()).boxed(),
            "uncounted" => stream::iter([Ok(first), Ok(last)]).boxed(),
            _ => stream::iter([Ok(first), Ok(last), Ok(count)]).boxed(),
        };
        Box::pin(std::future::ready(Ok(Reply::whole(chunks))))
    }

    fn embed(&self, _: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        Box::pin(std::future::pending())
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// Dollars per million tokens: 1 for the input, 2 for the output.
const PRICES: &str =
    r#"{"vendors": [{"provider": "script", "models": [{"model": "*", "input": "1", "output": "2"}]}]}"#;

/// What a row should cost by those.
fn cost(row: &UsageRow) -> i64 {
    i64::from(row.prompt_tokens) * 1_000 + i64::from(row.completion_tokens) * 2_000
}

pub(in crate::chat) struct Bench {
    pub(in crate::chat) chat: Chat,
    usage: UsageWriter,
    rows: Arc<Rows>,
}

impl Bench {
    fn new() -> Self {
        let provider = Provider::open("script", Arc::new(Script), "");
        Self::of(Registry::new(vec![provider], BTreeMap::new(), None))
    }

    /// A chat with these models.
    pub(in crate::chat) fn of(registry: Registry) -> Self {
        let rows = Arc::new(Rows::default());
        let usage = UsageWriter::start(Arc::clone(&rows) as Arc<dyn UsageStore>, BatchConfig::default());
        let chat = Chat::new(
            Live::new(registry),
            usage.clone(),
            Budgets::priced(PRICES),
            0,
            super::CaptureLog::none(),
            None,
            Telemetry::default(),
        );
        Self { chat, usage, rows }
    }

    /// The rows that the calls so far have left.
    pub(in crate::chat) async fn rows(&self) -> Vec<UsageRow> {
        assert_eq!(self.usage.close().await, 0);
        self.rows.0.lock().unwrap().clone()
    }

    /// The one row that the calls so far have left.
    async fn row(self) -> UsageRow {
        assert_eq!(self.usage.close().await, 0);
        let rows = self.rows.0.lock().unwrap();
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0].cost_nanos, cost(&rows[0]), "{rows:?}");
        assert_eq!(rows[0].price_version, rows[0].provider.as_ref().map(|_| 7), "{rows:?}");
        rows[0].clone()
    }
}

pub(in crate::chat) fn caller(limit: Option<Duration>) -> Caller {
    Caller::now(crate::auth::Principal::open(), Protocol::Grpc, limit.map(|limit| std::time::Instant::now() + limit))
}

pub(in crate::chat) fn request(model: &str) -> Box<CreateChatCompletionRequest> {
    let content = Some(Content::Text("four".to_owned()));
    let message = ChatMessage { role: Role::User.into(), content, ..Default::default() };
    Box::new(CreateChatCompletionRequest { model: model.to_owned(), messages: vec![message], ..Default::default() })
}

/// Makes a streamed call and reads it to its end. The last item tells how it ended.
async fn read(bench: &Bench, model: &str, limit: Option<Duration>) -> Result<Vec<ChatCompletionChunk>, Status> {
    let mut relay = bench.chat.stream(caller(limit), request(model)).await?.body;
    let mut chunks = Vec::new();
    while let Some(chunk) = relay.next().await {
        chunks.push(chunk?);
    }
    assert!(relay.next().await.is_none(), "nothing follows the end");
    Ok(chunks)
}

#[tokio::test]
async fn answers_that_end_normally_are_recorded_as_the_model_ended_them() {
    for (model, outcome) in [
        ("plain", Outcome::Complete),
        ("length", Outcome::Length),
        ("tools", Outcome::ToolCalls),
        ("filter", Outcome::Filtered),
    ] {
        let model = format!("script/{model}");
        let bench = Bench::new();
        bench.chat.complete(caller(None), request(&model)).await.unwrap();
        let unary = bench.row().await;

        let bench = Bench::new();
        assert_eq!(read(&bench, &model, None).await.unwrap().len(), 2, "the chunk with usage alone is left out");
        let streamed = bench.row().await;

        for (row, is_stream) in [(unary, false), (streamed, true)] {
            assert_eq!((row.outcome, row.grpc_code, row.streamed), (outcome, 0, is_stream));
            assert_eq!((row.prompt_tokens, row.completion_tokens, row.token_source), (11, 22, TokenSource::Reported));
            assert_eq!((&*row.model_asked, row.model_used.as_deref()), (model.as_str(), Some("real-name")));
            assert_eq!((row.provider.as_deref(), row.first_token_micros.is_some()), (Some("script"), is_stream));
        }
    }
}

#[tokio::test]
async fn usage_that_nobody_reports_is_estimated() {
    let bench = Bench::new();
    read(&bench, "script/uncounted", None).await.unwrap();
    let row = bench.row().await;
    assert_eq!((row.prompt_tokens, row.completion_tokens, row.token_source), (1, 2, TokenSource::Estimated));
}

#[tokio::test]
async fn a_caller_who_asks_for_usage_gets_it() {
    let bench = Bench::new();
    let options = StreamOptions { include_usage: Some(true), ..Default::default() };
    let request = Box::new(CreateChatCompletionRequest { stream_options: Some(options), ..*request("script/plain") });
    let relay = bench.chat.stream(caller(None), request).await.unwrap().body;
    let chunks: Vec<_> = relay.collect().await;
    assert_eq!(chunks.last().unwrap().as_ref().unwrap().usage, usage());
}

#[tokio::test]
async fn a_rejected_call_is_recorded_and_asks_nobody() {
    let contradiction = CreateChatCompletionRequest { top_logprobs: Some(1), ..*request("script/plain") };
    for (request, code) in [(Box::new(contradiction), Code::InvalidArgument), (request("nobody/x"), Code::NotFound)] {
        let bench = Bench::new();
        let status = bench.chat.complete(caller(None), request).await.map(|_| ()).unwrap_err();
        assert_eq!(status.code(), code);
        assert!(status.metadata().contains_key(REQUEST_ID));
        let row = bench.row().await;
        assert_eq!((row.outcome, row.grpc_code), (Outcome::Rejected, code as i32));
        assert_eq!((row.provider, row.token_source), (None, TokenSource::None));
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_or_is_away_is_recorded_as_such() {
    for (model, outcome, code) in [
        ("script/refuse", Outcome::UpstreamRefused, Code::ResourceExhausted),
        ("script/away", Outcome::UpstreamLost, Code::Unavailable),
    ] {
        let bench = Bench::new();
        let status = bench.chat.complete(caller(None), request(model)).await.map(|_| ()).unwrap_err();
        assert_eq!(status.code(), code);
        let unary = bench.row().await;

        let bench = Bench::new();
        assert_eq!(read(&bench, model, None).await.unwrap_err().code(), code);
        for row in [unary, bench.row().await] {
            assert_eq!((row.outcome, row.grpc_code), (outcome, code as i32));
            assert_eq!((row.prompt_tokens, row.token_source), (0, TokenSource::None));
        }
    }
}

#[tokio::test]
async fn an_upstream_cut_in_the_middle_is_an_error_and_a_partial_row() {
    let bench = Bench::new();
    assert_eq!(read(&bench, "script/cut", None).await.unwrap_err().code(), Code::Unavailable);
    let row = bench.row().await;
    assert_eq!(
        (row.outcome, row.completion_tokens, row.token_source),
        (Outcome::UpstreamLost, 2, TokenSource::Partial)
    );
}

#[tokio::test]
async fn a_dropped_call_is_recorded_as_cancelled() {
    let bench = Bench::new();
    let call = bench.chat.complete(caller(None), request("script/silence"));
    assert!(tokio::time::timeout(Duration::from_millis(10), call).await.is_err());
    let unary = bench.row().await;
    assert_eq!((unary.prompt_tokens, unary.completion_tokens), (1, 0));

    let bench = Bench::new();
    let mut relay = bench.chat.stream(caller(None), request("script/stall")).await.unwrap().body;
    relay.next().await.unwrap().unwrap();
    assert!(matches!(futures_util::poll!(relay.next()), Poll::Pending));
    drop(relay);
    let streamed = bench.row().await;
    assert_eq!((streamed.prompt_tokens, streamed.completion_tokens), (1, 2));

    for row in [unary, streamed] {
        assert_eq!((row.outcome, row.grpc_code), (Outcome::Cancelled, Code::Cancelled as i32));
        assert_eq!(row.token_source, TokenSource::Partial);
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_at_every_stage() {
    let soon = Some(Duration::from_millis(20));
    let bench = Bench::new();
    let status = bench.chat.complete(caller(soon), request("script/silence")).await.map(|_| ()).unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let unary = bench.row().await;

    let bench = Bench::new();
    assert_eq!(read(&bench, "script/silence", soon).await.unwrap_err().code(), Code::DeadlineExceeded);
    let before_the_stream = bench.row().await;

    let bench = Bench::new();
    assert_eq!(read(&bench, "script/stall", soon).await.unwrap_err().code(), Code::DeadlineExceeded);
    let within_the_stream = bench.row().await;

    for row in [unary, before_the_stream, within_the_stream] {
        assert_eq!((row.outcome, row.grpc_code), (Outcome::Deadline, Code::DeadlineExceeded as i32));
    }
}

#[tokio::test]
async fn a_call_dropped_after_its_deadline_is_no_cancellation() {
    let bench = Bench::new();
    let relay = bench.chat.stream(caller(Some(Duration::from_millis(5))), request("script/stall")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(relay);
    assert_eq!(bench.row().await.outcome, Outcome::Deadline);
}

#[tokio::test]
async fn answers_name_the_call_and_the_model() {
    let bench = Bench::new();
    let answer = bench.chat.complete(caller(None), request("script/plain")).await.unwrap();
    assert_eq!(answer.headers.get(MODEL_USED).unwrap(), "script/plain");
    let id = answer.headers.get(REQUEST_ID).unwrap().to_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().into_bytes(), bench.row().await.id);
}
