//! Claims about schemas in other words.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_completion_chunk::{self, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ChatCompletionChunk, ChatMessage, CreateChatCompletionRequest, CreateEmbeddingResponse,
    FinishReason, FunctionCall, ResponseFormat, ResponseMessage, Role, Tool, ToolCall,
};

use super::*;
use crate::upstream::{OnUnsupported, Origin};

const SCHEMA: &str = r#"{"type":"object","properties":{"x":{"type":"integer"}}}"#;

/// An upstream that notes what it is asked, and answers as it is told to.
#[derive(Default)]
struct Noting {
    asked: Mutex<Vec<CreateChatCompletionRequest>>,
    answer: ChatCompletion,
    chunks: Vec<ChatCompletionChunk>,
}

impl Upstream for Noting {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        self.asked.lock().unwrap().push(*call.request);
        let answer = self.answer.clone();
        Box::pin(async { Ok(Reply::whole(answer)) })
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        self.asked.lock().unwrap().push(*call.request);
        let chunks = stream::iter(self.chunks.clone().into_iter().map(Ok));
        Box::pin(async { Ok(Reply::whole(Box::pin(chunks) as ChunkStream)) })
    }

    fn embed(&self, _: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        unimplemented!("nobody asks for vectors here")
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        unimplemented!("nobody asks for models here")
    }
}

fn call(schema: &str, tools: Vec<Tool>) -> ChatCall {
    let message = |role: Role, text: &str| ChatMessage {
        role: role.into(),
        content: Some(Content::Text(text.to_owned())),
        ..ChatMessage::default()
    };
    let schema = JsonSchema { name: "point".to_owned(), schema: schema.to_owned(), ..JsonSchema::default() };
    let request = CreateChatCompletionRequest {
        messages: vec![message(Role::System, "Be brief."), message(Role::User, "Where?")],
        response_format: Some(ResponseFormat { format: Some(Format::JsonSchema(schema)), ..Default::default() }),
        tools,
        ..CreateChatCompletionRequest::default()
    };
    ChatCall {
        model: "m".to_owned(),
        request: Box::new(request),
        deadline: None,
        on_unsupported: OnUnsupported::Refuse,
        origin: Origin::ChatCompletions,
        trace: None,
    }
}

/// What is asked when this call is made.
async fn asked(schemas: Schemas, call: ChatCall) -> CreateChatCompletionRequest {
    let upstream = Arc::new(Noting::default());
    schemas.around(Arc::clone(&upstream) as _).chat(call).await.unwrap();
    upstream.asked.lock().unwrap().remove(0)
}

fn text(message: &ChatMessage) -> &str {
    match &message.content {
        Some(Content::Text(text)) => text,
        _ => "",
    }
}

#[tokio::test]
async fn what_a_model_is_told_in_its_own_words_stays_as_it_is() {
    assert_eq!(asked(Schemas::Native, call(SCHEMA, vec![])).await, *call(SCHEMA, vec![]).request);
}

#[tokio::test]
async fn an_instruction_stands_after_what_the_system_says() {
    let request = asked(Schemas::Instruction, call(SCHEMA, vec![])).await;
    assert_eq!(request.response_format, None);
    assert_eq!((request.messages.len(), text(&request.messages[0])), (3, "Be brief."));
    assert!(text(&request.messages[1]).ends_with(SCHEMA) && request.messages[1].role() == Role::System);
    let request = asked(Schemas::JsonObject, call(SCHEMA, vec![])).await;
    let format = request.response_format.and_then(|format| format.format);
    assert!(matches!(format, Some(Format::JsonObject(_))) && request.messages.len() == 3, "{format:?}");
    // `json_object` would rule out what this schema wants.
    assert_eq!(asked(Schemas::JsonObject, call(r#"{"type":"array"}"#, vec![])).await.response_format, None);
}

#[tokio::test]
async fn a_tool_is_asked_for_unless_the_caller_has_tools_or_wants_no_object() {
    let request = asked(Schemas::Tool, call(SCHEMA, vec![])).await;
    assert_eq!((request.messages.len(), request.tools.len(), request.response_format), (2, 1, None));
    assert!(request.tool_choice.is_some());
    for call in [call(SCHEMA, vec![Tool::default()]), call(r#"{"type":"array"}"#, vec![]), call("", vec![])] {
        let tools = call.request.tools.len();
        let request = asked(Schemas::Tool, call).await;
        assert_eq!((request.messages.len(), request.tools.len(), request.tool_choice), (3, tools, None));
    }
}

#[tokio::test]
async fn the_call_is_the_answer() {
    let function = |name: &str| {
        let (name, arguments) = (name.to_owned(), r#"{"x":1}"#.to_owned());
        Some(Call::Function(FunctionCall { name, arguments, ..Default::default() }))
    };
    let tool = |name| ToolCall { id: "1".to_owned(), call: function(name), ..ToolCall::default() };
    let said = |content: Option<&str>, tool_calls| Choice {
        message: Some(ResponseMessage { content: content.map(str::to_owned), tool_calls, ..Default::default() }),
        finish_reason: FinishReason::ToolCalls.into(),
        ..Choice::default()
    };
    let answer = ChatCompletion {
        choices: vec![
            said(Some("Sure!"), vec![tool("point"), tool("point")]),
            said(Some("no call"), vec![tool("another")]),
        ],
        ..ChatCompletion::default()
    };
    let upstream = Schemas::Tool.around(Arc::new(Noting { answer, ..Noting::default() }));
    let answer = upstream.chat(call(SCHEMA, vec![])).await.unwrap().body;
    let seen = |choice: &Choice| {
        let message = choice.message.clone().unwrap();
        (message.content, message.tool_calls.len(), choice.finish_reason())
    };
    assert_eq!(seen(&answer.choices[0]), (Some(r#"{"x":1}"#.to_owned()), 0, FinishReason::Stop));
    assert_eq!(seen(&answer.choices[1]), (Some("no call".to_owned()), 1, FinishReason::ToolCalls));
}

/// What a caller hears of a stream of these deltas that ends for this reason.
async fn heard(deltas: Vec<Delta>, reason: FinishReason) -> (String, usize, FinishReason) {
    let last = chat_completion_chunk::Choice { finish_reason: reason.into(), ..Default::default() };
    let choices =
        deltas.into_iter().map(|delta| chat_completion_chunk::Choice { delta: Some(delta), ..Default::default() });
    let chunks =
        choices.chain([last]).map(|choice| ChatCompletionChunk { choices: vec![choice], ..Default::default() });
    let upstream = Schemas::Tool.around(Arc::new(Noting { chunks: chunks.collect(), ..Noting::default() }));
    let chunks: Vec<_> = upstream.stream_chat(call(SCHEMA, vec![])).await.unwrap().body.collect().await;
    let choices: Vec<_> = chunks.into_iter().map(|chunk| chunk.unwrap().choices.remove(0)).collect();
    let deltas = || choices.iter().filter_map(|choice| choice.delta.as_ref());
    let text = deltas().filter_map(|delta| delta.content.clone()).collect();
    (text, deltas().map(|delta| delta.tool_calls.len()).sum(), choices.last().unwrap().finish_reason())
}

#[tokio::test]
async fn the_call_is_the_answer_as_it_comes() {
    let said = |text: &str| Delta { content: Some(text.to_owned()), ..Delta::default() };
    let called = |index, name: Option<&str>, arguments: &str| Delta {
        tool_calls: vec![ToolCallDelta {
            index: Some(index),
            function: Some(FunctionCallDelta {
                name: name.map(str::to_owned),
                arguments: Some(arguments.to_owned()),
                ..Default::default()
            }),
            ..ToolCallDelta::default()
        }],
        ..Delta::default()
    };
    let pieces = vec![
        said("Sure!"),
        called(0, Some("point"), ""),
        called(0, None, r#"{"x""#),
        called(0, None, ":1}"),
        called(1, Some("point"), "{}"),
    ];
    assert_eq!(heard(pieces, FinishReason::ToolCalls).await, (r#"{"x":1}"#.to_owned(), 0, FinishReason::Stop));
    let pieces = vec![said("{"), said("}")];
    assert_eq!(heard(pieces, FinishReason::Stop).await, ("{}".to_owned(), 0, FinishReason::Stop));
    let pieces = vec![called(0, Some("point"), r#"{"x":"#)];
    assert_eq!(heard(pieces, FinishReason::Length).await, (r#"{"x":"#.to_owned(), 0, FinishReason::Length));
}
