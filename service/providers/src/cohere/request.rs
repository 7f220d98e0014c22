//! Words a chat request. Source: <https://docs.cohere.com/v2/reference/chat>.
//!
//! The request is taken apart without a rest, so that a member of the contract that nobody thought of does not compile.

use bytes::Bytes;
use sabir_proto::v1::response_format::Format;
use sabir_proto::v1::{CreateChatCompletionRequest, ResponseFormat};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use super::wire::Message;
use super::{TARGET, messages, thinking, tools};
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
        object.serialize_entry("stream", &self.stream)?;
        if !self.tools.is_empty() {
            object.serialize_entry("tools", &self.tools)?;
        }
        self.others.write(&mut object)?;
        object.end()
    }
}

/// The request as JSON, and what could not be said.
pub(super) fn word(call: ChatCall, streamed: bool) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, TARGET);
    let mut request = call.request;
    if call.origin == Origin::Translated {
        // How many tokens may be thought can be said here, and need not become a word.
        let reasoning = request.reasoning.take();
        translation::tidy(&mut request);
        request.reasoning = reasoning;
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
    unsupported.unless(top_logprobs.unwrap_or(0) == 0, "top_logprobs")?;
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

    let limit = match (max_completion_tokens, max_tokens) {
        (Some(newer), Some(older)) => Some(newer.min(older)),
        (newer, older) => newer.or(older),
    };
    let tools::Tools { tools, choice, strict } = tools::word(offered, tool_choice, &mut unsupported)?;
    let mut others = Members::default();
    others.say("tool_choice", &choice);
    others.say("strict_tools", &strict);
    others.say("response_format", &format(response_format, &mut unsupported)?);
    others.say("thinking", &thinking::of(reasoning, reasoning_effort, limit, &mut unsupported)?);
    others.say("max_tokens", &limit);
    others.say("stop_sequences", &Some(stop).filter(|texts| !texts.is_empty()));
    others.say("temperature", &temperature);
    // All of the probability is not to be had; this is the most.
    others.say("p", &top_p.map(|share| share.clamp(0.01, 0.99)));
    others.say("seed", &seed);
    others.say("presence_penalty", &penalty("presence_penalty", presence_penalty, &mut unsupported)?);
    others.say("frequency_penalty", &penalty("frequency_penalty", frequency_penalty, &mut unsupported)?);
    others.say("logprobs", &logprobs.filter(|wanted| *wanted));
    for (name, value) in Members::foreign(additional_members, "")? {
        if others.contains(&name) {
            let message = format!("{name} contradicts what the request says by other members");
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name));
        }
        others.push(name, value);
    }

    let messages = messages::word(messages, &mut unsupported)?;
    let body = Body { model: call.model, messages, stream: streamed, tools, others };
    let json = serde_json::to_vec(&body).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((json.into(), unsupported.into_dropped()))
}

/// A penalty, which goes from -2 to 2 in our vocabulary and from 0 to 1 in theirs.
fn penalty(
    name: &'static str,
    penalty: Option<f64>,
    unsupported: &mut Unsupported,
) -> Result<Option<f64>, UpstreamError> {
    let within = penalty.is_none_or(|penalty| (0.0..=1.0).contains(&penalty));
    unsupported.unless(within, name)?;
    Ok(penalty.filter(|_| within))
}

/// The form of the answer.
#[derive(Serialize)]
struct JsonObject {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<Box<RawValue>>,
}

fn format(format: Option<ResponseFormat>, unsupported: &mut Unsupported) -> Result<Option<JsonObject>, UpstreamError> {
    let Some(ResponseFormat { format, additional_members }) = format else { return Ok(None) };
    let mut members = Members::foreign(additional_members, "response_format")?;
    let json = |json_schema| Some(JsonObject { r#type: "json_object", json_schema });
    let format = match format {
        None | Some(Format::Text(_)) => None,
        // The vendor's own way to give a schema, and others'.
        Some(Format::JsonObject(_)) => json(members.take("json_schema").or_else(|| members.take("schema"))),
        Some(Format::JsonSchema(schema)) => {
            unsupported.leave_out("response_format.json_schema.description", &schema.description)?;
            if schema.schema.is_empty() {
                json(None)
            } else {
                json(Some(raw(schema.schema, || "response_format.json_schema.schema".to_owned())?))
            }
        }
    };
    for (name, _) in members {
        unsupported.unless(false, format!("response_format.{name}"))?;
    }
    Ok(format)
}
