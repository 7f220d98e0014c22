//! A chat call as a test writes it: once as the message gRPC carries and once as the JSON an OpenAI client sends. The
//! two are written side by side here, so that neither is made by the code under test.

use std::time::Duration;

use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest, Role, StreamOptions, chat_message::Content};
use serde_json::{Value, json};

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) message: CreateChatCompletionRequest,
    pub(crate) json: Value,
    /// Sent as `grpc-timeout`, or over REST in the plain header a browser can set.
    pub(crate) timeout: Option<Duration>,
    /// Further request headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Call {
    /// Says one thing to a model.
    pub(crate) fn say(model: &str, text: &str) -> Self {
        Self {
            message: CreateChatCompletionRequest {
                model: model.to_owned(),
                messages: vec![ChatMessage {
                    role: Role::User.into(),
                    content: Some(Content::Text(text.to_owned())),
                    ..Default::default()
                }],
                ..Default::default()
            },
            json: json!({"model": model, "messages": [{"role": "user", "content": text}]}),
            timeout: None,
            headers: Vec::new(),
        }
    }

    /// The same call with a change, written once for the message and once as members of the JSON document.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut CreateChatCompletionRequest), members: Value) -> Self {
        change(&mut self.message);
        let Value::Object(members) = members else { panic!("members are written as an object") };
        let document = self.json.as_object_mut().unwrap();
        document.extend(members);
        self
    }

    /// The same call with a deadline.
    pub(crate) fn within(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same call, asking for usage at the end of a stream.
    pub(crate) fn with_usage(self) -> Self {
        let options = StreamOptions { include_usage: Some(true), ..Default::default() };
        self.with(|request| request.stream_options = Some(options), json!({"stream_options": {"include_usage": true}}))
    }

    /// The timeout as gRPC's header has it.
    pub(crate) fn grpc_timeout(&self) -> Option<String> {
        self.timeout.map(|timeout| format!("{}m", timeout.as_millis()))
    }
}
