//! Where questions and answers have texts.

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ChatMessage, CreateChatCompletionRequest, CreateEmbeddingRequest, ReasoningDetail, ResponseMessage,
    Role, ToolCall,
};

use super::book::Book;
use super::judge::Told;

/// Shows every text of a question.
pub(super) fn of_request(request: &mut CreateChatCompletionRequest, see: &mut dyn FnMut(&mut String)) {
    for message in &mut request.messages {
        match &mut message.content {
            Some(Content::Text(text)) => see(text),
            Some(Content::Parts(parts)) => {
                for part in &mut parts.parts {
                    if let Some(Part::Text(text) | Part::Refusal(text)) = &mut part.part {
                        see(text);
                    }
                }
            }
            None => {}
        }
        message.refusal.iter_mut().chain(&mut message.reasoning_content).for_each(&mut *see);
        of_thoughts(&mut message.reasoning_details, see);
        of_calls(&mut message.tool_calls, see);
        message.function_call.iter_mut().for_each(|call| see(&mut call.arguments));
    }
}

/// Shows every text that is to become a vector.
pub(super) fn of_input(request: &mut CreateEmbeddingRequest, see: &mut dyn FnMut(&mut String)) {
    for input in &mut request.input {
        if let Some(Input::Text(text)) = &mut input.input {
            see(text);
        }
    }
}

/// The same, as something that is said.
pub(super) fn told_of_input(request: &CreateEmbeddingRequest) -> Vec<Told> {
    let texts = request.input.iter().filter_map(|input| match &input.input {
        Some(Input::Text(text)) => Some(text.clone()),
        _ => None,
    });
    texts.map(|text| Told { role: "user", text }).collect()
}

/// Shows every text of an answer.
pub(super) fn of_answer(answer: &mut ChatCompletion, see: &mut dyn FnMut(&mut String)) {
    for message in answer.choices.iter_mut().filter_map(|choice| choice.message.as_mut()) {
        of_words(message, see);
        of_calls(&mut message.tool_calls, see);
        message.function_call.iter_mut().for_each(|call| see(&mut call.arguments));
    }
}

fn of_words(message: &mut ResponseMessage, see: &mut dyn FnMut(&mut String)) {
    let texts = message.content.iter_mut().chain(&mut message.refusal).chain(&mut message.reasoning_content);
    texts.for_each(&mut *see);
    of_thoughts(&mut message.reasoning_details, see);
}

fn of_thoughts(thoughts: &mut [ReasoningDetail], see: &mut dyn FnMut(&mut String)) {
    for thought in thoughts {
        thought.text.iter_mut().chain(&mut thought.summary).for_each(&mut *see);
    }
}

fn of_calls(calls: &mut [ToolCall], see: &mut dyn FnMut(&mut String)) {
    for call in calls {
        match &mut call.call {
            Some(Call::Function(function)) => see(&mut function.arguments),
            Some(Call::Custom(custom)) => see(&mut custom.input),
            None => {}
        }
    }
}

/// Puts back what the question was without.
pub(super) fn restore(answer: &mut ChatCompletion, book: &Book) {
    if book.is_empty() {
        return;
    }
    let put_back = |in_json: bool| {
        move |text: &mut String| {
            let restored = book.restore(text, in_json).into_owned();
            *text = restored;
        }
    };
    for message in answer.choices.iter_mut().filter_map(|choice| choice.message.as_mut()) {
        of_words(message, &mut put_back(false));
        of_calls(&mut message.tool_calls, &mut put_back(true));
        message.function_call.iter_mut().for_each(|call| put_back(true)(&mut call.arguments));
    }
}

/// What is said in a conversation, by whom.
pub(super) fn told_of_request(request: &CreateChatCompletionRequest) -> Vec<Told> {
    request.messages.iter().map(|message| Told { role: role(message), text: text_of(message) }).collect()
}

fn role(message: &ChatMessage) -> &'static str {
    match message.role() {
        Role::System | Role::Developer => "system",
        Role::Assistant => "assistant",
        Role::Tool | Role::Function => "tool",
        Role::User | Role::Unspecified => "user",
    }
}

fn text_of(message: &ChatMessage) -> String {
    match &message.content {
        Some(Content::Text(text)) => text.clone(),
        Some(Content::Parts(parts)) => {
            let texts = parts.parts.iter().filter_map(|part| match &part.part {
                Some(Part::Text(text) | Part::Refusal(text)) => Some(text.as_str()),
                _ => None,
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        None => String::new(),
    }
}

/// What is said in an answer.
pub(super) fn told_of_answer(answer: &ChatCompletion) -> Vec<Told> {
    let messages = answer.choices.iter().filter_map(|choice| choice.message.as_ref());
    messages
        .map(|message| Told {
            role: "assistant",
            text: message.content.clone().or_else(|| message.refusal.clone()).unwrap_or_default(),
        })
        .collect()
}
