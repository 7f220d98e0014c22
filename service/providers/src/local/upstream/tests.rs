//! Claims about the local model's upstream.

use std::{fs, time::Instant};

use sabir_proto::v1::{
    ChatMessage, CreateChatCompletionRequest, FinishReason, ResponseFormat, Role,
    chat_message::Content,
    response_format::{Format, JsonSchema},
};

use super::super::fixture::{self, END_OF_TURN};
use super::*;
use crate::OnUnsupported;

fn model() -> LocalModel {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    fs::write(&path, fixture::tiny_gguf(1)).unwrap();
    LocalModel::open(LocalOptions { queue: 1, ..LocalOptions::new(path) }).unwrap()
}

fn call(text: &str, max_tokens: i32) -> ChatCall {
    let message =
        ChatMessage { role: Role::User.into(), content: Some(Content::Text(text.to_owned())), ..Default::default() };
    ChatCall {
        model: "tiny".to_owned(),
        request: Box::new(CreateChatCompletionRequest {
            messages: vec![message],
            max_completion_tokens: Some(max_tokens),
            temperature: Some(1.0),
            seed: Some(11),
            logit_bias: [(END_OF_TURN.to_string(), -100.0)].into(),
            ..Default::default()
        }),
        deadline: None,
        on_unsupported: OnUnsupported::Refuse,
        origin: Default::default(),
        trace: None,
    }
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let model = model();
    let whole = model.chat(call("hello", 30)).await.unwrap().body;
    assert!(whole.id.starts_with("chatcmpl-") && whole.id.len() == 41, "{}", whole.id);
    assert_eq!((whole.object.as_str(), whole.model.as_str()), ("chat.completion", "tiny"));
    let choice = &whole.choices[0];
    assert_eq!((choice.finish_reason(), whole.choices.len()), (FinishReason::Length, 1));
    let message = choice.message.as_ref().unwrap();
    assert_eq!(message.role(), Role::Assistant);
    let usage = whole.usage.as_ref().unwrap();
    assert_eq!((usage.completion_tokens, usage.total_tokens), (30, usage.prompt_tokens + 30));

    let chunks: Vec<_> = model.stream_chat(call("hello", 30)).await.unwrap().body.map(Result::unwrap).collect().await;
    let text: String = chunks
        .iter()
        .flat_map(|chunk| &chunk.choices)
        .filter_map(|choice| choice.delta.as_ref()?.content.clone())
        .collect();
    assert_eq!(Some(text), message.content);
    assert!(
        chunks.iter().all(|chunk| chunk.id == chunks[0].id && chunk.system_fingerprint == whole.system_fingerprint)
    );
    assert_eq!(chunks[0].choices[0].delta.as_ref().unwrap().role(), Role::Assistant);
    let [.., finish, last] = chunks.as_slice() else { panic!("{} chunks", chunks.len()) };
    assert_eq!(finish.choices[0].finish_reason(), FinishReason::Length);
    assert!(
        chunks[..chunks.len() - 2].iter().all(|chunk| chunk.choices[0].finish_reason() == FinishReason::Unspecified)
    );
    assert!(last.choices.is_empty() && last.usage == whole.usage);
}

#[tokio::test]
async fn structured_output_ends_with_stop_and_parses() {
    let schema =
        r#"{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}"#;
    let format = Format::JsonSchema(JsonSchema { schema: schema.to_owned(), ..Default::default() });
    let mut call = call("x", 100);
    call.request.response_format = Some(ResponseFormat { format: Some(format), ..Default::default() });
    call.request.logit_bias.clear();
    let completion = model().chat(call).await.unwrap().body;
    assert_eq!(completion.choices[0].finish_reason(), FinishReason::Stop);
    let text = completion.choices[0].message.as_ref().unwrap().content();
    assert!([r#"{"ok":true}"#, r#"{"ok":false}"#].contains(&text), "{text}");
}

#[tokio::test]
async fn refusals_have_the_kind_and_the_parameter() {
    let model = model();
    let error = async |call: ChatCall| model.chat(call).await.unwrap_err();

    let mut two = call("x", 1);
    two.request.n = Some(2);
    let refused = error(two.clone()).await;
    assert_eq!((refused.kind, refused.param.as_deref()), (UpstreamErrorKind::InvalidRequest, Some("n")));
    let refused = model.stream_chat(two).await.err().unwrap();
    assert_eq!((refused.kind, refused.param.as_deref()), (UpstreamErrorKind::InvalidRequest, Some("n")));

    let mut lenient = call("x", 1);
    lenient.request.n = Some(2);
    lenient.on_unsupported = OnUnsupported::Drop;
    assert_eq!(model.chat(lenient).await.unwrap().dropped, ["n"]);

    let refused = error(call(&"x".repeat(3000), 1)).await;
    assert_eq!(
        (refused.kind, refused.code.as_deref()),
        (UpstreamErrorKind::ContextLength, Some("context_length_exceeded"))
    );

    let refused = error(ChatCall { model: "other".to_owned(), ..call("x", 1) }).await;
    assert_eq!(refused.kind, UpstreamErrorKind::NotFound);

    let refused = error(ChatCall { deadline: Some(Instant::now()), ..call("x", 1) }).await;
    assert_eq!(refused.kind, UpstreamErrorKind::Timeout);
}

#[tokio::test]
async fn a_full_queue_is_overloaded_and_says_when_to_come_back() {
    let model = model();
    let streams: Vec<_> = futures_util::future::join_all((0..3).map(|_| model.start_for_test())).await;
    let refused: Vec<_> = streams.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(!refused.is_empty() && refused.iter().all(|error| error.kind == UpstreamErrorKind::Overloaded));
    assert_eq!(refused[0].retry_after, Some(RETRY_AFTER));
}

impl LocalModel {
    async fn start_for_test(&self) -> Result<Generation, UpstreamError> {
        self.clone().start(call("x", 2000)).await.map(|started| started.generation)
    }
}

#[tokio::test]
async fn the_model_says_what_it_is() {
    let models = model().models().await.unwrap();
    let [info] = models.as_slice() else { panic!("{models:?}") };
    assert_eq!((info.id.as_str(), info.owned_by.as_deref()), ("tiny", Some("local")));
    assert!(info.description.as_ref().unwrap().contains("Demo-grade local model"));
}
