//! Words a chat request.
//!
//! The request is taken apart without a rest, so that a member of the contract that nobody thought of does not compile.
//! Members that our schema does not name are the model's, and go where the API has a place for those; only a few are the
//! API's own.

use bytes::Bytes;
use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::{CreateChatCompletionRequest, ResponseFormat};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::cache::Marks;
use super::messages::{self, Conversation};
use super::thinking::{self, Asked, Told};
use super::{Family, TARGET, tools};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};
use crate::upstream::{ChatCall, Dropped};
use crate::verbatim::{Members, raw};

/// The members of the API's own that our schema does not name.
const OWN: [&str; 6] = [
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
];

/// The place for what only the model understands.
const FIELDS: &str = "additionalModelRequestFields";

/// The body of a request.
struct Body {
    conversation: Conversation,
    others: Members,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("messages", &self.conversation.turns)?;
        if !self.conversation.system.is_empty() {
            object.serialize_entry("system", &self.conversation.system)?;
        }
        self.others.write(&mut object)?;
        object.end()
    }
}

#[derive(Serialize)]
struct Tier<'a> {
    r#type: &'a str,
}

/// The request as JSON, and what could not be said.
pub(super) fn word(call: ChatCall) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, TARGET);
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
    unsupported.leave_out("verbosity", &verbosity)?;
    unsupported.leave_out("prediction", &prediction)?;
    unsupported.unless(modalities.iter().all(|modality| modality == "text"), "modalities")?;
    unsupported.leave_out("audio", &audio)?;
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
    unsupported.unless(parallel_tool_calls.unwrap_or(true) || offered.is_empty(), "parallel_tool_calls")?;
    // Two is the most in our vocabulary, one in theirs.
    let too_hot = temperature.is_some_and(|temperature| temperature > 1.0);
    unsupported.unless(!too_hot, "temperature")?;

    let limit = match (max_completion_tokens, max_tokens) {
        (Some(newer), Some(older)) => Some(newer.min(older)),
        (newer, older) => newer.or(older),
    };
    let asked = Asked { origin: call.origin, reasoning, effort: reasoning_effort, limit };
    let Told { mut fields, limit } = thinking::of(&call.model, asked, &mut unsupported)?;
    let mut inference = Members::default();
    inference.say("maxTokens", &limit);
    inference.say("temperature", &temperature.filter(|_| !too_hot));
    inference.say("topP", &top_p);
    inference.say("stopSequences", &Some(stop).filter(|texts| !texts.is_empty()));

    let marks = Marks { family: Family::of(&call.model), origin: call.origin };
    let conversation = messages::word(messages, marks, &mut unsupported)?;
    let tools = tools::word(offered, tool_choice, conversation.calls(), marks, &mut unsupported)?;
    let mut others = Members::default();
    others.say("inferenceConfig", &Some(inference).filter(|members| !members.is_empty()));
    others.say("toolConfig", &tools);
    others.say("outputConfig", &output_config(response_format, &mut unsupported)?);
    others.say("requestMetadata", &Some(metadata).filter(|metadata| !metadata.is_empty()));
    match service_tier.as_deref() {
        Some(tier @ ("flex" | "priority" | "reserved")) => others.say("serviceTier", &Some(Tier { r#type: tier })),
        other => unsupported.unless(matches!(other, None | Some("auto" | "default" | "standard")), "service_tier")?,
    }
    for (name, value) in Members::foreign(additional_members, "")? {
        if OWN.contains(&name.as_str()) {
            add(&mut others, name, value)?;
        } else if name == FIELDS {
            let given: Members = serde_json::from_str(value.get()).map_err(|error| {
                let message = format!("{FIELDS} is not an object: {error}");
                UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(FIELDS)
            })?;
            given.into_iter().try_for_each(|(name, value)| add(&mut fields, name, value))?;
        } else {
            add(&mut fields, name, value)?;
        }
    }
    others.say(FIELDS, &Some(fields).filter(|members| !members.is_empty()));

    let json = serde_json::to_vec(&Body { conversation, others }).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((json.into(), unsupported.into_dropped()))
}

/// A vendor's own member may not say again, and differently, what the request says in our words.
fn add(members: &mut Members, name: String, value: Box<serde_json::value::RawValue>) -> Result<(), UpstreamError> {
    if members.contains(&name) {
        let message = format!("{name} contradicts what the request says by other members");
        return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name));
    }
    members.push(name, value);
    Ok(())
}

/// The form of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig {
    text_format: TextFormat,
}

#[derive(Serialize)]
struct TextFormat {
    r#type: &'static str,
    structure: Structure,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Structure {
    JsonSchema {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// As text.
        schema: String,
    },
}

fn output_config(
    format: Option<ResponseFormat>,
    unsupported: &mut Unsupported,
) -> Result<Option<OutputConfig>, UpstreamError> {
    let Some(ResponseFormat { format, additional_members }) = format else { return Ok(None) };
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("response_format.{name}"))?;
    }
    match format {
        None | Some(Format::Text(_)) => Ok(None),
        // A schema is always held, and without one there is nothing to hold.
        Some(Format::JsonSchema(JsonSchema { name, description, schema, strict: _, additional_members }))
            if !schema.is_empty() =>
        {
            for (name, _) in foreign_members(additional_members) {
                unsupported.unless(false, format!("response_format.json_schema.{name}"))?;
            }
            let schema = raw(schema, || "response_format.json_schema.schema".to_owned())?.get().to_owned();
            let structure = Structure::JsonSchema { name, description, schema };
            Ok(Some(OutputConfig { text_format: TextFormat { r#type: "json_schema", structure } }))
        }
        Some(Format::JsonObject(_) | Format::JsonSchema(_)) => {
            unsupported.unless(false, "response_format").map(|()| None)
        }
    }
}
