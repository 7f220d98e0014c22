//! `sabir.v1.Extraction`.

mod stream;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::extraction_server;
use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::{
    ChatMessage, CreateChatCompletionRequest, ExtractRequest, ExtractResponse, FinishReason, ResponseFormat, Role,
};
use tonic::{Request, Response, Status};

use self::stream::Events;
use super::caller::{caller, respond};
use crate::chat::{Answer, Caller};
use crate::error::unstructured;
use crate::structured::{Care, STRUCTURED, Structured};

/// What the model is told.
const TASK: &str = "Take from the user's text what the JSON Schema of the answer asks for. Answer with one JSON document that \
    follows it, and nothing else. Use only what the text says.";

/// Serves extractions.
#[derive(Clone, Debug)]
pub(crate) struct ExtractionApi {
    structured: Structured,
}

impl ExtractionApi {
    /// Has these calls made.
    pub(crate) fn new(structured: Structured) -> Self {
        Self { structured }
    }
}

#[tonic::async_trait]
impl extraction_server::Extraction for ExtractionApi {
    async fn extract(&self, request: Request<ExtractRequest>) -> Result<Response<ExtractResponse>, Status> {
        let caller = caller(&request, self.structured.chat())?;
        let request = request.into_inner();
        // Named by the request's own field, before the chat would name one that the caller never saw.
        self.structured.schemas().get(&request.schema).map_err(|problem| problem.of_field("schema"))?;
        let care = if request.max_attempts == Some(1) { Care::Check } else { Care::Reask };
        let question = Box::new(question(request));
        let Answer { headers, body } = self.structured.complete(Caller { care, ..caller }, question).await?;
        let done = headers.get(STRUCTURED).map(|value| value.as_bytes().to_vec());
        let choice = body.choices.into_iter().next().unwrap_or_default();
        let value = match choice.finish_reason() {
            FinishReason::Stop => choice.message.and_then(|message| message.content),
            FinishReason::Length => return Err(unstructured("the document was cut off at the token limit")),
            _ => None,
        };
        let body = ExtractResponse {
            value: value.ok_or_else(|| unstructured("the model gave no document"))?,
            model: body.model,
            attempts: if done.as_deref() == Some(b"reasked") { 2 } else { 1 },
            repaired: done.as_deref() == Some(b"repaired"),
            usage: body.usage,
        };
        Ok(respond(Answer { headers, body }))
    }

    type StreamExtractStream = Events;

    async fn stream_extract(&self, request: Request<ExtractRequest>) -> Result<Response<Events>, Status> {
        let caller = caller(&request, self.structured.chat())?;
        let request = request.into_inner();
        let schema = self.structured.schemas().get(&request.schema).map_err(|problem| problem.of_field("schema"))?;
        let mut question = Box::new(question(request));
        question.stream_options.get_or_insert_default().include_usage = Some(true);
        // Checked here, where it can still be put right.
        let Answer { headers, body } = self.structured.stream(Caller { care: Care::Off, ..caller }, question).await?;
        Ok(respond(Answer { headers, body: Events::new(body, schema) }))
    }
}

fn question(request: ExtractRequest) -> CreateChatCompletionRequest {
    let ExtractRequest { model, text, schema, instructions, max_attempts: _, max_tokens, temperature, stream: _ } =
        request;
    let message = |role: Role, text: String| ChatMessage {
        role: role.into(),
        content: Some(Content::Text(text)),
        ..ChatMessage::default()
    };
    let task = instructions.map_or_else(|| TASK.to_owned(), |more| format!("{TASK}\n\n{more}"));
    let format = JsonSchema { name: "document".to_owned(), schema, ..JsonSchema::default() };
    CreateChatCompletionRequest {
        model,
        messages: vec![message(Role::System, task), message(Role::User, text)],
        max_completion_tokens: max_tokens,
        temperature,
        response_format: Some(ResponseFormat { format: Some(Format::JsonSchema(format)), ..ResponseFormat::default() }),
        ..CreateChatCompletionRequest::default()
    }
}
