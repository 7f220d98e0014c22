//! Words a chat request.
//!
//! What becomes of each member is said here and in the files beside; the request is taken apart without a rest, so that a
//! member of the contract that nobody thought of does not compile.

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::create_message_request::System;
use sabir_proto::v1::response_format::Format;
use sabir_proto::v1::{
    ContentBlock, ContentBlocks, CreateChatCompletionRequest, CreateMessageRequest, MessageMetadata, MessageParam,
    OutputConfig, OutputFormat, ResponseFormat, message_param,
};

use super::blocks::{self, Turn};
use super::thinking::{self, Thinking};
use super::{Schema, tools};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Given as _, Unsupported, foreign_members};
use crate::upstream::{ChatCall, Dropped};

/// How long an answer may be, in tokens, when the caller sets no limit: the protocol wants one, and every model takes this.
const USUAL_LIMIT: i32 = 4096;

/// The same for a model that is to think first.
const LIMIT_WITH_THINKING: i32 = 16_384;

/// What stands for a wish for JSON of any shape, for which the protocol has no word.
const JSON_INSTRUCTION: &str = "Answer with one JSON object and nothing else: no prose, no code fence.";

/// The request in Anthropic's words, and what could not be said.
pub(super) fn word(call: ChatCall, streamed: bool) -> Result<(CreateMessageRequest, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, "Anthropic's Messages API");
    let CreateChatCompletionRequest {
        model: _,
        messages,
        stream: _,
        // Usage comes with every stream.
        stream_options: _,
        max_completion_tokens,
        max_tokens,
        temperature,
        top_p,
        stop,
        tools: offered,
        tool_choice,
        parallel_tool_calls,
        response_format,
        n,
        seed,
        presence_penalty,
        frequency_penalty,
        logit_bias,
        logprobs,
        top_logprobs,
        metadata,
        reasoning_effort,
        verbosity,
        prediction,
        modalities,
        audio,
        service_tier,
        web_search_options,
        prompt_cache_key,
        prompt_cache_retention,
        prompt_cache_options,
        safety_identifier,
        user,
        store,
        moderation,
        functions,
        function_call,
        reasoning,
        additional_members,
    } = *call.request;

    unsupported.unless(n.unwrap_or(1) == 1, "n")?;
    unsupported.leave_out("seed", &seed)?;
    unsupported.unless(presence_penalty.unwrap_or(0.0) == 0.0, "presence_penalty")?;
    unsupported.unless(frequency_penalty.unwrap_or(0.0) == 0.0, "frequency_penalty")?;
    unsupported.leave_out("logit_bias", &logit_bias)?;
    unsupported.unless(!logprobs.unwrap_or(false), "logprobs")?;
    unsupported.unless(top_logprobs.unwrap_or(0) == 0, "top_logprobs")?;
    unsupported.leave_out("metadata", &metadata)?;
    unsupported.leave_out("verbosity", &verbosity)?;
    unsupported.leave_out("prediction", &prediction)?;
    unsupported.unless(modalities.iter().all(|modality| modality == "text"), "modalities")?;
    unsupported.leave_out("audio", &audio)?;
    unsupported.leave_out("web_search_options", &web_search_options)?;
    unsupported.leave_out("prompt_cache_key", &prompt_cache_key)?;
    unsupported.leave_out("prompt_cache_retention", &prompt_cache_retention)?;
    unsupported.leave_out("prompt_cache_options", &prompt_cache_options)?;
    unsupported.unless(!store.unwrap_or(false), "store")?;
    unsupported.leave_out("moderation", &moderation)?;
    unsupported.leave_out("functions", &functions)?;
    unsupported.leave_out("function_call", &function_call)?;
    // Two is the most in our vocabulary, one in theirs.
    let too_hot = temperature.is_some_and(|temperature| temperature > 1.0);
    unsupported.unless(!too_hot, "temperature")?;

    let hides_thoughts = reasoning.as_ref().is_some_and(|reasoning| reasoning.exclude());
    unsupported.unless(!hides_thoughts, "reasoning.exclude")?;
    let limit = match (max_completion_tokens, max_tokens) {
        (Some(newer), Some(older)) => Some(newer.min(older)),
        (newer, older) => newer.or(older),
    };
    let thinking = thinking::of(&call.model, reasoning, reasoning_effort, limit.unwrap_or(LIMIT_WITH_THINKING))?;
    let thinks = thinking.as_ref().is_some_and(|thinking| thinking.param.r#type != "disabled");
    let usual = if thinks { LIMIT_WITH_THINKING } else { USUAL_LIMIT };
    let (thinking, effort) = thinking.map_or((None, None), |Thinking { param, effort }| (Some(param), effort));

    let mut conversation = blocks::conversation(messages, &mut unsupported)?;
    let format = output_format(response_format, &mut conversation.system, &mut unsupported)?;
    let says_output = effort.is_some() || format.is_some();
    let tool_choice = tools::choice(tool_choice, parallel_tool_calls, &offered, &mut unsupported)?;
    let request = CreateMessageRequest {
        model: call.model,
        messages: conversation.turns.into_iter().map(param).collect(),
        max_tokens: Some(limit.unwrap_or(usual)),
        system: system(conversation.system),
        stream: streamed.then_some(true),
        temperature: temperature.filter(|_| !too_hot),
        top_p,
        top_k: None,
        stop_sequences: stop,
        tools: tools::params(offered, &tool_choice, &mut unsupported)?,
        tool_choice: tool_choice.param,
        thinking,
        output_config: says_output.then(|| OutputConfig { effort, format, ..OutputConfig::default() }),
        metadata: safety_identifier
            .or(user)
            .map(|name| MessageMetadata { user_id: Some(name), ..MessageMetadata::default() }),
        service_tier: tier(service_tier, &mut unsupported)?,
        additional_members: foreign_members(additional_members).collect(),
    };
    refuse_contradictions(&request)?;
    Ok((request, unsupported.into_dropped()))
}

/// The request as JSON.
pub(super) fn write(schema: &Schema, request: &CreateMessageRequest) -> Result<Bytes, UpstreamError> {
    let wire = request.encode_to_vec();
    let mut json = Vec::with_capacity(wire.len() + wire.len() / 4 + 256);
    schema.plans.write(schema.request, &wire, &mut json).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok(json.into())
}

fn param(turn: Turn) -> MessageParam {
    let content = match <[ContentBlock; 1]>::try_from(turn.blocks) {
        Ok([block]) if blocks::is_plain_text(&block) => message_param::Content::Text(block.text.unwrap_or_default()),
        Ok(block) => message_param::Content::Blocks(ContentBlocks { blocks: block.into() }),
        Err(blocks) => message_param::Content::Blocks(ContentBlocks { blocks }),
    };
    MessageParam { role: turn.role.to_owned(), content: Some(content), ..MessageParam::default() }
}

fn system(mut blocks: Vec<ContentBlock>) -> Option<System> {
    if let [block] = blocks.as_mut_slice()
        && blocks::is_plain_text(block)
    {
        return block.text.take().map(System::SystemText);
    }
    (!blocks.is_empty()).then_some(System::SystemBlocks(ContentBlocks { blocks }))
}

/// The form of the answer. JSON without a schema can only be asked for in words.
fn output_format(
    format: Option<ResponseFormat>,
    system: &mut Vec<ContentBlock>,
    unsupported: &mut Unsupported,
) -> Result<Option<OutputFormat>, UpstreamError> {
    let Some(ResponseFormat { format, additional_members }) = format else { return Ok(None) };
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("response_format.{name}"))?;
    }
    match format {
        None | Some(Format::Text(_)) => Ok(None),
        Some(Format::JsonObject(_)) => {
            system.push(blocks::text(JSON_INSTRUCTION.to_owned()));
            Ok(None)
        }
        Some(Format::JsonSchema(schema)) if schema.schema.is_empty() => {
            system.push(blocks::text(JSON_INSTRUCTION.to_owned()));
            Ok(None)
        }
        Some(Format::JsonSchema(schema)) => {
            unsupported.leave_out("response_format.json_schema.description", &schema.description)?;
            Ok(Some(OutputFormat { r#type: "json_schema".to_owned(), schema: schema.schema, ..Default::default() }))
        }
    }
}

fn tier(tier: Option<String>, unsupported: &mut Unsupported) -> Result<Option<String>, UpstreamError> {
    match tier.as_deref() {
        None | Some("auto" | "standard_only") => Ok(tier),
        Some("default") => Ok(Some("standard_only".to_owned())),
        Some(_) => unsupported.unless(false, "service_tier").map(|()| None),
    }
}

/// A vendor's own member may not say again, and differently, what the request says in our words.
fn refuse_contradictions(request: &CreateMessageRequest) -> Result<(), UpstreamError> {
    let said = [
        ("system", request.system.is_given()),
        ("thinking", request.thinking.is_given()),
        ("output_config", request.output_config.is_given()),
        ("stop_sequences", request.stop_sequences.is_given()),
    ];
    match said.iter().find(|(name, said)| *said && request.additional_members.contains_key(*name)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("{name} contradicts what the request says by other members");
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(*name))
        }
    }
}
