//! Words a chat request.
//!
//! What becomes of each member is said here and in the files beside; the request is taken apart without a rest, so that a
//! member of the contract that nobody thought of does not compile.

use bytes::Bytes;
use sabir_proto::v1::CreateChatCompletionRequest;

use super::config::GenerationConfig;
use super::contents::Conversation;
use super::wire::{Content, Request};
use super::{NAME, thinking, tools};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::tool_choice::Chosen;
use crate::unsupported::Unsupported;
use crate::upstream::{ChatCall, Dropped};
use crate::verbatim::Members;

/// The request as JSON, and what could not be said.
pub(super) fn word(call: ChatCall) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, NAME);
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

    unsupported.leave_out("logit_bias", &logit_bias)?;
    unsupported.leave_out("metadata", &metadata)?;
    unsupported.leave_out("verbosity", &verbosity)?;
    unsupported.leave_out("prediction", &prediction)?;
    unsupported.unless(matches!(service_tier.as_deref(), None | Some("auto" | "default")), "service_tier")?;
    unsupported.leave_out("prompt_cache_key", &prompt_cache_key)?;
    unsupported.leave_out("prompt_cache_retention", &prompt_cache_retention)?;
    unsupported.leave_out("prompt_cache_options", &prompt_cache_options)?;
    unsupported.leave_out("safety_identifier", &safety_identifier)?;
    unsupported.leave_out("user", &user)?;
    unsupported.unless(!store.unwrap_or(false), "store")?;
    unsupported.leave_out("moderation", &moderation)?;
    unsupported.leave_out("functions", &functions)?;
    unsupported.leave_out("function_call", &function_call)?;
    unsupported.unless(parallel_tool_calls.unwrap_or(true) || offered.is_empty(), "parallel_tool_calls")?;

    let mut config = GenerationConfig {
        candidate_count: n.filter(|n| *n != 1),
        stop_sequences: stop,
        max_output_tokens: match (max_completion_tokens, max_tokens) {
            (Some(newer), Some(older)) => Some(newer.min(older)),
            (newer, older) => newer.or(older),
        },
        temperature,
        top_p,
        seed: seed.map(narrow).transpose()?,
        presence_penalty,
        frequency_penalty,
        response_logprobs: logprobs.filter(|wanted| *wanted),
        logprobs: top_logprobs.filter(|number| *number > 0),
        thinking_config: thinking::of(&call.model, reasoning, reasoning_effort, &mut unsupported)?,
        ..GenerationConfig::default()
    };
    config.format(response_format, &mut unsupported)?;
    config.modalities(modalities, audio, &mut unsupported)?;

    let chosen = Chosen::read(tool_choice, &mut unsupported)?;
    let mut tools = tools::word(offered, &chosen, call.origin, &mut unsupported)?;
    let tool_config = tools::config(chosen, &tools);
    tools.extend(tools::search(web_search_options, &mut unsupported)?);
    let Conversation { system, contents, .. } =
        Conversation::new(&call.model, call.origin, &mut unsupported).with(messages)?;
    let request = Request {
        contents,
        system: (!system.is_empty()).then_some(Content { role: None, parts: system }),
        tools,
        tool_config,
        generation_config: config.written()?,
        members: Members::foreign(additional_members, "")?,
    };
    refuse_contradictions(&request)?;
    let body = serde_json::to_vec(&request).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((body.into(), unsupported.into_dropped()))
}

/// A seed of the width that the protocol has.
fn narrow(seed: i64) -> Result<i32, UpstreamError> {
    i32::try_from(seed).map_err(|_| {
        let message = format!("{NAME} takes seeds from {} to {}", i32::MIN, i32::MAX);
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("seed")
    })
}

/// A vendor's own member may not say again, and differently, what the request says in our words.
fn refuse_contradictions(request: &Request) -> Result<(), UpstreamError> {
    let said = [
        (["contents", "contents"], true),
        (["systemInstruction", "system_instruction"], request.system.is_some()),
        (["toolConfig", "tool_config"], request.tool_config.is_some()),
        (["generationConfig", "generation_config"], request.generation_config.is_some()),
    ];
    let spellings = said.into_iter().filter(|(_, said)| *said).flat_map(|(spellings, _)| spellings);
    match spellings.into_iter().find(|name| request.members.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("{name} contradicts what the request says by other members");
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name))
        }
    }
}
