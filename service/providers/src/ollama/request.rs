//! Words a chat request. Source: <https://docs.ollama.com/api/chat>.
//!
//! The request is taken apart without a rest, so that a member of the contract that nobody thought of does not compile.

use bytes::Bytes;
use sabir_proto::v1::response_format::Format;
use sabir_proto::v1::{CreateChatCompletionRequest, Reasoning, ResponseFormat};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::messages::{self, Message};
use super::tools;
use super::{TARGET, options};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::function_tool::FunctionTool;
use crate::openai::translation;
use crate::unsupported::Unsupported;
use crate::upstream::{ChatCall, Dropped, Origin};
use crate::verbatim::{Members, raw};

/// The body of a request.
struct Body {
    model: String,
    messages: Vec<Message>,
    stream: bool,
    tools: Vec<FunctionTool>,
    others: Members,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("model", &self.model)?;
        object.serialize_entry("messages", &self.messages)?;
        if !self.tools.is_empty() {
            object.serialize_entry("tools", &self.tools)?;
        }
        object.serialize_entry("stream", &self.stream)?;
        self.others.write(&mut object)?;
        object.end()
    }
}

/// The request as JSON, and what could not be said.
pub(super) fn word(call: ChatCall, streamed: bool) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, TARGET);
    let mut request = call.request;
    if call.origin == Origin::Translated {
        translation::tidy(&mut request);
    }
    let CreateChatCompletionRequest {
        model: _,
        messages,
        stream: _,
        // Usage comes with every stream, padding with none.
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
    } = *request;

    unsupported.unless(parallel_tool_calls.unwrap_or(true), "parallel_tool_calls")?;
    unsupported.unless(n.unwrap_or(1) == 1, "n")?;
    unsupported.leave_out("logit_bias", &logit_bias)?;
    unsupported.leave_out("metadata", &metadata)?;
    unsupported.leave_out("verbosity", &verbosity)?;
    unsupported.leave_out("prediction", &prediction)?;
    unsupported.unless(modalities.iter().all(|modality| modality == "text"), "modalities")?;
    unsupported.leave_out("audio", &audio)?;
    unsupported.unless(matches!(service_tier.as_deref(), None | Some("auto" | "default")), "service_tier")?;
    unsupported.leave_out("web_search_options", &web_search_options)?;
    unsupported.leave_out("prompt_cache_key", &prompt_cache_key)?;
    unsupported.leave_out("prompt_cache_retention", &prompt_cache_retention)?;
    unsupported.leave_out("prompt_cache_options", &prompt_cache_options)?;
    unsupported.leave_out("safety_identifier", &safety_identifier)?;
    unsupported.leave_out("user", &user)?;
    unsupported.unless(!store.unwrap_or(false), "store")?;
    unsupported.leave_out("moderation", &moderation)?;
    unsupported.leave_out("functions", &functions)?;
    unsupported.leave_out("function_call", &function_call)?;

    let mut others = Members::default();
    others.say("format", &format(response_format, &mut unsupported)?);
    others.say("think", &think(reasoning, reasoning_effort, &mut unsupported)?);
    others.say("logprobs", &logprobs.filter(|wanted| *wanted));
    others.say("top_logprobs", &top_logprobs.filter(|count| *count > 0));
    let mut ours = Members::default();
    let limit = match (max_completion_tokens, max_tokens) {
        (Some(newer), Some(older)) => Some(newer.min(older)),
        (newer, older) => newer.or(older),
    };
    ours.say("num_predict", &limit);
    ours.say("temperature", &temperature);
    ours.say("top_p", &top_p);
    ours.say("stop", &Some(stop).filter(|texts| !texts.is_empty()));
    ours.say("seed", &seed);
    ours.say("presence_penalty", &presence_penalty);
    ours.say("frequency_penalty", &frequency_penalty);
    options::place(Members::foreign(additional_members, "")?, &mut others, ours)?;

    let body = Body {
        model: call.model,
        messages: messages::word(messages, &mut unsupported)?,
        stream: streamed,
        tools: tools::word(offered, tool_choice, &mut unsupported)?,
        others,
    };
    let json = serde_json::to_vec(&body).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((json.into(), unsupported.into_dropped()))
}

/// The form of the answer: the word `json`, or a schema, which the server always holds.
fn format(
    format: Option<ResponseFormat>,
    unsupported: &mut Unsupported,
) -> Result<Option<Box<RawValue>>, UpstreamError> {
    let Some(ResponseFormat { format, additional_members }) = format else { return Ok(None) };
    let mut members = Members::foreign(additional_members, "response_format")?;
    let format = match format {
        None | Some(Format::Text(_)) => None,
        // Some vendors' words for a schema without a name.
        Some(Format::JsonObject(_)) => members.take("schema").or_else(|| to_raw_value("json").ok()),
        Some(Format::JsonSchema(schema)) => {
            unsupported.leave_out("response_format.json_schema.description", &schema.description)?;
            if schema.schema.is_empty() {
                to_raw_value("json").ok()
            } else {
                Some(raw(schema.schema, || "response_format.json_schema.schema".to_owned())?)
            }
        }
    };
    for (name, _) in members {
        unsupported.unless(false, format!("response_format.{name}"))?;
    }
    Ok(format)
}

/// Whether the model thinks, or how hard. Source: <https://docs.ollama.com/capabilities/thinking>.
#[derive(Serialize)]
#[serde(untagged)]
enum Think {
    Switch(bool),
    Level(&'static str),
}

fn think(
    reasoning: Option<Reasoning>,
    effort: Option<String>,
    unsupported: &mut Unsupported,
) -> Result<Option<Think>, UpstreamError> {
    let Reasoning { enabled, effort: said, max_tokens, exclude, additional_members } = reasoning.unwrap_or_default();
    unsupported.leave_out("reasoning.max_tokens", &max_tokens)?;
    unsupported.unless(!exclude.unwrap_or(false), "reasoning.exclude")?;
    for (name, _) in crate::unsupported::foreign_members(additional_members) {
        unsupported.unless(false, format!("reasoning.{name}"))?;
    }
    let effort = match (effort, said) {
        (Some(one), Some(other)) if one != other => return Err(invalid("contradicts reasoning.effort")),
        (one, other) => one.or(other),
    };
    match (enabled, effort.as_deref()) {
        (Some(false), _) | (_, Some("none")) => Ok(Some(Think::Switch(false))),
        (_, Some("minimal" | "low")) => Ok(Some(Think::Level("low"))),
        (_, Some("medium")) => Ok(Some(Think::Level("medium"))),
        (_, Some("high" | "xhigh" | "max")) => Ok(Some(Think::Level("high"))),
        (_, Some(_)) => Err(invalid("must be none, minimal, low, medium, high, xhigh or max")),
        (Some(true), None) => Ok(Some(Think::Switch(true))),
        (None, None) => Ok(None),
    }
}

fn invalid(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("reasoning_effort {message}"))
        .with_param("reasoning_effort")
}
