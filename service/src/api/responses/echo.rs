//! What an answer repeats of its request.

use sabir_proto::v1::{CreateResponseRequest, ModelResponse, create_response_request, model_response};

/// An answer that has nothing yet but what its request said.
pub(super) fn echo(request: &CreateResponseRequest) -> ModelResponse {
    use create_response_request::ToolChoice::{ToolChoiceMode, ToolChoiceObject};
    let tool_choice = match request.tool_choice.clone() {
        None => model_response::ToolChoice::ToolChoiceMode("auto".to_owned()),
        Some(ToolChoiceMode(mode)) => model_response::ToolChoice::ToolChoiceMode(mode),
        Some(ToolChoiceObject(choice)) => model_response::ToolChoice::ToolChoiceObject(choice),
    };
    ModelResponse {
        object: "response".to_owned(),
        status: "in_progress".to_owned(),
        instructions: request.instructions.clone(),
        max_output_tokens: request.max_output_tokens,
        parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
        reasoning: request.reasoning.clone(),
        store: request.store.unwrap_or(false),
        temperature: request.temperature,
        text: request.text.clone(),
        tool_choice: Some(tool_choice),
        tools: request.tools.clone(),
        top_p: request.top_p,
        truncation: Some("disabled".to_owned()),
        metadata: request.metadata.clone(),
        user: request.user.clone(),
        ..ModelResponse::default()
    }
}
