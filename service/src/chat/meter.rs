//! Counts what a call costs and notes how the model ended, from the messages that pass.

use sabir_proto::v1::chat_completion_chunk::Delta;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ChatCompletionChunk, CompletionUsage, ContentParts, CreateChatCompletionRequest,
    CreateEmbeddingResponse, FinishReason, ResponseMessage, ToolCall, tool,
};
use sabir_store::{Outcome, TokenSource};

/// How many bytes of text make a token, where nobody counted: four letters of English. Counting bytes instead of
/// characters also fits other scripts better, whose characters take more bytes and more tokens.
const BYTES_PER_TOKEN: usize = 4;

/// The figures of one call.
#[derive(Debug, Default)]
pub(super) struct Meter {
    prompt_bytes: usize,
    answer_bytes: usize,
    reported: Option<Tokens>,
    ending: Option<Outcome>,
    answered: bool,
}

/// Token counts, as a usage row has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) prompt: u32,
    pub(super) completion: u32,
    pub(super) cached: u32,
    pub(super) reasoning: u32,
}

impl Meter {
    /// A meter for the answer to a question of so many bytes.
    pub(super) fn new(prompt_bytes: usize) -> Self {
        Self { prompt_bytes, ..Self::default() }
    }

    /// Counts the vectors of texts.
    pub(super) fn embeddings(&mut self, answer: &CreateEmbeddingResponse) {
        self.answered = true;
        let reported = answer.usage.as_ref().map(|usage| Tokens { prompt: usage.prompt_tokens, ..Tokens::default() });
        self.reported = reported.or(self.reported);
    }

    /// Counts a whole answer.
    pub(super) fn completion(&mut self, answer: &ChatCompletion) {
        self.answered = true;
        for choice in &answer.choices {
            self.answer_bytes += choice.message.as_ref().map_or(0, message_bytes);
            self.note_ending(choice.finish_reason());
        }
        self.note_usage(answer.usage.as_ref());
    }

    /// Counts a chunk. Returns whether it holds a piece of the answer.
    pub(super) fn chunk(&mut self, chunk: &ChatCompletionChunk) -> bool {
        self.answered = true;
        let before = self.answer_bytes;
        for choice in &chunk.choices {
            self.answer_bytes += choice.delta.as_ref().map_or(0, delta_bytes);
            self.note_ending(choice.finish_reason());
        }
        self.note_usage(chunk.usage.as_ref());
        self.answer_bytes > before
    }

    /// How a model that ended normally ended.
    pub(super) fn ending(&self) -> Outcome {
        self.ending.unwrap_or(Outcome::Complete)
    }

    /// The token counts. `whole` tells whether the answer came to its end.
    pub(super) fn tokens(&self, asked: bool, outcome: Outcome) -> (Tokens, TokenSource) {
        let whole = matches!(outcome, Outcome::Complete | Outcome::Length | Outcome::ToolCalls | Outcome::Filtered);
        let abandoned = matches!(outcome, Outcome::Cancelled | Outcome::Deadline);
        match self.reported {
            // A caller that goes away while the model reads the prompt still pays for the prompt; a call that the
            // upstream never took on costs nothing.
            _ if !asked || !(self.answered || abandoned) => (Tokens::default(), TokenSource::None),
            Some(tokens) => (tokens, if whole { TokenSource::Reported } else { TokenSource::Partial }),
            None => {
                let estimate = |bytes: usize| u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX);
                let tokens = Tokens {
                    prompt: estimate(self.prompt_bytes),
                    completion: estimate(self.answer_bytes),
                    ..Tokens::default()
                };
                (tokens, if whole { TokenSource::Estimated } else { TokenSource::Partial })
            }
        }
    }

    /// Reports are snapshots of the whole call, not increments: the last one counts.
    fn note_usage(&mut self, usage: Option<&CompletionUsage>) {
        let Some(usage) = usage else { return };
        self.reported = Some(Tokens {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
            cached: usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens).unwrap_or(0),
            reasoning: usage
                .completion_tokens_details
                .as_ref()
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or(0),
        });
    }

    /// Where several choices end differently, the row names what the caller most needs to know.
    fn note_ending(&mut self, reason: FinishReason) {
        let severity = |outcome: Option<Outcome>| match outcome {
            None => 0,
            Some(Outcome::Complete) => 1,
            Some(Outcome::ToolCalls) => 2,
            Some(Outcome::Length) => 3,
            Some(_) => 4,
        };
        let ending = match reason {
            FinishReason::Unspecified => return,
            FinishReason::Stop => Outcome::Complete,
            FinishReason::ToolCalls | FinishReason::FunctionCall => Outcome::ToolCalls,
            FinishReason::Length => Outcome::Length,
            FinishReason::ContentFilter => Outcome::Filtered,
        };
        if severity(Some(ending)) > severity(self.ending) {
            self.ending = Some(ending);
        }
    }
}

/// How many bytes of text a conversation has, its tools included.
pub(super) fn prompt_bytes(request: &CreateChatCompletionRequest) -> usize {
    let messages = request.messages.iter().map(|message| {
        let content = match &message.content {
            None => 0,
            Some(Content::Text(text)) => text.len(),
            Some(Content::Parts(parts)) => parts_bytes(parts),
        };
        content + message.tool_calls.iter().map(call_bytes).sum::<usize>()
    });
    let tools = request.tools.iter().map(|tool| match &tool.tool {
        Some(tool::Tool::Function(function)) => {
            function.name.len() + function.parameters.len() + function.description.as_ref().map_or(0, String::len)
        }
        Some(tool::Tool::Custom(custom)) => custom.name.len() + custom.description.as_ref().map_or(0, String::len),
        None => 0,
    });
    messages.chain(tools).sum()
}

/// Text only: what an image or a recording costs, only the provider knows.
fn parts_bytes(parts: &ContentParts) -> usize {
    let texts = parts.parts.iter().map(|part| match &part.part {
        Some(Part::Text(text) | Part::Refusal(text)) => text.len(),
        _ => 0,
    });
    texts.sum()
}

fn message_bytes(message: &ResponseMessage) -> usize {
    let texts = [&message.content, &message.refusal, &message.reasoning_content];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let calls: usize = message.tool_calls.iter().map(call_bytes).sum();
    texts + calls + message.function_call.as_ref().map_or(0, |call| call.name.len() + call.arguments.len())
}

fn call_bytes(call: &ToolCall) -> usize {
    match &call.call {
        Some(Call::Function(function)) => function.name.len() + function.arguments.len(),
        Some(Call::Custom(custom)) => custom.name.len() + custom.input.len(),
        None => 0,
    }
}

fn delta_bytes(delta: &Delta) -> usize {
    let texts = [&delta.content, &delta.refusal, &delta.reasoning_content];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let calls = delta.tool_calls.iter().map(|call| {
        let function = call.function.as_ref().map_or(0, |call| optional(&call.name) + optional(&call.arguments));
        let custom = call.custom.as_ref().map_or(0, |call| optional(&call.name) + optional(&call.input));
        function + custom
    });
    let legacy = delta.function_call.as_ref().map_or(0, |call| optional(&call.name) + optional(&call.arguments));
    texts + calls.sum::<usize>() + legacy
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::chat_completion_chunk::Choice;

    use super::*;

    fn chunk(text: &str, reason: FinishReason) -> ChatCompletionChunk {
        let delta = Delta { content: Some(text.to_owned()), ..Default::default() };
        let choice = Choice { delta: Some(delta), finish_reason: reason.into(), ..Default::default() };
        ChatCompletionChunk { choices: vec![choice], ..Default::default() }
    }

    fn usage(prompt: u32, completion: u32) -> ChatCompletionChunk {
        let usage = CompletionUsage { prompt_tokens: prompt, completion_tokens: completion, ..Default::default() };
        ChatCompletionChunk { usage: Some(usage), ..Default::default() }
    }

    #[test]
    fn usage_reports_are_snapshots_and_never_summed() {
        let mut meter = Meter::default();
        for completion in [5, 9, 12] {
            meter.chunk(&usage(7, completion));
        }
        let (tokens, source) = meter.tokens(true, Outcome::Complete);
        assert_eq!((tokens.prompt, tokens.completion, source), (7, 12, TokenSource::Reported));
    }

    #[test]
    fn without_a_report_the_text_is_estimated() {
        let mut meter = Meter { prompt_bytes: 9, ..Default::default() };
        assert!(!meter.chunk(&chunk("", FinishReason::Unspecified)));
        assert!(meter.chunk(&chunk("12345678", FinishReason::Stop)));
        let (tokens, source) = meter.tokens(true, Outcome::Complete);
        assert_eq!((tokens.prompt, tokens.completion, source), (3, 2, TokenSource::Estimated));
    }

    #[test]
    fn an_answer_that_was_cut_is_partial_with_or_without_a_report() {
        let mut meter = Meter::default();
        meter.chunk(&chunk("1234", FinishReason::Unspecified));
        assert_eq!(meter.tokens(true, Outcome::Cancelled).1, TokenSource::Partial);
        meter.chunk(&usage(1, 1));
        assert_eq!(meter.tokens(true, Outcome::UpstreamLost).1, TokenSource::Partial);
    }

    #[test]
    fn a_call_that_no_upstream_took_on_has_no_tokens() {
        let meter = Meter { prompt_bytes: 400, ..Default::default() };
        assert_eq!(meter.tokens(false, Outcome::Rejected), (Tokens::default(), TokenSource::None));
        assert_eq!(meter.tokens(true, Outcome::UpstreamRefused), (Tokens::default(), TokenSource::None));
        let (tokens, source) = meter.tokens(true, Outcome::Cancelled);
        assert_eq!((tokens.prompt, source), (100, TokenSource::Partial));
    }

    #[test]
    fn the_gravest_ending_of_several_choices_counts() {
        let mut meter = Meter::default();
        meter.chunk(&chunk("a", FinishReason::Length));
        meter.chunk(&chunk("b", FinishReason::Stop));
        assert_eq!(meter.ending(), Outcome::Length);
        meter.chunk(&chunk("c", FinishReason::ContentFilter));
        assert_eq!(meter.ending(), Outcome::Filtered);
    }
}
