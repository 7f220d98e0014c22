//! Words a chat request.

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::CreateChatCompletionRequest;

use super::{OutputLimit, Quirks, Schema, StreamUsage, translation};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::upstream::Origin;

/// The request as this upstream shall see it.
pub(super) fn prepare(
    mut request: Box<CreateChatCompletionRequest>,
    model: String,
    streamed: bool,
    quirks: Quirks,
    origin: Origin,
) -> Box<CreateChatCompletionRequest> {
    request.model = model;
    forget(&mut request, "model");
    if origin == Origin::Translated {
        translation::tidy(&mut request);
    }
    set_stream(&mut request, streamed, quirks.stream_usage);
    if quirks.output_limit == OutputLimit::MaxTokens {
        rename_output_limit(&mut request);
    }
    request
}

/// The request as JSON.
pub(super) fn write(schema: &Schema, request: &CreateChatCompletionRequest) -> Result<Bytes, UpstreamError> {
    let wire = request.encode_to_vec();
    // Member names and quotes make JSON larger than the wire form; escapes in long texts add a little more.
    let mut json = Vec::with_capacity(wire.len() + wire.len() / 4 + 256);
    schema.plans.write(schema.request, &wire, &mut json).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok(json.into())
}

fn set_stream(request: &mut CreateChatCompletionRequest, streamed: bool, usage: StreamUsage) {
    forget(request, "stream");
    forget(request, "stream_options");
    if !streamed {
        // OpenAI refuses stream_options without stream.
        request.stream = None;
        request.stream_options = None;
        return;
    }
    request.stream = Some(true);
    let mut options = request.stream_options.take().unwrap_or_default();
    options.additional_members.remove("include_usage");
    options.include_usage = (usage == StreamUsage::Asked).then_some(true);
    let says_something = options != Default::default();
    request.stream_options = says_something.then_some(options);
}

fn rename_output_limit(request: &mut CreateChatCompletionRequest) {
    if let Some(limit) = request.max_completion_tokens.take() {
        forget(request, "max_tokens");
        request.max_tokens = Some(request.max_tokens.map_or(limit, |other| other.min(limit)));
    }
}

/// Drops what the caller's JSON said about a member in a form that the message cannot hold, such as `null`: we are
/// about to say it anew.
fn forget(request: &mut CreateChatCompletionRequest, member: &str) {
    request.additional_members.remove(member);
}
