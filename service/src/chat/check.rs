//! What a request must be beyond what its types say: one table of rules, each with the path of the field it is about.
//!
//! The same rules hold for every protocol, because they are checked on the message. Limits that belong to a model, such
//! as how long a context may be, are the model's to check.

mod tools;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest, Role};

/// The longest name of a model, in bytes.
pub(super) const MODEL_NAME_LIMIT: usize = 256;

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The path of the field, as the JSON form of the message has it: `messages[0].role`.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// Everything that is wrong with the request, in the order of its fields.
pub(super) fn check(request: &CreateChatCompletionRequest) -> Vec<Violation> {
    let mut findings = Findings::default();
    let found = &mut findings;

    found.require(!request.model.is_empty(), "model", "is required");
    found.require(request.model.len() <= MODEL_NAME_LIMIT, "model", "is longer than 256 bytes");
    found.require(!request.messages.is_empty(), "messages", "must hold at least one message");
    for (index, message) in request.messages.iter().enumerate() {
        check_message(found, index, message);
    }

    found.at_least_one("max_completion_tokens", request.max_completion_tokens);
    found.at_least_one("max_tokens", request.max_tokens);
    found.range("temperature", request.temperature, 0.0, 2.0);
    found.range("top_p", request.top_p, 0.0, 1.0);
    found.range("presence_penalty", request.presence_penalty, -2.0, 2.0);
    found.range("frequency_penalty", request.frequency_penalty, -2.0, 2.0);
    found.range("n", request.n.map(f64::from), 1.0, 128.0);
    found.range("top_logprobs", request.top_logprobs.map(f64::from), 0.0, 20.0);
    let needs_logprobs = request.top_logprobs.is_some() && !request.logprobs();
    found.require(!needs_logprobs, "top_logprobs", "needs logprobs to be true");
    for (token, &bias) in &request.logit_bias {
        found.range(&format!("logit_bias.{token}"), Some(bias), -100.0, 100.0);
    }

    found.require(request.stop.len() <= 4, "stop", "must hold at most 4 texts");
    for (index, stop) in request.stop.iter().enumerate() {
        found.require_at(!stop.is_empty(), || format!("stop[{index}]"), "must not be empty");
    }

    // Source: https://platform.openai.com/docs/api-reference/chat/create#chat-create-metadata
    found.require(request.metadata.len() <= 16, "metadata", "must hold at most 16 entries");
    for (key, value) in &request.metadata {
        let path = || format!("metadata.{key}");
        found.require_at(!key.is_empty() && key.chars().count() <= 64, path, "must have a key of 1 to 64 characters");
        found.require_at(value.chars().count() <= 512, path, "must be at most 512 characters");
    }

    tools::check(found, request);
    findings.0
}

fn check_message(found: &mut Findings, index: usize, message: &ChatMessage) {
    let at = |field: &str| format!("messages[{index}]{field}");
    let role = Role::try_from(message.role).unwrap_or(Role::Unspecified);
    match role {
        Role::Unspecified => {
            found.require_at(false, || at(".role"), "must be developer, system, user, assistant, tool or function")
        }
        Role::Developer | Role::System | Role::User => {
            found.require_at(message.content.is_some(), || at(".content"), "is required");
        }
        Role::Assistant => {
            let says_something = message.content.is_some()
                || message.refusal.is_some()
                || message.reasoning_content.is_some()
                || message.audio.is_some()
                || message.function_call.is_some()
                || !message.tool_calls.is_empty();
            found.require_at(says_something, || at(".content"), "is required in a message without tool calls");
        }
        Role::Tool => {
            let answers = message.tool_call_id.as_ref().is_some_and(|id| !id.is_empty());
            found.require_at(answers, || at(".tool_call_id"), "is required in a tool message");
            found.require_at(message.content.is_some(), || at(".content"), "is required");
        }
        Role::Function => {
            let named = message.name.as_ref().is_some_and(|name| !name.is_empty());
            found.require_at(named, || at(".name"), "is required in a function message");
        }
    }
    if let Some(Content::Parts(parts)) = &message.content {
        found.require_at(!parts.parts.is_empty(), || at(".content"), "must hold at least one part");
        for (part, content) in parts.parts.iter().enumerate() {
            found.require_at(content.part.is_some(), || at(&format!(".content[{part}]")), "has no content");
        }
    }
    for (call, tool_call) in message.tool_calls.iter().enumerate() {
        found.require_at(
            tool_call.call.is_some(),
            || at(&format!(".tool_calls[{call}]")),
            "names no function and no custom tool",
        );
    }
}

/// Where the rules put what they find.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn require(&mut self, holds: bool, field: &str, message: &str) {
        self.require_at(holds, || field.to_owned(), message);
    }

    /// The path is only made when the rule is broken.
    fn require_at(&mut self, holds: bool, field: impl FnOnce() -> String, message: &str) {
        if !holds {
            self.0.push(Violation { field: field(), message: message.to_owned() });
        }
    }

    fn at_least_one(&mut self, field: &str, number: Option<i32>) {
        self.require(number.is_none_or(|number| number >= 1), field, "must be at least 1");
    }

    /// Numbers that are not finite are in no range.
    fn range(&mut self, field: &str, number: Option<f64>, low: f64, high: f64) {
        if number.is_some_and(|number| !(low..=high).contains(&number)) {
            self.require(false, field, &format!("must be from {low} to {high}"));
        }
    }
}

#[cfg(test)]
mod tests;
