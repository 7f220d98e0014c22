//! What a request must be beyond what its proto says: rules between fields, each with the path of the field it is about.
//!
//! What can be said of a field alone is said by `buf.validate` in the proto, and held at the gate before a request comes
//! here. The same rules hold for every protocol, because they are checked on the message. Limits that belong to a model,
//! such as how long a context may be, are the model's to check.

mod tools;

use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest, Role};

/// The longest name of a model, in bytes; `chat.proto` says the same.
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

    for (index, message) in request.messages.iter().enumerate() {
        check_message(found, index, message);
    }

    let needs_logprobs = request.top_logprobs.is_some() && !request.logprobs();
    found.require(!needs_logprobs, "top_logprobs", "needs logprobs to be true");
    tools::check(found, request);
    findings.0
}

fn check_message(found: &mut Findings, index: usize, message: &ChatMessage) {
    let at = |field: &str| format!("messages[{index}]{field}");
    let role = Role::try_from(message.role).unwrap_or(Role::Unspecified);
    match role {
        // Refused at the gate.
        Role::Unspecified => {}
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
}

#[cfg(test)]
mod tests;
