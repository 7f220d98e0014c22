//! Words a chat request.
//!
//! What becomes of each member is said here and in the files beside; the request is taken apart without a rest, so that a
//! member of the contract that nobody thought of does not compile.

use bytes::Bytes;
use sabir_proto::v1::CreateChatCompletionRequest;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::config::GenerationConfig;
use super::contents::Conversation;
use super::wire::{Content, Request};
use super::{Host, thinking, tools};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::tool_choice::Chosen;
use crate::unsupported::Unsupported;
use crate::upstream::{ChatCall, Dropped};
use crate::verbatim::Members;

/// A request in the protocol's words.
pub(super) struct Wording {
    /// As JSON.
    pub(super) body: Bytes,
    /// The class of speed and price, if it is not the usual one. Hosts are told it in different places.
    pub(super) tier: Option<Tier>,
    /// What could not be said.
    pub(super) dropped: Dropped,
}

/// A class of speed and price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    Flex,
    Priority,
}

impl Tier {
    /// Its name, in every host's words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

/// Puts a request into the protocol's words.
pub(super) fn word(host: Host, call: ChatCall) -> Result<Wording, UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, host.name());
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
    let tier = match service_tier.as_deref() {
        Some("flex") => Some(Tier::Flex),
        Some("priority") => Some(Tier::Priority),
        other => {
            unsupported.unless(matches!(other, None | Some("auto" | "default" | "standard")), "service_tier")?;
            None
        }
    };
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
        seed: seed.map(|seed| narrow(host, seed)).transpose()?,
        // Models without penalties refuse even those of 0.
        presence_penalty: presence_penalty.filter(|penalty| *penalty != 0.0),
        frequency_penalty: frequency_penalty.filter(|penalty| *penalty != 0.0),
        response_logprobs: logprobs.filter(|wanted| *wanted),
        logprobs: top_logprobs.filter(|number| *number > 0),
        thinking_config: thinking::of(&call.model, reasoning, reasoning_effort, &mut unsupported)?,
        ..GenerationConfig::default()
    };
    config.format(response_format, &mut unsupported)?;
    config.modalities(modalities, audio, &mut unsupported)?;

    let mut members = Members::foreign(additional_members, "")?;
    let chosen = Chosen::read(tool_choice, &mut unsupported)?;
    let tools::Offer { mut tools, strict } = tools::word(offered, &chosen, call.origin, &mut unsupported)?;
    let tool_config = tools::config(chosen, strict, &tools, &mut unsupported)?;
    let tool_config = beside(&tool_config, &mut members, ["toolConfig", "tool_config"])?;
    let generation_config = config.written(&mut members)?;
    tools.extend(tools::search(web_search_options, &mut unsupported)?);
    let Conversation { system, contents, .. } =
        Conversation::new(&call.model, call.origin, &mut unsupported).with(messages)?;
    let system = (!system.is_empty()).then_some(Content { role: None, parts: system });
    let service_tier = tier.filter(|_| host == Host::Developer).map(Tier::name);
    refuse_contradictions(&members, system.is_some())?;
    let request = Request { contents, system, tools, tool_config, generation_config, service_tier, members };
    let body = serde_json::to_vec(&request).map_err(|error| no_json(&error))?;
    Ok(Wording { body: body.into(), tier, dropped: unsupported.into_dropped() })
}

/// A seed of the width that the protocol has.
fn narrow(host: Host, seed: i64) -> Result<i32, UpstreamError> {
    i32::try_from(seed).map_err(|_| {
        let message = format!("{} takes seeds from {} to {}", host.name(), i32::MIN, i32::MAX);
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("seed")
    })
}

/// A vendor's own member may not say again, and differently, what the request says in our words.
fn refuse_contradictions(members: &Members, system: bool) -> Result<(), UpstreamError> {
    let said = [("contents", true), ("systemInstruction", system), ("system_instruction", system)];
    match said.into_iter().find(|(name, said)| *said && members.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(contradiction(name.to_owned())),
    }
}

fn contradiction(name: String) -> UpstreamError {
    let message = format!("{name} contradicts what the request says by other members");
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name)
}

fn no_json(error: &serde_json::Error) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
}

/// An object of the vendor's that the request says by other members, with what a caller says of it in the vendor's own
/// words. `names` are the spellings of the object.
pub(super) fn beside(
    said: &impl Serialize,
    members: &mut Members,
    names: [&'static str; 2],
) -> Result<Members, UpstreamError> {
    let said = to_raw_value(said).map_err(|error| no_json(&error))?;
    // What says nothing is a null.
    let mut object: Members = serde_json::from_str(said.get()).unwrap_or_default();
    for name in names {
        let Some(own) = members.take(name) else { continue };
        let own: Members = serde_json::from_str(own.get()).map_err(|_| {
            let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("{name} must be an object"));
            error.with_param(name)
        })?;
        for (member, value) in own {
            let place = format!("{name}.{member}");
            put(&mut object, member, value, place)?;
        }
    }
    Ok(object)
}

/// Adds a member in the vendor's own words, which stands at `place` of the request.
pub(super) fn put(
    object: &mut Members,
    name: String,
    value: Box<RawValue>,
    place: String,
) -> Result<(), UpstreamError> {
    let name = camel(&name);
    if object.contains(&name) {
        return Err(contradiction(place));
    }
    object.push(name, value);
    Ok(())
}

/// A name as the protocol's JSON has it. The server takes `snake_case` as well.
pub(super) fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}
