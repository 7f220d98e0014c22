//! Reads a whole answer.

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::tool_call;
use sabir_proto::v1::{ChatCompletion, FunctionCall, ResponseAudio, ResponseMessage, Role, ToolCall};

use super::answer::{Answer, Blob, Candidate, not_one};
use super::parts::{self, Called, Piece, Reader};
use super::{error, usage::Usage};
use crate::error::UpstreamError;

pub(super) fn read(body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| not_one("a generated answer", &error))?;
    if answer.error.is_some() {
        return Err(error::read(None, body));
    }
    answer.unless_blocked()?;
    if answer.candidates.is_empty() {
        return Err(not_one("a generated answer", &"it has no candidates"));
    }
    let additional_members = answer.members();
    let id = answer.response_id.unwrap_or_default();
    Ok(ChatCompletion {
        choices: answer.candidates.into_iter().map(|candidate| choice(candidate, &id)).collect(),
        id,
        object: "chat.completion".to_owned(),
        model: answer.model_version.unwrap_or_default(),
        usage: answer.usage_metadata.as_ref().and_then(Usage::translate),
        service_tier: answer.usage_metadata.as_ref().and_then(Usage::tier),
        additional_members,
        ..ChatCompletion::default()
    })
}

fn choice(mut candidate: Candidate<'_>, id: &str) -> Choice {
    let mut reader = Reader::default();
    let mut message = ResponseMessage { role: Role::Assistant.into(), ..ResponseMessage::default() };
    let (mut own, mut images) = (Vec::new(), Vec::new());
    for piece in candidate.parts().into_iter().flat_map(|part| reader.read(part, id, candidate.index)) {
        match piece {
            Piece::Text(text) => message.content.get_or_insert_default().push_str(&text),
            Piece::Thought(text, detail) => {
                message.reasoning_content.get_or_insert_default().push_str(&text);
                match message.reasoning_details.last_mut() {
                    Some(last) if last.index == detail.index => {
                        last.text.get_or_insert_default().push_str(&text);
                        last.signature = detail.signature;
                    }
                    _ => message.reasoning_details.push(detail),
                }
            }
            Piece::Seal(detail) => message.reasoning_details.push(detail),
            Piece::Call(called) => message.tool_calls.push(call(called)),
            Piece::Image(image) => images.push(image),
            Piece::Audio(blob) if message.audio.is_some() => own.push(parts::inline(&blob)),
            Piece::Audio(blob) => message.audio = Some(audio(blob, id)),
            Piece::Own(part) => own.push(part),
        }
    }
    message.additional_members.extend(parts::members(own, images));
    let mut choice = Choice {
        index: candidate.index,
        logprobs: candidate.logprobs(),
        message: Some(message),
        additional_members: candidate.members(),
        ..Choice::default()
    };
    if let Some((reason, word)) = candidate.finish(reader.calls > 0) {
        choice.set_finish_reason(reason);
        choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
    }
    choice
}

fn call(called: Called) -> ToolCall {
    let Called { index: _, id, name, arguments, extra } = called;
    ToolCall {
        id,
        call: Some(tool_call::Call::Function(FunctionCall { name, arguments, ..FunctionCall::default() })),
        additional_members: extra.into_iter().collect(),
    }
}

fn audio(blob: Blob, id: &str) -> ResponseAudio {
    ResponseAudio {
        id: format!("audio_{id}"),
        data: blob.data,
        additional_members: [mime_type(&blob.mime_type)].into(),
        ..ResponseAudio::default()
    }
}

/// How sound is encoded, as a member.
pub(super) fn mime_type(mime_type: &str) -> (String, String) {
    ("mime_type".to_owned(), serde_json::Value::from(mime_type).to_string())
}
