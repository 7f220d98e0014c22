//! A question whose schema is put in other words.

use std::borrow::Cow;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::response_format::{AnyJsonObject, Format, JsonSchema};
use sabir_proto::v1::tool::Tool as Kind;
use sabir_proto::v1::{
    ChatMessage, CreateChatCompletionRequest, FunctionDefinition, NamedTool, NamedToolChoice, ResponseFormat, Role,
    Tool,
};
use serde::Deserialize;

use super::Schemas;

/// Puts the schema of a question, if it has one. Returns the name of the tool whose call is the answer, if it is to be one.
pub(super) fn put(request: &mut CreateChatCompletionRequest, schemas: Schemas) -> Option<String> {
    let format = match &request.response_format {
        Some(ResponseFormat { format: Some(Format::JsonSchema(_)), .. }) => request.response_format.take(),
        _ => return None,
    };
    let Some(Format::JsonSchema(schema)) = format.and_then(|format| format.format) else { return None };
    let is_free = request.tools.is_empty() && request.functions.is_empty() && request.tool_choice.is_none();
    if schemas == Schemas::Tool && is_free && is_of_object(&schema.schema) {
        let name = schema.name.clone();
        request.tools.push(tool(schema));
        request.tool_choice = Some(ToolChoice::NamedToolChoice(NamedToolChoice {
            choice: Some(Choice::Function(NamedTool { name: name.clone(), ..NamedTool::default() })),
            ..NamedToolChoice::default()
        }));
        return Some(name);
    }
    if schemas == Schemas::JsonObject && is_of_object(&schema.schema) {
        request.response_format =
            Some(ResponseFormat { format: Some(Format::JsonObject(AnyJsonObject {})), ..ResponseFormat::default() });
    }
    request.messages.insert(place(&request.messages), instruction(&schema));
    None
}

fn tool(schema: JsonSchema) -> Tool {
    let JsonSchema { name, description, schema, strict, additional_members: _ } = schema;
    let description = description.unwrap_or_else(|| "Gives the answer. Always call this.".to_owned());
    let function = FunctionDefinition {
        name,
        description: Some(description),
        parameters: schema,
        strict,
        ..FunctionDefinition::default()
    };
    Tool { tool: Some(Kind::Function(function)), ..Tool::default() }
}

fn instruction(schema: &JsonSchema) -> ChatMessage {
    let about = schema.description.as_ref().map(|about| format!(" It is for this: {about}.")).unwrap_or_default();
    let text = format!(
        "Answer with one JSON document and nothing else: no explanation, no code fence. It has to follow this JSON \
         Schema.{about}\n{}",
        schema.schema
    );
    ChatMessage { role: Role::System.into(), content: Some(Content::Text(text)), ..ChatMessage::default() }
}

/// After what the system says already: some models want all of that at the beginning.
fn place(messages: &[ChatMessage]) -> usize {
    let speaks = |message: &ChatMessage| matches!(message.role(), Role::System | Role::Developer);
    messages.iter().take_while(|message| speaks(message)).count()
}

/// Whether a schema is one of an object, the only kind that arguments and `json_object` can have.
fn is_of_object(schema: &str) -> bool {
    #[derive(Deserialize)]
    struct Top<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    serde_json::from_str::<Top<'_>>(schema).is_ok_and(|top| top.kind.as_deref() == Some("object"))
}
