//! Words a chat request.
//!
//! What becomes of each member is said here and in the files beside; the request is taken apart without a rest, so that a
//! member of the contract that nobody thought of does not compile.

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::create_response_request::Input;
use sabir_proto::v1::{
    CreateChatCompletionRequest, CreateResponseRequest, Reasoning, ResponseItems, ResponseReasoning,
    ResponseStreamOptions, StreamOptions,
};

use super::{NAME, Schema, form, include, items, search, tools};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::openai::translation;
use crate::unsupported::{Unsupported, foreign_members};
use crate::upstream::{ChatCall, Dropped, Origin};

/// The request in the words of the Responses API, and what could not be said.
pub(super) fn word(call: ChatCall, streamed: bool) -> Result<(CreateResponseRequest, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, NAME);
    let mut request = call.request;
    if call.origin == Origin::Translated {
        translation::tidy_all_but_thoughts(&mut request);
    }
    let CreateChatCompletionRequest {
        model: _,
        messages,
        stream: _,
        stream_options,
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
        mut additional_members,
    } = *request;

    unsupported.unless(n.unwrap_or(1) == 1, "n")?;
    unsupported.leave_out("stop", &stop)?;
    unsupported.leave_out("seed", &seed)?;
    unsupported.unless(presence_penalty.unwrap_or(0.0) == 0.0, "presence_penalty")?;
    unsupported.unless(frequency_penalty.unwrap_or(0.0) == 0.0, "frequency_penalty")?;
    unsupported.leave_out("logit_bias", &logit_bias)?;
    unsupported.leave_out("prediction", &prediction)?;
    unsupported.unless(modalities.iter().all(|modality| modality == "text"), "modalities")?;
    unsupported.leave_out("audio", &audio)?;
    unsupported.leave_out("prompt_cache_options", &prompt_cache_options)?;
    unsupported.leave_out("moderation", &moderation)?;
    unsupported.leave_out("functions", &functions)?;
    unsupported.leave_out("function_call", &function_call)?;

    let limit = match (max_completion_tokens, max_tokens) {
        (Some(newer), Some(older)) => Some(newer.min(older)),
        (newer, older) => newer.or(older),
    };
    let wants_logprobs = logprobs.unwrap_or(false);
    let reasoning = thinking(reasoning, reasoning_effort, &mut unsupported)?;
    let effort = reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_deref());
    let include = include::word(additional_members.remove("include"), &call.model, effort, wants_logprobs)?;
    let mut offered = tools::word(offered, &mut unsupported)?;
    offered.extend(web_search_options.map(search::word).transpose()?);
    let request = CreateResponseRequest {
        model: call.model,
        input: Some(Input::InputItems(ResponseItems { items: items::word(messages, &mut unsupported)? })),
        stream: streamed.then_some(true),
        stream_options: stream_options.and_then(obfuscation),
        max_output_tokens: limit,
        temperature,
        top_p,
        top_logprobs: top_logprobs.filter(|_| wants_logprobs),
        tools: offered,
        tool_choice: tools::choice(tool_choice, &mut unsupported)?,
        parallel_tool_calls,
        reasoning,
        text: form::word(response_format, verbosity, &mut unsupported)?,
        include,
        metadata,
        service_tier,
        prompt_cache_key,
        prompt_cache_retention,
        safety_identifier,
        user,
        store: Some(store.unwrap_or(false)),
        additional_members: foreign_members(additional_members).collect(),
        ..CreateResponseRequest::default()
    };
    refuse_contradictions(&request)?;
    Ok((request, unsupported.into_dropped()))
}

/// Usage comes with every stream; padding is asked for or not.
fn obfuscation(options: StreamOptions) -> Option<ResponseStreamOptions> {
    let StreamOptions { include_usage: _, include_obfuscation, additional_members } = options;
    let additional_members: std::collections::BTreeMap<_, _> = foreign_members(additional_members).collect();
    let says_something = include_obfuscation.is_some() || !additional_members.is_empty();
    says_something.then_some(ResponseStreamOptions { include_obfuscation, additional_members })
}

/// How long to think. Who says so is told a summary of it.
fn thinking(
    reasoning: Option<Reasoning>,
    effort: Option<String>,
    unsupported: &mut Unsupported,
) -> Result<Option<ResponseReasoning>, UpstreamError> {
    let Reasoning { enabled, effort: other, max_tokens, exclude, additional_members } = reasoning.unwrap_or_default();
    unsupported.leave_out("reasoning.max_tokens", &max_tokens)?;
    let effort = match (enabled, effort.or(other)) {
        (Some(false), _) => Some("none".to_owned()),
        (_, effort) => effort,
    };
    let mut members: std::collections::BTreeMap<_, _> = foreign_members(additional_members).collect();
    let thinks = effort.as_deref().map_or(enabled == Some(true), |effort| effort != "none");
    let summary = (thinks && exclude != Some(true) && !members.contains_key("summary")).then(|| "auto".to_owned());
    if effort.is_none() && summary.is_none() && members.is_empty() {
        return Ok(None);
    }
    let said = members.remove("summary").and_then(|json| serde_json::from_str(&json).ok());
    Ok(Some(ResponseReasoning {
        effort,
        summary: said.or(summary),
        additional_members: members,
        ..ResponseReasoning::default()
    }))
}

/// The request as JSON.
pub(super) fn write(schema: &Schema, request: &CreateResponseRequest) -> Result<Bytes, UpstreamError> {
    let wire = request.encode_to_vec();
    let mut json = Vec::with_capacity(wire.len() + wire.len() / 4 + 256);
    schema.plans.write(schema.request, &wire, &mut json).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok(json.into())
}

/// A vendor's own member may not say again what the request says in our words.
fn refuse_contradictions(request: &CreateResponseRequest) -> Result<(), UpstreamError> {
    let ours = ["input", "text", "max_output_tokens"];
    let Some(name) = ours.into_iter().find(|name| request.additional_members.contains_key(*name)) else {
        return Ok(());
    };
    let message = format!("{name} contradicts what the request says by other members");
    Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name))
}
