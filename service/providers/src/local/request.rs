//! A chat request of the contract as a [`Request`] to the engine.
//!
//! Pure translation, and the one place that says what becomes of each parameter. A parameter either has its effect, or
//! is refused by name, or is in this list of those that have no bearing on what a model in this process answers:
//! `stream`, `stream_options`, `parallel_tool_calls`, `metadata`, `user`, `store`, `service_tier`, `prompt_cache_key`,
//! `prompt_cache_retention`, `prompt_cache_options`, `safety_identifier`, `reasoning`, `reasoning_effort`, `verbosity`; a message's
//! `name`, `reasoning_content`, `reasoning_details` and unknown members (clients send back what they were sent); a part's
//! `prompt_cache_breakpoint`; a schema's `name`, `description` and `strict` (schemas are always kept to).

use std::time::Instant;

use sabir_proto::v1::{
    ChatMessage, ContentPart, CreateChatCompletionRequest, FunctionCallMode, ResponseFormat, Role, ToolChoiceMode,
    chat_message::Content, content_part::Part, create_chat_completion_request::FunctionCall,
    create_chat_completion_request::ToolChoice, response_format::Format as WireFormat,
};

use crate::error::UpstreamError;
use crate::unsupported::{Unsupported, foreign_members};

use super::{constraint::Format, engine::Request, error::GenerateError, sampler::Sampling, template::Message};

/// More stop strings than any client needs; each is looked for after every token.
const MAX_STOP_STRINGS: usize = 16;

/// Translates, or names the parameter that the local model cannot honour.
pub(crate) fn translate(
    request: &CreateChatCompletionRequest,
    vocabulary_size: usize,
    deadline: Option<Instant>,
) -> Result<Request, GenerateError> {
    let messages = request.messages.iter().enumerate().map(|(index, message)| translate_message(index, message));
    Ok(Request {
        messages: messages.collect::<Result<_, _>>()?,
        max_tokens: max_tokens(request)?,
        sampling: sampling(request, vocabulary_size)?,
        stop: stop(request)?,
        format: request.response_format.as_ref().map_or(Ok(Format::Text), format)?,
        deadline,
    })
}

/// Leaves out everything that would need another kind of model, or refuses it by name. What is left out, the translation
/// does not look at.
pub(crate) fn leave_out_the_impossible(
    request: &CreateChatCompletionRequest,
    unsupported: &mut Unsupported,
) -> Result<(), UpstreamError> {
    let tool_mode = match request.tool_choice {
        Some(ToolChoice::ToolChoiceMode(mode)) => ToolChoiceMode::try_from(mode).ok(),
        Some(ToolChoice::NamedToolChoice(_)) => Some(ToolChoiceMode::Required),
        None => Some(ToolChoiceMode::Auto),
    };
    let function_mode = match request.function_call {
        Some(FunctionCall::FunctionCallMode(mode)) => FunctionCallMode::try_from(mode).ok(),
        Some(FunctionCall::NamedFunction(_)) => None,
        None => Some(FunctionCallMode::Auto),
    };
    let no_tools = request.tools.is_empty() || tool_mode == Some(ToolChoiceMode::None);
    let no_functions = request.functions.is_empty() || function_mode == Some(FunctionCallMode::None);
    unsupported.unless(no_tools, "tools")?;
    unsupported.unless(tool_mode != Some(ToolChoiceMode::Required), "tool_choice")?;
    unsupported.unless(no_functions, "functions")?;
    unsupported.unless(function_mode.is_some(), "function_call")?;
    unsupported.unless(request.n.is_none_or(|n| n == 1), "n")?;
    unsupported.unless(!request.logprobs(), "logprobs")?;
    unsupported.unless(request.top_logprobs.is_none_or(|count| count == 0), "top_logprobs")?;
    unsupported.leave_out("prediction", &request.prediction)?;
    unsupported.unless(request.modalities.iter().all(|modality| modality == "text"), "modalities")?;
    unsupported.leave_out("audio", &request.audio)?;
    unsupported.leave_out("web_search_options", &request.web_search_options)?;
    unsupported.leave_out("moderation", &request.moderation)?;
    foreign_members(request.additional_members.clone()).try_for_each(|(name, _)| unsupported.unless(false, name))
}

fn translate_message(index: usize, message: &ChatMessage) -> Result<Message, GenerateError> {
    let refused =
        |member: &str, reason: &str| Err(GenerateError::invalid(format!("messages[{index}].{member}"), reason));
    let role = match message.role() {
        Role::Developer | Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool | Role::Function => {
            return refused("role", "the local model cannot call tools, so it takes no results");
        }
        Role::Unspecified => return refused("role", "a role is required"),
    };
    if !message.tool_calls.is_empty() {
        return refused("tool_calls", "the local model cannot call tools");
    }
    if message.function_call.is_some() {
        return refused("function_call", "the local model cannot call tools");
    }
    if message.audio.is_some() {
        return refused("audio", "the local model reads text only");
    }
    let content = match (&message.content, &message.refusal) {
        (Some(Content::Text(text)), _) => text.clone(),
        (Some(Content::Parts(parts)), _) => join_parts(index, &parts.parts)?,
        (None, Some(refusal)) => refusal.clone(),
        (None, None) => return refused("content", "content is required"),
    };
    Ok(Message { role, content })
}

/// The texts of the parts, one below the other.
fn join_parts(message: usize, parts: &[ContentPart]) -> Result<String, GenerateError> {
    let text = |(index, part): (usize, &ContentPart)| {
        let kind = match &part.part {
            Some(Part::Text(text) | Part::Refusal(text)) => return Ok(text.clone()),
            Some(Part::ImageUrl(_)) => "images",
            Some(Part::InputAudio(_)) => "audio",
            Some(Part::File(_)) => "files",
            None => "this kind of part",
        };
        let param = format!("messages[{message}].content[{index}]");
        Err(GenerateError::invalid(param, format!("the local model reads text only, not {kind}")))
    };
    let texts = parts.iter().enumerate().map(text).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\n"))
}

fn max_tokens(request: &CreateChatCompletionRequest) -> Result<Option<usize>, GenerateError> {
    let (param, limit) = match (request.max_completion_tokens, request.max_tokens) {
        (Some(new), Some(old)) if new != old => {
            return Err(GenerateError::invalid(
                "max_tokens",
                "max_tokens contradicts max_completion_tokens; give one of the two",
            ));
        }
        (Some(limit), _) => ("max_completion_tokens", limit),
        (None, Some(limit)) => ("max_tokens", limit),
        (None, None) => return Ok(None),
    };
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ => Err(GenerateError::invalid(param, format!("{param} must be at least 1"))),
    }
}

fn sampling(request: &CreateChatCompletionRequest, vocabulary_size: usize) -> Result<Sampling, GenerateError> {
    let within = |param: &str, value: Option<f64>, default: f32, from: f64, to: f64| match value {
        None => Ok(default),
        Some(value) if (from..=to).contains(&value) => Ok(value as f32),
        Some(_) => Err(GenerateError::invalid(param, format!("{param} must be between {from} and {to}"))),
    };
    let defaults = Sampling::default();
    let mut logit_bias = Vec::with_capacity(request.logit_bias.len());
    for (token, bias) in &request.logit_bias {
        let Some(id) = token.parse().ok().filter(|id| (*id as usize) < vocabulary_size) else {
            let message =
                format!("`{token}` is not a token of the local model: ids go from 0 to {}", vocabulary_size - 1);
            return Err(GenerateError::invalid("logit_bias", message));
        };
        logit_bias.push((id, within("logit_bias", Some(*bias), 0.0, -100.0, 100.0)?));
    }
    Ok(Sampling {
        temperature: within("temperature", request.temperature, defaults.temperature, 0.0, 2.0)?,
        // Whoever sets a temperature of their own means the whole distribution unless they also say otherwise.
        top_p: within(
            "top_p",
            request.top_p,
            if request.temperature.is_some() { 1.0 } else { defaults.top_p },
            0.0,
            1.0,
        )?,
        seed: request.seed.map(|seed| seed as u64),
        frequency_penalty: within("frequency_penalty", request.frequency_penalty, 0.0, -2.0, 2.0)?,
        presence_penalty: within("presence_penalty", request.presence_penalty, 0.0, -2.0, 2.0)?,
        repetition_penalty: defaults.repetition_penalty,
        logit_bias,
    })
}

fn stop(request: &CreateChatCompletionRequest) -> Result<Vec<String>, GenerateError> {
    if request.stop.len() > MAX_STOP_STRINGS {
        return Err(GenerateError::invalid("stop", format!("at most {MAX_STOP_STRINGS} stop strings are taken")));
    }
    Ok(request.stop.clone())
}

fn format(format: &ResponseFormat) -> Result<Format, GenerateError> {
    match &format.format {
        Some(WireFormat::Text(_)) => Ok(Format::Text),
        Some(WireFormat::JsonObject(_)) => Ok(Format::JsonObject),
        Some(WireFormat::JsonSchema(schema)) if schema.schema.is_empty() => {
            Err(GenerateError::invalid("response_format.json_schema.schema", "a schema is required"))
        }
        Some(WireFormat::JsonSchema(schema)) => Ok(Format::JsonSchema(schema.schema.clone())),
        None => Err(GenerateError::invalid("response_format.type", "a type is required")),
    }
}

#[cfg(test)]
mod tests;
