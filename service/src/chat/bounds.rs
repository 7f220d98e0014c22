//! How much a call may take, reckoned before it is made, for whoever has to make room for it.
//!
//! The answer has a limit that the model keeps; the input can only be estimated, and is estimated generously: fewer bytes
//! to a token than text usually has.

use sabir_proto::v1::CreateChatCompletionRequest;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;

/// Bytes of text for a token, at least. English has about four; code, other scripts and digits have fewer.
const BYTES_PER_TOKEN: usize = 3;

/// What the form of a conversation takes for each message.
const TOKENS_PER_MESSAGE: usize = 8;

/// What an image, a recording or a file is reckoned at, whose size in tokens only the provider knows.
const TOKENS_PER_ATTACHMENT: usize = 1_600;

/// How much a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Tokens of the input.
    pub(super) prompt: u32,
    /// Tokens of each answer; `None` if the caller sets no limit.
    pub(super) output: Option<u32>,
    /// How many answers are asked for.
    pub(super) answers: u32,
}

impl Bounds {
    /// The bounds of the call that this request asks for.
    pub(super) fn of(request: &CreateChatCompletionRequest, prompt_bytes: usize) -> Self {
        let attachments: usize = request
            .messages
            .iter()
            .map(|message| match &message.content {
                Some(Content::Parts(parts)) => parts.parts.iter().filter(|part| !is_text(part.part.as_ref())).count(),
                _ => 0,
            })
            .sum();
        let tokens = prompt_bytes.div_ceil(BYTES_PER_TOKEN)
            + request.messages.len() * TOKENS_PER_MESSAGE
            + attachments * TOKENS_PER_ATTACHMENT;
        Self {
            prompt: u32::try_from(tokens).unwrap_or(u32::MAX),
            // The contract's bounds keep both above 0.
            output: request.max_completion_tokens.or(request.max_tokens).map(i32::unsigned_abs),
            answers: request.n.unwrap_or(1).max(1).unsigned_abs(),
        }
    }

    /// The bounds of a call for vectors: texts of so many bytes, and so many tokens. It has no answer to speak of.
    pub(super) fn of_texts(bytes: usize, tokens: usize) -> Self {
        let tokens = bytes.div_ceil(BYTES_PER_TOKEN).saturating_add(tokens);
        Self { prompt: u32::try_from(tokens).unwrap_or(u32::MAX), output: Some(0), answers: 0 }
    }
}

fn is_text(part: Option<&Part>) -> bool {
    matches!(part, None | Some(Part::Text(_) | Part::Refusal(_)))
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::{ChatMessage, ContentPart, ContentParts, ImageUrl};

    use super::*;

    #[test]
    fn every_part_of_a_request_is_reckoned_with() {
        let said = |content: Content| ChatMessage { content: Some(content), ..Default::default() };
        let image = ContentPart { part: Some(Part::ImageUrl(ImageUrl::default())), ..Default::default() };
        let text = ContentPart { part: Some(Part::Text("1234567".to_owned())), ..Default::default() };
        let parts = Content::Parts(ContentParts { parts: vec![image, text] });
        let request = CreateChatCompletionRequest {
            messages: vec![said(Content::Text("12".to_owned())), said(parts)],
            max_tokens: Some(5),
            n: Some(3),
            ..Default::default()
        };
        let of =
            |request: &CreateChatCompletionRequest| Bounds::of(request, super::super::meter::prompt_bytes(request));
        assert_eq!(of(&request), Bounds { prompt: 3 + 2 * 8 + 1_600, output: Some(5), answers: 3 });
        let newer = CreateChatCompletionRequest { max_completion_tokens: Some(7), n: None, ..request };
        let bounds = of(&newer);
        assert_eq!((bounds.output, bounds.answers), (Some(7), 1));
        assert_eq!(of(&CreateChatCompletionRequest::default()).output, None);
    }
}
