//! What one call gives away of its texts while it runs. Bounded in bytes and in pieces.

use std::sync::Arc;

use sabir_proto::v1::chat_completion_chunk::Delta;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest, Role};
use uuid::Uuid;

use super::CaptureLog;

/// How much more of a text is kept until it has been redacted, in bytes, so that what is cut can be recognised.
const MARGIN: usize = 1 << 10;

/// How many messages, choices and calls are told apart.
const MOST_TEXTS: usize = 512;

/// The longest name of a tool that is kept, in bytes.
const NAME_LIMIT: usize = 128;

/// One text, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The number of the message, or of the choice.
    pub(super) at: u32,
    /// Who says it, or what it is: `user`, `assistant`, `refusal`, `reasoning`.
    pub(super) role: &'static str,
    /// The number of the call of a tool, if it is one.
    pub(super) call: Option<u32>,
    /// The tool that is called.
    pub(super) tool: String,
    /// What is said; of a call, its arguments.
    pub(super) text: String,
}

/// Texts within a bound.
#[derive(Debug)]
pub(super) struct Texts {
    room: usize,
    pub(super) texts: Vec<Text>,
    pub(super) cut: bool,
}

impl Texts {
    fn new(max_bytes: usize) -> Self {
        Self { room: max_bytes + MARGIN, texts: Vec::new(), cut: false }
    }

    /// Adds to what has been said there.
    fn say(&mut self, at: u32, role: &'static str, text: &str) {
        self.add(at, role, None, "", text);
    }

    fn add(&mut self, at: u32, role: &'static str, call: Option<u32>, tool: &str, text: &str) {
        if text.is_empty() && tool.is_empty() {
            return;
        }
        let place = self.texts.iter().rposition(|one| (one.at, one.role, one.call) == (at, role, call));
        let place = match place {
            Some(place) => place,
            None if self.texts.len() == MOST_TEXTS || self.room == 0 => {
                self.cut = true;
                return;
            }
            None => {
                self.texts.push(Text { at, role, call, tool: String::new(), text: String::new() });
                self.texts.len() - 1
            }
        };
        let one = &mut self.texts[place];
        if one.tool.is_empty() {
            one.tool.push_str(&tool[..tool.floor_char_boundary(NAME_LIMIT)]);
        }
        let kept = text.floor_char_boundary(self.room);
        one.text.push_str(&text[..kept]);
        if kept < text.len() {
            self.cut = true;
            // What comes after a cut does not belong to what comes before it.
            self.room = 0;
        } else {
            self.room -= kept;
        }
    }

    fn request(&mut self, request: &CreateChatCompletionRequest) {
        for (at, message) in (0..).zip(&request.messages) {
            let role = role_name(message.role());
            match &message.content {
                None => {}
                Some(Content::Text(text)) => self.say(at, role, text),
                Some(Content::Parts(parts)) => {
                    for part in &parts.parts {
                        match &part.part {
                            Some(Part::Text(text) | Part::Refusal(text)) => self.say(at, role, text),
                            // What is no text is not kept, but that it was there.
                            Some(Part::ImageUrl(_)) => self.say(at, role, "[image]"),
                            Some(Part::InputAudio(_)) => self.say(at, role, "[audio]"),
                            Some(Part::File(_)) => self.say(at, role, "[file]"),
                            None => {}
                        }
                    }
                }
            }
            self.say(at, "refusal", message.refusal());
            self.say(at, "reasoning", message.reasoning_content());
            for (number, call) in (0..).zip(&message.tool_calls) {
                self.call(at, number, call.call.as_ref());
            }
            if let Some(call) = &message.function_call {
                self.add(at, "assistant", Some(0), &call.name, &call.arguments);
            }
        }
    }

    fn completion(&mut self, answer: &ChatCompletion) {
        for choice in &answer.choices {
            let (at, Some(message)) = (choice.index, &choice.message) else { continue };
            self.say(at, "assistant", message.content());
            self.say(at, "refusal", message.refusal());
            self.say(at, "reasoning", message.reasoning_content());
            for (number, call) in (0..).zip(&message.tool_calls) {
                self.call(at, number, call.call.as_ref());
            }
            if let Some(call) = &message.function_call {
                self.add(at, "assistant", Some(0), &call.name, &call.arguments);
            }
        }
    }

    fn call(&mut self, at: u32, number: u32, call: Option<&Call>) {
        match call {
            Some(Call::Function(call)) => self.add(at, "assistant", Some(number), &call.name, &call.arguments),
            Some(Call::Custom(call)) => self.add(at, "assistant", Some(number), &call.name, &call.input),
            None => {}
        }
    }

    fn delta(&mut self, at: u32, delta: &Delta) {
        self.say(at, "assistant", delta.content());
        self.say(at, "refusal", delta.refusal());
        self.say(at, "reasoning", delta.reasoning_content());
        for call in &delta.tool_calls {
            let number = Some(call.index.unwrap_or(0));
            if let Some(function) = &call.function {
                self.add(at, "assistant", number, function.name(), function.arguments());
            }
            if let Some(custom) = &call.custom {
                self.add(at, "assistant", number, custom.name(), custom.input());
            }
        }
        if let Some(call) = &delta.function_call {
            self.add(at, "assistant", Some(0), call.name(), call.arguments());
        }
    }
}

/// The wire name of a role.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "unspecified",
        Role::Developer => "developer",
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::Function => "function",
    }
}

/// The call that a recording is of.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The call's name.
    pub(crate) id: Uuid,
    /// When it came, in microseconds since the Unix epoch.
    pub(crate) at_micros: i64,
    /// Who called.
    pub(crate) actor: String,
    /// The caller's team.
    pub(crate) team_id: Option<Uuid>,
    /// The model as the caller named it.
    pub(crate) model: Arc<str>,
}

/// What is recorded of one call.
#[derive(Debug)]
pub(crate) struct Recording {
    log: CaptureLog,
    pub(super) subject: Subject,
    pub(super) request: Texts,
    pub(super) response: Texts,
    /// The gRPC code that the call ended with.
    pub(super) code: i32,
}

impl Recording {
    pub(super) fn new(
        log: CaptureLog,
        max_bytes: usize,
        subject: Subject,
        request: &CreateChatCompletionRequest,
    ) -> Box<Self> {
        let (mut texts, response) = (Texts::new(max_bytes), Texts::new(max_bytes));
        texts.request(request);
        Box::new(Self { log, subject, request: texts, response, code: 0 })
    }

    /// Notes a whole answer.
    pub(crate) fn completion(&mut self, answer: &ChatCompletion) {
        self.response.completion(answer);
    }

    /// Notes a chunk.
    pub(crate) fn chunk(&mut self, chunk: &ChatCompletionChunk) {
        for choice in &chunk.choices {
            if let Some(delta) = &choice.delta {
                self.response.delta(choice.index, delta);
            }
        }
    }

    /// Hands it over: the call has ended with this gRPC code.
    pub(crate) fn finish(mut self: Box<Self>, code: i32) {
        self.code = code;
        let log = self.log.clone();
        log.keep(self);
    }
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::chat_completion_chunk::Choice;

    use super::*;

    #[test]
    fn the_pieces_of_a_stream_are_put_together_and_bounded() {
        let mut texts = Texts::new(8);
        let room = 8 + MARGIN;
        for _ in 0..room {
            texts.delta(0, &Delta { content: Some("ä".to_owned()), ..Default::default() });
            texts.delta(1, &Delta { refusal: Some("no".to_owned()), ..Default::default() });
        }
        assert!(texts.cut);
        assert_eq!(texts.texts.len(), 2);
        let length: usize = texts.texts.iter().map(|one| one.text.len()).sum();
        assert!(length <= room && length > room - 2, "{length}");
    }

    #[test]
    fn choices_without_a_delta_say_nothing() {
        let chunk = ChatCompletionChunk { choices: vec![Choice::default()], ..Default::default() };
        let mut texts = Texts::new(8);
        chunk.choices.iter().for_each(|choice| texts.delta(choice.index, &choice.delta.clone().unwrap_or_default()));
        assert!(texts.texts.is_empty() && !texts.cut);
    }

    #[test]
    fn texts_that_are_too_many_are_left_out() {
        let mut texts = Texts::new(1 << 20);
        for at in 0..2 * u32::try_from(MOST_TEXTS).unwrap() {
            texts.say(at, "user", "x");
        }
        assert!(texts.cut && texts.texts.len() == MOST_TEXTS);
    }
}
